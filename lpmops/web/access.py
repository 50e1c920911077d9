"""Who is let in: every request passes here first, whatever it asks for.

Three questions, also on loopback, where any web page that the operator has open can send requests: was the server called by a name of its own (a
stranger's name that resolves here would make a stranger's page ours), does the request come from a page of its own, and does the visitor know the
token. The token is typed into a form and never stands in an address; what the browser keeps instead is a signed cookie that no script can read.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from lpmops.web.rules import Serving

SIGNED_IN_FOR = 24 * 3600
SIGN_IN = "/sign-in"
_SHELL = "/"


@dataclass(frozen=True, slots=True)
class Called:
    """By which host and port a request calls the server."""

    host: str
    netloc: str


class Access:
    """The rules of one server. `report` is told, in words for the operator, of who was not let in; `clock` counts seconds since the epoch."""

    def __init__(self, serving: Serving, report: Callable[[str], None], clock: Callable[[], float] = time.time) -> None:
        self._serving = serving
        self._report = report
        self._clock = clock
        secret = serving.token.secret.encode() if serving.token else b""
        # Signed with the token itself: a restart keeps everybody signed in, a new token signs everybody out.
        self._key = hmac.digest(secret, b"lpmops serve: signed in", "sha256") if secret else b""
        self._secret = hashlib.sha256(secret).digest()

    @property
    def has_token(self) -> bool:
        """Whether a visitor must know a token."""
        return self._serving.token is not None

    def middleware(self, sign_in_page: Callable[[], web.Response]) -> Middleware:
        """The check of every request; who asks for the app without having signed in is shown `sign_in_page`."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            called = self._called(request)
            if called is None:
                raise web.HTTPMisdirectedRequest(text="This is lpmops, and it is not served under that name.\n")
            if not self._is_from_own_page(request, called):
                self._report(f"A page of another site was refused at {request.path} ({request.remote}).")
                raise web.HTTPForbidden(text="lpmops takes requests from its own page only.\n")
            if self.is_signed_in(request) or request.path == SIGN_IN:
                return await handler(request)
            if request.path == _SHELL:
                return sign_in_page()
            raise web.HTTPUnauthorized(text="Sign in first.\n")

        return check

    def knows_token(self, answer: str) -> bool:
        """Whether that is the token. Takes as long for a near guess as for a far one."""
        given = hashlib.sha256(answer.strip().encode("utf-8", "replace")).digest()
        return self.has_token and hmac.compare_digest(given, self._secret)

    def sign_in(self, response: web.StreamResponse) -> None:
        """Let the browser keep that it has signed in, or keep it for longer. Does nothing where there is no token."""
        if not self.has_token:
            return
        until = str(int(self._clock()) + SIGNED_IN_FOR)
        response.set_cookie(
            self._cookie,
            f"{until}.{self._signature(until)}",
            max_age=SIGNED_IN_FOR,
            path="/",
            secure=self._is_secure,
            httponly=True,
            samesite="Strict",
        )

    def is_signed_in(self, request: web.Request) -> bool:
        """Whether the browser keeps a signature of ours that still holds, or needs none."""
        if not self.has_token:
            return True
        until, _, signature = request.cookies.get(self._cookie, "").partition(".")
        if not (until.isascii() and until.isdigit() and len(until) <= 12 and signature.isascii()):
            return False
        return hmac.compare_digest(signature, self._signature(until)) and int(until) > self._clock()

    @property
    def _is_secure(self) -> bool:
        return self._serving.certificate is not None

    @property
    def _cookie(self) -> str:
        # A browser sends cookies to every port of a host, so each port has its own.
        return f"{'__Host-' if self._is_secure else ''}lpmops-{self._serving.port}"

    def _signature(self, until: str) -> str:
        return hmac.new(self._key, until.encode("ascii"), "sha256").hexdigest()

    def _called(self, request: web.Request) -> Called | None:
        """How the server was called; None for a name that is not its own."""
        try:
            parts = urlsplit(f"//{request.host}")
            host = (parts.hostname or "").lower()
            netloc = f"[{host}]" if ":" in host else host
            # Asking for the port is what refuses one that is no number.
            netloc += f":{parts.port}" if parts.port is not None else ""
        except ValueError:
            return None
        return Called(host, netloc) if netloc == request.host.lower() and self._is_own(host) else None

    def _is_own(self, host: str) -> bool:
        # Any port: through an SSH tunnel the browser uses another one than the server.
        if host in ("localhost", self._serving.address):
            return True
        try:
            if ipaddress.ip_address(host).is_loopback:
                return True
        except ValueError:
            pass
        names = self._serving.certificate.names if self._serving.certificate else ()
        return host in names or f"*.{host.partition('.')[2]}" in names

    def _is_from_own_page(self, request: web.Request, called: Called) -> bool:
        """Whether a page of this server asks, or the person by typing or following an address, which shows the page and no more."""
        origin = request.headers.get("Origin")
        if origin is not None:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or parts.netloc.lower() != called.netloc:
                return False
        if request.path == _SHELL:
            return True
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return False
        needs_origin = request.method != "GET" or request.path == "/ws"
        return origin is not None or not needs_origin
