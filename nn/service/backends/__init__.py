"""Ways to run a network over many windows: as it is, with shared patches, compiled. `choice` says which one runs."""
