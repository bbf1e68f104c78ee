"""The observation, compiled for one model. From: training statistics, candles, accounts. To: rows of 56 float32 values.

Market slots come in one batch, or bar by bar, the same bits either way; agent slots are filled in where the account is
known.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ..features.primitives import COLUMNS
from ..features.span import UNITS, milliseconds
from . import _observation
from .agent import read_agent, read_prices
from .market import MARKET, MISSING, centred, raw_nodes, shapes, source_of
from .raw import compile_raw, raw_rows, read_rows
from .slots import MAX_NUM_TOKENS, VERSION, Slot, blocks_of, slots_of
from .statistics import Statistics, garch_parameters
from .stream import Stream


class ObservationSet:
    """One model's observation. Immutable and safe to share between threads; made by `observation_set`.

    Attributes
    ----------
    slots : tuple of Slot
        The table; slot 3 is named ret_1h when the bar is one hour.
    names : tuple of str
        Names of the slots in order.
    blocks : Mapping of str to slice
        Where each block lies.
    inputs : tuple of str
        Columns that are read besides the candle, in the order in which a long tuple brings them to `Stream.update`.
    sources : dict
        What goes into the manifest: micro source, inputs and absent inputs, window table.
    warmup : int
        Rows from which on no value depends on where history begins. Values are finite from row 0 on.
    digest : str
        SHA-256 over layout, recurrences, statistics and tokens; a model refuses rows of another one.
    """

    def __init__(self, statistics: Statistics, tokens: tuple[str, ...], max_num_tokens: int) -> None:
        self.statistics = statistics
        self.tokens = tokens
        self.timeframe = statistics.timeframe
        self.bar_ms = milliseconds(self.timeframe)
        self.slots: tuple[Slot, ...] = slots_of(max_num_tokens)
        hour = {"ret_bar": "ret_1h"} if self.bar_ms == UNITS["h"] else {}
        self.names: tuple[str, ...] = tuple(hour.get(slot.name, slot.name) for slot in self.slots)
        self.blocks: Mapping[str, slice] = blocks_of(max_num_tokens)
        self.inputs: tuple[str, ...] = statistics.inputs
        self.sources: dict[str, Any] = {
            "micro": statistics.source,
            "inputs": list(self.inputs),
            "absent": list(statistics.absent),
            "window_table": statistics.window_table,
        }
        nodes = centred(raw_nodes(statistics.source, self.inputs), statistics.means)
        compiled = compile_raw(nodes, self.inputs, self.bar_ms, statistics.parameters)
        self._program = compiled.program
        self.warmup: int = compiled.warmup
        self._assembler = _observation.Assembler(_scaling(statistics), _token_block(len(tokens), max_num_tokens))
        content = {
            "version": VERSION,
            "slots": [[slot.index, name, slot.block] for slot, name in zip(self.slots, self.names, strict=True)],
            "recurrences": compiled.keys,
            "statistics": asdict(statistics),
            "tokens": tokens,
        }
        self.digest: str = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def compute(
        self, frame: Any, agent: Any = None, token: int = 0, dtype: type[np.floating] = np.float32
    ) -> np.ndarray:
        """Return the observation at the close of every candle of a frame.

        Parameters
        ----------
        frame : Mapping or pandas.DataFrame
            Closed candles as for `FeatureSet.compute`, and those of the `inputs` that are known.
        agent : array_like of shape (n_bars, 9), optional
            `AGENT_FIELDS` as of each close; a flat account by default.
        token : int
            Which of the set's tokens the pair is.
        dtype : numpy.float32 or numpy.float64
            float32 is what models and streams see.

        Returns
        -------
        ndarray of `dtype`, shape (n_bars, n_slots)
            C-contiguous and finite from the first row on.

        Raises
        ------
        ValueError
            If a row is no candle, its micro source is not that of the statistics, an input or an account is out of its
            range, or there is no such token; the message names row, value and expectation.
        """
        if dtype not in (np.float32, np.float64):
            raise ValueError(f"dtype is {dtype}, expected numpy.float32 or numpy.float64")
        self.check_token(token)
        date, columns = read_rows(frame, self.bar_ms, self.inputs)
        self.check_source(frame)
        accounts = None if agent is None else read_agent(agent, len(date))
        rows = np.empty((len(date), len(self.slots)), dtype=dtype)
        for part, raw in raw_rows(self._program, date, columns, dtype):
            self._assembler.market(raw, token, rows[part])
        if accounts is not None:
            _observation.fill_agent(accounts, columns[COLUMNS.index("close")], rows)
        return rows

    def market(self, frame: Any, token: int = 0, dtype: type[np.floating] = np.float32) -> np.ndarray:
        """Return the rows of a flat account: what a strategy computes once, before it knows its account (OBS-61)."""
        return self.compute(frame, None, token, dtype)

    def fill_agent(self, rows: np.ndarray, agent: Any, prices: Any) -> None:
        """Write slots 21 to 26 into rows of `market`.

        Parameters
        ----------
        rows : ndarray of float32 or float64, shape (n_rows, n_slots)
            C-contiguous and writable.
        agent : array_like of shape (n_rows, 9)
            `AGENT_FIELDS` of each row.
        prices : array_like of shape (n_rows,)
            What a unit is worth: the close.

        Raises
        ------
        ValueError
            If a shape or type is another, or a number is none that an account or a price can be.
        """
        fits = isinstance(rows, np.ndarray) and rows.dtype in (np.float32, np.float64) and rows.ndim == 2
        if not fits or rows.shape[1] != len(self.slots) or not (rows.flags.c_contiguous and rows.flags.writeable):
            what = f"{rows.dtype} of shape {rows.shape}" if isinstance(rows, np.ndarray) else repr(type(rows))
            raise ValueError(f"rows are {what}, expected writable C-contiguous floats of shape (.., {len(self.slots)})")
        _observation.fill_agent(read_agent(agent, len(rows)), read_prices(prices, len(rows)), rows)

    def observe(self, row: np.ndarray, agent: Any, price: float) -> np.ndarray:
        """Return one row of `market` with an account's slots in it: what a strategy's callback needs.

        Parameters
        ----------
        row : ndarray of float32, shape (n_slots,)
            Is left as it is.
        agent : tuple or array_like of nine numbers
            `AGENT_FIELDS` as of now.
        price : float
            What a unit is worth.
        """
        out = np.empty(len(self.slots), dtype=np.float32)
        try:
            if len(row) == len(out) and _observation.observe(row, agent, price, out):
                return out
        except (TypeError, ValueError):
            pass  # another type, or not contiguous: read with care below
        row = np.asarray(row)
        if row.shape != out.shape or row.dtype.kind != "f":
            raise ValueError(f"row is {row.dtype} of shape {row.shape}, expected float32 of shape {out.shape}")
        rows = np.ascontiguousarray(row[None, :], dtype=np.float32).copy()
        self.fill_agent(rows, np.asarray(agent)[None], [price])
        return rows[0]

    def stream(self, state: bytes | None = None, token: int = 0) -> Stream:
        """Return a new stream for one pair, at its beginning or continuing from `Stream.state()`."""
        self.check_token(token)
        stream = Stream(self, token)
        return stream if state is None else stream.restore(state)

    def check_token(self, token: int) -> None:
        """Refuse a token that the model does not know."""
        if not isinstance(token, (int, np.integer)) or isinstance(token, bool) or not 0 <= token < len(self.tokens):
            raise ValueError(f"token is {token!r}, expected 0 to {len(self.tokens) - 1}: {', '.join(self.tokens)}")

    def check_source(self, columns: Any) -> None:
        """Refuse data whose micro slots would mean something else than in training (OBS-59)."""
        source = source_of(columns)
        if source != self.statistics.source:
            raise ValueError(f"micro source is {source!r}, expected {self.statistics.source!r} as in training")

    def __repr__(self) -> str:
        return (
            f"ObservationSet({len(self.slots)} slots, {self.timeframe}, {self.statistics.source}, {self.digest[:12]})"
        )


def observation_set(
    statistics: Statistics,
    tokens: Sequence[str] = ("BTC/USDT",),
    max_num_tokens: int = MAX_NUM_TOKENS,
    parameters: Mapping[str, float] | None = None,
) -> ObservationSet:
    """Return the observation of a model.

    Parameters
    ----------
    statistics : Statistics
        Of its training range.
    tokens : sequence of str
        The pairs it tells apart, in the order of their ids.
    max_num_tokens : int
        Length of the one-hot block; the vector has 55 + `max_num_tokens` values.
    parameters : Mapping of str to float, optional
        As a check: those that the statistics were fitted with.

    Raises
    ------
    ValueError
        If there is no token, one too many or one twice, or the parameters are not those of the statistics.
    """
    if isinstance(tokens, str) or not all(isinstance(token, str) for token in tokens):
        raise ValueError(f"tokens is {tokens!r}, expected a list of pairs")
    tokens = tuple(tokens)
    slots_of(max_num_tokens)
    if not 1 <= len(tokens) <= max_num_tokens or len(set(tokens)) < len(tokens):
        raise ValueError(f"tokens is {tokens}, expected 1 to {max_num_tokens} different pairs")
    if parameters is not None:
        given = garch_parameters(statistics.timeframe, parameters)
        if given != statistics.parameters:
            raise ValueError(f"parameters are {given}, expected those of the statistics, {statistics.parameters}")
    return ObservationSet(statistics, tokens, max_num_tokens)


def saturation(rows: np.ndarray) -> dict[str, float]:
    """Return for every slot the share of rows in which it is beyond 0.99 on either side (OBS-60); NaN without a row."""
    rows = np.asarray(rows)
    if rows.ndim != 2 or rows.shape[1] < 55 + MAX_NUM_TOKENS:
        raise ValueError(f"rows have shape {rows.shape}, expected (n_rows, {55 + MAX_NUM_TOKENS} or more)")
    slots = slots_of(rows.shape[1] - 55)
    shares = (np.abs(rows) > 0.99).sum(axis=0) / len(rows) if len(rows) else np.full(len(slots), math.nan)
    return {slot.name: float(share) for slot, share in zip(slots, shares, strict=True)}


def _scaling(statistics: Statistics) -> np.ndarray:
    """Return shift, scale, bend, missing, low and high of every market slot: rows of `_observation.Scaling`."""
    table = shapes(statistics)
    ranges = {slot.name: slot.range for slot in slots_of()}
    return np.array(
        [
            (table[name].shift, table[name].scale, table[name].bent, MISSING.get(name, 0.0), *ranges[name])
            for name in MARKET
        ],
        dtype=np.float64,
    ).T.copy()


def _token_block(count: int, max_num_tokens: int) -> np.ndarray:
    """Return slots 53 and on of every token (OBS-53..55)."""
    head = [(count / max_num_tokens, k / max_num_tokens) for k in range(count)]
    return np.hstack([np.array(head), np.eye(count, max_num_tokens)])
