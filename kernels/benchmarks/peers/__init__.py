"""The features as others write them: pandas, TA-Lib, numba and polars. From: candles. To: columns to compare."""
