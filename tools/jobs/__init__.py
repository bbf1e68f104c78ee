"""Training jobs behind an admin endpoint on a port and key of its own (JOB-1..4); they only ever make challengers."""
