"""`start.sh report`: an older result becomes a page again, from whatever folder it is asked for."""

import json

from tools.__main__ import main
from tools.commands.backtest import forecast_log


def test_the_page_names_the_versions_again_from_any_folder(home, world, monkeypatch, capfd):
    result = world.write({"Mine": world.stats(world.busy())})
    answered = {
        "pair": "BTC/USDT:USDT", "timeframe": "15m", "chain_digest": "d" * 64, "unscored": {}, "source": "service",
        "segments": [{"model_version": "v1", "first": "2025-01-06T00:00:00+00:00", "last": "2025-02-01T00:00:00+00:00",
                      "rows": 2497}],
    }  # fmt: skip
    forecast_log(home, result).write_text(json.dumps(answered) + "\n")
    monkeypatch.chdir(result.parent)
    code = main(["report", result.name, "--datadir", str(world.datadir), "--out", "page.html"])
    assert code == 0
    assert capfd.readouterr().out.strip() == str(result.parent / "page.html")
    document = json.loads((result.parent / "page.json").read_text())
    assert document["run"]["strategy"] == "Mine"
    assert {row["version"] for row in document["model_versions"]["versions"]} >= {"v1"}


def test_a_result_that_is_not_there_is_one_sentence(home, tmp_path, capsys):
    assert main(["report"]) == 2
    assert f"no backtest result; `{home.typed('backtest')}` makes one" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "none.zip")]) == 2
    assert "none.zip: no such backtest result" in capsys.readouterr().err
