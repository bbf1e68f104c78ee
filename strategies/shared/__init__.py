"""How strategies reach forecasts and features: settings, client, cache, columns. The strategy files say when."""
