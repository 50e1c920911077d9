"""Who may do what: shared access signatures checked here, JWTs by whoever issued them.

A connection collects grants, each for an audience such as `sb://host/hub/ConsumerGroups/group`; a link is allowed
where a grant covers its path and holds the claim (Send, Listen or Manage). A signature is checked by the machine's
clock, not the sandbox's: the client that signs it knows no other. Source:
learn.microsoft.com/azure/event-hubs/authenticate-shared-access-signature; OASIS AMQP CBS 1.0; texts as posted in
Azure/azure-sdk-for-python #24846 (invalid) and #23487 (expired).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time as real_time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus, urlsplit

SEND, LISTEN, MANAGE = "Send", "Listen", "Manage"
ALL_CLAIMS = frozenset({SEND, LISTEN, MANAGE})
SAS_TYPE, JWT_TYPE = "servicebus.windows.net:sastoken", "jwt"

# Given a token and an audience: True, or the claims that it carries, or False; or raises TokenRefused.
Authorize = Callable[[str, str], bool | Collection[str]]


class TokenRefused(Exception):
    """The token is not good for this; `status` is what put-token answers and the text its description."""

    def __init__(self, text: str, status: int = 401) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class SharedAccessKey:
    """A shared access policy: its name, its key and what it allows."""

    name: str
    key: str
    claims: frozenset[str] = ALL_CLAIMS


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token gave, for how far down from `path`; kept with the token, so that it can be looked at again."""

    path: str
    claims: frozenset[str]
    token_type: str
    token: str
    audience: str

    def covers(self, path: str) -> bool:
        """Whether an entity's path is this one or below it; case does not matter."""
        return within(path, self.path)


def entity_path(address: str) -> str:
    """The path of an address, given as a URL or as a path; without slashes at its ends."""
    return unquote(urlsplit(address).path if "://" in address else address).strip("/")


def within(path: str, above: str) -> bool:
    """Whether `path` is `above` or below it."""
    path, above = path.lower(), above.lower()
    return not above or path == above or path.startswith(above + "/")


class Gatekeeper:
    """Checks tokens for one namespace."""

    def __init__(self, keys: Iterable[SharedAccessKey], authorize: Authorize) -> None:
        self._keys = {key.name: key for key in keys}
        self._authorize = authorize

    def take_keys(self, keys: Iterable[SharedAccessKey]) -> None:
        """Other policies from now on: what the old ones gave ends when it is looked at again."""
        self._keys = {key.name: key for key in keys}

    def key(self, name: str) -> SharedAccessKey:
        """A shared access policy by name. Raises KeyError."""
        return self._keys[name]

    def grant(self, token_type: str, token: str, audience: str) -> Grant:
        """What this token gives for this audience. Raises TokenRefused."""
        if token_type == SAS_TYPE:
            claims = self._check_signature(token, audience)
        elif token_type == JWT_TYPE:
            claims = self._check_jwt(token, audience)
        else:
            raise TokenRefused(f"InvalidTokenType: The token type '{token_type[:60]}' is not supported.", 400)
        return Grant(entity_path(audience), claims, token_type, token, audience)

    def password(self, name: str, password: str) -> Grant | None:
        """What a policy's name and key give by SASL PLAIN: everything it allows, everywhere; None where they are wrong."""
        policy = self._keys.get(name)
        if policy is None or not hmac.compare_digest(policy.key.encode(), password.encode()):
            return None
        return Grant("", policy.claims, "", "", "")

    def still_good(self, grant: Grant) -> bool:
        """Whether a grant would be given again: tokens expire, and rights are taken back."""
        if not grant.token_type:
            return True
        try:
            return bool(self.grant(grant.token_type, grant.token, grant.audience).claims >= grant.claims)
        except TokenRefused:
            return False

    def _check_jwt(self, token: str, audience: str) -> frozenset[str]:
        verdict = self._authorize(token, audience)
        if verdict is False:
            # Assumed: the text for a JWT that is not accepted.
            raise TokenRefused("InvalidToken: The token is not valid for this resource.")
        return ALL_CLAIMS if verdict is True else frozenset(verdict)

    def _check_signature(self, token: str, audience: str) -> frozenset[str]:
        scheme, _, rest = token.partition(" ")
        parts = dict(part.split("=", 1) for part in rest.split("&") if "=" in part)
        if (
            scheme != "SharedAccessSignature"
            or not {"sr", "sig", "se", "skn"} <= parts.keys()
            or not parts["se"].isascii()
            or not parts["se"].isdigit()
        ):
            raise TokenRefused("MalformedToken: The token is malformed.")
        policy = self._keys.get(unquote_plus(unquote_plus(parts["skn"])))
        if policy is None or not hmac.compare_digest(
            _sign(policy.key, parts["sr"], parts["se"]), unquote_plus(parts["sig"]).encode()
        ):
            raise TokenRefused("InvalidSignature: The token has an invalid signature.")
        if int(parts["se"]) <= real_time.time():
            raise TokenRefused("ExpiredToken: The token is expired.")
        if not within(entity_path(audience), entity_path(unquote_plus(parts["sr"]))):
            raise TokenRefused("InvalidAudience: The authorization header contains a token with the wrong audience.")
        return policy.claims


def _sign(key: str, resource: str, expiry: str) -> bytes:
    return base64.b64encode(hmac.new(key.encode(), f"{resource}\n{expiry}".encode(), hashlib.sha256).digest())
