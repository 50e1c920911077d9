"""`lpmops` as a process that need not import anything: what is on trial is what a command does, and how it starts is on trial elsewhere."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lpmops import __main__, actions, cli, control, services, store

for _room in (actions, cli, control, services, store):
    for _module in pkgutil.iter_modules(_room.__path__, f"{_room.__name__}."):
        importlib.import_module(_module.name)


def run(words: Sequence[str], environ: Mapping[str, str], cwd: Path | None, out: Path, err: Path) -> None:
    """Become `lpmops WORDS`, with nothing on stdin and what it says in two files."""
    os.environ.clear()
    os.environ.update(environ)
    if cwd is not None:
        os.chdir(cwd)
    for number, path in enumerate((Path(os.devnull), out, err)):
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["lpmops", *words]
    __main__.main()
