"""What a number of SQL Server means for an operator: transient, throttled, forbidden, refused, or no way there.

Numbers from learn.microsoft.com (azure-sql/database/troubleshoot-common-connectivity-issues; SQL Server's sys.messages). ODBC writes the number into
its text, python-tds hands it over; `explain` reads either. A message keeps the server's words, without secrets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from lpmops.errors import (
    BadAnswerError,
    DatabaseUnavailableError,
    DeadlineError,
    ForbiddenError,
    ServiceError,
    SignInError,
    StatementError,
    ThrottledError,
    UnreachableError,
    UntrustedError,
)
from lpmops.services import failures
from lpmops.services.redact import clean

_SERVICE = "azuresql"
_UNAVAILABLE = {
    4060: "does not open the database",
    40197: "is moving the database",
    40613: "has no place for the database just now",
    615: "has lost sight of the database",
    926: "is recovering the database",
    4221: "waits for a replica",
    1205: "ended the statement to break a deadlock",
}
_BUSY = {40501: 10.0, 10928: 10.0, 10929: 10.0, 49918: 30.0, 49919: 30.0, 49920: 30.0}
_CUT = {233, 10053, 10054, 10060, 64, 20, 121}
_FORBIDDEN = {229, 230, 262, 297, 300, 371, 916}
_NATIVE = re.compile(r"\(([0-9]{1,6})\) \(SQL[A-Za-z]+\)")
# What ODBC writes around the server's words: state, vendor, driver, number and function.
_DECORATION = re.compile(
    r"^[0-9A-Z]{5} |\[[0-9A-Z]{5}\] ?|\[Microsoft\]|\[ODBC Driver [0-9]+ for SQL Server\]|\[SQL Server\]"
    r"|\(-?[0-9]+\) \(SQL[A-Za-z]+\)"
)
_NO_DATABASE = re.compile(r"Cannot open database .* requested by the login")
_STATE = re.compile(r"\[?([0-9A-Z]{5})\]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the call went, for the words of its error. `where` is host and port; `uses_token` tells Entra from a password."""

    where: str
    database: str
    uses_token: bool
    sign_in: str

    def __str__(self) -> str:
        return f"{self.database} at {self.where}"


def explain(error: Exception, place: Place) -> ServiceError:
    """The error behind an exception of pyodbc or python-tds."""
    raw = " ".join(str(part) for part in error.args if part is not None) or type(error).__name__
    text = clean(_DECORATION.sub("", raw))
    number = native_number(error)
    if number in _KNOWN:
        return of_number(number, text, place)
    # The ODBC driver numbers its own troubles too (26: the handshake failed), so its SQLSTATE goes before a number that is not known.
    if trouble := _by_state(raw, text, place):
        return trouble
    if number:
        return of_number(number, text, place)
    names = {type(cause).__name__ for cause in failures.causes(error)}
    if names & {"TimeoutError", "timeout"}:
        return DeadlineError(f"{place} did not answer in time.", service=_SERVICE, hint="Try again.")
    if "certificate" in text.lower() or names & {"SSLError", "SSLCertVerificationError"}:
        return _untrusted(text, place)
    if names & {
        "ClosedConnectionError",
        "ConnectionResetError",
        "BrokenPipeError",
        "ConnectionError",
        "OSError",
        "EOFError",
    }:
        return _cut(text, place)
    return BadAnswerError(
        f"The answer of {place} can't be read ({type(error).__name__}: {text}).",
        service=_SERVICE,
        hint="Another service may listen there.",
    )


def native_number(error: Exception) -> int:
    """SQL Server's own number; 0 where the error is not the server's."""
    number = getattr(error, "number", 0)
    text = " ".join(str(part) for part in error.args)
    if isinstance(number, int) and number:
        # The server says both, and python-tds keeps the number of the last.
        return 4060 if number == 18456 and _NO_DATABASE.search(text) else number
    found = [int(match) for match in _NATIVE.findall(text)]
    return next((candidate for candidate in found if candidate), 0)


def of_number(number: int, text: str, place: Place) -> ServiceError:
    """The error that SQL Server's `number` stands for."""
    for numbers, build in _TABLE:
        if number in numbers:
            return build(number, text, place)
    return StatementError(
        f"{place} refuses the statement ({number}): {text}",
        service=_SERVICE,
        status=number,
        hint=_STATEMENT_HINTS.get(number, "Look at the number in SQL Server's documentation."),
    )


_STATEMENT_HINTS = {
    207: "A column is missing: compare the table with what lpmops renders.",
    208: "A table or view is missing, or the identity may not see it: lpmops doctor",
}


def _unavailable(number: int, text: str, place: Place) -> ServiceError:
    paused = " A serverless database that was paused takes about a minute to resume." if number == 40613 else ""
    wrong = " If it stays so: the name is wrong, or the identity has no user in it." if number == 4060 else ""
    return DatabaseUnavailableError(
        f"Azure SQL {_UNAVAILABLE[number]} ({number}, {place}): {text}",
        service=_SERVICE,
        status=number,
        hint=f"Try again in a few seconds.{paused}{wrong}",
        retry_after=5.0,
    )


def _busy(number: int, text: str, place: Place) -> ServiceError:
    seconds = _BUSY[number]
    return ThrottledError(
        f"Azure SQL asks to slow down ({number}, {place}): {text}",
        service=_SERVICE,
        status=number,
        hint=f"Try again in {seconds:.0f} s; if it stays so, give the database more.",
        retry_after=seconds,
    )


def _cut(text: str, place: Place, number: int | None = None) -> ServiceError:
    return UnreachableError(
        f"The connection to {place} was cut: {text}",
        service=_SERVICE,
        status=number,
        hint="Try again; most reconfigurations end within a minute.",
    )


def _firewall(number: int, text: str, place: Place) -> ServiceError:
    server = place.where.partition(".")[0]
    address = re.search(r"IP address '([0-9.]{7,15})'", text)
    ip = address.group(1) if address else "IP"
    return UnreachableError(
        f"The firewall of {place.where} does not let this machine in ({number}): {text}",
        service=_SERVICE,
        status=number,
        hint=f"az sql server firewall-rule create -s {server} -g GROUP -n lpmops --start-ip-address {ip} --end-ip-address {ip}",
    )


def _login(number: int, text: str, place: Place) -> ServiceError:
    if place.uses_token and "expired" not in text.lower():
        return ForbiddenError(
            f"{place} knows no user for this identity ({number}): {text}",
            service=_SERVICE,
            status=number,
            hint=f"As an Entra administrator, in {place.database}: CREATE USER [NAME] FROM EXTERNAL PROVIDER",
        )
    return SignInError(
        f"{place} does not accept the sign-in ({number}): {text}",
        service=_SERVICE,
        status=number,
        hint=f"Sign in again: {place.sign_in}"
        if place.uses_token
        else "Check sql.user and what sql.password refers to in lpmops.toml.",
    )


def _forbidden(number: int, text: str, place: Place) -> ServiceError:
    return ForbiddenError(
        f"{place} refuses this identity ({number}): {text}",
        service=_SERVICE,
        status=number,
        hint="GRANT what the message names; who lacks what: lpmops access show",
    )


def _untrusted(text: str, place: Place) -> ServiceError:
    return UntrustedError(
        f"{place} can't prove who it is: {text}",
        service=_SERVICE,
        hint="Check sql.server; for a server with its own certificate on this machine set sql.trust_server_certificate = true.",
    )


def _by_state(raw: str, text: str, place: Place) -> ServiceError | None:
    """What ODBC's own SQLSTATE says where the server gave no number."""
    lower = text.lower()
    if "certificate" in lower or "ssl provider" in lower:
        return _untrusted(text, place)
    found = _STATE.search(raw)
    state = found.group(1) if found else ""
    if state in {"HYT00", "HYT01", "HY008"}:
        if "login" in lower:
            return UnreachableError(
                f"{place} does not answer a login.",
                service=_SERVICE,
                hint="Check firewall, VPN and private endpoints on the way there.",
            )
        return DeadlineError(f"{place} did not answer in time.", service=_SERVICE, hint="Try again.")
    if state in {"08001", "08S01", "08003", "08004", "08007"}:
        return _cut(text, place)
    return None


_TABLE: tuple[tuple[frozenset[int], Callable[[int, str, Place], ServiceError]], ...] = (
    (frozenset(_UNAVAILABLE), _unavailable),
    (frozenset(_BUSY), _busy),
    (frozenset(_CUT), lambda number, text, place: _cut(text, place, number)),
    (frozenset({40615, 40914}), _firewall),
    (frozenset({18456, 18452, 18486, 18487, 18488}), _login),
    (frozenset(_FORBIDDEN), _forbidden),
)


_KNOWN = frozenset(number for numbers, _ in _TABLE for number in numbers)


def explainer(place: Place) -> Callable[[Exception], ServiceError]:
    """`explain` for one place."""
    return partial(explain, place=place)
