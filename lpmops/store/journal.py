"""The journal of operations: what was asked for, each step's state, and nothing that needs this version of lpmops to be read.

An operation and its steps are written before the first act, and every change of a step is on disk before and after the
act it speaks of. Each row carries a checksum over all its columns and each operation the number of its steps, so a
damaged or missing row is an error that names the store and is never acted on. Values in, values out; no rule of the
engine is here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lpmops.errors import NotFoundError
from lpmops.store.connection import Store
from lpmops.store.failures import damaged

UNFINISHED = ("approved", "running", "verifying", "in_doubt", "interrupted")
# Steps whose act went out, or may have, and whose effect was not seen so far.
OUT_STEPS = ("begun", "accepted", "in_doubt")
OPEN_STEPS = ("planned", *OUT_STEPS)


@dataclass(frozen=True, slots=True)
class OperationRow:
    """One operation. `plan`, `approval` and `result` are JSON texts, times are the store's; `fence` is that of its newest lock."""

    id: str
    action: str
    environment: str
    fingerprint: str
    plan: str
    approval: str
    approval_id: str
    command: str
    who: str
    reason: str
    ticket: str
    steps: int
    state: str
    created_at: int
    fence: int | None = None
    ended_at: int | None = None
    error: str | None = None
    result: str | None = None


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step. `observed` is what was last seen of it, `receipt` the service's answer to its act as a JSON text."""

    operation: str
    seq: int
    name: str
    state: str = "planned"
    attempt: int = 0
    begun_at: int | None = None
    ended_at: int | None = None
    observed: str = ""
    receipt: str | None = None


def create(store: Store, operation: OperationRow, steps: Sequence[StepRow]) -> None:
    """Write a new operation with all its steps. Raises StoreError; an approval that was spent before is one too."""
    with store.writing():
        _insert(store, "operation", operation)
        for step in steps:
            _insert(store, "step", step)


def save_operation(store: Store, operation: OperationRow) -> None:
    """Replace an operation's row. Raises StoreError."""
    with store.writing():
        _update(store, "operation", operation, ("id",))


def save_step(store: Store, step: StepRow) -> None:
    """Replace a step's row. Raises StoreError."""
    with store.writing():
        _update(store, "step", step, ("operation", "seq"))


def read(store: Store, identifier: str) -> tuple[OperationRow, tuple[StepRow, ...]]:
    """An operation, by its id or the beginning of it that only it has, with its steps in order. Raises NotFoundError, StoreError."""
    with store.reading() as connection:
        found = connection.execute(
            # Not by an index: a damaged one would say of an operation that is there that it is not.
            f"SELECT {_columns(OperationRow)}, checksum FROM operation NOT INDEXED WHERE substr(id, 1, ?) = ? LIMIT 3",
            (len(identifier), identifier),
        ).fetchall()
        rows = [OperationRow(*_checked(store, "operation", row)) for row in found]
        exact = [row for row in rows if row.id == identifier]
        if len(exact or rows) != 1 or not identifier:
            several = f"Several operations begin with {identifier!r}" if rows and identifier else ""
            raise NotFoundError(
                f"{several or f'There is no operation {identifier!r} in {store.path}'}.",
                hint="See them: lpmops op list",
            )
        operation = (exact or rows)[0]
        return operation, _steps(store, connection, operation)


def operations(
    store: Store, environment: str | None = None, *, unfinished: bool = False, limit: int = 200
) -> list[tuple[OperationRow, tuple[StepRow, ...]]]:
    """The newest operations, newest first, with their steps. Raises StoreError."""
    with store.reading() as connection:
        found = connection.execute(
            f"SELECT {_columns(OperationRow)}, checksum FROM operation NOT INDEXED WHERE (? IS NULL OR environment = ?)"
            " ORDER BY created_at DESC, id DESC",
            (environment, environment),
        )
        chosen: list[tuple[OperationRow, tuple[StepRow, ...]]] = []
        for row in found:
            # Every row is checked before its state is believed: a flipped state must not hide an operation.
            operation = OperationRow(*_checked(store, "operation", row))
            if not unfinished or operation.state in UNFINISHED:
                chosen.append((operation, _steps(store, connection, operation)))
            if len(chosen) == limit:
                break
        return chosen


# Inside ------------------------------------------------------------------------------------------------------------------------------------------


def _columns(kind: type[OperationRow] | type[StepRow]) -> str:
    return ", ".join(field.name for field in dataclasses.fields(kind))


def _checksum(table: str, values: Sequence[Any]) -> str:
    # A flipped bit may turn a text into bytes, which no row has.
    return hashlib.sha256(json.dumps([table, *values], default=repr).encode("ascii")).hexdigest()[:32]


def _checked(store: Store, table: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
    *values, checksum = row
    if _checksum(table, values) != checksum:
        raise damaged(store.path, f"a row of its table {table} is not as it was written")
    return tuple(values)


def _steps(store: Store, connection: sqlite3.Connection, operation: OperationRow) -> tuple[StepRow, ...]:
    rows = connection.execute(
        f"SELECT {_columns(StepRow)}, checksum FROM step WHERE operation = ? ORDER BY seq", (operation.id,)
    ).fetchall()
    steps = tuple(StepRow(*_checked(store, "step", row)) for row in rows)
    if [step.seq for step in steps] != list(range(operation.steps)):
        raise damaged(store.path, f"steps of operation {operation.id} are missing")
    return steps


def _insert(store: Store, table: str, row: OperationRow | StepRow) -> None:
    names, values = _named(row)
    marks = ", ".join("?" * (len(values) + 1))
    store.connection().execute(
        f"INSERT INTO {table} ({', '.join(names)}, checksum) VALUES ({marks})", (*values, _checksum(table, values))
    )


def _update(store: Store, table: str, row: OperationRow | StepRow, keys: tuple[str, ...]) -> None:
    names, values = _named(row)
    settings = ", ".join(f"{name} = ?" for name in names)
    where = " AND ".join(f"{key} = ?" for key in keys)
    changed = store.connection().execute(
        f"UPDATE {table} SET {settings}, checksum = ? WHERE {where}",
        (*values, _checksum(table, values), *(getattr(row, key) for key in keys)),
    )
    if changed.rowcount != 1:
        raise damaged(store.path, f"a row of its table {table} is missing")


def _named(row: OperationRow | StepRow) -> tuple[list[str], list[Any]]:
    names = [field.name for field in dataclasses.fields(row)]
    return names, [getattr(row, name) for name in names]
