"""Steps per second of the trading environment, beside its slow twin and a public peer. To: tables on stdout.

    python kernels/benchmarks/environment.py [--copies 256] [--peers]

The twin's values are compared before anything is timed. `--peers` installs gym-trading-env into a virtual environment
of its own, once; mbt_gym, which the project's targets were taken from, is on no package index.
"""

import argparse
import math
import subprocess
import sys
import venv
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
from data import random_walk
from measure import interleaved, one_core, table
from peer_virtualenv import folder, python_of

from tradekernels.environment import BookFlow, Costs, Settings, TradingEnvironment, market
from tradekernels.environment.settings import Reward
from tradekernels.execution import CounterRandom, Latency, Quantiser, Slippage

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "environment"))
PEER = "gym-trading-env==0.3.5"
N_ROWS, N_STEPS, ROUNDS = 60_000, 400, 15


def make_market():
    """Return 15m candles of a random walk with rows of noise: the copies' rows lie anywhere in 13 MB."""
    frame = random_walk(N_ROWS)
    rows = np.random.default_rng(0).uniform(-1, 1, (N_ROWS, 56)).astype(np.float32)
    return market("BTC/USDT", frame, rows, "15m")


def walk(environment, actions):
    """Return a function that steps the copies through `actions`, into the same arrays."""
    environment.reset(1)
    out = environment.empty()

    def steps():
        for action in actions:
            environment.step(action, out)

    return steps


def policies(n_copies):
    """Return actions of three kinds, float32 of shape (N_STEPS, n_copies)."""
    random = np.random.default_rng(1)
    drift = np.clip(0.5 + np.cumsum(random.normal(0, 0.02, (N_STEPS, n_copies)), axis=0), 0, 1)
    return {
        "a new weight at random, an order every step": random.random((N_STEPS, n_copies), dtype=np.float32),
        "weights that drift by 2%, dead band 5%": drift.astype(np.float32),
        "fully invested, no orders": np.ones((N_STEPS, n_copies), dtype=np.float32),
    }


def slow_steps(one, settings, actions):
    """Return a function that walks the slow twin, after its numbers have been found equal to the loop's."""
    from slow_environment import SlowEnvironment

    environment, twin = TradingEnvironment(one, 1, settings, seed=1), SlowEnvironment([one], settings, 1, 0)
    environment.reset()
    twin.reset()
    for action in actions[:200, :1]:
        reward = float(environment.step(action).reward[0])
        assert math.isclose(reward, twin.step(action[0])[1], abs_tol=1e-12)
        assert float(environment.cash()[0]) == float(twin.cash)
    return lambda: [twin.step(action) for action in actions[:200, 0]]


def whole_environment(one, n_copies):
    """Print the table of whole steps; return the seconds of one step with random weights."""
    settings = {True: Settings(episode_length=2000), False: Settings(episode_length=2000, dead_band=0.05)}
    rows, named = [], policies(n_copies)
    runs = [walk(TradingEnvironment(one, n_copies, settings["drift" not in k]), v) for k, v in named.items()]
    seconds = interleaved(*runs, rounds=ROUNDS)
    first = next(iter(named.values()))
    slow, vector = interleaved(slow_steps(one, settings[True], first), vector_steps(one, n_copies, first), rounds=3)
    for name, took in zip(named, seconds, strict=True):
        rows.append((name, *figures(took / N_STEPS / n_copies, slow / 200)))
    rows.append(("random weights through nn.policy's VectorEnv", *figures(vector / N_STEPS / n_copies, slow / 200)))
    rows.append(("slow twin, random weights", *figures(slow / 200, slow / 200)))
    table((f"candle fidelity, {n_copies} copies, one core", "steps/s", "ns a step", "faster than the twin"), rows)
    return seconds[0] / N_STEPS / n_copies


def book_environment(one, n_copies):
    """Print the table of steps in book fidelity, an order at every step."""
    first, rows = next(iter(policies(n_copies).values())), []
    at_end = Costs(latency=Latency(base_ms=one.bar_ms, jitter_ms=0.0, spike_probability=0.0, timeout_ms=one.bar_ms))
    kinds = {
        "market orders after 10 events of the flow": Settings(book=BookFlow(), costs=at_end, episode_length=2000),
        "market orders at once": Settings(book=BookFlow(), episode_length=2000),
        "limit orders, 10 events where the candle leaves it open": Settings(
            book=BookFlow("limit"), episode_length=2000
        ),
    }
    its = list(kinds.values())
    runs = [walk(TradingEnvironment(one, n_copies, each), first) for each in its]
    (slow,) = interleaved(slow_steps(one, its[0], first), rounds=2)
    for name, took in zip(kinds, interleaved(*runs, rounds=ROUNDS), strict=True):
        rows.append((name, *figures(took / N_STEPS / n_copies, slow / 200)))
    rows.append(("slow twin, market orders after 10 events", *figures(slow / 200, slow / 200)))
    table((f"book fidelity, {n_copies} copies, one core", "steps/s", "ns a step", "faster than the twin"), rows)


def vector_steps(one, n_copies, actions):
    """Return a function that steps through the Gymnasium face, or does nothing where that is not at hand."""
    try:
        sys.path.insert(0, str(ROOT.parent))
        from nn.policy.gym import TradingVectorEnv
    except ImportError:
        return lambda: None
    env = TradingVectorEnv(TradingEnvironment(one, n_copies, Settings(episode_length=2000)), copy=False)
    env.reset(seed=1)
    return lambda: [env.step(action[:, None]) for action in actions]


def figures(seconds, slow):
    """Return the cells of one row: steps a second, ns a step, ratio."""
    return f"{1 / seconds:,.0f}", f"{seconds * 1e9:,.0f}", f"{slow / seconds:,.0f}x"


def parts():
    """Print each part of the step against its twin: reward, slippage, latency, grid (KER-3)."""
    from tradekernels.environment import _environment

    random, n = np.random.default_rng(2), 20_000
    worth, was, notional = random.uniform(9e3, 11e3, (3, n))
    phi, daily, closed, out = random.uniform(0, 1, n), np.full(n, 1e8), random.normal(size=n), np.empty(n)
    record = Reward("log", shaping=0.1, impact_bps=10.0).record().view(np.uint8)
    slippage, latency, grid = Slippage(), Latency(), Quantiser()
    times, random_words = np.arange(n) * 900_000, CounterRandom(1)

    def slow_reward():
        return [
            math.log(min(max(w / b, 0.1), 10)) + 0.99 * p - p
            - v * ((15 + 10 * (v / d) ** 0.5) * 1e-4 + 0.0005) / min(max(w, 0.1 * b), 10 * b)
            for w, b, p, v, d in zip(worth, was, phi, notional, daily, strict=True)
        ]  # fmt: skip

    def slow_latency():
        words = np.random.Philox(key=1).random_raw(4 * n).reshape(n, 4)
        return [(250 + 50 * (int(w[0]) >> 11) / 2**53) * (5 if (int(w[1]) >> 11) / 2**53 < 0.01 else 1) for w in words]

    step, prices = Fraction(1, 100), random.uniform(1, 1e5, n)
    duels = {
        "reward": (
            lambda: _environment.rewards(record, worth, was, phi, phi, notional, daily, closed, out),
            slow_reward,
        ),
        "slippage": (
            lambda: slippage.bps(notional, daily, 30.0),
            lambda: [max(2.0 / 2, 0.5) + 0.8 * 30 * math.sqrt(v / d) for v, d in zip(notional, daily, strict=True)],
        ),
        "latency": (lambda: latency.draw(times, random_words, times), slow_latency),
        "price to ticks": (
            lambda: grid.price_ticks(prices),
            lambda: [(Fraction(Decimal(repr(float(p)))) / step + Fraction(1, 2)).__floor__() for p in prices],
        ),
    }
    rows = []
    for name, (fast, slow) in duels.items():
        ours, theirs = interleaved(fast, slow, rounds=5)
        rows.append((name, f"{ours / n * 1e9:,.1f}", f"{theirs / n * 1e9:,.0f}", f"{theirs / ours:,.0f}x"))
    table(("part, checks of the wrapper included", "ns", "plain Python, ns", "faster"), rows)


def peer(one, n_copies):
    """Print steps per second of gym-trading-env on the same candles, run where it is installed."""
    place = folder().with_name(folder().name + "-environment")
    if not (place / "complete").exists():
        print(f"\ninstalling {PEER} into {place}, once", file=sys.stderr)
        venv.create(place, with_pip=True, clear=True)
        pip = [python_of(place), "-m", "pip", "install", "-q", "--disable-pip-version-check", PEER]
        if subprocess.run(pip).returncode:
            print(f"{PEER} could not be installed, the rest stands", file=sys.stderr)
            return
        (place / "complete").touch()
    script = Path(__file__).with_name("peers") / "trading_env.py"
    answer = subprocess.run([python_of(place), script, str(n_copies)], capture_output=True, text=True)
    if answer.returncode:
        print(f"{PEER} failed: {answer.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return
    theirs = float(answer.stdout.splitlines()[-1])
    first = next(iter(policies(n_copies).values()))
    (took,) = interleaved(walk(TradingEnvironment(one, n_copies, Settings(episode_length=2000)), first), rounds=5)
    ours = took / N_STEPS / n_copies
    table(
        (f"{n_copies} copies, random weights, one core", "steps/s", "tradekernels is faster"),
        [("tradekernels", f"{1 / ours:,.0f}", ""), (PEER, f"{1 / theirs:,.0f}", f"{theirs / ours:,.0f}x")],
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, default=256)
    parser.add_argument("--peers", action="store_true", help="compare with gym-trading-env, installed aside")
    arguments = parser.parse_args()
    with one_core():
        one = make_market()
        whole_environment(one, arguments.copies)
        whole_environment(one, 4 * arguments.copies)
        book_environment(one, arguments.copies)
        parts()
        if arguments.peers:
            peer(one, arguments.copies)


if __name__ == "__main__":
    main()
