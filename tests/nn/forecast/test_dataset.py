"""What a version learns from ends where it must, to the row (LEK-2, LEK-3)."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from nn.data.outliers import OutlierFilter
from nn.data.scaler import RobustScaler
from nn.data.targets import make_targets
from nn.forecast.dataset import TooLittleData, cut, log_columns, make_training_data, resolve_features
from nn.models.losses import RISK, RISK_FLOOR
from nn.models.unified import VOLATILITY_FLOOR

from .conftest import BEGIN, make_candles

UNTIL = (BEGIN + timedelta(days=24)).to_pydatetime()
BAR = pd.Timedelta(minutes=15)
HORIZONS = np.array([1, 4, 16, 48] * 2 + [16, 16, 48, 48] * 2 + [4, 16, 4, 16] + [16, 16, 16, 48])  # bars, TGT-1..24


@pytest.fixture(scope="module")
def data(frames, config):
    return make_training_data(frames, "15m", UNTIL, config.data, config.model.context_length)


def test_no_label_of_any_row_used_ends_after_the_moment(frames, data):
    """LEK-2, on the index sets themselves: every label that counts had its whole future before `trained_until`."""
    for part in (data.train, data.validation):
        _, mask = data.labels(part)
        for pair, frame in enumerate(frames.values()):
            chosen = part.pairs == pair
            closes = frame["date"].dt.tz_localize(None).to_numpy()[part.ends[chosen]] + BAR.to_timedelta64()
            ends = closes[:, None] + HORIZONS * BAR.to_timedelta64()
            assert ends[mask[chosen]].max() <= np.datetime64(UNTIL.replace(tzinfo=None))
            assert mask[chosen].any(axis=0).all()


def test_train_labels_never_reach_validation_and_windows_never_the_warmup(data):
    """WIN-2: purge and embargo of 48 bars on both sides of the border."""
    for pair in range(2):
        train = data.train.ends[data.train.pairs == pair]
        validation = data.validation.ends[data.validation.pairs == pair]
        assert validation.min() - train.max() > 2 * 48
        assert train.min() == data.features.warmup + 31  # the first whole window of 32 bars


def test_saving_memory_changes_no_bit(frames, config, data):
    """Features, labels and scales are those of the plain way, which holds everything at once and in float64."""
    whole = {pair: frame[frame["date"] + BAR <= UNTIL] for pair, frame in frames.items()}
    raw = [data.features.compute(frame) for frame in whole.values()]
    labels = [make_targets(frame, "15m").values for frame in whole.values()]
    train = [data.train.ends[data.train.pairs == pair] for pair in range(2)]
    scaler = RobustScaler.fit(
        np.concatenate([raw[pair][data.features.warmup : train[pair].max() + 1] for pair in range(2)]),
        log_columns(data.features),
    )
    assert scaler.logs
    assert data.scaler == scaler
    for pair in range(2):
        np.testing.assert_array_equal(data.windows.matrices[pair], scaler.transform(raw[pair]))
        np.testing.assert_array_equal(np.asarray(data.values[pair]), labels[pair])
    known = np.concatenate([labels[pair][train[pair]] for pair in range(2)]).astype(np.float64)
    channel = data.features.names.index(config.data.volatility)
    newest = np.concatenate([data.windows.matrices[pair][train[pair], channel] for pair in range(2)])
    unit = np.maximum(newest * scaler.iqr[channel] + scaler.median[channel], np.log(VOLATILITY_FLOOR))
    assert data.return_scale == tuple(np.nanstd(known[:, k] / np.exp(unit)) for k in range(4))
    log_risk = np.log(np.maximum(known[:, RISK], RISK_FLOOR)).T - unit
    assert data.risk_log_mean == tuple(np.nanmean(each) for each in log_risk)
    assert data.risk_log_scale == tuple(np.nanstd(each) for each in log_risk)
    values, mask = data.labels(data.train)
    np.testing.assert_array_equal(values, known.astype(np.float32))
    np.testing.assert_array_equal(mask, ~np.isnan(known))


def test_later_candles_change_nothing_at_all(frames, config, data):
    """LEK-3: noise after the moment leaves scaler, scales, labels, windows and fingerprint bit for bit as they were."""
    later = {}
    for pair, frame in frames.items():
        after = frame["date"] + BAR > UNTIL
        noise = make_candles(len(frame), seed=99)
        later[pair] = frame.where(~after, noise)
        assert after.sum() > 200
    again = make_training_data(later, "15m", UNTIL, config.data, config.model.context_length)
    assert again.fingerprint == data.fingerprint
    assert again.scaler == data.scaler
    assert (again.return_scale, again.risk_log_mean, again.risk_log_scale) == (
        data.return_scale, data.risk_log_mean, data.risk_log_scale,
    )  # fmt: skip
    for mine, other in zip(data.batch(data.train), again.batch(again.train), strict=True):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())


def test_validation_rows_move_no_scale(frames, config, data):
    """LEK-3: the scaler and the scales of the answers come from train rows only."""
    spoiled = {}
    for number, (pair, frame) in enumerate(frames.items()):
        row = data.validation.ends[data.validation.pairs == number].min()
        spoiled[pair] = frame.copy()
        spoiled[pair].loc[row:, ["open", "high", "low", "close"]] *= 3
    again = make_training_data(spoiled, "15m", UNTIL, config.data, config.model.context_length)
    assert again.scaler == data.scaler
    assert again.return_scale == data.return_scale
    assert again.fingerprint != data.fingerprint


def test_the_strides_of_all_passes_cover_every_window_once(data):
    seen = [set(zip(*(s.pairs, s.ends), strict=True)) for s in (data.train.every(8, phase) for phase in range(8))]
    assert sum(map(len, seen)) == len(set.union(*seen)) == len(data.train)


def test_a_batch_is_the_scaled_features_and_their_labels(frames, data):
    chosen = data.train[np.array([5, len(data.train) - 1])]
    x, labels, mask = data.batch(chosen)
    frame = list(frames.values())[1]
    matrix = data.scaler.transform(data.features.compute(frame))
    end = data.train.ends[-1]
    np.testing.assert_array_equal(x[1].numpy(), matrix[end - 31 : end + 1])
    assert labels[1, 0].item() == pytest.approx(frame["close"][end + 1] / frame["close"][end] - 1, rel=1e-5)
    assert mask.all()


def test_cutting_keeps_whole_candles_only(frames):
    frame = next(iter(frames.values()))
    moment = (BEGIN + timedelta(hours=1, minutes=7)).to_pydatetime()
    assert len(cut(frame, "15m", moment)) == 4
    since = (BEGIN + timedelta(minutes=30)).to_pydatetime()
    assert len(cut(frame, "15m", moment, since)) == 2


def test_too_little_data_is_one_sentence(frames, config):
    with pytest.raises(TooLittleData, match=r"BTC/USDT:USDT .* expected at least 200: take fewer versions"):
        make_training_data(frames, "15m", (BEGIN + timedelta(days=8)).to_pydatetime(), config.data, 32)
    with pytest.raises(TooLittleData, match="no 15m candle closed before 2024-12-31"):
        make_training_data(frames, "15m", (BEGIN - timedelta(days=1)).to_pydatetime(), config.data, 32)


def test_an_unknown_list_of_features_is_refused():
    with pytest.raises(ValueError, match=r"data\.features is 'base_4'"):
        resolve_features("base_4", "15m")


def with_features(config, *names, **parameters):
    return config.data.model_copy(update={"features": names, "feature_parameters": parameters, "volatility": None})


def test_garch_weights_come_from_the_train_rows_alone(frames, config):
    """LEK-3, CAT-9: noise in the validation rows moves no weight; noise in the train rows does."""
    chosen = with_features(config, "log_return", "garch_24h")
    data = make_training_data(frames, "15m", UNTIL, chosen, config.model.context_length)
    assert set(data.features.parameters) == {"garch_omega", "garch_alpha", "garch_beta"}
    first_validation = min(
        frame["date"].iloc[data.validation.ends[data.validation.pairs == pair].min()]
        for pair, frame in enumerate(frames.values())
    )
    for since, same in ((first_validation, True), (first_validation - pd.Timedelta(days=5), False)):
        noisy = {
            pair: frame.where(frame["date"] < since, make_candles(len(frame), seed=77))
            for pair, frame in frames.items()
        }
        again = make_training_data(noisy, "15m", UNTIL, chosen, config.model.context_length)
        assert (again.features.digest == data.features.digest) is same


def test_garch_weights_that_are_given_are_taken(frames, config):
    given = {"garch_omega": 0.0, "garch_alpha": 0.1, "garch_beta": 0.8}
    chosen = with_features(config, "log_return", "garch_24h", **given)
    assert make_training_data(frames, "15m", UNTIL, chosen, config.model.context_length).features.parameters == given
    half = with_features(config, "log_return", "garch_24h", garch_alpha=0.04)
    with pytest.raises(ValueError, match="expected all or none"):
        make_training_data(frames, "15m", UNTIL, half, config.model.context_length)


def test_a_feature_of_other_data_than_the_pairs_own_candles_is_refused():
    """ENR-9: the service gets candles and nothing else."""
    with pytest.raises(ValueError, match=r"data\.features names 'btc_beta', which needs btc"):
        resolve_features(("log_return", "btc_beta"), "15m")


def test_every_feature_of_candles_alone_can_be_asked_for_by_one_word():
    features = resolve_features("candles", "15m")
    assert len(features.names) > 170
    assert not {"sma_60", "leverage", "funding_rate", "btc_beta"} & set(features.names)


@pytest.mark.parametrize(("timeframe", "warmup"), [("15m", 512), ("5m", 512), ("3m", 512), ("1m", 1440)])
def test_longer_lists_need_no_longer_warm_up_but_of_1m_candles_a_day(timeframe, warmup):
    """A live bot has 800 candles at hand (STR-2)."""
    short, trends, wide = (resolve_features(name, timeframe) for name in ("base_40", "trend_73", "wide_83"))
    assert set(short.names) < set(trends.names) < set(wide.names)
    assert (len(short.names), len(trends.names), len(wide.names)) == (40, 73, 83)
    assert (short.warmup, trends.warmup, wide.warmup) == (512, warmup, warmup)


def test_the_list_with_sessions_logs_its_volatilities():
    """What is scaled as a logarithm is named here once, so that no new feature slips in unseen."""
    features = resolve_features("wide_83", "15m")
    assert {features.names[column] for column in log_columns(features)} == {
        "atr_14_pct", "bb_width", "donchian_width", "realised_vol_1d", "vol_of_vol",
    }  # fmt: skip


@pytest.mark.parametrize("logs", [True, False])
def test_the_unit_of_returns_is_the_volatility_itself_on_either_scale(frames, config, logs):
    """MOD-9: the scales of the answers are those of returns over ATR, whichever way ATR was scaled."""
    chosen = config.data.model_copy(update={"logs": logs})
    data = make_training_data(frames, "15m", UNTIL, chosen, config.model.context_length)
    assert bool(data.scaler.logs) is logs
    channel = data.features.names.index("atr_14_pct")
    ratios = []
    for pair, frame in enumerate(frames.values()):
        ends = data.train.ends[data.train.pairs == pair]
        atr = data.features.compute(cut(frame, "15m", UNTIL))[ends, channel].astype(np.float64)
        ratios.append(np.asarray(data.values[pair])[ends, :4] / atr[:, None])
    np.testing.assert_allclose(data.return_scale, np.nanstd(np.concatenate(ratios), axis=0), rtol=1e-5)


def test_limits_of_outliers_are_those_of_the_train_windows(frames, config, data):
    """SRV-11, LEK-3; `outlier_quantile: null` makes none."""
    ends = [data.train.ends[data.train.pairs == pair] for pair in range(2)]
    length = config.model.context_length
    fitted = OutlierFilter.fit(data.windows.matrices, ends, data.features.warmup, length, 0.999)
    assert data.outliers.to_dict() == fitted.to_dict()
    refused = [fitted.refuses(matrix, mine, length) for matrix, mine in zip(data.windows.matrices, ends, strict=True)]
    assert 0 < np.concatenate(refused).mean() < 0.003
    off = config.data.model_copy(update={"outlier_quantile": None})
    assert make_training_data(frames, "15m", UNTIL, off, length).outliers is None
