"""A web server on a free port of loopback, over a pretended app, with a client that has a browser's cookies."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from lpmops.web.rules import Serving, Token
from lpmops.web.server import BrowserServer, Voice, listen
from lpmops.web.visitor import Command, app_environment

TOKEN = "the-token-of-this-test-0123456789"
DEADLINE = 20.0
LOOPBACK = Serving("127.0.0.1", 0, read_only=True, visitors=2)
WITH_TOKEN = replace(LOOPBACK, token=Token(TOKEN, "cat token"))
_PRETEND_APP = Path(__file__).parent / "pretend_app.py"


@dataclass
class Window:
    """A browser's websocket."""

    socket: aiohttp.ClientWebSocketResponse

    async def drawn(self, word: str) -> str:
        """The first drawing that holds that word."""
        async with asyncio.timeout(DEADLINE):
            async for message in self.socket:
                if message.type is aiohttp.WSMsgType.BINARY and word in message.data.decode():
                    return str(message.data.decode())
        raise AssertionError(f"{word} was never drawn; closed with {self.socket.close_code}")

    async def closed(self) -> tuple[int | None, str]:
        """The code that the server closed it with, and the words that it said before."""
        words = ""
        async with asyncio.timeout(DEADLINE):
            async for message in self.socket:
                if message.type is aiohttp.WSMsgType.TEXT and (said := message.json())[0] == "lpmops":
                    words = said[1]["words"]
        return self.socket.close_code, words


@dataclass
class Served:
    """A server that runs, and a browser."""

    url: str
    browser: aiohttp.ClientSession
    reports: list[str] = field(default_factory=list)

    def open(self, **options: Any) -> AbstractAsyncContextManager[Window]:
        """Open a window as the page does."""
        return self._open(f"{self.url}/ws?width=100&height=30", **{"origin": self.url, **options})

    @asynccontextmanager
    async def _open(self, url: str, **options: Any) -> AsyncIterator[Window]:
        async with self.browser.ws_connect(url, **options) as socket:
            yield Window(socket)

    async def ask(self, path: str, method: str = "GET", **options: Any) -> tuple[int, str]:
        """Status and text of one request."""
        async with self.browser.request(method, f"{self.url}{path}", **options) as answer:
            return answer.status, await answer.text(errors="replace")

    async def sign_in(self, token: str = TOKEN) -> int:
        """Type the token into the page's form; gives the status of the answer."""
        form = {"data": {"token": token}, "headers": {"Origin": self.url}, "allow_redirects": False}
        return (await self.ask("/sign-in", "POST", **form))[0]

    async def reported(self, word: str) -> str:
        """Wait until the operator was told something with that word."""
        async with asyncio.timeout(DEADLINE):
            while True:
                if found := next((line for line in self.reports if word in line), None):
                    return found
                await asyncio.sleep(0.01)


Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def serve() -> Serve:
    """Serves a pretended app of that manner, as wished."""

    @asynccontextmanager
    async def run(manner: str = "echo", serving: Serving = LOOPBACK) -> AsyncIterator[Served]:
        listener = listen(serving.address, serving.port)
        serving = replace(serving, port=listener.getsockname()[1])
        reports: list[str] = []
        command = Command(
            [sys.executable, str(_PRETEND_APP), manner],
            app_environment({**os.environ, "HUSHED": TOKEN}, read_only=serving.read_only, hidden=["HUSHED"]),
        )
        server = BrowserServer(command, serving, Voice(lambda _: None, reports.append))
        runner = web.AppRunner(server.application(), shutdown_timeout=0.3)
        await runner.setup()
        context = serving.certificate.context if serving.certificate else None
        await web.SockSite(runner, listener, ssl_context=context).start()
        connector = aiohttp.TCPConnector(ssl=context is None)
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), connector=connector) as browser:
            try:
                yield Served(f"{serving.scheme}://127.0.0.1:{serving.port}", browser, reports)
            finally:
                await runner.cleanup()

    return run


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


@pytest.fixture(scope="session")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A certificate for ops.example.com, *.lab.example.com and 127.0.0.1, signed by itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ops.example.com")])
    names = [x509.DNSName("ops.example.com"), x509.DNSName("*.lab.example.com")]
    addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pair = Pair(folder / "certificate.pem", folder / "key.pem")
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pair.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    pair.key.chmod(0o600)
    return pair
