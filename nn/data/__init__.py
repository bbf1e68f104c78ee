"""Candles, targets, windows: what training and scoring rest on. Reads Freqtrade's files, never imports Freqtrade."""

from .candles import BadCandles, CandleReport, check_candles, list_pairs, read_candles
from .targets import FORECAST_COLUMNS, TARGETS, Targets, make_targets, max_horizon_bars
from .windows import RobustScaler, Split, Windows, WindowSet, chronological_split, usable_ends

__all__ = [
    "FORECAST_COLUMNS",
    "TARGETS",
    "BadCandles",
    "CandleReport",
    "RobustScaler",
    "Split",
    "Targets",
    "WindowSet",
    "Windows",
    "check_candles",
    "chronological_split",
    "list_pairs",
    "make_targets",
    "max_horizon_bars",
    "read_candles",
    "usable_ends",
]
