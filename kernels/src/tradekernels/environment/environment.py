"""Many copies of a trading account, stepped at once over candles (ENV-1, LOB-40). From: markets, actions. To: arrays.

At the close of a candle every copy sees the market and its account, and answers with the weight of its worth that it
wants to hold. The difference is sent as a market order, which arrives late, fills near the next open and pays for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from ._environment import sizes
from .border import check_action, check_out, read_state, starts, whole
from .build import Engine
from .flow import FLOW
from .markets import PAIR, ROW, Market
from .settings import SETTINGS, Settings
from .state import COPY, REASONS

assert tuple(dtype.itemsize for dtype in (ROW, PAIR, SETTINGS, FLOW, COPY)) == sizes()


class Transition(NamedTuple):
    """What a step gives: arrays that the caller owns."""

    observation: np.ndarray  # float32, (n_copies, n_slots): after the step; the final one where an episode ended
    reward: np.ndarray  # float64, (n_copies,)
    terminated: np.ndarray  # bool, (n_copies,): ruined
    truncated: np.ndarray  # bool, (n_copies,): at the end of its rows


class TradingEnvironment:
    """Copies of one account on one or more markets.

    A copy whose episode has ended begins the next one at the following step, whatever its action, with reward 0
    (Gymnasium's next-step autoreset): mask that transition when learning.

    It can be pickled and copied, and goes on from there bit for bit.

    The path of copy i follows from the seed, `first_stream + i` and its actions alone: it is the same, bit for bit, for
    any number of copies and threads.

    Parameters
    ----------
    markets : Market or sequence of Market
        All with the same number of slots.
    n_copies : int
    settings : Settings, optional
    seed : int
        From 0 to 2^64 - 1.
    threads : int
        The copies are divided among them; worth it from some thousand copies on.
    first_stream : int
        Number of the first copy's random stream, where several processes share the copies.

    Raises
    ------
    ValueError
        If an argument is out of its range, or an episode is longer than a market.
    """

    def __init__(
        self,
        markets: Market | Sequence[Market],
        n_copies: int = 1,
        settings: Settings | None = None,
        *,
        seed: int = 0,
        threads: int = 1,
        first_stream: int = 0,
    ) -> None:
        self.markets = (markets,) if isinstance(markets, Market) else tuple(markets)
        self.settings = settings or Settings()
        self.n_copies = whole("n_copies", n_copies, 1)
        self.threads = min(whole("threads", threads, 1), self.n_copies)
        if not self.markets:
            raise ValueError("markets is empty, expected at least one")
        widths = [one.observation.shape[1] for one in self.markets]
        if len(set(widths)) > 1:
            raise ValueError(f"markets have {widths} slots, expected one number")
        self.n_slots = widths[0]
        length = self.settings.episode_length or 1
        for one in self.markets:
            if one.last - one.first < length:
                raise ValueError(f"episode_length is {length}, {one.pair} has only {one.last - one.first} steps")
        self._arguments: dict[str, Any] = {  # what a pickle is made again from
            "markets": self.markets, "n_copies": self.n_copies, "settings": self.settings, "threads": self.threads,
            "first_stream": whole("first_stream", first_stream, 0),
        }  # fmt: skip
        records = np.concatenate([one.record(self.settings) for one in self.markets])
        records["starts"] = np.cumsum(records["last"] - records["first"] + 1 - length)
        self._copies = np.zeros(self.n_copies, dtype=COPY)
        self.copies = self._copies.view()  # the state of every copy, to be looked at
        self.copies.flags.writeable = False
        self._engine = Engine(
            [one.rows_with(self.settings).view(np.uint8) for one in self.markets],
            [one.observation for one in self.markets],
            records.view(np.uint8),
            self.settings.record().view(np.uint8),
            np.empty(0, dtype=np.uint8) if self.settings.book is None else self.settings.book.record().view(np.uint8),
            self._copies.view(np.uint8),
            self.threads,
            self._arguments["first_stream"],
        )
        self._reseed(seed)
        self._parts = np.linspace(0, self.n_copies, self.threads + 1).astype(int).tolist()
        self._pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None
        self._begun, self._checked = False, self.empty()

    def empty(self) -> Transition:
        """Return arrays for `step` to write to."""
        return Transition(
            np.zeros((self.n_copies, self.n_slots), dtype=np.float32),
            np.zeros(self.n_copies),
            np.zeros(self.n_copies, dtype=np.bool_),
            np.zeros(self.n_copies, dtype=np.bool_),
        )

    def reset(
        self, seed: int | None = None, pairs: Any = None, rows: Any = None, out: np.ndarray | None = None
    ) -> np.ndarray:
        """Begin an episode in every copy and return the observations, float32 of shape (n_copies, n_slots).

        Parameters
        ----------
        seed : int, optional
            Begin the random streams anew; without it they go on.
        pairs, rows : array_like of int, shape (n_copies,) or one for all, optional
            Number of the market and first row of each copy's episode; the settings decide by default. This holds for
            this episode, not for those that follow.
        out : ndarray, optional
            To be written instead of a new array.
        """
        if seed is not None:
            whole("seed", seed, 0)
        pairs, rows = starts(self.markets, self.n_copies, pairs, rows)
        observation = self.empty().observation if out is None else out
        check_out("out", observation, (self.n_copies, self.n_slots), np.float32)
        if seed is not None:
            self._reseed(seed)
        self._engine.reset(pairs, rows, observation)
        self._begun = True
        return observation

    def step(self, action: np.ndarray, out: Transition | None = None) -> Transition:
        """Carry every copy one bar on.

        Parameters
        ----------
        action : ndarray of float32 or float64, shape (n_copies,)
            Target weight of the worth, held within [0, 1], or [-1, 1] where the settings allow shorts.
        out : Transition, optional
            C-contiguous arrays to be written instead of new ones: rows of a rollout, say.

        Raises
        ------
        ValueError
            If an action is not finite or a shape or type does not fit; nothing has moved then.
        RuntimeError
            If there was no `reset`.
        """
        if not self._begun:
            raise RuntimeError("step before reset: no episode has begun")
        out = self.empty() if out is None else out
        check_action(action, self.n_copies)
        bad = self._engine.first_bad(action)
        if bad >= 0:
            raise ValueError(f"action of copy {bad} is {action[bad]}, expected a finite weight")
        if out is not self._checked:  # the arrays of the last step need no second look
            self._check_out(out)
            self._checked = out
        run, bools = self._engine.step, (out.terminated.view(np.uint8), out.truncated.view(np.uint8))
        if self._pool is None:
            run(action, out.observation, out.reward, *bools, 0, self.n_copies, 0)
        else:
            parts = zip(self._parts[:-1], self._parts[1:], range(self.threads), strict=True)
            for part in [self._pool.submit(run, action, out.observation, out.reward, *bools, *p) for p in parts]:
                part.result()
        return out

    def refusals(self) -> dict[str, int]:
        """Return how many orders were refused in the present episodes of all copies, by reason."""
        return dict(zip(REASONS, self._copies["refusals"].sum(axis=0).tolist(), strict=True))

    def cash(self) -> np.ndarray:
        """Return the free quote currency of every copy."""
        return self._money(self._copies["cash"])

    def units(self) -> np.ndarray:
        """Return the base currency that every copy holds, negative when short."""
        lots = np.array([float(one.grid.lot) for one in self.markets])
        return self._copies["lots"] * lots[self._copies["pair"]]

    def weight(self) -> np.ndarray:
        """Return the share of its worth that every copy holds, 0 where it is worth nothing."""
        worth = self._copies["worth"]
        return np.divide(worth - self.cash(), worth, out=np.zeros(self.n_copies), where=worth > 0)

    def state(self) -> np.ndarray:
        """Return the state of all copies as bytes: `restore` continues from it bit for bit."""
        return self._copies.view(np.uint8).copy()

    def restore(self, state: np.ndarray, seed: int) -> None:
        """Continue from `state()` of an environment with the same markets, settings and number of copies.

        Parameters
        ----------
        state : ndarray of uint8
        seed : int
            That of the environment which gave the state.
        """
        copies = read_state(state, self.markets, self.n_copies)
        self._reseed(seed)
        self._copies[:] = copies
        self._begun = True

    def __getstate__(self) -> dict[str, Any]:
        return {"arguments": self._arguments, "seed": self._seed, "state": self.state() if self._begun else None}

    def __setstate__(self, saved: dict[str, Any]) -> None:
        self.__init__(**saved["arguments"], seed=saved["seed"])  # type: ignore[misc]
        if saved["state"] is not None:
            self.restore(saved["state"], saved["seed"])

    def _reseed(self, seed: int) -> None:
        self._seed = whole("seed", seed, 0)
        self._engine.reseed(self._seed)

    def _money(self, atoms: np.ndarray) -> np.ndarray:
        pairs = np.concatenate([one.record(self.settings) for one in self.markets])[self._copies["pair"]]
        return atoms * pairs["atom_part"] / pairs["atom_whole"]

    def _check_out(self, out: Transition) -> None:
        shape = (self.n_copies,)
        expected = ((*shape, self.n_slots), np.float32), (shape, np.float64), (shape, np.bool_), (shape, np.bool_)
        for name, array, (its_shape, dtype) in zip(Transition._fields, out, expected, strict=True):
            check_out(name, array, its_shape, dtype)
