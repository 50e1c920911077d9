"""Who is asking, and may they: the one authority whose tokens every service of the sandbox accepts.

Tokens look like Entra's (three base64url parts, claims aud, oid, tid, iat, exp) and are signed with the authority's own key; no other token is
accepted anywhere. Rights are open until `deny` takes one away. Sign-ins can expire and tokens be revoked, for one principal or for everyone, in one
environment or in all. Thread-safe; never keeps a token it issued.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import json
import secrets
import threading
from dataclasses import dataclass
from typing import Any

from lpmops.sandbox.azure.stamps import new_guid
from lpmops.sandbox.clock import Clock

ARM = "https://management.azure.com"
METRICS = "https://metrics.monitor.azure.com"
LOGS = "https://api.loganalytics.io"
EVENT_HUBS = "https://eventhubs.azure.net"
SQL = "https://database.windows.net"
DATABRICKS = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"
KEY_VAULT = "https://vault.azure.net"

# The second names under which Entra knows the same service.
_SAME_AS = {
    "https://management.core.windows.net": ARM,
    "https://api.loganalytics.azure.com": LOGS,
    "https://metrics.monitor.azure.com": METRICS,
    f"api://{DATABRICKS}": DATABRICKS,
}
# In sovereign and private clouds a service's own address is its audience, and SDKs ask for it; these three share one loopback address.
OWN_ADDRESS = "loopback"
AT_OWN_ADDRESS = frozenset({ARM, METRICS, LOGS})
AUDIENCES = frozenset({ARM, METRICS, LOGS, EVENT_HUBS, SQL, DATABRICKS, KEY_VAULT, OWN_ADDRESS})


class TokenError(Exception):
    """A token that is not accepted; `code` is Resource Manager's word for it."""

    code = "InvalidAuthenticationToken"


class InvalidToken(TokenError):
    """Not one of ours, damaged, or revoked."""


class WrongAudience(InvalidToken):
    """Issued for another service."""

    code = "InvalidAuthenticationTokenAudience"


class ExpiredToken(TokenError):
    """Its time is over, or the sign-in behind it is."""

    code = "ExpiredAuthenticationToken"


class SignInExpired(Exception):
    """The sign-in behind the identity has expired, so no new token is issued."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Someone who signs in: `kind` is User or ServicePrincipal, `client_id` what an application presents."""

    id: str
    name: str
    kind: str = "ServicePrincipal"
    client_id: str = ""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token and the epoch second at which it ends."""

    token: str
    expires_on: int


@dataclass(frozen=True, slots=True)
class Denial:
    """A right taken away: an action pattern (`Microsoft.StreamAnalytics/*/Write`) below a scope."""

    principal: str
    action: str
    scope: str

    def covers(self, principal: str, action: str, scope: str) -> bool:
        """Whether this denial stands in the way; actions and scopes are compared without case."""
        wanted, held = scope.lower().rstrip("/"), self.scope.lower().rstrip("/")
        return (
            self.principal in ("*", principal)
            and fnmatch.fnmatchcase(action.lower(), self.action.lower())
            and (wanted == held or wanted.startswith(held + "/") or not held)
        )


def canonical_audience(audience: str) -> str:
    """One name for a service: no slash at the end, no `/.default`, aliases resolved, a loopback address as such."""
    name = audience.strip().removesuffix("/.default").rstrip("/")
    lowered = name.lower()
    if lowered.startswith(
        ("http://127.0.0.1:", "http://localhost:", "http://[::1]:", "https://127.0.0.1:", "https://localhost:")
    ):
        return OWN_ADDRESS
    return _SAME_AS.get(lowered, lowered)


class TokenAuthority:
    """Issues and checks tokens. `lifetime` is sandbox seconds; `key` makes tokens survive a restart."""

    def __init__(self, clock: Clock, tenant_id: str, key: bytes | None = None, lifetime: float = 3600.0) -> None:
        self.tenant_id = tenant_id
        self._clock = clock
        self._key = key or secrets.token_bytes(32)
        self._lifetime = lifetime
        self._lock = threading.Lock()
        self._principals: dict[str, Principal] = {}
        self._denials: list[Denial] = []
        self._expired: set[tuple[str, str]] = set()
        self._revoked_before: dict[str, float] = {}

    @property
    def sign_in_address(self) -> str:
        """Where Resource Manager tells clients to sign in."""
        return f"https://login.microsoftonline.com/{self.tenant_id}"

    def register(self, principal: Principal) -> Principal:
        """Make someone known; their tokens are accepted from now on."""
        with self._lock:
            self._principals[principal.id] = principal
        return principal

    def principals(self) -> list[Principal]:
        """Everyone known, in the order they were registered."""
        with self._lock:
            return list(self._principals.values())

    def find(self, name: str) -> Principal | None:
        """By object id, client id or name."""
        return next((p for p in self.principals() if name in (p.id, p.client_id, p.name)), None)

    def issue(self, principal_id: str, audience: str, lifetime: float | None = None) -> IssuedToken:
        """A token for one service. Raises SignInExpired, or KeyError for an unknown principal."""
        with self._lock:
            principal = self._principals[principal_id]
            if self._is_expired(principal_id, ""):
                raise SignInExpired(principal.name)
        now = self._clock.time()
        expires_on = int(now + (self._lifetime if lifetime is None else lifetime))
        claims = {
            "aud": canonical_audience(audience),
            "iss": f"https://sts.windows.net/{self.tenant_id}/",
            "iat": now,
            "exp": expires_on,
            "oid": principal.id,
            "tid": self.tenant_id,
            "appid": principal.client_id,
            # Whom Entra names upn in a user's token it names app_displayname in an application's.
            ("upn" if principal.kind == "User" else "app_displayname"): principal.name,
            "uti": new_guid(),
        }
        head = _encode(json.dumps({"typ": "JWT", "alg": "HS256"}).encode())
        body = _encode(json.dumps(claims).encode())
        return IssuedToken(f"{head}.{body}.{self._sign(head, body)}", expires_on)

    def check(self, token: str, audience: str, environment: str = "") -> Principal:
        """Whose token it is. Raises InvalidToken, WrongAudience or ExpiredToken; `environment` also feels faults that are limited to it."""
        claims = self._claims(token)
        wanted = canonical_audience(audience)
        if claims["aud"] != wanted and not (claims["aud"] == OWN_ADDRESS and wanted in AT_OWN_ADDRESS):
            raise WrongAudience(
                f"The access token has been obtained for wrong audience or resource '{claims['aud']}'. "
                f"It should exactly match with one of the allowed audiences '{wanted}'."
            )
        with self._lock:
            principal = self._principals.get(claims["oid"])
            if principal is None:
                raise InvalidToken("The access token's principal is not known.")
            if claims["iat"] < max(self._revoked_before.get(principal.id, 0.0), self._revoked_before.get("*", 0.0)):
                raise InvalidToken("The access token has been revoked.")
            ended = self._is_expired(principal.id, environment)
        if ended or claims["exp"] <= self._clock.time():
            raise ExpiredToken("The access token expiry UTC time is earlier than current UTC time.")
        return principal

    def expire_sign_in(self, principal_id: str = "*", environment: str = "") -> None:
        """End a sign-in: no new tokens, and services answer 401. With an environment, only that environment's services do."""
        with self._lock:
            self._expired.add((principal_id, environment))

    def renew_sign_in(self, principal_id: str = "*", environment: str = "") -> None:
        """Undo `expire_sign_in` with the same arguments."""
        with self._lock:
            self._expired.discard((principal_id, environment))

    def revoke(self, principal_id: str = "*") -> None:
        """Refuse every token issued until now; new ones are accepted."""
        with self._lock:
            self._revoked_before[principal_id] = self._clock.time()

    def deny(self, action: str, principal_id: str = "*", scope: str = "") -> Denial:
        """Take a right away: an action pattern below a scope, for one principal or all."""
        denial = Denial(principal_id, action, scope)
        with self._lock:
            self._denials.append(denial)
        return denial

    def allow(self, denial: Denial) -> None:
        """Give back what `deny` took; nothing happens when it already was."""
        with self._lock:
            if denial in self._denials:
                self._denials.remove(denial)

    def may(self, principal: Principal, action: str, scope: str) -> bool:
        """Whether no denial stands in the way."""
        with self._lock:
            return not any(denial.covers(principal.id, action, scope) for denial in self._denials)

    def denied_actions(self, principal: Principal, scope: str) -> list[str]:
        """The action patterns taken from a principal at a scope."""
        with self._lock:
            return [d.action for d in self._denials if d.covers(principal.id, d.action, scope)]

    def _is_expired(self, principal_id: str, environment: str) -> bool:
        names, places = ("*", principal_id), {"", environment}
        return any((name, place) in self._expired for name in names for place in places)

    def _claims(self, token: str) -> dict[str, Any]:
        parts = token.split(".")
        if len(parts) != 3 or not hmac.compare_digest(self._sign(parts[0], parts[1]).encode(), parts[2].encode()):
            raise InvalidToken("The access token is invalid.")
        claims: dict[str, Any] = json.loads(_decode(parts[1]))
        return claims

    def _sign(self, head: str, body: str) -> str:
        return _encode(hmac.new(self._key, f"{head}.{body}".encode(), hashlib.sha256).digest())


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise InvalidToken("The access token is invalid.") from None
