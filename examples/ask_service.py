"""Ask the running service what it expects of a pair: the last candles of a data directory as JSON, one forecast back.

    python examples/ask_service.py user_data/data/binance BTC/USDT:USDT [--timeframe 15m] [--url http://127.0.0.1:3000]

From: Freqtrade's candles. To: the terminal. The key is read from CANDLEWRIGHT_API_KEY or user_data/secrets/service.key.
"""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx

from nn.data.candles import read_candles

HEADINGS = ("future_return", "direction", "confidence")


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask the running service what it expects of a pair.")
    parser.add_argument("datadir", type=Path)
    parser.add_argument("pair")
    parser.add_argument("--timeframe", default="15m")
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    options = parser.parse_args()
    key = os.environ.get("CANDLEWRIGHT_API_KEY") or Path("user_data/secrets/service.key").read_text().strip()

    with httpx.Client(base_url=options.url, headers={"X-API-KEY": key}, trust_env=False) as client:
        lines = client.get("/models").raise_for_status().json()["lines"]
        line = next((line for line in lines if line["timeframe"] == options.timeframe), None)
        if line is None:
            print(f"the service has no model for {options.timeframe}", file=sys.stderr)
            return 1
        candles, _ = read_candles(options.datadir, options.pair, options.timeframe)
        last = candles.tail(line["warmup"] + line["context_length"] + 10)
        columns = {name: last[name].tolist() for name in ("open", "high", "low", "close", "volume")}
        columns["date"] = last["date"].to_numpy("datetime64[ms]").astype(int).tolist()
        question = {"schema_version": 1, "pair": options.pair, "timeframe": options.timeframe, "candles": columns}
        row = client.post("/forecast", json=question, timeout=30).raise_for_status().json()["rows"][-1]

    print(f"{options.pair} {datetime.fromtimestamp(row['close_time'] / 1000, UTC)}, by {row['model_version']}")
    if row["model_version"] is None:
        print(f"no forecast: {row['reason']}")
        return 1
    for name, value in row.items():
        if name.startswith(HEADINGS):
            print(f"  {name:24} {value:+.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
