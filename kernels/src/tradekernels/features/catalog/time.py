"""Time family: the close time of the bar, UTC. From: primitives. To: the catalogue."""

from ..expression import named
from ..feature import Feature
from ..primitives import CLOSE_TIME, cos_turns, floor, sin_turns

HOUR = named("hour", (CLOSE_TIME % 86_400_000) / 3_600_000)  # 0 to below 24, minutes as fractions
WEEKDAY = named("weekday", (floor(CLOSE_TIME / 86_400_000) + 3) % 7)  # Monday 0; 1970 began on a Thursday


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
)  # fmt: skip
