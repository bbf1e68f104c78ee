"""The part of the page about forecasts, as markup. From: the document's key `forecast`. To: `sections`."""

from html import escape
from typing import TYPE_CHECKING

from .formats import Format, count, figure, number, percent, probability

if TYPE_CHECKING:
    from .sections import Sections

TRADING: tuple[tuple[str, str, Format], ...] = (
    ("Trades of the screening rule", "trades", count), ("Net return", "net_return", percent),
    ("Max drawdown", "max_drawdown", percent), ("Worst regime's drawdown", "worst_regime_drawdown", percent),
    ("Sharpe", "sharpe", number), ("Deflated Sharpe: probability of skill", "deflated_sharpe", probability),
    ("Probability of backtest overfitting", "pbo", probability), ("Trials counted", "trials", count),
)  # fmt: skip


def forecast_section(sections: "Sections") -> str:
    """Return verdict, figures with intervals, calibration, profit by strength and stability; empty without a file."""
    found = sections.document.get("forecast")
    if found is None:
        return ""
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in found["reasons"])
    figures: list[tuple[str, str, Format]] = [
        ("Forecast", "value", figure), ("95 % from", "low", figure), ("to", "high", figure),
        ("Best baseline", "best", figure),
    ]  # fmt: skip
    buckets: list[tuple[str, str, Format]] = [
        ("Rows", "rows", count), ("Side right", "right", percent), ("Profit after costs", "mean_profit", percent),
        ("95 % from", "mean_profit_low", percent), ("to", "mean_profit_high", percent),
    ]  # fmt: skip
    said: list[tuple[str, str, Format]] = [
        ("Said", "said", percent), ("Came true", "right", percent), ("Rows", "rows", count),
    ]  # fmt: skip
    parts: list[tuple[str, str, Format]] = [
        ("Rows", "rows", count), ("IC 1h", "ic_1h", probability), ("IC 4h", "ic_4h", probability),
        ("Right 1h", "accuracy_1h", percent), ("Right 4h", "accuracy_4h", percent),
    ]  # fmt: skip
    trading = "".join(
        f"<tr><td>{title}</td><td>{sections.value(f'forecast.trading.{key}', form)}</td></tr>"
        for title, key, form in TRADING
    )
    return (
        f"<section><h2>Forecasts out of sample</h2><p class=soft>{escape(found['begin'][:16])} to"
        f" {escape(found['end'][:16])}, {sections.value('forecast.rows', count)} candles. An interval that holds 0"
        f" means no skill at ranking was shown.</p><ul class=notes>{reasons}</ul>"
        f"{sections.rows('forecast.figures', 'name', 'Figure', figures)}"
        f"<h3>Profit of a 4h trade by strength of the forecast</h3>"
        f"{sections.rows('forecast.buckets', 'bucket', 'Strength', buckets)}"
        f"<h3>Calibration of the answered class</h3>{sections.rows('forecast.calibration', 'bin', 'Bin', said)}"
        f"<h3>By month and regime</h3>{sections.rows('forecast.stability', 'name', 'Part', parts)}"
        f"<h3>Screening rule</h3><div class=scroll><table>{trading}</table></div></section>"
    )
