"""`backtest` reports what Freqtrade has just done, or says that it did nothing; real Freqtrade, no market asked."""

import json
import threading
from contextlib import ExitStack
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, HTTPServer

import psutil
import pytest

from tools.commands.backtest import forecast_log, last_result, require_strategy, run_backtests, service_url
from tools.errors import UserError
from tools.ports import free_port
from tools.services import Running, write_json


def test_a_strategy_that_is_nowhere_is_refused_with_the_nearest_one(home):
    with pytest.raises(UserError, match=r"--strategy NNPredicter: .* the nearest is NNPredictor;"):
        require_strategy(home, "NNPredicter")
    require_strategy(home, "NNPredictor")


def test_a_strategy_in_the_user_s_own_folder_is_known(home):
    with pytest.raises(UserError, match="Mine"):
        require_strategy(home, "Mine")
    (home.user_data / "strategies").mkdir()
    (home.user_data / "strategies" / "mine.py").write_text("class Mine(IStrategy):\n    pass\n")
    require_strategy(home, "Mine")


def test_files_beside_the_user_s_strategies_stop_no_backtest(home):
    folder = home.user_data / "strategies"
    (folder / "folder.py").mkdir(parents=True)
    (folder / "gone.py").symlink_to(folder / "nowhere.py")
    (folder / "old.py").write_bytes("# é\nclass Mine(IStrategy):\n    pass\n".encode("latin-1"))
    require_strategy(home, "Mine")


@pytest.mark.parametrize("rest", [["--strategy-path", "X"], ["--strategy-path=X"]])
def test_a_strategy_that_lies_elsewhere_is_left_to_freqtrade(home, monkeypatch, rest):
    monkeypatch.setattr("tools.commands.backtest.run_freqtrade", lambda *_: 2)
    monkeypatch.setattr("tools.commands.backtest.lines_of", lambda *_: set())
    assert run_backtests(home, ["Theirs"], None, home.user_data, None, None, "futures", "binance", rest) == []


@pytest.mark.parametrize(("strategy", "asks"), [("NNPredictor", False), ("PPOAgent", True)])
def test_decisions_of_a_file_need_no_service(home, tmp_path, monkeypatch, strategy, asks):
    """`replay_file` is for a machine without one; a policy is asked all the same."""
    asked = []
    (tmp_path / "layer.json").write_text('{"candlewright": {"replay_file": "decisions.replay"}}')
    monkeypatch.setattr("tools.commands.backtest.layers", lambda *_: [str(tmp_path / "layer.json")])
    monkeypatch.setattr("tools.commands.backtest.run_freqtrade", lambda *_: 2)
    monkeypatch.setattr("tools.commands.backtest.service_url", lambda *_: asked.append("service") or "http://x")
    run_backtests(home, [strategy], None, home.user_data, None, None, "futures", "binance")
    assert bool(asked) is asks


def test_an_older_result_is_not_reported_as_the_new_one(home, capfd):
    """Freqtrade 2026.9 ends with exit code 0 after an option that it does not know."""
    folder = home.user_data / "backtest_results"
    folder.mkdir()
    (folder / ".last_result.json").write_text(json.dumps({"latest_backtest": "backtest-result-old.zip"}))
    assert last_result(home) == folder / "backtest-result-old.zip"
    rest = ["--nosuch"]
    done = run_backtests(home, ["TrendFollower"], None, home.user_data / "data", None, None, "futures", "binance", rest)
    said = capfd.readouterr().err
    assert done == []
    assert "TrendFollower ended without a result" in " ".join(said.split())
    assert "--nosuch" in said  # Freqtrade's own words
    assert not (home.user_data / "reports").exists()


def test_without_a_result_there_is_none(home):
    assert last_result(home) is None
    (home.user_data / "backtest_results").mkdir()
    for damaged in ("{", "[]", '{"latest_backtest": 1}'):
        (home.user_data / "backtest_results" / ".last_result.json").write_text(damaged)
        assert last_result(home) is None


def test_the_forecasts_of_a_result_are_named_after_it(home):
    found = forecast_log(home, home.user_data / "backtest_results" / "backtest-result-2026-11-21_20-00-00.zip")
    assert found == home.logs / "forecasts-2026-11-21_20-00-00.jsonl"


def pretend(home, port):
    """Write down this very process as the service that start.sh runs."""
    me = psutil.Process()
    found = Running("service", me.pid, me.create_time(), port, "service.log")
    write_json(home.run / "service.json", asdict(found))


def test_a_service_that_does_not_answer_is_told_in_a_sentence(home):
    pretend(home, free_port())
    said = r"does not answer \(.*\); `tools/start\.sh --user-data .* stop service` ends it"
    with ExitStack() as stack, pytest.raises(UserError, match=said):
        service_url(home, stack, {"direction"})


def test_a_service_with_another_key_is_told_before_the_backtest(home, monkeypatch):
    """A real answer of 401: a backtest of an hour without one forecast would tell nothing."""

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(401 if self.path == "/models" else 200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    monkeypatch.delenv("CANDLEWRIGHT_API_KEY", raising=False)
    monkeypatch.delenv("CANDLEWRIGHT_API_KEY_FILE", raising=False)
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        pretend(home, server.server_port)
        said = r"was started with another key than the one in .*service\.key"
        with ExitStack() as stack, pytest.raises(UserError, match=said):
            service_url(home, stack, {"direction"})
        server.shutdown()
