"""A simulated exchange: Binance's public REST protocol on loopback, over a synthetic market or a stored one."""
