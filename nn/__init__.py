"""Candlewright learns and serves: data, models, forecasts, registry, service. Never imports freqtrade."""
