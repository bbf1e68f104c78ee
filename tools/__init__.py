"""The commands behind `tools/start.sh`. Nobody imports this package."""
