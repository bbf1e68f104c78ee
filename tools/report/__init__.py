"""Report room: a Freqtrade backtest result becomes one self-contained HTML page and the same numbers as JSON."""
