"""The datahub: prices and candles for whoever asks on this machine, read only (HUB-1..7). See docs/datahub.md."""
