"""Serves policies: what to hold now, what would have been held over history, and what a bot needs to ask."""
