"""Every way lpmops can fail, as types that carry their own sentence.

An error says what happened (`message`), what to do next (`hint`, with the command where there is one) and how a script should read it (`code`,
`exit_code`, `retryable`, `in_doubt`). It is raised where the fact is known and shown by the face; nothing in between rewords it. No message holds a
secret, a token or a caller's data.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """The exit codes that scripts lean on; they never change their meaning."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    SIGN_IN = 4
    LOCKED = 5
    REFUSED = 6
    DECLINED = 7
    TIMED_OUT = 8
    IN_DOUBT = 9
    CHANGES = 10
    UNHEALTHY = 11
    INTERNAL = 70
    INTERRUPTED = 130
    TERMINATED = 143


class LpmopsError(Exception):
    """The root: a failure a person can act on. `code` is a stable dotted id for scripts."""

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[ExitCode] = ExitCode.FAILED
    retryable: ClassVar[bool] = False
    in_doubt: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "", operation: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.operation = operation

    def __str__(self) -> str:
        return self.message


class UsageError(LpmopsError):
    """The command line asked for something that does not exist or does not fit together."""

    code = "usage"
    exit_code = ExitCode.USAGE


class ConfigError(LpmopsError):
    """The configuration is missing or wrong; the message names file, line and key."""

    code = "config"
    exit_code = ExitCode.USAGE


class NotFoundError(LpmopsError):
    """The named thing does not exist."""

    code = "not_found"
    exit_code = ExitCode.NOT_FOUND


class DeclinedError(LpmopsError):
    """A person said no, or nobody could be asked."""

    code = "declined"
    exit_code = ExitCode.DECLINED


class TimedOutError(LpmopsError):
    """A wait ended before what it waited for; whatever was under way goes on."""

    code = "timed_out"
    exit_code = ExitCode.TIMED_OUT
    retryable = True


class RefusedError(LpmopsError):
    """A rule of lpmops or the present state of things forbids it; nothing was changed."""

    code = "refused"
    exit_code = ExitCode.REFUSED


class StalePlanError(RefusedError):
    """The plan no longer fits: the world moved, or the file is too old, edited, of another version or environment."""

    code = "plan.stale"


class LockedError(LpmopsError):
    """Another operator, or another process of this one, is changing the environment."""

    code = "locked"
    exit_code = ExitCode.LOCKED
    retryable = True


class FrozenError(LpmopsError):
    """Somebody froze the environment: no operation may begin or go on."""

    code = "frozen"
    exit_code = ExitCode.LOCKED


class LockLostError(LockedError):
    """The lock went to somebody else while an operation ran; it stopped before its next act."""

    code = "lock.lost"
    retryable = False


class InDoubtError(LpmopsError):
    """A write went out, its answer was lost, and looking could not tell whether it took effect."""

    code = "in_doubt"
    exit_code = ExitCode.IN_DOUBT
    in_doubt = True


class PartlyAppliedError(LpmopsError):
    """An operation ended after some of its steps were done; it can be resumed or aborted."""

    code = "partly_applied"
    exit_code = ExitCode.IN_DOUBT


class RolledBackError(LpmopsError):
    """What was changed did not work and was brought back: all is as it was before, and nothing is half done."""

    code = "rolled_back"


class InterruptError(LpmopsError):
    """A person or the system ended the command; what was under way can be resumed."""

    code = "interrupted"
    exit_code = ExitCode.INTERRUPTED


class InternalError(LpmopsError):
    """A fault of lpmops itself."""

    code = "internal"
    exit_code = ExitCode.INTERNAL


class StoreError(LpmopsError):
    """The local store can't be read or written."""

    code = "store"


class ServiceError(LpmopsError):
    """A cloud service refused, failed or could not be reached.

    `service` is the room's name (databricks, eventhub, streamanalytics, monitor, azuresql, identity), `status` the HTTP status or SQL error number,
    `request_id` what its support asks for. `settled` says whether it is certain that the call changed nothing: false where it may have taken effect.
    """

    code = "service.failed"
    settled: bool = True

    def __init__(
        self,
        message: str,
        *,
        service: str,
        hint: str = "",
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        operation: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, operation=operation)
        self.service = service
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after


class SignInError(ServiceError):
    """No identity, or one that has expired: sign in again."""

    code = "auth.expired"
    exit_code = ExitCode.SIGN_IN


class ForbiddenError(ServiceError):
    """Signed in, but the identity lacks the right that the call needs."""

    code = "auth.forbidden"


class ServiceNotFoundError(ServiceError):
    """The service does not know the resource."""

    code = "service.not_found"
    exit_code = ExitCode.NOT_FOUND


class ConflictError(ServiceError):
    """409: the resource is not in a state that allows the call."""

    code = "service.conflict"
    exit_code = ExitCode.REFUSED


class PreconditionError(ServiceError):
    """412: somebody changed the resource since it was read."""

    code = "service.precondition"
    exit_code = ExitCode.REFUSED


class IncompleteError(ServiceError):
    """422: the resource lacks a part that the call needs."""

    code = "service.incomplete"
    exit_code = ExitCode.REFUSED


class ReadersError(ServiceError):
    """The consumer group takes no further reader: five read a partition already, or one reads it alone."""

    code = "hub.readers"
    exit_code = ExitCode.REFUSED
    retryable = True


class ThrottledError(ServiceError):
    """429 or a server that is busy: `retry_after` seconds, where it said so."""

    code = "service.throttled"
    retryable = True


class UnreachableError(ServiceError):
    """No connection: name, route, firewall or a closed port."""

    code = "service.unreachable"
    settled = False
    retryable = True


class UntrustedError(UnreachableError):
    """The server's certificate does not prove who it is; trying again changes nothing."""

    code = "service.untrusted"
    settled = True
    retryable = False


class ServiceFaultError(ServiceError):
    """5xx: the service itself fails."""

    code = "service.fault"
    settled = False
    retryable = True


class DeadlineError(ServiceError):
    """The service accepted the call and did not answer within the deadline."""

    code = "service.deadline"
    settled = False
    retryable = True


class BadAnswerError(ServiceError):
    """The answer is not what this service says: HTML, half a body, another shape."""

    code = "service.bad_answer"
    settled = False
    retryable = True


class DatabaseUnavailableError(ServiceError):
    """Azure SQL names a transient state (40613, 40197, ...): failover, resume or move."""

    code = "sql.unavailable"
    settled = False
    retryable = True


class DatabasePausedError(DatabaseUnavailableError):
    """A serverless database is paused; connecting would wake it and cost money."""

    code = "sql.paused"


class StatementError(ServiceError):
    """The database or warehouse ran the statement and refused it; `status` is its number, `error_class` Delta's name where there is one."""

    code = "sql.refused"

    def __init__(
        self,
        message: str,
        *,
        service: str,
        error_class: str | None = None,
        hint: str = "",
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, service=service, hint=hint, status=status, request_id=request_id)
        self.error_class = error_class


class UnreadableChangesError(StatementError):
    """Versions of the source table whose changes can't be read in one go: `why`, and in `remains` what is still possible.

    `divisible` where the range may be read in parts; otherwise its older versions are gone, or were never recorded.
    """

    code = "databricks.changes_unreadable"

    def __init__(self, versions: str, why: str, *, error_class: str, remains: str, divisible: bool) -> None:
        super().__init__(
            f"The changes of versions {versions} can't be read: {why} ({error_class}).",
            service="databricks",
            error_class=error_class,
            hint=remains,
        )
        self.why = why
        self.remains = remains
        self.divisible = divisible
