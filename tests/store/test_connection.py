"""The store's file: whose it is, who may open it, and what is said when it can't be used."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lpmops import resources
from lpmops.errors import StoreError
from lpmops.model import Health, Kind, Snapshot
from lpmops.store import failures, filesystem, samples, snapshots
from lpmops.store.connection import journal_mode, latest_version, open_store

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SNAPSHOT = Snapshot("prod", Kind.PROD, NOW, Health.HEALTHY, {})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "lpmops.db"


def test_the_file_and_its_folder_belong_to_their_owner_alone(path: Path) -> None:
    store = open_store(path)
    snapshots.save(store, SNAPSHOT)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("version", "mode"),
    [
        ((3, 40, 1), "delete"),
        ((3, 51, 2), "delete"),
        ((3, 51, 3), "wal"),
        ((3, 50, 6), "delete"),
        ((3, 50, 7), "wal"),
        ((3, 44, 6), "wal"),
        ((3, 45, 0), "delete"),
        ((3, 60, 0), "wal"),
    ],
)
def test_wal_is_used_only_where_its_reset_bug_is_mended(version: tuple[int, int, int], mode: str) -> None:
    assert journal_mode(version) == mode


def test_intent_survives_a_power_cut(path: Path) -> None:
    assert open_store(path).connection().execute("PRAGMA synchronous").fetchone()[0] == (
        2 if journal_mode() == "wal" else 3
    )


def test_a_newer_store_is_refused_with_both_versions(path: Path) -> None:
    open_store(path).connection().execute("PRAGMA user_version=99")
    with pytest.raises(StoreError, match=r"its version is 99, this one knows \d+") as caught:
        open_store(path)
    assert "Update lpmops" in caught.value.hint


def test_the_database_of_another_program_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE contacts (name TEXT)")
    other.commit()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        open_store(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"not a database, and rather long " * 100, b"SQLite format 3\x00" + b"\xff" * 5000]
)
def test_a_damaged_store_is_named_with_the_command_that_moves_it_aside(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged") as caught:
        open_store(path)
    assert f"mv '{path}' '{path}.damaged'" in caught.value.hint


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    snapshots.save(open_store(path), SNAPSHOT)


def test_a_store_that_somebody_keeps_locked_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "BUSY_MILLISECONDS", 50)
    store = open_store(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked"):
        snapshots.save(store, SNAPSHOT)
    other.execute("ROLLBACK")
    snapshots.save(store, SNAPSHOT)


def test_a_full_disk_keeps_what_was_there(path: Path) -> None:
    store = open_store(path)
    snapshots.save(store, SNAPSHOT)
    pages = store.connection().execute("PRAGMA page_count").fetchone()[0]
    store.connection().execute(f"PRAGMA max_page_count={pages + 1}")
    many = {f"series{n}": float(n) for n in range(5_000)}
    with pytest.raises(StoreError, match="full"):
        samples.append(store, "prod", NOW, many)
    assert snapshots.latest(open_store(path)) == [SNAPSHOT]
    assert store.connection().execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_a_file_that_may_not_grow_is_told_as_a_disk_that_fails(path: Path) -> None:
    store = open_store(path)
    snapshots.save(store, SNAPSHOT)
    store.close()
    program = f"""
        import resource
        from datetime import datetime, UTC
        from pathlib import Path
        from lpmops.errors import StoreError
        from lpmops.store import samples
        from lpmops.store.connection import open_store
        store = open_store(Path({str(path)!r}))
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
        try:
            for n in range(200):
                samples.append(store, "prod", datetime.now(UTC), {{f"s{{n}}.{{m}}": m * 1.37 for m in range(300)}})
        except StoreError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=True
    )
    assert "full" in done.stdout
    assert snapshots.latest(open_store(path)) == [SNAPSHOT]


def test_a_store_that_can_only_be_read_is_read_with_a_warning(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots.save(open_store(path), SNAPSHOT)
    # Rights do not bind root, under which tests may run: the question for them is answered instead.
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)
    store = open_store(path)
    assert snapshots.latest(store) == [SNAPSHOT]
    assert "can't be written" in store.warnings[0]
    with pytest.raises(StoreError, match="can only be read"):
        snapshots.save(store, SNAPSHOT)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store.connection().execute("DELETE FROM snapshot")


def test_a_migration_is_whole_or_not_at_all_and_leaves_a_copy(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(path)
    snapshots.save(store, SNAPSHOT)
    store.close()
    latest = latest_version()
    broken = tmp_path / f"{latest + 1:04}_broken.sql"
    broken.write_text("CREATE TABLE extra (id INTEGER) STRICT;\nINSERT INTO nowhere VALUES (1);\n")
    first = resources.migrations()
    monkeypatch.setattr(resources, "migrations", lambda: [*first, broken])
    with pytest.raises(StoreError):
        open_store(path)
    raw = sqlite3.connect(path)
    assert raw.execute("PRAGMA user_version").fetchone()[0] == latest
    assert not raw.execute("SELECT 1 FROM sqlite_schema WHERE name = 'extra'").fetchall()
    raw.close()
    broken.write_text(
        "CREATE TABLE extra (id INTEGER) STRICT;\nCREATE TRIGGER t AFTER INSERT ON extra BEGIN SELECT 1; SELECT 2; END;\n"
    )
    store = open_store(path)
    assert store.connection().execute("PRAGMA user_version").fetchone()[0] == latest + 1
    assert snapshots.latest(store) == [SNAPSHOT]
    backup = path.with_name(f"lpmops.db.v{latest}.backup")
    assert backup.stat().st_mode & 0o777 == 0o600
    assert sqlite3.connect(backup).execute("SELECT COUNT(*) FROM snapshot").fetchone()[0] == 1


def test_processes_that_write_at_once_all_succeed(path: Path) -> None:
    open_store(path).close()
    program = f"""
        from datetime import datetime, UTC
        from pathlib import Path
        from lpmops.store import marks
        from lpmops.store.connection import open_store
        store = open_store(Path({str(path)!r}))
        for _ in range(40):
            with store.writing():
                found = marks.recall(store, "prod", "count")
                marks.remember(store, "prod", "count", datetime.now(UTC), (found[1] if found else 0) + 1)
    """
    writers = [subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)]) for _ in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    raw = open_store(path)
    from lpmops.store import marks

    found = marks.recall(raw, "prod", "count")
    assert found is not None
    assert found[1] == 120


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("36 25 0:32 / /home rw shared:1 - nfs4 server:/home rw", "nfs4"),
        ("36 25 0:32 / /home/ops rw - cifs //server/share rw", "cifs"),
        ("36 25 8:1 / /home rw - ext4 /dev/sda1 rw", None),
        ("36 25 0:32 / /hom rw - nfs4 server:/hom rw", None),
        ("garbage", None),
    ],
)
def test_a_network_file_system_is_known_by_its_mount(tmp_path: Path, line: str, kind: str | None) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"20 1 8:1 / / rw - ext4 /dev/sda1 rw\n{line}\n")
    assert filesystem.network_type(Path("/home/ops/state"), mounts) == kind


def test_a_store_on_a_network_file_system_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem, "network_type", lambda _: "nfs4")
    with pytest.raises(StoreError, match="network file system") as caught:
        open_store(path)
    assert "LPMOPS_STATE_DIR" in caught.value.hint
