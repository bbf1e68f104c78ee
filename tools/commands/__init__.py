"""What each verb of `tools/start.sh` does, one verb or one pair of opposites a file."""
