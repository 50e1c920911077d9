"""What a served app's process and its server have agreed on: how the process knows that a browser shows it, and that it ends with its server.

Loads nothing beyond the standard library, since every start of the app asks.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Mapping

WEB_DRIVER = "textual.drivers.web_driver:WebDriver"
_LAST_MOMENT = 2.0


def is_served(environ: Mapping[str, str]) -> bool:
    """Whether this process draws for a browser instead of a terminal."""
    return environ.get("TEXTUAL_DRIVER") == WEB_DRIVER


def end_with_server(stdin: int = 0) -> None:
    """Watch the way in from the server, and end this process when it is gone: Textual would go on, and poll, for nobody."""
    threading.Thread(target=_watch, args=(stdin,), name="server-watch", daemon=True).start()


def _watch(stdin: int) -> None:
    watched = select.poll()
    # No event is asked for, so the keys stay Textual's; that the other end hung up is reported all the same.
    watched.register(stdin, 0)
    watched.poll()
    os.kill(os.getpid(), signal.SIGTERM)
    # What is drawn on the way out goes into a closed pipe, and must not hold the process.
    threading.Event().wait(_LAST_MOMENT)
    os._exit(143)
