"""The web server: the page, its parts, and a websocket for each window, over textual-serve's parts and behind `access`.

It ends within a second of SIGINT, SIGTERM or SIGHUP, and its visitors' processes with it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.typedefs import Handler
from textual_serve.server import Server

from lpmops.errors import LpmopsError, UsageError
from lpmops.web.access import SIGN_IN, Access
from lpmops.web.rules import Serving
from lpmops.web.visitor import Command, Ending, Visitor

# What the page is told when a window is closed; page.js knows them too.
LEFT, FULL, NEVER_OPENED, DIED = 4000, 4001, 4002, 4003
_PAGE = Path(__file__).parent / "page"
_HEARTBEAT = 15.0
_LARGEST_MESSAGE = 2**20
_LARGEST_FORM = 2**14
_LEAVING_GRACE = 2.0
_ENDING_GRACE = 0.6
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Voice:
    """How the server speaks to its operator: `ready` once with its address, `report` a sentence at a time."""

    ready: Callable[[str], None]
    report: Callable[[str], None]


class BrowserServer(Server):
    """Serves `command` to browsers as `serving` allows."""

    def __init__(self, command: Command, serving: Serving, voice: Voice) -> None:
        super().__init__("lpmops", serving.address, serving.port, title="lpmops")
        self._command = command
        self._serving = serving
        self._voice = voice
        self._access = Access(serving, voice.report)
        self._visitors: set[Visitor] = set()
        self._ending = asyncio.Event()
        self._sign_in_page = Template((_PAGE / "sign-in.html").read_text(encoding="utf-8"))

    def application(self) -> web.Application:
        """The routes, each behind the check of `access`."""
        app = web.Application(
            middlewares=[self._faults, self._access.middleware(self._ask_for_token)], client_max_size=_LARGEST_FORM
        )
        app.add_routes(
            [
                web.get("/", self.handle_index),
                web.post(SIGN_IN, self._sign_in),
                web.get("/alive", self._say_alive),
                web.get("/ws", self.handle_websocket),
                web.get("/download/{key}", self.handle_download),
                web.static("/static", self.statics_path),
                web.static("/page", _PAGE),
            ]
        )
        app.on_response_prepare.append(self._protect)
        app.on_shutdown.append(self.on_shutdown)
        return app

    async def on_shutdown(self, app: web.Application) -> None:
        """Tells every window to come back later, and waits until their processes have ended."""
        del app
        self._ending.set()
        while self._visitors:
            await asyncio.wait([asyncio.create_task(visitor.gone.wait()) for visitor in self._visitors])

    # Pages -------------------------------------------------------------------------------------------------------------------------------------

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """The page with the terminal; our own, since textual-serve's asks a font service on the internet."""
        del request
        response = web.FileResponse(_PAGE / "page.html")
        self._access.sign_in(response)
        return response

    async def _say_alive(self, _request: web.Request) -> web.Response:
        return web.Response(status=503 if self._is_full else 204)

    async def _sign_in(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        if not self._access.knows_token(str(form.get("token", ""))):
            self._voice.report(f"A wrong token was refused ({request.remote}).")
            return self._ask_for_token("That is not the token.")
        response = web.Response(status=303, headers={"Location": "/"})
        self._access.sign_in(response)
        return response

    def _ask_for_token(self, said: str = "") -> web.Response:
        return web.Response(status=401, text=self._sign_in_page.substitute(said=said), content_type="text/html")

    # Windows -----------------------------------------------------------------------------------------------------------------------------------

    @property
    def _is_full(self) -> bool:
        return len(self._visitors) >= self._serving.visitors

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """One window, from its opening until it is closed and its process has ended."""
        window = web.WebSocketResponse(heartbeat=_HEARTBEAT, max_msg_size=_LARGEST_MESSAGE, timeout=_ENDING_GRACE / 2)
        await window.prepare(request)
        if self._is_full:
            await _dismiss(
                window,
                FULL,
                f"lpmops is open in {self._serving.visitors} windows, as many as it may be. Close one, or serve more with --visitors.",
            )
            return window
        visitor = Visitor(self._command, window, self.download_manager)
        self._visitors.add(visitor)
        who = f"from {request.remote}"
        try:
            await visitor.start(_cells(request.query.get("width"), 80), _cells(request.query.get("height"), 24))
            who += f", process {visitor.pid}"
            self._voice.report(
                f"A window was opened {who}; {len(self._visitors)} of {self._serving.visitors} are open."
            )
            await self._attend(window, visitor)
        except OSError as error:
            await _dismiss(window, NEVER_OPENED, f"lpmops could not be started: {error.strerror}.")
        finally:
            grace = _ENDING_GRACE if self._ending.is_set() else _LEAVING_GRACE
            await asyncio.gather(visitor.stop(grace), window.close(code=WSCloseCode.GOING_AWAY), return_exceptions=True)
            self._visitors.discard(visitor)
            visitor.gone.set()
            self._voice.report(f"A window was closed {who}.")
            for line in visitor.words:
                self._voice.report(f"  {line}")
        return window

    async def _attend(self, window: web.WebSocketResponse, visitor: Visitor) -> None:
        """Carry keys and drawing until the app ends, the window goes away or the server ends."""
        drawing = asyncio.create_task(visitor.run())
        typing = asyncio.create_task(_obey(window, visitor))
        ending = asyncio.create_task(self._ending.wait())
        try:
            await asyncio.wait({drawing, typing, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (drawing, typing, ending):
                task.cancel()
            await asyncio.gather(drawing, typing, ending, return_exceptions=True)
        last = " ".join(visitor.words)
        if visitor.ending is Ending.LEFT:
            await _dismiss(window, LEFT, "lpmops has ended in this window.")
        elif visitor.ending is Ending.NEVER_OPENED:
            await _dismiss(window, NEVER_OPENED, f"lpmops could not open. {last}")
        elif visitor.ending is Ending.DIED:
            await _dismiss(window, DIED, f"lpmops stopped in the middle. {last}")

    # Edges -------------------------------------------------------------------------------------------------------------------------------------

    @web.middleware
    async def _faults(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except (web.HTTPException, ConnectionResetError):
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a request: told to the operator, and the next one is served
            self._voice.report(f"{request.path} failed: {type(error).__name__}.")
            return web.Response(status=500, text="lpmops failed to answer this. Its operator has been told.\n")

    async def _protect(self, request: web.Request, response: web.StreamResponse) -> None:
        """What every answer tells the browser not to allow."""
        socket_address = f"{self._serving.scheme.replace('http', 'ws')}://{request.host}"
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self' data:; "
            f"connect-src 'self' {socket_address}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        if request.path.startswith("/download/"):
            # A saved file may hold text from outside: it is never run as a page of ours.
            policy = "default-src 'none'; sandbox"
            response.headers["Content-Disposition"] = response.headers.get("Content-Disposition", "").replace(
                "inline", "attachment", 1
            )
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "DENY"
        # Not "no-referrer": with it a browser hides the origin of our own form, too.
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        response.headers["Server"] = "lpmops"
        if not request.path.startswith("/static/"):
            response.headers["Cache-Control"] = "no-store"


def serve(command: Command, serving: Serving, voice: Voice) -> int:
    """Serve until a signal comes, and give its number. Raises UsageError, LpmopsError where it can't listen."""
    listener = listen(serving.address, serving.port)
    serving = replace(serving, port=listener.getsockname()[1])
    for name in ("aiohttp.access", "aiohttp.server", "aiohttp.web", "asyncio", "textual-serve"):
        # They print tracebacks of what strangers send; what concerns the operator is reported.
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    return asyncio.run(_serve(listener, command, serving, voice))


async def _serve(listener: socket.socket, command: Command, serving: Serving, voice: Voice) -> int:
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()

    def stop(number: int) -> None:
        if not stopped.done():
            stopped.set_result(number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop, number)
    runner = web.AppRunner(
        BrowserServer(command, serving, voice).application(), access_log=None, shutdown_timeout=_ENDING_GRACE / 2
    )
    try:
        await runner.setup()
        context = serving.certificate.context if serving.certificate else None
        await web.SockSite(runner, listener, ssl_context=context).start()
        voice.ready(_address(serving))
        return await stopped
    finally:
        await runner.cleanup()


def listen(address: str, port: int) -> socket.socket:
    """A socket that listens there. Raises UsageError, LpmopsError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family)
    except PermissionError:
        raise UsageError(
            f"Port {port} is for administrators.", hint="Take one above 1023, such as --port 27480."
        ) from None
    except OSError as error:
        raise LpmopsError(
            f"lpmops can't listen on {address}, port {port}: {error.strerror}.",
            hint="Another program may be there. Take any free port with: lpmops serve --port 0",
        ) from None


def _address(serving: Serving) -> str:
    """What to type into a browser."""
    host = serving.address
    if serving.certificate and host not in serving.certificate.names:
        host = next((name for name in serving.certificate.names if not name.startswith("*")), host)
    return f"{serving.scheme}://{f'[{host}]' if ':' in host else host}:{serving.port}"


async def _obey(window: web.WebSocketResponse, visitor: Visitor) -> None:
    """Hand on what the window says, until it goes away; what is no message of the page is passed over."""
    async for message in window:
        if message.type is not WSMsgType.TEXT:
            continue
        match _parsed(message.data):
            case ["stdin", str(keys)]:
                await visitor.send_bytes(keys.encode("utf-8", "replace"))
            case ["resize", {"width": int(width), "height": int(height)}]:
                await visitor.set_terminal_size(_cells(width, 80), _cells(height, 24))
            case ["ping", str(stamp)]:
                await window.send_json(["pong", stamp])
            case ["alive"]:
                await window.send_json(["alive"])
            case ["blur"]:
                await visitor.blur()
            case ["focus"]:
                await visitor.focus()


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _cells(value: object, default: int) -> int:
    """A number of columns or rows that a screen can have."""
    try:
        return min(1000, max(1, int(str(value))))
    except ValueError:
        return default


async def _dismiss(window: web.WebSocketResponse, code: int, words: str) -> None:
    """Say why, then close; the page shows the words."""
    try:
        await window.send_json(["lpmops", {"words": words}])
        await window.close(code=code)
    except ConnectionResetError:
        # The window has gone before it could be told.
        return
