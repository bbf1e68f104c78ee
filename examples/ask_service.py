"""Ask the running service what it expects of a pair: the last candles of a data directory as JSON, one forecast back.

    python examples/ask_service.py user_data/data/binance BTC/USDT:USDT [--timeframe 15m] [--url http://127.0.0.1:3000]

From: Freqtrade's candles. To: the terminal. The key is that of CANDLEWRIGHT_API_KEY, else of the file that
CANDLEWRIGHT_API_KEY_FILE names, else of user_data/secrets/service.key in this clone.
"""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx

from nn.data.candles import BadCandles, read_candles

HEADINGS = ("future_return", "direction", "confidence")
KEY_FILE = Path(__file__).resolve().parents[1] / "user_data" / "secrets" / "service.key"


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask the running service what it expects of a pair.")
    parser.add_argument("datadir", type=Path)
    parser.add_argument("pair")
    parser.add_argument("--timeframe", default="15m")
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    options = parser.parse_args()
    try:
        row = newest_forecast(options.datadir, options.pair, options.timeframe, options.url)
    except httpx.HTTPStatusError as error:
        print(f"{error.request.url} answered {error.response.status_code}: {error.response.text}", file=sys.stderr)
        return 1
    except httpx.HTTPError as error:
        print(f"{options.url}: {error}; `tools/start.sh serve` starts the service", file=sys.stderr)
        return 1
    except (OSError, LookupError, BadCandles) as error:
        print(error, file=sys.stderr)
        return 1

    print(f"{options.pair} {datetime.fromtimestamp(row['close_time'] / 1000, UTC)}, by {row['model_version']}")
    if row["model_version"] is None:
        print(f"no forecast: {row['reason']}")
        return 1
    for name, value in row.items():
        if name.startswith(HEADINGS):
            print(f"  {name:24} {value:+.4f}")
    return 0


def newest_forecast(datadir: Path, pair: str, timeframe: str, url: str) -> dict:
    """Return the row of the newest candle; LookupError where no line of models forecasts this timeframe."""
    key_file = Path(os.environ.get("CANDLEWRIGHT_API_KEY_FILE") or KEY_FILE)
    key = os.environ.get("CANDLEWRIGHT_API_KEY") or key_file.read_text().strip()
    with httpx.Client(base_url=url, headers={"X-API-KEY": key}, trust_env=False) as client:
        lines = client.get("/models").raise_for_status().json()["lines"]
        fitting = [line for line in lines if (line["kind"], line["timeframe"]) == ("unified_patchtst", timeframe)]
        if not fitting:
            raise LookupError(f"the service has no forecaster for {timeframe}; `tools/start.sh train` makes one")
        candles, _ = read_candles(datadir, pair, timeframe)
        last = candles.tail(fitting[0]["warmup"] + fitting[0]["context_length"] + 10)
        columns = {name: last[name].tolist() for name in ("open", "high", "low", "close", "volume")}
        columns["date"] = last["date"].to_numpy("datetime64[ms]").astype(int).tolist()
        question = {"schema_version": 1, "pair": pair, "timeframe": timeframe, "candles": columns}
        return client.post("/forecast", json=question, timeout=30).raise_for_status().json()["rows"][-1]


if __name__ == "__main__":
    sys.exit(main())
