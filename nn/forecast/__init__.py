"""Training of forecasters: one version at a time, or a walk-forward chain, and what each was worth afterwards."""
