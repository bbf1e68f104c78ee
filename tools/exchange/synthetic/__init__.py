"""A seeded synthetic market: what real crypto returns look like, with no direction to be learnt by default."""
