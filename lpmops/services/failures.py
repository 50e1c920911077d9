"""Turns what went wrong on the wire into the error a person can act on: by status, by the service's own words, by the exception below.

`from_answer` reads an answer of 400 and up in any of the shapes the services use; `from_exception` reads what the HTTP library raised. Each gives
message (what, why) and hint (the next command) and keeps status, request id and Retry-After.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from lpmops.errors import (
    BadAnswerError,
    ConflictError,
    DeadlineError,
    ForbiddenError,
    IncompleteError,
    PreconditionError,
    ServiceError,
    ServiceFaultError,
    ServiceNotFoundError,
    SignInError,
    ThrottledError,
    UnreachableError,
    UntrustedError,
)
from lpmops.services.answers import Answer
from lpmops.services.redact import clean

_TYPES: dict[int, type[ServiceError]] = {
    401: SignInError,
    403: ForbiddenError,
    404: ServiceNotFoundError,
    408: DeadlineError,
    409: ConflictError,
    412: PreconditionError,
    422: IncompleteError,
    429: ThrottledError,
}
_WORDS = {
    401: "does not accept the sign-in",
    403: "refuses this identity",
    404: "does not know it",
    408: "gave up waiting",
    409: "can't do that in the present state",
    412: "was changed by somebody else meanwhile",
    422: "lacks a part that the call needs",
    429: "asks to slow down",
}
# Bounded and without a character that a shell reads: it ends up in a command.
_CHALLENGE = re.compile(r'claims="([A-Za-z0-9+/_=-]{1,4000})"')
_NAMES = {
    "databricks": "Databricks",
    "eventhub": "Event Hubs",
    "streamanalytics": "Stream Analytics",
    "monitor": "Azure Monitor",
    "azuresql": "Azure SQL",
    "identity": "The sign-in service",
    "resourcemanager": "Resource Manager",
    "authorization": "Azure's access control",
    "keyvault": "Key Vault",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """What a service's hints need to know: the command that signs in again, and the rights its reads take."""

    sign_in: str = "az login"
    rights: str = ""
    tenant: str = ""


def name_of(service: str) -> str:
    """The service as a person calls it."""
    return _NAMES.get(service, service)


def from_answer(answer: Answer, advice: Advice) -> ServiceError:
    """The error that an answer of 400 and up stands for."""
    status = answer.status_code
    wait = retry_after(answer.headers)
    kind = _TYPES.get(status)
    if kind is None:
        # 503 with a time to come back is a server that is busy, without one it is a server that fails.
        kind = (
            ThrottledError
            if status == 503 and wait is not None
            else ServiceFaultError
            if status >= 500
            else ServiceError
        )
    words = _WORDS.get(status) or ("fails" if status >= 500 else "refuses the call")
    said = own_words(answer)
    message = f"{name_of(answer.service)} {words} ({status}, {answer.operation})" + (f": {said}" if said else ".")
    error = kind(
        message,
        service=answer.service,
        hint=_claims_hint(answer, advice) or _hint(kind, advice, wait, answer.request_id),
        status=status,
        request_id=answer.request_id,
        retry_after=wait,
    )
    # A gateway answers 503 and 504 for a service that may go on working; a refusal of 400 and up comes before any effect.
    error.settled = status < 500 and status != 408
    return error


def challenge_of(headers: Mapping[str, str]) -> str | None:
    """The claims that a 401 asks for, base64 as they stand in `WWW-Authenticate`; None where it asks for none."""
    found = _CHALLENGE.search(headers.get("www-authenticate", ""))
    return found.group(1) if found else None


def _claims_hint(answer: Answer, advice: Advice) -> str:
    challenge = challenge_of(answer.headers) if answer.status_code == 401 else None
    if challenge is None:
        return ""
    tenant = f" --tenant {advice.tenant}" if advice.tenant else ""
    return f'Sign in again, a policy asks for more: az login{tenant} --claims-challenge "{challenge}"'


def _hint(kind: type[ServiceError], advice: Advice, wait: float | None, request_id: str | None) -> str:
    if issubclass(kind, SignInError):
        return f"Sign in again: {advice.sign_in}"
    if issubclass(kind, ForbiddenError):
        return f"The identity needs: {advice.rights}." if advice.rights else "Ask for the right that the message names."
    if issubclass(kind, ThrottledError):
        return (
            f"Try again in {wait:.0f} s."
            if wait is not None
            else "Try again in a minute; fewer refreshes at once help."
        )
    if issubclass(kind, ServiceNotFoundError):
        return "Compare the name in lpmops.toml with the portal: lpmops config show"
    if issubclass(kind, PreconditionError | ConflictError):
        return "Look at it again, then repeat: lpmops status"
    if issubclass(kind, IncompleteError):
        return "Add the missing part, then repeat."
    if issubclass(kind, ServiceFaultError):
        return (
            "Try again; for its support, the request id is " + (clean(request_id) if request_id else "not known") + "."
        )
    return "Look at the message; the call itself was refused."


def own_words(answer: Answer) -> str:
    """What the service itself says about the failure, in one line without secrets; empty where it says nothing readable.

    Azure Resource Manager and Monitor wrap `{"error": {"code", "message"}}`, Stream Analytics does not wrap and gives `details` as an object,
    Databricks says `error_code`, token endpoints say `error` and `error_description`.
    """
    try:
        body = answer.json()
    except BadAnswerError:
        return "" if answer.looks_like_html() else clean(answer.body[:300].decode("utf-8", "replace"))
    if not isinstance(body, dict):
        return ""
    inner = body.get("error")
    source: Mapping[str, Any] = inner if isinstance(inner, dict) else body
    code = _text(source, "code", "error_code", "Code") or (inner if isinstance(inner, str) else "")
    message = _text(source, "message", "error_description", "Message")
    return clean(f"{code}: {message}" if code and message and code not in message else message or code)


def _text(source: Mapping[str, Any], *keys: str) -> str:
    return next((source[key] for key in keys if isinstance(source.get(key), str) and source[key]), "")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait, from `Retry-After` (seconds or a date) or its millisecond forms; None where it says nothing readable."""
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        if (milliseconds := _seconds(headers.get(name, ""))) is not None:
            return milliseconds / 1000
    said = headers.get("retry-after", "").strip()
    if (seconds := _seconds(said)) is not None:
        return seconds
    try:
        date = parsedate_to_datetime(said)
        aware = date.replace(tzinfo=UTC) if date.tzinfo is None else date
        return max(0.0, (aware - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _seconds(said: str) -> float | None:
    try:
        seconds = float(said)
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e7 else None


def from_exception(error: Exception, service: str, where: str) -> ServiceError:
    """The error behind what the HTTP library raised while talking to `where` (host and port)."""
    chain = list(causes(error))
    names = {type(cause).__name__ for cause in chain}
    who = name_of(service)
    if any(isinstance(cause, ssl.SSLError) for cause in chain) or "SSLError" in names:
        return _untrusted(chain, service, where)
    if any(isinstance(cause, socket.gaierror) for cause in chain) or "NameResolutionError" in names:
        return UnreachableError(
            f"{who} can't be reached: the name {where} does not resolve.",
            service=service,
            hint="Check the host in lpmops.toml and this machine's DNS, VPN and private endpoints.",
        )
    if "ProxyError" in names:
        return UnreachableError(
            f"{who} can't be reached: the proxy does not let {where} through.",
            service=service,
            hint="Check HTTPS_PROXY and NO_PROXY.",
        )
    if any(isinstance(cause, ConnectionRefusedError) for cause in chain):
        return UnreachableError(
            f"{who} can't be reached: nothing listens at {where}.",
            service=service,
            hint="Check host and port: lpmops config show --origin",
        )
    if names & {"ServiceRequestTimeoutError", "ConnectTimeout", "ConnectTimeoutError"}:
        return UnreachableError(
            f"{who} can't be reached: {where} does not answer a connection.",
            service=service,
            hint="Check firewall, VPN and private endpoints on the way there.",
        )
    if names & {"ServiceResponseTimeoutError", "ReadTimeout", "ReadTimeoutError"}:
        return DeadlineError(
            f"{who} at {where} did not answer in time.",
            service=service,
            hint="Try again; if it stays so, look at the service's health.",
        )
    return _broken(names, service, where)


def _broken(names: set[str], service: str, where: str) -> ServiceError:
    if names & {"IncompleteReadError", "IncompleteRead"}:
        return BadAnswerError(f"The answer of {where} ends before it is whole.", service=service, hint="Try again.")
    if names & {
        "BadStatusLine",
        "LineTooLong",
        "DecodeError",
        "ContentDecodingError",
        "InvalidHeader",
        "InvalidChunkLength",
        "HTTPException",
    }:
        return BadAnswerError(
            f"The answer of {where} is no readable HTTP.",
            service=service,
            hint="Another service may listen there: check host and port in lpmops.toml.",
        )
    if names & {
        "RemoteDisconnected",
        "ConnectionResetError",
        "ConnectionAbortedError",
        "BrokenPipeError",
        "ConnectionError",
        "ProtocolError",
    }:
        return UnreachableError(
            f"{name_of(service)} can't be reached: {where} closed the connection without an answer.",
            service=service,
            hint="Try again; if it stays so, a firewall or a restart of the service cuts the connection.",
        )
    return BadAnswerError(
        f"The answer of {where} can't be read ({', '.join(sorted(names))[:120]}).",
        service=service,
        hint="Try again; another service may listen there.",
    )


def _untrusted(chain: list[BaseException], service: str, where: str) -> UntrustedError:
    reasons = (getattr(cause, "verify_message", "") or getattr(cause, "reason", "") for cause in chain)
    reason = next((clean(said) for said in reasons if isinstance(said, str) and said), "the handshake failed")
    return UntrustedError(
        f"{name_of(service)} at {where} can't prove who it is: {reason}.",
        service=service,
        hint="Check the host; behind a company proxy that opens TLS, point REQUESTS_CA_BUNDLE at its certificate.",
    )


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it was made from, each once."""
    seen: set[int] = set()
    queue: list[object] = [error]
    while queue:
        current = queue.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        queue += [
            current.__cause__,
            current.__context__,
            getattr(current, "reason", None),
            getattr(current, "inner_exception", None),
            *current.args,
        ]
