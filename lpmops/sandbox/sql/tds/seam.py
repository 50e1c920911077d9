"""What the wire needs of a SQL engine: a server that opens sessions, and sessions that run text.

Values cross this seam in their stored forms (conversion.py), results as calls on a Sink (results.py), failures as SqlError. A session is used by one
thread at a time; `cancel` may come from any other and may come too early or too late without harm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lpmops.sandbox.sql.conversion import Stored
from lpmops.sandbox.sql.results import Parameter, Sink
from lpmops.sandbox.sql.tds.login import Login


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a batch or procedure ended: its return status and the values of its variables, by casefolded name with @."""

    status: int = 0
    values: Mapping[str, Stored] = field(default_factory=dict)


class Session(Protocol):
    """One signed-in client in one database."""

    @property
    def number(self) -> int:
        """@@SPID."""

    @property
    def database(self) -> str:
        """DB_NAME()."""

    @property
    def transaction_count(self) -> int:
        """@@TRANCOUNT."""

    def ready(self) -> None:
        """A new request begins: cancellations before it count no more."""

    def execute(self, text: str, parameters: Sequence[Parameter], sink: Sink) -> Outcome:
        """Run a batch. Its errors go to the sink."""

    def call(self, procedure: str, parameters: Sequence[Parameter], sink: Sink) -> Outcome:
        """Run a stored procedure. Raises SqlError 2812 where there is none of that name."""

    def begin(self, isolation: str) -> None:
        """BEGIN TRANSACTION; the isolation level is as SET names it, "" for the current one."""

    def commit(self) -> None:
        """COMMIT. Raises SqlError."""

    def rollback(self) -> None:
        """ROLLBACK. Raises SqlError."""

    def reset(self, *, keep_transaction: bool) -> None:
        """As if just signed in."""

    def cancel(self) -> None:
        """Stop what runs, from any thread."""

    def close(self) -> None:
        """End the session; an open transaction is lost."""


class Server(Protocol):
    """A logical server with its databases."""

    @property
    def name(self) -> str:
        """@@SERVERNAME."""

    def open_session(self, principal: Any, login: Login) -> Session:
        """A session in `login.database` ("" is master). Raises SqlError 4060, 18456, 40613, 40615, 10928 and others."""


SignIn = Callable[[Login], Any]
"""The principal behind a password or an access token. Raises SqlError 18456 or 40615."""
