"""SQL Server's errors, by number.

What is refused, denied or broken anywhere in this package leaves it as a SqlError with the number, class (severity) and text that SQL Server
gives, because clients decide by the number. Texts follow sys.messages as published in Microsoft's "Database Engine events and errors" and
"Troubleshoot common connectivity issues" pages. Severity 20 and above ends the connection. Nothing here knows of sessions or sockets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(slots=True)
class SqlError(Exception):
    """One error as a client sees it: native number, text, severity class 11-25, state and the line of the batch (0: not known)."""

    number: int
    message: str
    severity: int = 16
    state: int = 1
    line: int = 0

    def __str__(self) -> str:
        return f"{self.number}: {self.message}"

    @property
    def fatal(self) -> bool:
        """Whether SQL Server closes the connection after it."""
        return self.severity >= 20

    def at_line(self, line: int) -> SqlError:
        """The same error with a line number, unless it has one."""
        return self if self.line else replace(self, line=line)


# Errors that end one statement and let the batch go on; every other error ends the batch (outside TRY).
# Source: Microsoft's error handling background by severity and SET XACT_ABORT page; numbers not listed there are assumed to end the batch.
STATEMENT_ENDING = frozenset(
    {
        220,
        229,
        230,
        262,
        297,
        515,
        517,
        544,
        547,
        2601,
        2627,
        2628,
        8115,
        8134,
        2714,
        1913,
        3701,
        3728,
        4902,
        15151,
        15023,
        50000,
    }
)


def syntax(near: str, line: int = 0) -> SqlError:
    """102: the text stops being T-SQL at `near`."""
    return SqlError(102, f"Incorrect syntax near '{near}'.", 15, 1, line)


def keyword(near: str, line: int = 0) -> SqlError:
    """156: a reserved word stands where none may."""
    return SqlError(156, f"Incorrect syntax near the keyword '{near}'.", 15, 1, line)


def unsupported_statement(name: str, line: int = 0) -> SqlError:
    """40510: a statement that this server does not have."""
    return SqlError(40510, f"Statement '{name}' is not supported in this version of SQL Server.", 15, 1, line)


def unsupported_feature(name: str, line: int = 0) -> SqlError:
    """40514: a feature, function or type that this server does not have."""
    return SqlError(40514, f"'{name}' is not supported in this version of SQL Server.", 16, 1, line)


def unsupported_option(name: str, line: int = 0) -> SqlError:
    """40517: a keyword or statement option that this server does not have."""
    return SqlError(
        40517, f"Keyword or statement option '{name}' is not supported in this version of SQL Server.", 16, 1, line
    )


def invalid_object(name: str) -> SqlError:
    """208: no such table or view."""
    return SqlError(208, f"Invalid object name '{name}'.")


def invalid_column(name: str) -> SqlError:
    """207: no such column."""
    return SqlError(207, f"Invalid column name '{name}'.")


def undeclared_variable(name: str) -> SqlError:
    """137: a variable nobody declared."""
    return SqlError(137, f'Must declare the scalar variable "{name}".', 15, 2)


def null_not_allowed(column: str, table: str, verb: str) -> SqlError:
    """515: NULL into a NOT NULL column; `verb` is INSERT or UPDATE, `table` has three parts."""
    text = f"Cannot insert the value NULL into column '{column}', table '{table}'; column does not allow nulls. {verb} fails."
    return SqlError(515, text, 16, 2)


def truncated(table: str, column: str, value: str) -> SqlError:
    """2628: text or bytes longer than the column; the message shows at most 100 characters of it."""
    text = f"String or binary data would be truncated in table '{table}', column '{column}'. Truncated value: '{value[:100]}'."
    return SqlError(2628, text)


def conversion_failed(shown: str, source: str, target: str) -> SqlError:
    """245: a character value that does not read as the target type."""
    return SqlError(245, f"Conversion failed when converting the {source} value '{shown}' to data type {target}.")


def converting_type(source: str, target: str) -> SqlError:
    """8114: the same where SQL Server does not show the value (decimal, float, bigint)."""
    return SqlError(8114, f"Error converting data type {source} to {target}.", 16, 5)


def datetime_conversion() -> SqlError:
    """241: a character value that does not read as a date or time."""
    return SqlError(241, "Conversion failed when converting date and/or time from character string.")


def overflow(target: str) -> SqlError:
    """8115: a result that does not fit its type."""
    return SqlError(8115, f"Arithmetic overflow error converting expression to data type {target}.", 16, 2)


def divide_by_zero() -> SqlError:
    """8134."""
    return SqlError(8134, "Divide by zero error encountered.")


def operand_clash(source: str, target: str) -> SqlError:
    """206: two types between which no conversion exists."""
    return SqlError(206, f"Operand type clash: {source} is incompatible with {target}", 16, 2)


def implicit_conversion(source: str, target: str) -> SqlError:
    """257: a conversion that exists, but only when asked for."""
    text = f"Implicit conversion from data type {source} to {target} is not allowed. Use the CONVERT function to run this query."
    return SqlError(257, text, 16, 3)


def permission_denied(permission: str, name: str, database: str, schema: str) -> SqlError:
    """229: denied on an object."""
    text = f"The {permission} permission was denied on the object '{name}', database '{database}', schema '{schema}'."
    return SqlError(229, text, 14, 5)


def database_permission_denied(permission: str, database: str) -> SqlError:
    """262: denied in the database."""
    return SqlError(262, f"{permission} permission denied in database '{database}'.", 14, 1)


def not_allowed() -> SqlError:
    """15247: a security statement without the right to it."""
    return SqlError(15247, "User does not have permission to perform this action.", 16, 1)


def cannot_find(kind: str, name: str) -> SqlError:
    """15151: a securable or principal that is absent, or hidden from the caller."""
    text = f"Cannot find the {kind} '{name}', because it does not exist or you do not have permission."
    return SqlError(15151, text)


def already_exists(name: str) -> SqlError:
    """2714: an object of that name."""
    return SqlError(2714, f"There is already an object named '{name}' in the database.", 16, 6)


def cannot_drop(kind: str, name: str) -> SqlError:
    """3701: dropping what is not there."""
    return SqlError(
        3701, f"Cannot drop the {kind} '{name}', because it does not exist or you do not have permission.", 11, 5
    )


def lock_timeout() -> SqlError:
    """1222: LOCK_TIMEOUT passed while another session held the lock."""
    return SqlError(1222, "Lock request time out period exceeded.", 16, 45)


def login_failed(user: str) -> SqlError:
    """18456: sign-in refused; like the real one it never says why."""
    return SqlError(18456, f"Login failed for user '{user}'.", 14, 1)


def cannot_open_database(name: str) -> SqlError:
    """4060: the database of the login does not exist, or does not know the login."""
    return SqlError(4060, f'Cannot open database "{name}" requested by the login. The login failed.', 11, 1)


def database_unavailable(database: str, server: str, tracing_id: str) -> SqlError:
    """40613: the database is being moved, is failing over, or is resuming."""
    text = (
        f"Database '{database}' on server '{server}' is not currently available.  Please retry the connection later.  "
        f"If the problem persists, contact customer support, and provide them the session tracing ID of '{tracing_id}'."
    )
    return SqlError(40613, text, 17, 1)


def worker_limit(limit: int) -> SqlError:
    """10928: too many concurrent requests in the database."""
    text = (
        f"Resource ID : 1. The request limit for the database is {limit} and has been reached. "
        "See 'https://docs.microsoft.com/azure/azure-sql/database/resource-limits-logical-server' for assistance."
    )
    return SqlError(10928, text, 20, 1)


def service_busy(incident: str) -> SqlError:
    """40501: the engine is throttling; the text names the wait of ten seconds."""
    text = f"The service is currently busy. Retry the request after 10 seconds. Incident ID: {incident}. Code: 0."
    return SqlError(40501, text, 20, 1)


def firewall_refused(server: str, address: str) -> SqlError:
    """40615: no firewall rule lets the caller in."""
    text = (
        f"Cannot open server '{server}' requested by the login. Client with IP address '{address}' is not allowed to access the server.  "
        "To enable access, use the Azure Management Portal or run sp_set_firewall_rule on the master database to create a firewall rule "
        "for this IP address or address range.  It may take up to five minutes for this change to take effect."
    )
    return SqlError(40615, text, 14, 1)


def size_quota() -> SqlError:
    """40544: the database is full."""
    text = (
        "The database has reached its size quota. Partition or delete data, drop indexes, or consult the documentation "
        "for possible resolutions."
    )
    return SqlError(40544, text, 17, 2)


def cancelled() -> SqlError:
    """3617: the client asked the server to stop (TDS attention)."""
    return SqlError(3617, "Operation cancelled by user.", 11, 1)
