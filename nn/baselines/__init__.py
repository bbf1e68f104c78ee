"""Forecasters that any network has to beat: naive rules, linear models, boosted trees, NLinear (MOD-6)."""
