"""The way in: runs the command line, opens the app, and turns whatever ends a command into an exit code and a sentence.

The only place where the two faces meet: the command line is given the means to open the app, and neither imports the other.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from lpmops.config import Config


_PICTURE_SIZE = (120, 36)
# By name, the keys that lead there; PROD stands for the number of the environment, and its last company is the least troubled.
_PICTURES = {
    "overview": (),
    "environment": ("PROD",),
    "company": ("PROD", "G", "enter"),
    "record": ("PROD", "G", "enter", "enter"),
    "logs": ("PROD", "l"),
    "time": ("t", "left_curly_bracket"),
    "versions": ("PROD", "V"),
}


def main() -> NoReturn:
    """Run `lpmops` with the arguments of this process, and exit."""
    heed_signals()
    code = run()
    from lpmops.cli import output

    for stream in (sys.stdout, sys.stderr):
        output.finish(stream)
    sys.exit(code)


def heed_signals() -> None:
    """Let SIGTERM end this process as an ordinary exit, so that what a command holds is let go."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.unraisablehook = _unraisable


def run() -> int:
    """Run the command line; the exit code. No traceback reaches the person: a fault of lpmops is written to a report."""
    from lpmops.cli import context
    from lpmops.cli.app import build
    from lpmops.errors import ExitCode

    context.world().open_app = open_app
    context.world().save_pictures = save_pictures
    try:
        build()(standalone_mode=True)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(ExitCode.FAILED if leaving.code else ExitCode.OK)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the edge of the process: reported in a file, told in a sentence
        from lpmops.cli import crash

        return crash.report(error)
    return int(ExitCode.OK)


def open_app(config: Config) -> None:
    """Open the app over the environments of `config` and come back when the person leaves it. Raises LpmopsError."""
    from lpmops import paths
    from lpmops.actions.orders import ActionOrders
    from lpmops.cli import context, output
    from lpmops.control.feed import open_feed
    from lpmops.tui import preferences
    from lpmops.tui.app import LpmopsApp
    from lpmops.tui.feed import Limits
    from lpmops.web import child

    here = context.world()
    if child.is_served(here.environ):
        child.end_with_server()
    feed = open_feed(config, here.open_store)
    limits = Limits(config.refresh.interval, config.thresholds.latency, config.thresholds.latency_stretch)
    liked = preferences.load(paths.preferences_file())
    app = LpmopsApp(
        feed,
        limits=limits,
        preferences=liked,
        read_only=here.read_only,
        orders=ActionOrders(config, here.open_store, read_only=here.read_only),
        state_directory=config.state_directory,
    )
    code = app.run_to_the_end(mouse=liked.mouse and here.mouse)
    for warning in feed.warnings():
        output.narrate(f"warning: {warning}")
    if code:
        sys.exit(code)


def save_pictures(config: Config, folder: Path) -> list[Path]:
    """Draw the app's screens, those of prod where there is one, as SVG into `folder`. Raises LpmopsError, OSError."""
    from lpmops.cli import context
    from lpmops.control.feed import open_feed
    from lpmops.model import Kind
    from lpmops.tui.picture import save_picture

    folder.mkdir(parents=True, exist_ok=True)
    kinds = [environment.kind for environment in config.environments.values()]
    number = str(kinds.index(Kind.PROD) + 1 if Kind.PROD in kinds else 1)
    saved = []
    for name, keys in _PICTURES.items():
        feed = open_feed(config, context.world().open_store)
        saved.append(
            save_picture(
                feed, folder / f"{name}.svg", _PICTURE_SIZE, keys=[number if key == "PROD" else key for key in keys]
            )
        )
        feed.close()
    return saved


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    sys.exit(143)


def _unraisable(found: sys.UnraisableHookArgs) -> None:
    """An exit that a signal raised inside a finalizer or the import system is swallowed there: the signal is sent again, a moment later."""
    again = {SystemExit: signal.SIGTERM, KeyboardInterrupt: signal.SIGINT}.get(found.exc_type)
    if again is None:
        sys.__unraisablehook__(found)
        return
    import threading

    later = threading.Timer(0.05, os.kill, (os.getpid(), again))
    later.daemon = True
    later.start()


if __name__ == "__main__":
    main()
