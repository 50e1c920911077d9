"""What a statement fails with: the API's error code and a message that carries Databricks' error class.

A failed statement is HTTP 200 with state FAILED; `SqlError` is what becomes of it there. Texts and SQLSTATEs: apache/spark `error-conditions.json`,
but for UNSUPPORTED_IN_SANDBOX, which is the sandbox's own word for what it does not do.
"""

from __future__ import annotations

import re

_STATE = re.compile(r"SQLSTATE: ([0-9A-Z]{5})")


class SqlError(Exception):
    """A statement's failure: `code` is a ServiceErrorCode, `message` what the user reads."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def sqlstate(self) -> str | None:
        """The SQLSTATE that the message names."""
        found = _STATE.search(self.message)
        return found.group(1) if found else None


def syntax_error(near: str) -> SqlError:
    """Not SQL."""
    return SqlError("BAD_REQUEST", f"[PARSE_SYNTAX_ERROR] Syntax error at or near {near}. SQLSTATE: 42601")


def table_not_found(name: str) -> SqlError:
    """No table of that name."""
    quoted = ".".join(f"`{part}`" for part in name.split("."))
    return SqlError(
        "BAD_REQUEST",
        f"[TABLE_OR_VIEW_NOT_FOUND] The table or view {quoted} cannot be found. Verify the spelling and correctness of the schema and catalog.\n"
        "If you did not qualify the name with a schema, verify the current_schema() output, or qualify the name with the correct schema "
        "and catalog.\n"
        "To tolerate the error on drop use DROP VIEW IF EXISTS or DROP TABLE IF EXISTS. SQLSTATE: 42P01",
    )


def column_not_found(message: str) -> SqlError:
    """No column of that name; `message` is what the engine said."""
    return SqlError(
        "BAD_REQUEST",
        f"[UNRESOLVED_COLUMN.WITHOUT_SUGGESTION] A column, variable, or function parameter cannot be resolved. {message} SQLSTATE: 42703",
    )


def unbound(name: str) -> SqlError:
    """A parameter marker without a value."""
    return SqlError(
        "BAD_REQUEST",
        f"[UNBOUND_SQL_PARAMETER] Found the unbound parameter: {name}. Please, fix `args` and provide a mapping of the parameter to either a SQL "
        "literal or collection constructor functions such as `map()`, `array()`, `struct()`. SQLSTATE: 42P02",
    )


def bad_parameter(name: str, value: str, kind: str) -> SqlError:
    """A parameter's value is not of its type."""
    return SqlError(
        "BAD_REQUEST",
        f"[CAST_INVALID_INPUT] The value '{value}' of the parameter `{name}` cannot be cast to \"{kind}\" because it is malformed. SQLSTATE: 22018",
    )


def unsupported(what: str) -> SqlError:
    """Something that a warehouse does and the sandbox does not."""
    return SqlError(
        "BAD_REQUEST", f"[UNSUPPORTED_IN_SANDBOX] The sandbox's warehouse does not do this: {what}. SQLSTATE: 0A000"
    )


def execution_failed(message: str) -> SqlError:
    """The engine failed while it ran."""
    return SqlError("BAD_REQUEST", f"[DIVIDE_OR_EVALUATION_ERROR] {message} SQLSTATE: 22000")  # assumed: the class
