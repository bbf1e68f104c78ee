"""Time family: the close time of the bar, UTC. From: primitives. To: the catalogue."""

from ..expression import Node, named
from ..feature import Feature
from ..primitives import CLOSE_TIME, cos_turns, floor, sin_turns, smaller

HOUR = named("hour", (CLOSE_TIME % 86_400_000) / 3_600_000)  # 0 to below 24, minutes as fractions
WEEKDAY = named("weekday", (floor(CLOSE_TIME / 86_400_000) + 3) % 7)  # Monday 0; 1970 began on a Thursday
MONTH, MONTHDAY, MONTH_DAYS, TO_QUARTER_END = (
    named(label, Node.make("calendar", CLOSE_TIME, value=float(field)))
    for field, label in enumerate(("month", "monthday", "days_in_month", "days_to_quarter_end"))
)
SINCE_FUNDING = CLOSE_TIME % 28_800_000
NEAR_FUNDING = smaller(SINCE_FUNDING, 28_800_000 - SINCE_FUNDING)


def _within(first: int, last: int):
    return (HOUR >= first) * (HOUR < last)


FEATURES = (
    Feature("hour_sin", "FEA-138", "time", sin_turns(HOUR / 24), "-", (-1, 1),
            "hour of the day on a circle, sine", "common practice"),
    Feature("hour_cos", "FEA-139", "time", cos_turns(HOUR / 24), "-", (-1, 1),
            "hour of the day on a circle, cosine", "common practice"),
    Feature("weekday_sin", "FEA-140", "time", sin_turns(WEEKDAY / 7), "-", (-1, 1),
            "day of the week on a circle, sine", "common practice"),
    Feature("weekday_cos", "FEA-141", "time", cos_turns(WEEKDAY / 7), "-", (-1, 1),
            "day of the week on a circle, cosine", "common practice"),
    *(
        Feature(name, f"FEA-{k}", "time", _within(first, last), "flag", (0, 1),
                f"the bar closed between {first:02d} and {last:02d} o'clock", "common practice")
        for k, (name, first, last) in enumerate(
            (("asia_hours", 0, 8), ("europe_hours", 7, 16), ("us_hours", 13, 22), ("overlap_hours", 13, 16)), start=146
        )
    ),
    Feature("is_weekend", "FEA-150", "time", WEEKDAY >= 5, "flag", (0, 1),
            "the bar closed on a Saturday or Sunday", "common practice"),
    *(
        Feature(f"{name}_{wave}", f"FEA-{k + (wave == 'cos')}", "time", turn(phase), "-", (-1, 1),
                f"{words} on a circle, {wave}{'e' if wave == 'sin' else 'ine'}", "common practice")
        for k, name, phase, words in ((142, "monthday", (MONTHDAY - 1) / MONTH_DAYS, "day of the month"),
                                      (144, "month", (MONTH - 1) / 12, "month of the year"))
        for wave, turn in (("sin", sin_turns), ("cos", cos_turns))
    ),
    Feature("is_funding_window", "FEA-151", "time", NEAR_FUNDING <= 300_000, "flag", (0, 1),
            "the bar closed within 5 minutes of 00, 08 or 16 o'clock", "common practice"),
    Feature("is_month_turn", "FEA-152", "time", (MONTHDAY <= 1) + (MONTHDAY >= MONTH_DAYS), "flag", (0, 1),
            "the bar closed on the first or last day of a month", "Ariel (1987)"),
    Feature("to_quarter_end", "FEA-153", "time", TO_QUARTER_END / 92, "ratio", (0, 1.2),
            "days to the last Friday of the quarter, when futures expire", "common practice"),
)  # fmt: skip
