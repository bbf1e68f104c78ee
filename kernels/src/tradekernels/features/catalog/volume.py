"""Volume family: how much is traded, and on which side. From: primitives. To: the catalogue."""

from ..expression import named
from ..feature import Feature
from ..primitives import C, V, ema, ratio, sign, sma, std, total, where
from .indicators import BODY_SIGN, QUOTE, TYPICAL, money_flow_volume, volume_share

INF = float("inf")
MFV = money_flow_volume()
MONEY = named("MONEY", TYPICAL * V)
# Typical prices that are equal in decimals differ by a rounding in binary: such a bar is neither rising nor falling.
CHANGE, ROUNDING = named("CHANGE", TYPICAL - TYPICAL[1]), named("ROUNDING_TP", 1e-14 * TYPICAL)
RISING = named("RISING", total(where(CHANGE > ROUNDING, MONEY, 0.0), 14))
FALLING = named("FALLING", total(where(CHANGE < -ROUNDING, MONEY, 0.0), 14))
VWMA = named("VWMA_20", ratio(total(C * V, 20), total(V, 20)))
DAY_VWAP = named("VWAP_24h", ratio(total(QUOTE, "24h"), total(V, "24h")))
# EMA_n of the accumulation line lags it by (1-a)/a EMA_n of its increments, a = 2/(n+1): 1 for n 3, 4.5 for n 10.
# The difference of the two means is therefore the difference of the lags, and needs no sum that grows forever.
CHAIKIN = named("CHAIKIN", 4.5 * ema(MFV, 10) - ema(MFV, 3))

FEATURES = (
    Feature("vwma_20_ratio", "FEA-53", "volume", where(VWMA > 0.0, ratio(C, VWMA) - 1, 0.0), "ratio", (-1, INF),
            "close against the volume-weighted mean of 20 bars; 0 without volume", "common practice"),
    Feature("vwap_24h_ratio", "FEA-54", "volume", where(DAY_VWAP > 0.0, ratio(C, DAY_VWAP) - 1, 0.0),
            "ratio", (-1, INF), "close against the volume-weighted mean price of a day; 0 without volume",
            "Berkowitz et al. (1988)"),
    Feature("mfi_14", "FEA-55", "volume", ratio(RISING, RISING + FALLING), "ratio", (0, 1),
            "share of money traded at rising typical prices", "Quong and Soudack (1989)"),
    Feature("chaikin", "FEA-59", "volume", ratio(CHAIKIN, sma(V, 20)), "ratio", (-INF, INF),
            "fast minus slow mean of the accumulation line, in mean volumes", "Chaikin (1966)"),
    Feature("obv_change", "FEA-60", "volume", volume_share(named("OBV step", sign(C - C[1]) * V), 20),
            "ratio", (-1, 1), "20-bar change of on-balance volume, in volume traded", "Granville (1963)"),
    Feature("cmf_20", "FEA-61", "volume", volume_share(MFV, 20), "ratio", (-1, 1),
            "money flow volume of 20 bars, in volume traded", "Chaikin (1966)"),
    Feature("directed_volume", "FEA-78", "volume", ratio(BODY_SIGN * V, sma(V, 20)), "ratio", (-20, 20),
            "volume signed by the body, in mean volumes", "Lee and Ready (1991)"),
    Feature("flow_imbalance", "FEA-79", "volume", volume_share(BODY_SIGN * V, 20), "ratio", (-1, 1),
            "volume of rising minus falling bars, 20 bars", "Lee and Ready (1991)"),
    Feature("toxicity", "FEA-80", "volume", abs(volume_share(BODY_SIGN * V, 50)), "ratio", (0, 1),
            "one-sidedness of 50 bars of volume", "Easley et al. (2012)"),
    Feature("volume_variation", "FEA-88", "volume", ratio(std(V, 20), sma(V, 20)), "ratio", (0, 20**0.5),
            "deviation of volume over its mean, 20 bars", "common practice"),
    *(
        Feature(f"volume_z_{n}", f"FEA-{k}", "volume", ratio(V - sma(V, n), std(V, n)), "deviations",
                (-(n**0.5), n**0.5), f"volume against its {n}-bar mean, in deviations", "common practice")
        for k, n in ((89, 20), (90, 96))
    ),
)  # fmt: skip
