"""The catalogue, and the expressions it is written in (CAT-2)."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from tradekernels.features import BASE_40, CATALOG, COLUMNS, OPTIONAL, feature_set
from tradekernels.features.expression import nodes_of, warmups_of
from tradekernels.features.primitives import C, H, V, ema, ratio, sma, total, wilder
from tradekernels.features.resolve import resolve
from tradekernels.features.span import Span


@pytest.mark.parametrize("feature", CATALOG.values(), ids=lambda feature: feature.name)
def test_an_entry_says_everything(feature):
    """CAT-2."""
    assert re.fullmatch(r"FEA-\d+", feature.id)
    assert feature.formula
    assert feature.inputs or feature.name == "leverage"
    assert set(feature.inputs) <= {"date", *COLUMNS, *OPTIONAL, "btc", "market", "sector"}
    assert feature.parameters or feature.warmup() == 0
    assert feature.range[0] < feature.range[1]
    for text in (feature.family, feature.unit, feature.meaning, feature.source, feature.missing):
        assert text.strip()


def test_base_40_is_forty_features_with_a_short_warmup():
    """Windows, models and live start-up count on it."""
    assert len(set(BASE_40)) == 40
    for timeframe in ("5m", "15m", "1h"):
        assert feature_set(BASE_40, timeframe).warmup <= 700


def test_equal_expressions_are_one_node():
    """What two features share is computed once."""
    assert sma(C, 20) is sma(C, 20)
    assert sma(C, 20) is not sma(C, 21)
    assert ratio(C, H) is not C / H
    assert len(nodes_of(C / sma(C, 20), H / sma(C, 20))) == 7  # C, sum, 20, mean, two ratios and H


def test_warmup_is_read_off_the_graph():
    """Lags and windows add up; a recursive mean waits until its seed weighs less than 1e-8."""
    for expression, warmup in [(C, 0), (C[3], 3), (sma(C, 20), 19), (sma(C[3], 20)[2], 24), (sma(C, 5) + V[9], 9)]:
        assert warmups_of(expression)[expression][1] == warmup
    for expression, alpha in [(ema(C[1], 20), 2 / 21), (wilder(C[1], 14), 1 / 14)]:
        first, warmup = warmups_of(expression)[expression]
        assert first == expression.n
        assert (1 - alpha) ** (warmup - first) < 1e-8 <= (1 - alpha) ** (warmup - first - 1)


def test_formulas_read_like_the_specification():
    """What is printed is what is computed."""
    assert CATALOG["sma_20_ratio"].formula == "C / SMA_20(C) - 1"
    assert CATALOG["roc_5"].formula == "C / C[5] - 1"
    assert CATALOG["rsi_14"].formula == "RSI_14 / 100"
    assert CATALOG["atr_14_pct"].parameters == {"lag": (1,), "recursive_mean": (14,)}
    assert CATALOG["hour_sin"].inputs == ("date",)
    assert str((C - H) / (V - (C - H))) == "(C - H) / (V - (C - H))"


@pytest.mark.parametrize(("n", "message"), [
    (0, "whole number of bars from 1 on"), (-1, "whole number of bars from 1 on"),
    (1.5, "whole number of bars from 1 on"), ("3", "timeframe is '3', expected a number and m, h, d or w"),
])  # fmt: skip
def test_a_window_is_a_whole_number_of_bars_or_a_time(n, message):
    """A typo in the catalogue stops the first set that is made of it."""
    with pytest.raises(ValueError, match=message):
        resolve((sma(C, n),), 900_000, {}, {})


def test_a_window_in_clock_time_is_rounded_up_to_whole_bars():
    """DAT-10, OBS-62."""
    hour = 3_600_000
    assert [Span("500m").bars(length) for length in (hour // 12, hour // 4, hour, 4 * hour)] == [100, 34, 9, 3]
    assert [Span("5m", 1, "4h").bars(length) for length in (hour // 60, hour // 12, hour // 4, hour, 4 * hour)] == [
        5, 1, 1, 1, 1,
    ]  # fmt: skip
    assert CATALOG["yang_zhang_24h"].warmup("4h") == 12  # 48 hours, and the close before them
    assert CATALOG["yang_zhang_24h"].warmup("5m") == 288
    assert CATALOG["var95"].warmup("1d") == 30


def test_formulas_of_time_windows_and_groups_read_like_the_specification():
    """What is printed is what is computed."""
    assert CATALOG["realised_vol_1h"].formula == "sqrt(RV_1h)"
    assert str(total(C * V, "24h") / V) == "SUM_24h(C * V) / V"
    assert CATALOG["btc_return_1h"].formula == "BTC / BTC[1h] - 1"
    assert CATALOG["market_return_1d"].formula == "MEAN_market(day_P)"
    assert CATALOG["market_beta"].needs == ("market",)
    assert CATALOG["vpin"].needs == ()
    assert CATALOG["vpin"].inputs == ("close", "taker_buy_volume", "volume")
    assert CATALOG["garch_vol"].parameters["set"] == ("garch_omega", "garch_alpha", "garch_beta")


def test_parameters_are_part_of_the_digest_of_the_sets_that_read_them():
    """CAT-2, CAT-9."""
    plain, other = {}, {"garch_alpha": 0.06}
    assert feature_set(["garch_vol"], parameters=plain).digest != feature_set(["garch_vol"], parameters=other).digest
    assert feature_set(["rsi_14"], parameters=plain).digest == feature_set(["rsi_14"], parameters=other).digest
    assert feature_set(["garch_vol"], parameters=other).parameters["garch_alpha"] == 0.06
    assert feature_set(["rsi_14"], parameters=other).parameters == {}


@pytest.mark.parametrize(("given", "message"), [
    ({"leverige": 3}, "no parameter is called 'leverige'; the nearest is 'leverage'"),
    ({"leverage": 0.5}, "leverage is 0.5, expected a number from 1 to 20"),
    ({"leverage": 25}, "leverage is 25.0, expected a number from 1 to 20"),
    ({"maintenance_margin": float("nan")}, "maintenance_margin is nan, expected a number from 0 to 1"),
    ({"garch_alpha": 0.2, "garch_beta": 0.9}, "garch_beta is 0.9, expected a number from 0 to 0.8"),
])  # fmt: skip
def test_a_parameter_without_a_meaning_is_refused(given, message):
    """By name and value."""
    with pytest.raises(ValueError, match=re.escape(message)):
        feature_set(["rsi_14"], parameters=given)


def test_the_digest_changes_with_names_order_and_timeframe():
    """CAT-2: a model's inputs are what its manifest says."""
    digests = {
        feature_set(["rsi_14", "macd"]).digest,
        feature_set(["macd", "rsi_14"]).digest,
        feature_set(["rsi_14"]).digest,
        feature_set(["rsi_7"]).digest,
        feature_set(["rsi_14", "macd"], "1h").digest,
    }
    assert len(digests) == 5
    assert ema(C, 9).key != ema(C, 10).key != wilder(C, 10).key


def test_the_digest_is_the_same_in_another_process():
    """Whatever the hash seed."""
    code = "from tradekernels.features import *; print(feature_set(CATALOG).digest)"
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True
        )
        assert done.stdout.strip() == feature_set(CATALOG).digest, done.stderr


def test_the_command_prints_a_row_for_every_feature():
    """CAT-2: `python -m tradekernels catalogue`."""
    done = subprocess.run([sys.executable, "-m", "tradekernels", "catalogue"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line.split(" | ")[1].strip("`") for line in done.stdout.splitlines()[2:]] == list(CATALOG)


def test_the_command_prints_json_families_and_counts():
    """CAT-2: name, family, inputs, parameters, warm-up, unit, range, NaN rule, meaning, source."""

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "tradekernels", "catalogue", *words], capture_output=True, text=True
        )

    entries = json.loads(run("--json").stdout)
    assert [entry["name"] for entry in entries] == list(CATALOG)
    declared = {"id", "name", "family", "formula", "inputs", "needs", "parameters", "warmup", "unit", "range",
                "missing", "meaning", "source"}  # fmt: skip
    assert all(set(entry) == declared for entry in entries)
    assert len(run("--family", "futures").stdout.splitlines()) == 2 + 14
    assert run("--counts").stdout.split()[-2:] == ["all", "212"]
    bad = run("--timeframe", "15")
    assert bad.returncode == 2
    assert "timeframe is '15', expected a number and m, h, d or w" in bad.stderr


def test_importing_needs_numpy_and_nothing_else():
    """KER-1."""
    code = (
        "import sys, tradekernels.features as f; f.feature_set(f.BASE_40);"
        "print([m for m in ('pandas', 'scipy', 'talib', 'torch', 'Cython') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_typical_prices_that_are_equal_in_decimals_move_no_money():
    """FEA-55: (0.4 + 0.2 + 0.3) / 3 and (0.3 + 0.3 + 0.3) / 3 are one price, though not one double."""
    assert 0.4 + 0.2 + 0.3 != 0.3 + 0.3 + 0.3
    n_rows = 40
    wide = np.arange(n_rows) % 2 == 0
    frame = {
        "date": 900_000 * np.arange(n_rows),
        "open": np.full(n_rows, 0.3),
        "high": np.where(wide, 0.4, 0.3),
        "low": np.where(wide, 0.2, 0.3),
        "close": np.full(n_rows, 0.3),
        "volume": np.ones(n_rows),
    }
    assert (feature_set(["mfi_14"]).compute(frame)[14:] == 0).all()
