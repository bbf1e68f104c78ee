"""Binance's side of the exchange: routes, JSON shapes and error codes. Order entry and streams join here as routers."""
