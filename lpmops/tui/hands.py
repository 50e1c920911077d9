"""What is taken out of the app: copied to the clipboard, saved to a file, or left for a moment to sign in.

A terminal does not say whether it took what was copied, so it is always in a file too; what is too long for a
terminal is in the file alone. In a browser what is saved is delivered there, and nothing is written on this machine.
"""

from __future__ import annotations

import io
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from lpmops import paths
from lpmops.delimited import csv_text
from lpmops.tui import reasons
from lpmops.tui.sheet import json_text

if TYPE_CHECKING:
    from lpmops.tui.app import LpmopsApp

COPIES = ("cell", "row", "json", "command")
FORMS = ("csv", "json", "svg")
# tmux takes no more of a clipboard sequence, and the k9s project has found the same bound.
_MOST_FOR_A_TERMINAL = 74_994


def copy(app: LpmopsApp, what: str) -> None:
    """Copies cell, row, JSON or command of what is under the cursor."""
    found = app.seen.copyable() if app.seen else None
    if found is None:
        app.tell("there is nothing to copy here")
        return
    text = {"cell": found.cell, "row": found.row, "json": "", "command": found.command}[what]
    if what == "json":
        text = json_text(found.data)
    if not text:
        app.tell("nothing is suspected here, so there is no command to copy")
        return
    take(app, what, text)


def take(app: LpmopsApp, what: str, text: str, *, name: str = "copied.txt") -> None:
    """Copies `text`, and keeps it in a file of that name too."""
    fits = len(text.encode()) <= _MOST_FOR_A_TERMINAL
    if fits:
        app.copy_to_clipboard(text)
    size = f"{len(text):,} characters"
    if app.is_web:
        app.say(f"copied the {what}, {size}")
        return
    try:
        path = _write(app, name, text)
    except OSError as error:
        app.tell(f"copied the {what}, {size}; not in a file as well: {error.strerror}")
        return
    app.say(
        f"copied the {what}, {size}; also in {path}"
        if fits
        else f"{size} are too long for a terminal's clipboard; they are in {path}"
    )


def save(app: LpmopsApp, form: str) -> None:
    """Saves the table as CSV or JSON, or the screen as SVG."""
    seen = app.seen
    sheet = seen.sheet() if seen else None
    if form != "svg" and sheet is None:
        app.tell("there is no table on this screen; svg saves its picture")
        return
    name = sheet.name if sheet else (app.navigator.here.kind or "screen")
    stamp = f"{app.feed.now():%Y%m%dT%H%M%SZ}"
    if form == "svg":
        text = app.export_screenshot(title="lpmops")
    else:
        assert sheet is not None
        text = csv_text(sheet.plain_rows) if form == "csv" else json_text(sheet.plain_rows)
    file_name = f"{_file_name(name)}-{stamp}.{form}"
    if app.is_web:
        app.deliver_text(io.StringIO(text), save_filename=file_name)
        return
    try:
        path = _write(app, file_name, text)
    except OSError as error:
        app.tell(f"can't save {file_name}: {error.strerror}; LPMOPS_STATE_DIR names another folder")
        return
    app.say(f"saved {path}")


def sign_in(app: LpmopsApp) -> None:
    """Gives the terminal to the sign-in, and comes back to a fresh look."""
    command = reasons.sign_in_command(app.live, app.environment or "")
    if not command:
        return
    try:
        with app.suspend():
            print(f"$ {command}")  # noqa: T201 the terminal is the sign-in's until it ends
            code = subprocess.run(shlex.split(command), check=False).returncode
    except (OSError, ValueError) as error:
        app.tell(f"can't run {command}: {error}")
        return
    if code:
        app.tell(f"{command} ended with exit code {code}")
    else:
        app.say("signed in; looking again")
    app.action_refresh_now()


def _write(app: LpmopsApp, name: str, text: str) -> Path:
    """Writes for the operator alone, whole or not at all. Raises OSError."""
    folder = paths.saved_directory(app.state_directory)
    partial = folder / f".{name}.partial"
    partial.touch(mode=0o600)
    partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    return partial.replace(folder / name)


def _file_name(name: str) -> str:
    """A name as it may stand in a folder, whatever an environment is called."""
    kept = "".join(character if character.isalnum() or character in "-_" else "-" for character in name)
    return kept.strip("-")[:60] or "screen"
