"""Freqtrade strategies, one per file, and what they share. Never imports torch, mlflow, bentoml, nn or tools."""
