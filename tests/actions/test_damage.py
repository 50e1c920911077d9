"""A journal on a disk that is full or lies: nothing is done without an intent that is on disk, and no flipped bit is acted on."""

from __future__ import annotations

import itertools
import os
import random
import resource
import signal
import sqlite3
from pathlib import Path

import pytest

from lpmops.errors import LpmopsError, StoreError
from lpmops.store import audit
from lpmops.store.connection import open_store
from tests.actions import kills
from tests.actions.cases import CASES
from tests.actions.operator import operator

FLIPS = int(os.environ.get("LPMOPS_TEST_JOURNAL_FLIPS", "40"))
SIZES = int(os.environ.get("LPMOPS_TEST_DISK_SIZES", "4"))
PAGE = 4096


def _interrupted(folder: Path, name: str = "pause") -> Path:
    """Where an action had begun to change things and was killed before it had noted that."""
    for at in itertools.count(1):
        place = folder / f"killed at {at}"
        kills.prepare(CASES[name], place)
        assert kills.killed(kills.run, name, place, at), "no kill point leaves it half done"
        with operator(place) as worker:
            if worker.cloud.acts() and worker.unfinished():
                return place
    raise AssertionError("unreachable: the loop ends by returning or failing")


@pytest.mark.parametrize("name", CASES)
def test_no_flipped_bit_of_the_journal_is_acted_on(name: str, folder: Path) -> None:
    flips = FLIPS if name == "pause" else max(2, FLIPS // len(CASES))
    case, origin = CASES[name], _interrupted(folder, name)
    content, seed = (origin / "laptop" / "lpmops.db").read_bytes(), random.Random(7)
    # Most of a young store is empty pages, which say nothing.
    written = [place for place, byte in enumerate(content) if byte]
    noticed = finished = 0
    for trial in range(flips):
        bit, place = seed.choice(written) * 8 + seed.randrange(8), folder / str(trial)
        _copy(origin, place)
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        (place / "laptop" / "lpmops.db").write_bytes(damaged)
        try:
            with operator(place) as worker:
                left = worker.unfinished()
                assert left, f"bit {bit} hides what is unfinished"
                worker.desk.resume(left[0])
            finished += 1
        except LpmopsError as error:
            # A page that is bad only in a corner may be met while it runs: then it stops there, and says so.
            noticed += 1
            if not isinstance(error, StoreError) and not isinstance(error.__cause__, StoreError):
                raise
        with operator(place, machine="another") as onlooker:
            acts = onlooker.cloud.acts()
            assert all(acts[effect] <= 1 for effect in case.effects), f"bit {bit}: {acts}"
        for file in sorted(place.rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
    assert noticed + finished == flips
    assert name != "pause" or noticed > flips // 4, noticed


@pytest.mark.parametrize("name", CASES)
def test_a_journal_that_is_cut_at_any_page_is_never_acted_on_twice(name: str, folder: Path) -> None:
    case, origin = CASES[name], _interrupted(folder, name)
    content = (origin / "laptop" / "lpmops.db").read_bytes()
    noticed = 0
    cuts = kills.spread(range(1, len(content) // PAGE), 3)
    for pages in cuts:
        place = folder / f"{pages} pages"
        _copy(origin, place)
        (place / "laptop" / "lpmops.db").write_bytes(content[: pages * PAGE])
        try:
            with operator(place) as worker:
                for left in worker.unfinished():
                    worker.desk.resume(left)
        except LpmopsError as error:
            noticed += 1
            if not isinstance(error, StoreError) and not isinstance(error.__cause__, StoreError):
                raise
        with operator(place, machine="another") as onlooker:
            acts = onlooker.cloud.acts()
            assert all(acts[effect] <= 1 for effect in case.effects), f"{pages} pages: {acts}"
    # What SQLite still has in its log beside the file mends a cut.
    log = origin / "laptop" / "lpmops.db-wal"
    assert noticed == len(cuts) or (log.exists() and log.stat().st_size)


def _copy(origin: Path, place: Path) -> None:
    for file in origin.rglob("*"):
        if file.is_file():
            target = place / file.relative_to(origin)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())


def test_every_changed_column_of_a_row_is_noticed(folder: Path) -> None:
    origin = _interrupted(folder)
    path = origin / "laptop" / "lpmops.db"
    raw = sqlite3.connect(path)
    columns = [(table, row[1]) for table in ("operation", "step") for row in raw.execute(f"PRAGMA table_info({table})")]
    kinds = {
        (table, row[1]): row[2] for table in ("operation", "step") for row in raw.execute(f"PRAGMA table_info({table})")
    }
    raw.close()
    for table, column in columns:
        place = folder / f"{table}.{column}"
        _copy(origin, place)
        edited = sqlite3.connect(place / "laptop" / "lpmops.db")
        edited.execute("PRAGMA ignore_check_constraints=ON")
        value = "17" if kinds[table, column] == "INTEGER" else "'edited'"
        edited.execute(f"UPDATE {table} SET {column} = {value} WHERE rowid = (SELECT MAX(rowid) FROM {table})")
        edited.commit()
        edited.close()
        with operator(place) as worker, pytest.raises(StoreError, match="damaged"):
            worker.unfinished()


def test_a_text_that_became_bytes_is_noticed(folder: Path) -> None:
    place = _interrupted(folder)
    path = place / "laptop" / "lpmops.db"
    for statement in (
        "UPDATE sqlite_schema SET sql = replace(sql, 'STRICT', '      ') WHERE name = 'step'",
        "UPDATE step SET state = CAST(state AS BLOB)",
        "UPDATE sqlite_schema SET sql = replace(sql, '      ', 'STRICT') WHERE name = 'step'",
    ):
        # A schema that was written over is read by the next connection.
        raw = sqlite3.connect(path, isolation_level=None)
        raw.execute("PRAGMA writable_schema=ON")
        raw.execute("PRAGMA ignore_check_constraints=ON")
        raw.execute(statement)
        raw.close()
    with operator(place) as worker, pytest.raises(StoreError, match="damaged"):
        worker.unfinished()


def _run_small(name: str, folder: Path, size: int) -> None:
    """Run an action in a process that may write no file beyond a size: what a full disk does to SQLite."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    path = folder / "laptop" / "lpmops.db"
    with operator(folder) as worker:
        plan = worker.plan(CASES[name])
        limit = path.stat().st_size + size
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            worker.desk.apply(plan, worker.approve(plan))
        except LpmopsError as error:
            if not isinstance(error, StoreError) and not isinstance(error.__cause__ or error, LpmopsError):
                os._exit(3)


@pytest.mark.parametrize("name", CASES)
def test_on_a_full_disk_nothing_is_done_without_an_intent_and_all_is_finished_once_there_is_space(
    name: str, folder: Path
) -> None:
    every = kills.LONG or name in ("pause", "feed")
    for step in range(SIZES) if every else [random.Random(name).randrange(12)]:
        place = folder / str(step)
        kills.prepare(CASES[name], place)
        assert not kills.killed(_run_small, name, place, step * PAGE)
        with operator(place) as worker:
            begun = sum(entry.what == "step.begun" for entry in audit.entries(worker.store))
            # Every act was preceded by an intent of its own.
            acts = worker.cloud.acts()
            assert sum(acts[effect] for effect in CASES[name].effects) <= begun
        kills.finish(CASES[name], place)
        kills.assert_done_once(CASES[name], place)


def test_the_audit_can_only_grow(folder: Path) -> None:
    with operator(folder) as worker:
        worker.run(CASES["pause"])
        connection = worker.store.connection()
        for statement in (
            "DELETE FROM audit",
            "DELETE FROM audit WHERE seq = 2",
            "UPDATE audit SET who = 'eve'",
            "UPDATE audit SET hash = '0' WHERE seq = 3",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE audit SET who = 'eve@lpm.example' WHERE seq = 2",
        "UPDATE audit SET body = '{}' WHERE seq = 3",
        "UPDATE audit SET at = at + 1 WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 2",
        "UPDATE audit SET seq = 99 WHERE seq = 2",
    ],
)
def test_a_chain_that_was_edited_behind_its_back_breaks(edit: str, folder: Path) -> None:
    with operator(folder) as worker:
        worker.run(CASES["pause"])
    path = folder / "laptop" / "lpmops.db"
    raw = sqlite3.connect(path)
    raw.execute("DROP TRIGGER audit_is_never_changed")
    raw.execute("DROP TRIGGER audit_is_never_shortened")
    raw.execute(edit)
    raw.commit()
    raw.close()
    store = open_store(path)
    with pytest.raises(StoreError, match="chain of its audit breaks"):
        audit.head(store)
    store.close()


def test_a_chain_that_was_cut_is_shorter_than_the_head_beside_the_lock(folder: Path) -> None:
    with operator(folder) as worker:
        worker.run(CASES["pause"])
        whole = audit.head(worker.store)
        assert whole is not None
        assert worker.desk.control.head(whole.chain) == whole
    path = folder / "laptop" / "lpmops.db"
    raw = sqlite3.connect(path)
    raw.execute("DROP TRIGGER audit_is_never_shortened")
    raw.execute("DELETE FROM audit WHERE seq > 3")
    raw.commit()
    raw.close()
    with operator(folder) as worker:
        cut = audit.head(worker.store)
        assert cut is not None
        assert cut.chain == whole.chain
        kept = worker.desk.control.head(cut.chain)
        assert kept is not None
        assert audit.hash_at(worker.store, kept.sequence) is None
