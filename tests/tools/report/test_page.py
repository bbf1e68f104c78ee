"""The command, the JSON and the page: the same numbers, safe text, and every odd result reported (REP-1)."""

import json
import re
from html import unescape
from pathlib import Path

import plotly.graph_objects as go
import pytest

from tools.report.__main__ import main
from tools.report.document import build, plain
from tools.report.figures import figures
from tools.report.page import render
from tools.report.result import read_result

EVIL = "<img src=x onerror=alert(1)>\"'</script><script>alert(2)</script>"
DATA = re.compile(r'<data data-key="([^"]*)" value="([^"]*)"')


def report(world, stats, strategy="A", **options):
    """Return document and page of a result."""
    document, market = build(read_result(world.write({strategy: stats})), world.datadir, **options)
    return document, render(document, figures(document, market)), market


def body_of(page):
    return page.split("<body>")[1].split('<script type="application/json"')[0]


def test_every_number_of_the_page_is_the_jsons(world):
    document, page, _ = report(world, world.stats(world.busy(80)))
    shown = DATA.findall(page)
    assert len(shown) > 120
    for key, value in shown:
        found = document
        for step in key.split("."):
            found = found[int(step)] if isinstance(found, list) else found[step]
        assert value == ("" if found is None else unescape(json.dumps(found))), key


def test_the_figures_draw_the_jsons_curves_and_plotly_accepts_them(world):
    document, _, market = report(world, world.stats(world.busy(80)))
    drawn = figures(document, market)
    assert set(drawn) == {"equity", "drawdown", "chance", "price-0", "price-1"}
    by_name = {trace["name"]: trace for trace in drawn["equity"]["data"]}
    assert by_name["strategy"]["y"] == document["curves"]["equity"]
    assert by_name["buy and hold"]["y"] == document["curves"]["buy_and_hold"]
    assert drawn["chance"]["data"][0]["x"] == document["random_entries"]["profits"]
    for figure in drawn.values():
        go.Figure(figure)  # refuses an unknown property


def test_every_trade_is_on_the_price_chart(world):
    document, _, market = report(world, world.stats(world.busy(80)))
    drawn = figures(document, market)
    marks = {"long entry": 0, "short entry": 0, "win": 0, "loss": 0}
    for name in ("price-0", "price-1"):
        for trace in drawn[name]["data"]:
            if trace.get("mode") == "markers":
                marks[trace["name"]] += len(trace["x"])
    assert marks["long entry"] == document["summary"]["long"]
    assert marks["short entry"] == document["summary"]["short"]
    assert marks["win"] + marks["loss"] == 80


def test_the_tables_add_up_to_the_headline(world):
    document, _, _ = report(world, world.stats(world.busy(80)))
    summary = document["summary"]
    for table in ("pairs", "months", "enter_tags", "exit_reasons"):
        assert sum(row["profit"] for row in document[table]) == pytest.approx(summary["net_profit"], abs=1e-6), table
    for table in ("pairs", "months"):
        assert sum(row["fees"] for row in document[table]) == pytest.approx(summary["fees_paid"])
    costs = summary["fees_paid"] - summary["funding_net"]
    assert summary["profit_before_costs"] - costs == pytest.approx(summary["net_profit"])
    assert summary["funding_received"] - summary["funding_paid"] == pytest.approx(summary["funding_net"])
    assert [row["month"] for row in document["months"]] == ["2025-01", "2025-02"]


def test_untrusted_names_and_tags_stay_text(world):
    """A tag is a strategy's own string; as markup it would own the reader's browser (SEC)."""
    trades = [*world.busy(12), world.trade("BTC/USDT:USDT", 4300, 5, tag=EVIL, reason=EVIL)]
    _, page, _ = report(world, world.stats(trades, stake_currency=EVIL, trading_mode=EVIL), strategy=EVIL)
    assert "<img" not in body_of(page)
    assert "&lt;img src=x" in body_of(page)
    assert page.count("</script>") == 3  # the data, Plotly and the page's own: nothing closed one early
    assert page.lower().count("<script>") == 2


def test_markup_in_a_tag_does_not_reach_plotlys_own_markup(world):
    trades = [world.trade("BTC/USDT:USDT", 5, 5, tag="<a href='http://evil'>x</a>", reason="<b>x</b>")]
    document, _, market = report(world, world.stats(trades))
    texts = [text for trace in figures(document, market)["price-0"]["data"] for text in trace.get("hovertext", [])]
    assert len(texts) == 2
    assert not any("<" in text for text in texts)


def test_the_page_allows_its_own_scripts_and_no_fetch(world):
    _, page, _ = report(world, world.stats(world.busy(4)))
    policy = unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy.split(";")[1]
    assert not re.search(r"<(link|iframe|img|base)\b|(src|href)=", body_of(page))


def test_the_json_is_strict_and_its_keys_are_documented(world, tmp_path):
    path = world.write({"A": world.stats(world.busy(3), sharpe=float("nan"), calmar=float("inf"))})
    out, json_path = tmp_path / "out" / "r.html", tmp_path / "out" / "r.json"
    assert main([str(path), "--datadir", str(world.datadir), "--out", str(out), "--json", str(json_path)]) == 0
    document = json.loads(json_path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert document["reconciliation"]["freqtrade"]["sharpe"] is None
    readme = (Path(main.__code__.co_filename).parent / "README.md").read_text()
    assert [key for key in document if f"`{key}`" not in readme] == []
    assert out.stat().st_size < 8e6


def test_the_same_result_gives_the_same_report(world):
    stats = world.stats(world.busy(30))
    assert report(world, stats)[1] == report(world, stats)[1]


def test_thousands_of_trades_on_many_pairs_stay_below_eight_megabytes(make_world):
    world = make_world(pairs=[f"C{number}/USDT:USDT" for number in range(12)], bars=96 * 120)
    _, page, _ = report(world, world.stats(world.busy(7200)))
    assert len(page.encode()) < 8e6


@pytest.mark.parametrize("count", [0, 1])
def test_no_trade_and_one_trade_are_reported(world, count):
    document, page, _ = report(world, world.stats(world.busy(2)[:count]))
    assert document["summary"]["trades"] == count
    assert "nothing to judge" in page if count == 0 else "too few to tell" in page
    if count == 0:
        assert document["summary"]["net_profit"] == 0
        assert document["random_entries"] is None


def test_a_spot_result_of_one_day_has_no_ratios_but_a_page(make_world):
    world = make_world(bars=20)
    document, page, _ = report(world, world.stats([world.trade("BTC/USDT:USDT", 3, 4)], trading_mode="spot"))
    assert document["summary"]["sharpe"] is None
    assert "–" in page


def test_open_trades_and_missing_pairs_are_said_plainly(world):
    trades = [*world.busy(4), world.trade("BTC/USDT:USDT", 4000, 5, is_open=True)]
    (world.datadir / "futures" / "ETH_USDT_USDT-15m-futures.feather").unlink()
    document, page, _ = report(world, world.stats(trades))
    told = " ".join(sentence["text"] for sentence in document["verdict"])
    assert "1 trades are still open" in told
    assert "No candles for ETH/USDT:USDT" in told
    assert document["random_entries"]["trades"] == 2
    assert document["reconciliation"]["to_the_cent"]
    assert "still open" in page


def test_the_verdict_says_when_a_strategy_is_no_better_than_luck_or_holding(world):
    """EVA-3: a page of a losing strategy does not flatter it."""
    opens = world.frames["BTC/USDT:USDT"]["open"].to_numpy()
    wrong = [
        world.trade("BTC/USDT:USDT", bar, 8, short=opens[bar + 8] > opens[bar], stake=500.0)
        for bar in range(0, 4000, 40)
    ]
    document, _, _ = report(world, world.stats(wrong))
    told = " ".join(sentence["text"] for sentence in document["verdict"])
    assert "It lost" in told
    assert "No better than buying and holding" in told
    assert "No better than random entries" in told
    right = [world.trade("BTC/USDT:USDT", bar, 8, short=opens[bar + 8] < opens[bar]) for bar in range(0, 4000, 40)]
    document, _, _ = report(world, world.stats(right))
    assert "Better than random entries: 0 of 200" in " ".join(sentence["text"] for sentence in document["verdict"])


def test_a_disagreement_with_freqtrade_is_in_the_verdict(world):
    document, _, _ = report(world, world.stats(world.busy(40), final_balance=999.0))
    assert any("differs from Freqtrade's final balance" in sentence["text"] for sentence in document["verdict"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"timeframe": "7x"}, "7x"),
        ({"final_balance": None}, "final_balance = None"),
        ({"backtest_start_ts": "soon"}, "soon"),
    ],
)
def test_trouble_is_one_line_on_stderr_and_exit_code_one(world, tmp_path, capsys, changes, words):
    path = world.write({"A": world.stats(world.busy(4), **changes)})
    assert main([str(path), "--datadir", str(world.datadir), "--out", str(tmp_path / "r.html")]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert words in captured.err
    assert not (tmp_path / "r.html").exists()


def test_a_missing_statistic_is_named(world, tmp_path, capsys):
    stats = world.stats(world.busy(4))
    stats.pop("starting_balance")
    assert (
        main([str(world.write({"A": stats})), "--datadir", str(world.datadir), "--out", str(tmp_path / "r.html")]) == 1
    )
    assert "'starting_balance'" in capsys.readouterr().err


def test_of_several_strategies_the_first_is_shown_and_the_others_are_named(world, tmp_path, capsys):
    path = world.write({"A": world.stats(world.busy(4)), "B": world.stats([])})
    assert main([str(path), "--datadir", str(world.datadir), "--out", str(tmp_path / "r.html")]) == 0
    assert "--strategy also takes B" in capsys.readouterr().err
    assert "The result also holds: B" in (tmp_path / "r.html").read_text()


def test_plain_leaves_nothing_that_json_cannot_say():
    import numpy as np
    import pandas as pd

    assert plain({"a": np.float64("nan"), "b": (np.int64(3), pd.NA), "c": np.array([np.inf, 1.0]), "d": np.True_}) == {
        "a": None, "b": [3, None], "c": [None, 1.0], "d": True}  # fmt: skip
