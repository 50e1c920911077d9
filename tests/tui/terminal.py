"""A terminal of one's own: the real `lpmops` as a process on a pseudo terminal, driven by keys, sizes and signals.

What it drew is kept as bytes: `text` tells whether something was ever shown, `screen` what stands there now, and the
bytes themselves whether the terminal was restored.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyte

PATIENCE = 40.0
ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"
_STEERING = re.compile(rb"\x1b(?:\[[0-9;?<>=]*[a-zA-Z]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-B0-2]|.)")


class Terminal:
    """One app on one terminal."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, size: tuple[int, int]) -> None:
        self.process, self.master = process, master
        # Grows in place: an hour of drawing is not copied with every read.
        self.drawn = bytearray()
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self._fed = 0
        self.settings = termios.tcgetattr(master)

    @property
    def screen(self) -> str:
        """What stands on the screen now, a line a row."""
        # Drawn only when somebody looks, so that reading stays quick.
        self._stream.feed(bytes(self.drawn[self._fed :]))
        self._fed = len(self.drawn)
        return "\n".join(self._screen.display)

    @property
    def text(self) -> str:
        """Everything drawn so far, as text."""
        return bytes(_STEERING.sub(b"", self.drawn)).decode("utf-8", "replace")

    def since(self, place: int) -> str:
        """What was drawn after that many bytes."""
        return bytes(_STEERING.sub(b"", self.drawn[place:])).decode("utf-8", "replace")

    def read(self, seconds: float = 0.05) -> bool:
        """Takes in what is drawn; False where nobody draws any more."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return True
        try:
            taken = os.read(self.master, 65_536)
        except OSError:
            return False
        self.drawn += taken
        return bool(taken)

    def read_for(self, seconds: float) -> None:
        """Takes in what is drawn for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)

    def until(self, so: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Reads until `so` holds; fails after a while with what stands on the screen."""
        end = time.monotonic() + patience
        while not so():
            assert time.monotonic() < end, f"waited in vain before this screen:\n{self.screen}"
            self.read()

    def press(self, keys: str) -> None:
        """Types."""
        os.write(self.master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """The window has another size."""
        self._screen.resize(rows, columns)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, number: signal.Signals) -> None:
        """A signal to the app."""
        self.process.send_signal(number)

    def ended(self) -> int:
        """Waits for the end; the exit code, negative for a signal."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < end, "the app does not end"
            self.read()
        while self.read(0.01) and select.select([self.master], [], [], 0.05)[0]:
            pass
        return int(self.process.returncode)

    @property
    def is_restored(self) -> bool:
        """Whether the other screen, the mouse and the line were given back."""
        entered, left = self.drawn.rfind(ENTERED), self.drawn.rfind(LEFT)
        mouse_on, mouse_off = self.drawn.rfind(b"\x1b[?1000h"), self.drawn.rfind(b"\x1b[?1000l")
        echo = termios.tcgetattr(self.master)[3] & (termios.ECHO | termios.ICANON)
        return left > entered and mouse_off >= mouse_on and echo == self.settings[3] & (termios.ECHO | termios.ICANON)


@contextmanager
def terminal(
    environ: Mapping[str, str], *words: str, size: tuple[int, int] = (100, 30), limit: str = ""
) -> Iterator[Terminal]:
    """`lpmops WORDS` on a new terminal; `limit` is a shell line run before it, such as `ulimit -f 0`."""
    command = [sys.executable, "-m", "lpmops", *words]
    if limit:
        command = ["bash", "-c", f'{limit}; exec "$@"', "bash", *command]
    with on_terminal(command, environ, size=size) as screen:
        yield screen


@contextmanager
def on_terminal(
    command: Sequence[str], environ: Mapping[str, str], *, size: tuple[int, int] = (100, 30)
) -> Iterator[Terminal]:
    """Any command on a new terminal, killed at the end where it has not ended by itself."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    process = subprocess.Popen(
        command,
        env={**environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=_own_terminal, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    os.close(slave)
    try:
        yield Terminal(process, master, size)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        with suppress(OSError):
            os.close(master)


def _own_terminal() -> None:
    """The pseudo terminal becomes the process's own, so that its closing is a hang-up."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
