"""`status` and `stop`: what start.sh has running, and its end.

From: the pid files of `tools.services`. To: stdout, one service a line.
"""

from __future__ import annotations

import time

from tools.commands.say import say
from tools.errors import UserError
from tools.home import Home
from tools.ports import holder, is_free
from tools.services import DEFAULT_PORTS, all_running
from tools.services import stop as stop_service


def status() -> int:
    """Print every service of ours and every default port that somebody else holds."""
    services = all_running(Home.find())
    for service in services:
        minutes = (time.time() - service.created) / 60
        answer = "ready" if service.ready() else "not answering"
        print(f"{service.name:10} {answer:14} pid {service.pid:<8} {service.url}  {minutes:.0f} min  {service.log}")
    ours = {service.port for service in services}
    for name, port in DEFAULT_PORTS.items():
        if port not in ours and not is_free(port):
            print(f"{name:10} not started    port {port} is held by {holder(port)}")
    if not services:
        say("nothing runs; `tools/start.sh serve`, `mlflow` or `exchange` starts a service")
    return 0


def stop(name: str | None) -> int:
    """Stop one service or all of them.

    Raises
    ------
    UserError
        If a named service does not run, or was not started by start.sh.
    """
    home = Home.find()
    names = [service.name for service in all_running(home)]
    if name is not None and name not in names:
        raise UserError(f"{name} was not started by start.sh; running: {', '.join(names) or 'nothing'}")
    for each in [name] if name else names:
        stop_service(home, each)
        say(f"stopped {each}")
    if not names:
        say("nothing to stop")
    return 0
