"""One browser window: the app's process that draws for it, and the way it ends.

textual-serve speaks to the process (keys in, drawing and files out). What it leaves open is decided here: the process is started without a shell and
with an environment of ours, one that cannot start or is killed is noticed, and one that hangs is not waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import version

from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from lpmops.plain_text import plain
from lpmops.web.child import WEB_DRIVER

LARGEST_PACKET = 64 * 2**20
_PRELUDE = b"__GANGLION__\n"
_KEPT_LINES = 20
_LONGEST_LINE = 4096
_LAST_WORDS = 1.0


class Ending(Enum):
    """How the app's process ended."""

    LEFT = "the person left the app"
    NEVER_OPENED = "it ended before it drew anything"
    DIED = "it ended in the middle"


@dataclass(frozen=True, slots=True)
class Command:
    """What opens the app: words, and environment variables."""

    words: Sequence[str]
    environ: Mapping[str, str]


class Visitor(AppService):
    """Runs the app for one websocket.

    `ending` says how the process ended where it did so by itself, `words` are the last lines that it wrote for a person, such as why it could not
    open, and `gone` is set by the server once nothing of it is left.
    """

    def __init__(self, command: Command, socket: web.WebSocketResponse, downloads: DownloadManager) -> None:
        super().__init__(
            "lpmops",
            write_bytes=self._show,
            write_str=self._tell,
            close=self._on_left,
            download_manager=downloads,
        )
        self._socket = socket
        self._downloads = downloads
        self._app = command
        self._child: Process | None = None
        self._left = asyncio.Event()
        self.ending: Ending | None = None
        self.gone = asyncio.Event()
        self.words: deque[str] = deque(maxlen=_KEPT_LINES)

    @property
    def pid(self) -> int | None:
        """The id of the app's process."""
        return self._child.pid if self._child else None

    @property
    def stdin(self) -> asyncio.StreamWriter:
        """The way in to the app's process."""
        if self._child is None or self._child.stdin is None:
            raise RuntimeError("the app's process has not been started")
        return self._child.stdin

    async def start(self, width: int, height: int) -> None:
        """Start the app's process, drawing `width` by `height` cells. Raises OSError."""
        environ = {
            **self._app.environ,
            "TEXTUAL_DRIVER": WEB_DRIVER,
            "TEXTUAL_FPS": "60",
            "TEXTUAL_COLOR_SYSTEM": "truecolor",
            "TERM_PROGRAM": "textual",
            "TERM_PROGRAM_VERSION": version("textual-serve"),
            "COLUMNS": str(width),
            "ROWS": str(height),
        }
        # A session of its own: ctrl+c on the server's terminal is for the server, which then ends its visitors in order.
        self._child = await asyncio.create_subprocess_exec(
            *self._app.words, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environ, start_new_session=True
        )

    async def run(self) -> None:
        """Pass on what the app draws until it leaves or its process ends; `ending` then says which of the two."""
        if self._child is None or self._child.stdout is None or self._child.stderr is None:
            raise RuntimeError("the app's process has not been started")
        listening = asyncio.create_task(self._listen(self._child.stderr))
        passing = asyncio.create_task(self._pass_on(self._child.stdout))
        leaving = asyncio.create_task(self._left.wait())
        try:
            await asyncio.wait({passing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if self._left.is_set():
                self.ending = Ending.LEFT
                return
            self.ending = Ending.DIED if passing.result() else Ending.NEVER_OPENED
            await asyncio.wait({listening}, timeout=_LAST_WORDS)
        finally:
            for task in (listening, passing, leaving):
                task.cancel()

    async def _pass_on(self, stdout: asyncio.StreamReader) -> bool:
        """Hand each packet on; gives whether the app had opened."""
        handlers = {b"D": self.on_data, b"M": self.on_meta, b"P": self.on_packed}
        try:
            if await stdout.readuntil(b"\n") != _PRELUDE:
                return False
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionResetError):
            return False
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionResetError):
            while True:
                handler = handlers.get(await stdout.readexactly(1))
                size = int.from_bytes(await stdout.readexactly(4), "big")
                if handler is None or size > LARGEST_PACKET:
                    break
                await handler(await stdout.readexactly(size))
        return True

    async def _listen(self, stderr: asyncio.StreamReader) -> None:
        """Keep the last lines that the app wrote beside its drawing."""
        rest = b""
        while chunk := await stderr.read(_LONGEST_LINE):
            *lines, rest = (rest + chunk).split(b"\n")
            rest = rest[:_LONGEST_LINE]
            self.words.extend(plain(line.decode("utf-8", "replace")) for line in lines)
        if rest:
            self.words.append(plain(rest.decode("utf-8", "replace")))

    async def stop(self, grace: float = 2.0) -> None:
        """Ask the app to end, and end its process after `grace` seconds whatever it does."""
        if self._child is None:
            return
        await self._downloads.cancel_app_downloads(app_service_id=self.app_service_id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self.send_meta({"type": "quit"})
                await self._child.wait()
        if self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._child.kill()
            await self._child.wait()

    async def _on_left(self) -> None:
        self._left.set()

    async def _show(self, drawing: bytes) -> None:
        # A window that has gone must not hold up the app, which has yet to be told.
        with contextlib.suppress(ConnectionResetError):
            await self._socket.send_bytes(drawing)

    async def _tell(self, words: str) -> None:
        with contextlib.suppress(ConnectionResetError):
            await self._socket.send_str(words)


def app_environment(environ: Mapping[str, str], *, read_only: bool, hidden: Sequence[str] = ()) -> dict[str, str]:
    """The environment variables of the app's process: the server's own without the `hidden` ones, and whether it may change anything."""
    kept = {name: value for name, value in environ.items() if name not in (*hidden, "LPMOPS_READ_ONLY")}
    return {**kept, "LPMOPS_READ_ONLY": "1"} if read_only else kept
