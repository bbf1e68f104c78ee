"""Trainings by the clock: when they are due, what a restart remembers, what a file may say (TRN-10, SEA-6)."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nn.service.errors import Refused
from tools.errors import UserError
from tools.home import Home
from tools.jobs.requests import Optimisation, Training
from tools.jobs.schedule import Entry, Scheduler, read_fleet

from .job_server import ROOT, JobServer, make_home

BEGIN = datetime(2026, 1, 4, 3, tzinfo=UTC)
WEEK = timedelta(weeks=1)
WEEKLY = {"task": "retrain", "enabled": True, "every": "1w", "begin": BEGIN, "dataset": "binance"}


class Taker:
    """A queue that only writes down; `full` makes it refuse."""

    def __init__(self, folder):
        self.folder, self.taken, self.full = folder, [], False

    def add(self, request):
        if self.full:
            raise Refused(429, "queue_full", "one job runs and 4 wait; ask again later")
        self.taken.append(request)
        return type("Job", (), {"id": f"{len(self.taken):032x}"})()


class Clock:
    def __init__(self, moment=BEGIN - WEEK):
        self.moment = moment

    def __call__(self):
        return self.moment.timestamp()


@pytest.fixture
def place(tmp_path):
    """Return a function that makes a scheduler, as after a restart; with the queue and the clock that it has."""
    home = Home(ROOT, tmp_path)
    (tmp_path / "data" / "binance").mkdir(parents=True)
    (tmp_path / "jobs").mkdir()
    queue, clock = Taker(tmp_path / "jobs"), Clock()
    new_candles(home)

    def restarted(**entries):
        entries = entries or {"weekly": WEEKLY}
        return Scheduler(home, queue, {name: Entry(**each) for name, each in entries.items()}, clock)

    restarted.queue, restarted.clock, restarted.home = queue, clock, home
    return restarted


def new_candles(home):
    path = home.user_data / "data" / "binance" / "BTC_USDT-15m.feather"
    path.write_bytes(path.read_bytes() + b"x" if path.exists() else b"x")


@given(weeks=st.integers(0, 500), seconds=st.integers(0, 7 * 86400 - 1), days=st.integers(1, 30))
def test_an_entry_is_due_at_its_beginning_and_each_step_after_it(weeks, seconds, days):
    entry = Entry(**WEEKLY | {"every": f"{days}d"})
    now = BEGIN + weeks * WEEK + timedelta(seconds=seconds)
    due = entry.due(now)
    assert due <= now < due + timedelta(days=days)
    assert (due - BEGIN) % timedelta(days=days) == timedelta(0)
    assert entry.due(BEGIN - timedelta(seconds=1)) is None


def test_the_file_that_ships_asks_for_nothing_and_could_ask_for_all():
    """SEA-6, TRN-10: off by default, weekly."""
    fleet = read_fleet(Home(ROOT, ROOT / "user_data"))
    assert len(fleet.schedule) >= 3
    assert not any(entry.enabled for entry in fleet.schedule.values())
    assert {entry.every for entry in fleet.schedule.values() if entry.task == "retrain"} == {"1w"}
    kinds = {entry.task: type(entry.request("a" * 64)) for entry in fleet.schedule.values()}
    assert kinds == {"retrain": Training, "optimise": Optimisation}


def test_a_year_of_weeks_trains_once_a_week_while_candles_come(place):
    scheduler = place()
    for day in range(7 * 52):
        place.clock.moment = BEGIN - WEEK + timedelta(days=day, hours=3)
        new_candles(place.home)
        scheduler.tick()
        scheduler.tick()
    assert len(place.queue.taken) == 50  # the first moment passes: the entry was new then
    assert len({request.dataset for request in place.queue.taken}) == 50
    assert all(request.extend for request in place.queue.taken)


def test_the_same_candles_are_not_learned_again(place):
    scheduler = place()
    for week in range(4):
        place.clock.moment = BEGIN + week * WEEK
        scheduler.tick()
    assert len(place.queue.taken) == 1
    assert "the same" in scheduler.shown()[0]["last"]["outcome"]
    new_candles(place.home)
    assert scheduler.tick() == []  # that moment has been answered
    place.clock.moment += WEEK
    assert len(scheduler.tick()) == 1


def test_what_a_dead_server_missed_is_made_up_once_and_nothing_is_done_twice(place):
    place.clock.moment = BEGIN
    place().tick()
    place.clock.moment = BEGIN + WEEK
    assert len(place().tick()) == 1
    assert place().tick() == []
    new_candles(place.home)
    place.clock.moment = BEGIN + 9 * WEEK + timedelta(days=3)
    assert len(place().tick()) == 1
    assert place().tick() == []
    place.clock.moment = BEGIN + 2 * WEEK  # a clock that was put back
    assert place().tick() == []


def test_a_full_queue_and_missing_candles_are_asked_again(place, caplog):
    scheduler = place()
    place.clock.moment = BEGIN
    scheduler.tick()
    place.clock.moment = BEGIN + WEEK
    place.queue.full = True
    for _ in range(5):
        assert scheduler.tick() == []
    assert "ask again later" in scheduler.shown()[0]["complaint"]
    assert sum("must wait" in record.message for record in caplog.records) == 1
    place.queue.full = False
    data = place.home.user_data / "data"
    (data / "binance").rename(data / "elsewhere")
    assert scheduler.tick() == []
    assert "no folder 'binance'" in scheduler.shown()[0]["complaint"]
    (data / "elsewhere").rename(data / "binance")
    assert len(scheduler.tick()) == 1
    assert scheduler.shown()[0]["complaint"] is None


def test_a_clock_that_was_years_ahead_does_not_stop_training_for_years(place):
    scheduler = place()
    place.clock.moment = BEGIN
    scheduler.tick()
    place.clock.moment = BEGIN + 300 * WEEK
    assert len(scheduler.tick()) == 1
    for week in (1, 2, 3):
        new_candles(place.home)
        place.clock.moment = BEGIN + week * WEEK
        assert len(place().tick()) == (week > 1)  # at the first, one was taken when the clock was wrong
        assert place().tick() == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[1]",
        '{"weekly": {}}',
        '{"weekly": {"due": "soon"}}',
        '{"weekly": 3}',
        '{"weekly": {"due": "2026-01-04"}}',
    ],
)
def test_a_broken_memory_waits_for_the_next_moment(place, content, caplog):
    (place.queue.folder / "schedule.json").write_text(content)
    place.clock.moment = BEGIN + 5 * WEEK
    scheduler = place()
    assert "cannot be read" in caplog.text
    assert scheduler.tick() == []
    place.clock.moment += WEEK
    assert len(scheduler.tick()) == 1
    assert json.loads((place.queue.folder / "schedule.json").read_text())["weekly"]["outcome"] == "queued"


def test_what_is_off_stays_off(place):
    scheduler = place(weekly=WEEKLY | {"enabled": False})
    for week in range(3):
        place.clock.moment = BEGIN + week * WEEK
        scheduler.tick()
    assert place.queue.taken == []
    assert scheduler.shown() == []
    scheduler.begin()
    assert not scheduler.thread.is_alive()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("scedule: {}", "did you mean schedule"),
        ("schedule: {a: {task: retrain, begin: 2026-01-04T03:00:00Z, dataset: x, evry: 1w}}", "did you mean every"),
        ("schedule: {a: {task: retrain, begin: 2026-01-04T03:00:00, dataset: x}}", "zone"),
        ("schedule: {a: {task: promote, begin: 2026-01-04T03:00:00Z, dataset: x}}", "retrain"),
        ("schedule: {a: {task: retrain, begin: 2026-01-04T03:00:00Z, dataset: ../x}}", "dataset"),
        ("schedule: {a: {task: retrain, begin: 2026-01-04T03:00:00Z, dataset: x, every: 1s}}", "hours, days or weeks"),
        ("schedule: {a: {task: retrain, begin: 2026-01-04T03:00:00Z, dataset: x, config: /etc/x}}", "config"),
        ("schedule: [", "cannot read"),
    ],
)
def test_a_wrong_file_names_key_and_expectation(tmp_path, monkeypatch, text, said):
    """CFG-2."""
    (tmp_path / "fleet.yaml").write_text(text)
    monkeypatch.setenv("CONFIG_PATH", str(tmp_path / "fleet.yaml"))
    with pytest.raises(UserError, match=said):
        read_fleet(Home(ROOT, tmp_path))


@pytest.mark.e2e
def test_the_server_shows_its_schedule_and_refuses_a_wrong_file(tmp_path):
    home = make_home(tmp_path)
    path = tmp_path / "fleet.yaml"
    path.write_text("schedule: {weekly: {task: retrain, enabled: true, begin: 2030-01-04T03:00:00Z, dataset: binance}}")
    with JobServer(home, CONFIG_PATH=str(path)) as server:
        (entry,) = server.ask(path="/schedule").json()["schedule"]
        assert (entry["name"], entry["next"], entry["last"]) == ("weekly", "2030-01-04T03:00:00+00:00", None)
        assert server.ask(path="/schedule", headers={"x-api-key": "no"}).status_code == 401
    path.write_text("schedule: {weekly: {task: buy}}")
    with pytest.raises(AssertionError, match=r"weekly\.task is 'buy'"), JobServer(home, CONFIG_PATH=str(path)):
        pass
