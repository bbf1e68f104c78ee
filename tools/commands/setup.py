"""`setup`: start.sh has made the environment before this runs; here the folders and the keys are made.

From: `tools.home`. To: `user_data/`.
"""

from __future__ import annotations

from tools.commands.say import say
from tools.home import Home


def setup() -> int:
    """Make what is missing and say where it is."""
    home = Home.find()
    home.make()
    say(f"ready: data, models, logs and keys lie in {home.user_data}")
    say("next: `tools/start.sh demo`, or `tools/start.sh doctor` to see what is missing for real data")
    return 0
