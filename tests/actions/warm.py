"""Imported by the server of forked processes before any fork: imports what a trial of a kill would import by and by."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.actions import kills
from tests.actions.cases import CASES

with tempfile.TemporaryDirectory() as _folder:
    kills.prepare(CASES["pause"], Path(_folder))
    kills.run("pause", Path(_folder), 0)
