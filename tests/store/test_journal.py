"""The journal's rows: whole or not at all, found by the beginning of an id, and never believed where they are damaged."""

from __future__ import annotations

import os
import socket
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lpmops import resources
from lpmops.errors import NotFoundError, StoreError
from lpmops.store import audit, codec, journal, lease
from lpmops.store.connection import APPLICATION_ID, Store, open_store
from lpmops.store.journal import OperationRow, StepRow

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "lpmops.db")


def _operation(
    identifier: str, environment: str = "prod", state: str = "running", at: int = 1, steps: int = 2
) -> OperationRow:
    return OperationRow(
        identifier,
        "asa.pause",
        environment,
        "f",
        "{}",
        "{}",
        f"approval of {identifier}",
        "lpmops",
        "ops",
        "",
        "",
        steps,
        state,
        at,
    )


def _create(store: Store, operation: OperationRow) -> None:
    journal.create(store, operation, [StepRow(operation.id, seq, f"step {seq}") for seq in range(operation.steps)])


def test_an_operation_comes_back_as_it_was_written_newest_first(store: Store) -> None:
    for number, (environment, state) in enumerate([("prod", "running"), ("dev", "in_doubt"), ("prod", "succeeded")]):
        _create(store, _operation(f"op-{number}", environment, state, number))
    assert [row.id for row, _ in journal.operations(store)] == ["op-2", "op-1", "op-0"]
    assert [row.id for row, _ in journal.operations(store, "prod")] == ["op-2", "op-0"]
    assert [row.id for row, _ in journal.operations(store, unfinished=True)] == ["op-1", "op-0"]
    assert [row.id for row, _ in journal.operations(store, limit=1)] == ["op-2"]
    operation, steps = journal.read(store, "op-1")
    assert operation == _operation("op-1", "dev", "in_doubt", 1)
    assert steps == (StepRow("op-1", 0, "step 0"), StepRow("op-1", 1, "step 1"))


def test_an_id_that_several_begin_with_is_not_guessed(store: Store) -> None:
    for identifier in ("op-1", "op-10"):
        _create(store, _operation(identifier))
    assert journal.read(store, "op-1")[0].id == "op-1"
    assert journal.read(store, "op-10")[0].id == "op-10"
    with pytest.raises(NotFoundError, match="Several operations begin with 'op'"):
        journal.read(store, "op")


def test_an_operation_is_written_with_all_its_steps_or_not_at_all(store: Store) -> None:
    operation = _operation("op-1")
    with pytest.raises(StoreError):
        journal.create(store, operation, [StepRow("op-1", 0, "step 0"), StepRow("op-1", 0, "the same again")])
    assert journal.operations(store) == []


def test_an_approval_is_spent_once(store: Store) -> None:
    _create(store, _operation("op-1"))
    with pytest.raises(StoreError):
        _create(store, replace(_operation("op-2"), approval_id="approval of op-1"))


def test_a_step_that_is_missing_is_noticed(store: Store) -> None:
    _create(store, _operation("op-1"))
    store.connection().execute("DELETE FROM step WHERE seq = 1")
    with pytest.raises(StoreError, match="steps of operation op-1 are missing"):
        journal.read(store, "op-1")


def test_a_row_that_is_gone_is_not_made_anew(store: Store) -> None:
    with pytest.raises(StoreError, match="is missing"):
        journal.save_operation(store, _operation("op-1"))


def _append_and_fail(store: Store) -> None:
    with store.writing():
        audit.append(store, NOW, "prod", "ops", "operation.begun", {"n": 1})
        raise RuntimeError


def test_the_audit_joins_the_transaction_that_is_open(store: Store) -> None:
    with pytest.raises(RuntimeError):
        _append_and_fail(store)
    assert audit.head(store) is None
    for number in range(3):
        audit.append(
            store, NOW, ("prod", "dev")[number % 2], "ops", "operation.begun", {"n": number, "why": "Größe 電話"}
        )
    entries = audit.entries(store)
    assert [entry.seq for entry in entries] == [1, 2, 3]
    assert entries[1].prev == entries[0].hash
    assert [entry.body["n"] for entry in audit.entries(store, "prod")] == [0, 2]
    assert [entry.seq for entry in audit.entries(store, limit=2)] == [2, 3]
    head = audit.head(store)
    assert head is not None
    assert (head.chain, head.sequence, head.hash) == (entries[0].hash, 3, entries[2].hash)


def test_a_lease_of_the_first_version_is_still_one(tmp_path: Path) -> None:
    path = tmp_path / "lpmops.db"
    raw = sqlite3.connect(path)
    raw.executescript(resources.migrations()[0].read_text(encoding="utf-8"))
    raw.execute(f"PRAGMA application_id={APPLICATION_ID}")
    raw.execute("PRAGMA user_version=1")
    at = codec.milliseconds(NOW)
    raw.execute("INSERT INTO poller VALUES ('prod', 'me', ?, ?, ?, 20000)", (socket.gethostname(), os.getpid(), at))
    raw.commit()
    raw.close()
    store = open_store(path)
    assert lease.process(store, "prod", NOW) == (socket.gethostname(), os.getpid())
    assert not lease.take(store, "prod", "another", NOW)
    assert lease.take(store, "operation op-1", "another", NOW)
    assert lease.process(store, "operation op-2", NOW) is None
