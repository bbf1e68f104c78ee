"""Compiled kernels for trading: causal features. NumPy in, NumPy out; nothing else is imported."""

__version__ = "0.1.0"
