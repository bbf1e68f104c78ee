"""The networks and their losses: plain torch modules, each with a frozen dataclass that says all about its shape."""
