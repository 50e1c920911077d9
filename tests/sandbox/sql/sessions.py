"""A database that lives as long as the test process, for tests that leave it as it was."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.sql import Database, SqlServer


@cache
def shared_database() -> Database:
    """An empty database."""
    folder = Path(tempfile.mkdtemp(prefix="sandbox-sql-"))
    server = SqlServer(folder, Clock())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.close)
    return server.create_database("shared")
