"""An alias moves by gates or by a name with a reason, each move is written down first, and nothing is half done."""

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nn.registry import moves as moves_module
from nn.registry import promotion
from nn.registry.evaluations import write_evaluation
from nn.registry.gates import SuspectedLeak
from nn.registry.manifest import Keys, ModelRefused, load_aliases, load_version, write_aliases, write_version
from nn.registry.moves import champions, done, openings, read_moves
from nn.registry.promotion import NotMoved, Operator, promote, publish, rollback
from nn.registry.rotation import sign_again
from nn.registry.thresholds import load_thresholds

from .conftest import make_draft, make_evaluation

ROOT = Path(__file__).resolve().parents[3]
THRESHOLDS = load_thresholds()
ANNA = Operator("Anna", "looked at it")


@pytest.fixture
def line(tmp_path, keys, model):
    """Three signed versions, the first two published one after the other, none of them champion."""
    folder = tmp_path / "unified-15m"
    for day in (1, 11, 21):
        write_version(folder, make_draft(valid_from=datetime(2025, 7, day, tzinfo=UTC)), model.state_dict(), keys)
    names = versions(folder)
    publish(folder, keys, names[:1])
    publish(folder, keys, names[:2])
    return folder


def versions(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def judged(folder, version, keys, **changes):
    begin = load_version(folder / version, keys).manifest.valid_from
    span = {"begin": begin.isoformat(), "end": begin.replace(day=begin.day + 9).isoformat()}
    write_evaluation(folder, version, make_evaluation(version, **(span | changes)), keys)


def worse(version, section, name, value):
    figures = make_evaluation(version)[section]
    return {section: figures | {name: value}}


def test_training_moves_the_challenger_and_the_chain_but_never_the_champion(line, keys):
    first, second, third = versions(line)
    assert load_aliases(line, keys).aliases == {"challenger": second}
    promote(line, keys, THRESHOLDS, operator=ANNA)
    publish(line, keys, [first, second, third])
    found = load_aliases(line, keys)
    assert found.aliases == {"champion": second, "challenger": third}
    assert found.chain == (first, second, third)
    assert found.serial == 4


def test_an_extended_chain_keeps_who_scored_history_and_drops_what_the_new_one_replaces(line, keys):
    """TRN-10: a retraining adds to the chain; trained again for the same moment, it takes the older one's place."""
    first, second, third = versions(line)
    publish(line, keys, [first, second])
    publish(line, keys, [third], extend=True)
    assert load_aliases(line, keys).chain == (first, second, third)
    publish(line, keys, [second], extend=True)
    assert load_aliases(line, keys).chain == (first, second)
    publish(line, keys, [third])
    assert load_aliases(line, keys).chain == (third,)


def test_gates_that_all_pass_make_the_challenger_champion(line, keys):
    _, second, _ = versions(line)
    judged(line, second, keys)
    outcome = promote(line, keys, THRESHOLDS)
    assert load_aliases(line, keys).aliases == {"champion": second}
    last = read_moves(line, keys, load_aliases(line, keys))[-1]
    assert (last.who, last.action, last.version, last.before) == ("gates", "promote", second, {"challenger": second})
    assert last.gates == outcome.gates


def test_one_gate_that_fails_leaves_everything_as_it_was(line, keys):
    _, second, _ = versions(line)
    judged(line, second, keys, **worse(second, "trading", "trades", 9))
    before = load_aliases(line, keys)
    outcome = promote(line, keys, THRESHOLDS)
    assert outcome.aliases is None
    assert [gate.id for gate in outcome.gates if not gate.passed] == ["PRM-4"]
    assert load_aliases(line, keys) == before


def test_an_operator_with_a_reason_may_overrule_the_gates_and_is_written_down(line, keys):
    outcome = promote(line, keys, THRESHOLDS, operator=ANNA)
    assert any(not gate.passed for gate in outcome.gates)
    last = read_moves(line, keys)[-1]
    assert (last.who, last.reason) == ("Anna", "looked at it")
    for name, reason in (("", "because"), ("Anna", " "), ("Anna\nBob", "because"), ("Anna", "x" * 301)):
        with pytest.raises(NotMoved, match="printable"):
            Operator(name, reason)


def test_a_suspected_leak_needs_its_own_named_override(line, keys):
    """PRM-3."""
    _, second, _ = versions(line)
    judged(line, second, keys, **worse(second, "metrics", "accuracy_1h", 0.61))
    for operator in (None, ANNA):
        with pytest.raises(SuspectedLeak, match=r"accuracy_1h 0\.61 <= 0\.55") as caught:
            promote(line, keys, THRESHOLDS, operator=operator)
        assert len(caught.value.gates) > 10
    with pytest.raises(NotMoved, match="named operator"):
        promote(line, keys, THRESHOLDS, override_leak=True)
    assert "champion" not in load_aliases(line, keys).aliases
    promote(line, keys, THRESHOLDS, operator=ANNA, override_leak=True)
    assert load_aliases(line, keys).aliases["champion"] == second


def test_a_sealed_range_is_opened_once(line, keys):
    """PRM-6: whoever fails there does not try another version on the same candles."""
    _, second, third = versions(line)
    end = {"end": "2025-07-30T00:00:00Z"}
    judged(line, second, keys, **worse(second, "trading", "trades", 9), **end)
    judged(line, third, keys, **end)
    promote(line, keys, THRESHOLDS)
    promote(line, keys, THRESHOLDS)  # the same figures again are no second look
    assert [opening.version for opening in openings(read_moves(line, keys))] == [second]
    outcome = promote(line, keys, THRESHOLDS, third)
    assert outcome.aliases is None
    assert [gate.note for gate in outcome.gates if not gate.passed] == [
        f"opened for {second} already; judge on later candles"
    ]


def test_an_evaluation_that_was_changed_stops_a_promotion(line, keys):
    _, second, _ = versions(line)
    judged(line, second, keys)
    path = line / f"{second}.evaluation.json"
    path.write_bytes(path.read_bytes().replace(b'"trades": 12', b'"trades": 99'))
    with pytest.raises(ModelRefused, match=r"evaluation\.sig"):
        promote(line, keys, THRESHOLDS, operator=ANNA)


def test_what_cannot_be_promoted_is_said(line, keys, tmp_path):
    promote(line, keys, THRESHOLDS, operator=ANNA)
    with pytest.raises(NotMoved, match="has no challenger"):
        promote(line, keys, THRESHOLDS, operator=ANNA)
    with pytest.raises(NotMoved, match="champion already"):
        promote(line, keys, THRESHOLDS, versions(line)[1], operator=ANNA)
    for name in ("nothing", "../unified-15m", str(line)):
        with pytest.raises(NotMoved, match="has no version"):
            promote(line, keys, THRESHOLDS, name, operator=ANNA)


def test_rollback_takes_off_what_promotions_put_on(line, keys):
    """PRM-9: A, B, C; back to B; D refused by the gates changes nothing; back to A; then there is nothing before."""
    first, second, third = versions(line)
    for name in (first, second, third):
        promote(line, keys, THRESHOLDS, name, operator=ANNA)
    assert rollback(line, keys, ANNA).aliases["champion"] == second
    assert rollback(line, keys, ANNA).aliases["champion"] == first
    with pytest.raises(NotMoved, match="no champion before"):
        rollback(line, keys, ANNA)
    aliases = load_aliases(line, keys)
    assert champions(read_moves(line, keys, aliases), aliases) == [first]
    assert aliases.serial == 7


def test_a_champion_older_than_the_log_can_be_gone_back_to(tmp_path, version_folder, keys, model):
    line = version_folder.parent
    write_aliases(line, keys, {"champion": version_folder.name}, [version_folder.name])
    newer = write_version(line, make_draft(valid_from=datetime(2025, 7, 2, tzinfo=UTC)), model.state_dict(), keys).name
    promote(line, keys, THRESHOLDS, newer, operator=ANNA)
    assert rollback(line, keys, ANNA).aliases["champion"] == version_folder.name


def test_the_log_notices_every_change(line, keys):
    promote(line, keys, THRESHOLDS, operator=ANNA)
    aliases = load_aliases(line, keys)
    path = line / "moves.jsonl"
    original = path.read_bytes()
    lines = original.splitlines(keepends=True)
    assert len(read_moves(line, keys, aliases)) == len(lines) == 3
    tampered = [
        original.replace(b"Anna", b"Emma"),
        b"".join(lines[1:]),
        b"".join(lines[:-1]),
        b"".join([lines[0], lines[2]]),
        b"".join([lines[1], lines[0], lines[2]]),
        b"".join([*lines, lines[-1]]),
        original[:-1],
        original[:-20],
        b"",
        b"not a move\n" + original,
    ]
    for content in tampered:
        path.write_bytes(content)
        with pytest.raises(ModelRefused, match=r"moves\.jsonl"):
            read_moves(line, keys, aliases)
        with pytest.raises(ModelRefused, match=r"moves\.jsonl"):
            rollback(line, keys, ANNA)
    path.write_bytes(original)
    read_moves(line, keys, aliases)


def test_an_unfinished_line_of_a_killed_writer_goes_with_the_next_move(line, keys):
    path = line / "moves.jsonl"
    with path.open("ab") as file:
        file.write(b'0123 {"half')
    publish(line, keys, versions(line))
    assert b"half" not in path.read_bytes()
    assert len(read_moves(line, keys, load_aliases(line, keys))) == 3


def test_an_alias_file_played_back_is_noticed_by_the_next_move(line, keys):
    old = {path.name: path.read_bytes() for path in line.glob("aliases.*")}
    publish(line, keys, versions(line))
    promote(line, keys, THRESHOLDS, operator=ANNA)
    for name, content in old.items():
        (line / name).write_bytes(content)
    with pytest.raises(ModelRefused, match="an old file came back"):
        rollback(line, keys, ANNA)


def test_no_serial_is_given_out_twice(line, keys, monkeypatch):
    """Killed between log and alias file: the logged move is void, the next one has a serial of its own."""
    before = load_aliases(line, keys)

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(promotion, "replace_aliases", die)
        with pytest.raises(KeyboardInterrupt):
            promote(line, keys, THRESHOLDS, operator=ANNA)
    assert load_aliases(line, keys) == before
    moved = promote(line, keys, THRESHOLDS, operator=ANNA).aliases
    assert moved.serial == before.serial + 2
    all_moves = read_moves(line, keys, moved)
    assert [move.serial for move in all_moves] == [1, 2, 3, 4]
    assert [move.serial for move in done(all_moves, moved)] == [1, 2, 4]


@pytest.mark.parametrize("kill_at", range(1, 6))
def test_killed_at_any_write_a_promotion_is_done_or_not_begun(line, keys, monkeypatch, kill_at):
    _, second, _ = versions(line)
    judged(line, second, keys)
    before = load_aliases(line, keys)
    left = [kill_at]

    def count(function):
        def wrapper(*arguments):
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt
            return function(*arguments)

        return wrapper

    with monkeypatch.context() as patched:
        patched.setattr(moves_module, "append_line", count(moves_module.append_line))
        patched.setattr("nn.registry.signature.write_whole", count(sys.modules["nn.registry.signature"].write_whole))
        with pytest.raises(KeyboardInterrupt):
            promote(line, keys, THRESHOLDS)
    after = load_aliases(line, keys)
    assert after == before or after.aliases == {"champion": second}
    if after == before:
        promote(line, keys, THRESHOLDS)
    assert load_aliases(line, keys).aliases == {"champion": second}
    assert len(openings(read_moves(line, keys, load_aliases(line, keys)))) == 1


@pytest.mark.parametrize("function", ["write", "fsync"])
def test_a_full_disk_loses_nothing(line, keys, monkeypatch, function):
    """A real limit on the size of files stands in for a disk that is full: the kernel refuses the write."""
    _, second, _ = versions(line)
    judged(line, second, keys)
    before = {path: path.read_bytes() for path in line.rglob("*") if path.is_file()}
    if function == "fsync":

        def full(_):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr("nn.registry.files.os.fsync", full)
            _expect_every_writer_to_fail(line, keys, second)
    else:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40, limit[1]))
        try:
            _expect_every_writer_to_fail(line, keys, second)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
            signal.signal(signal.SIGXFSZ, handler)
    after = {path: path.read_bytes() for path in line.rglob("*") if path.is_file()}
    assert after == before
    assert promote(line, keys, THRESHOLDS).aliases


def _expect_every_writer_to_fail(line, keys, version):
    draft, tensors = make_draft(valid_from=datetime(2025, 8, 1, tzinfo=UTC)), load_version(line / version, keys).tensors
    for write in (
        lambda: write_version(line, draft, tensors, keys),
        lambda: write_aliases(line, keys, {"champion": version}),
        lambda: judged(line, version, keys, rows=7),
        lambda: promote(line, keys, THRESHOLDS),
        lambda: publish(line, keys, [version]),
    ):
        with pytest.raises(OSError, match=r"No space left|File too large"):
            write()


def _promote_and_roll_back(folder, start, n, failures):
    keys = Keys(b"k" * 32)
    start.wait()
    for number in range(n):
        try:
            promote(folder, keys, THRESHOLDS, versions(folder)[number % 3], Operator(f"pid {os.getpid()}", "race"))
        except NotMoved:
            pass
        except Exception as error:
            failures.put(repr(error))


def test_two_processes_that_promote_at_once_take_turns(line, keys):
    context = multiprocessing.get_context("fork")
    start, failures = context.Event(), context.Queue()
    both = [context.Process(target=_promote_and_roll_back, args=(line, start, 12, failures)) for _ in range(2)]
    for process in both:
        process.start()
    start.set()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    assert failures.empty()
    aliases = load_aliases(line, keys)
    all_moves = read_moves(line, keys, aliases)
    assert done(all_moves, aliases) == all_moves
    assert [move.serial for move in all_moves] == list(range(1, aliases.serial + 1))
    assert len({move.who for move in all_moves}) == 3  # the trainer and both


CHILD = """
    import sys
    from pathlib import Path
    from nn.registry.keys import Keys
    from nn.registry.promotion import NotMoved, Operator, promote
    from nn.registry.thresholds import load_thresholds

    line, keys, thresholds = Path(sys.argv[1]), Keys(b"k" * 32), load_thresholds()
    names = sorted(path.name for path in line.iterdir() if path.is_dir() and not path.name.startswith("."))
    print("ready", flush=True)
    while True:
        for name in names:
            try:
                promote(line, keys, thresholds, name, Operator("Anna", "again and again"))
            except NotMoved:
                pass
"""


@pytest.mark.slow
def test_a_real_process_killed_in_the_middle_leaves_what_verifies(line, keys):
    """kill -9 at arbitrary moments of promotions, log, alias file and signature: every time the next one goes on."""
    serial = load_aliases(line, keys).serial
    for delay in (0.01, 0.037, 0.08):
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(CHILD), str(line)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout.readline() == "ready\n"
        time.sleep(delay)
        child.kill()
        child.wait()
        child.stdout.close()
        aliases = load_aliases(line, keys)
        read_moves(line, keys, aliases)
        assert aliases.serial >= serial
        serial = aliases.serial
        target = next(name for name in versions_without_hidden(line) if name != aliases.aliases.get("champion"))
        moved = promote(line, keys, THRESHOLDS, target, operator=ANNA).aliases
        assert moved.serial > serial
        serial = moved.serial


def versions_without_hidden(folder):
    return [name for name in versions(folder) if not name.startswith(".")]


def test_rotation_signs_everything_again_and_then_the_old_key_is_worth_nothing(line, keys):
    _, second, _ = versions(line)
    judged(line, second, keys)
    promote(line, keys, THRESHOLDS)
    new = Keys(b"n" * 32, previous=keys.signing)
    before = load_aliases(line, new), read_moves(line, new)
    with pytest.raises(ModelRefused, match="does not sign"):
        load_aliases(line, Keys(b"n" * 32))
    assert sign_again(line, new) == 3 + 1 + 1 + 1  # versions, evaluation, aliases, log
    only_new = Keys(b"n" * 32)
    assert (load_aliases(line, only_new), read_moves(line, only_new)) == before
    for name in versions(line):
        load_version(line / name, only_new)
    for old in (
        lambda: load_aliases(line, keys),
        lambda: read_moves(line, keys),
        lambda: load_version(line / second, keys),
    ):
        with pytest.raises(ModelRefused, match="does not sign"):
            old()
    assert sign_again(line, only_new) == 6  # twice is no harm


def test_rotation_never_signs_what_does_not_verify(line, keys):
    first = versions(line)[0]
    manifest = line / first / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"2025-07-01", b"2024-07-01"))
    signature = (line / first / "manifest.sig").read_bytes()
    with pytest.raises(ModelRefused, match=r"manifest\.sig does not sign"):
        sign_again(line, Keys(b"n" * 32, previous=keys.signing))
    assert (line / first / "manifest.sig").read_bytes() == signature
