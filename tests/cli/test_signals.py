"""A signal ends a command wherever it strikes, also where Python would swallow the exit."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

_STRUCK_INSIDE_A_FINALIZER = """
import os, sys, time, weakref
from lpmops.__main__ import heed_signals
heed_signals()
class Thing: pass
def strike(_):
    os.kill(os.getpid(), int(sys.argv[1]))
    for _ in range(100_000): pass
thing = Thing()
held = weakref.ref(thing, strike)
del thing
print("swallowed", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)])
def test_a_signal_that_strikes_inside_a_finalizer_ends_the_process_all_the_same(number: int, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _STRUCK_INSIDE_A_FINALIZER, str(int(number))], capture_output=True, text=True, timeout=50, check=False
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (code, "swallowed\n"), done.stderr
