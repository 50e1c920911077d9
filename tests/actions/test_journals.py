"""Journals that earlier versions left: brought up to date and gone on with, never read as something else; one of a newer version is refused in words.

`journals/` holds what real runs left when they were killed, one file a moment, named by the schema's version; a file is never changed. Who changes
the journal's rows or what a plan holds adds one of the version before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from lpmops import resources
from lpmops.errors import StoreError
from lpmops.store import audit
from lpmops.store.connection import APPLICATION_ID, latest_version, open_store
from tests.actions.cases import CASES
from tests.actions.cloud import Act, Cloud
from tests.actions.line import Line
from tests.actions.operator import operator

_FOLDER = Path(__file__).parent / "journals"


def _nothing_done(cloud: Cloud) -> None:
    """The intent was written, and the process was gone before the act."""


def _paused(cloud: Cloud) -> None:
    cloud.put("stream", paused=True)


# What each of them left: the case, what had been done in the world, and what is left to be done.
JOURNALS: dict[str, tuple[str, Callable[[Cloud], None], Act]] = {
    "v3_cdf_enable_begun": ("feed", _nothing_done, Act("enable", "feed")),
    "v3_stream_stop_accepted": ("stream stop", _paused, Act("cancel_run", "stream")),
}


def _laid(folder: Path, script: str, version: int) -> Path:
    """A store of that version at an operator's machine."""
    path = folder / "laptop" / "lpmops.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    made = sqlite3.connect(path)
    made.executescript(f"{script}\nPRAGMA application_id={APPLICATION_ID};\nPRAGMA user_version={version};")
    made.close()
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("path", sorted(_FOLDER.glob("*.sql")), ids=lambda path: path.stem)
def test_what_an_earlier_version_left_unfinished_is_finished(path: Path, folder: Path) -> None:
    name, before, left = JOURNALS[path.stem]
    _laid(folder, path.read_text(encoding="utf-8"), int(path.stem[1]))
    with operator(folder) as worker:
        CASES[name].prepare(worker.cloud)
        before(worker.cloud)
        entries = len(audit.entries(worker.store))
        (identifier,) = worker.unfinished()
        assert worker.desk.resume(identifier).state == "succeeded"
        assert CASES[name].holds(worker.cloud)
        assert worker.cloud.acts() == {left: 1}
        # The chain goes on where it was left.
        assert len(audit.entries(worker.store)) > entries > 0
        worker.check_books()


@pytest.mark.parametrize("version", range(1, 1 + max(int(file.name[:4]) for file in resources.migrations())))
def test_a_store_of_any_earlier_version_is_brought_up_to_date_and_kept_beside(version: int, folder: Path) -> None:
    script = "\n".join(
        file.read_text(encoding="utf-8") for file in resources.migrations() if int(file.name[:4]) <= version
    )
    path = _laid(folder, f"{script}\nINSERT INTO series VALUES (7, 'prod', 'lag of the hub');", version)
    with operator(folder) as worker:
        assert worker.store.connection().execute("SELECT id, name FROM series").fetchall() == [(7, "lag of the hub")]
        assert worker.run(CASES["pause"]).state == "succeeded"
        worker.check_books()
    kept = path.with_name(f"{path.name}.v{version}.backup")
    assert kept.exists() is (version < latest_version())


def test_a_journal_of_a_newer_version_is_refused_in_words_and_left_as_it_is(line: Line) -> None:
    path = line.folder / "laptop" / "lpmops.db"
    open_store(path).close()
    raw = sqlite3.connect(path)
    raw.execute(f"PRAGMA user_version={latest_version() + 1}")
    raw.close()
    content = path.read_bytes()
    for words in (
        ("asa", "pause", "-e", "prod", "--reason", "x", "--yes"),
        ("op", "list"),
        ("op", "resume", "260101-000000-aaaa"),
    ):
        said = line.run(*words, "-o", "json")
        assert said.code == 1
        assert "written by a newer lpmops" in said.document["error"]["message"]
        assert "Update lpmops" in said.document["error"]["hint"]
    assert not line.cloud.acts()
    assert path.read_bytes() == content
    with pytest.raises(StoreError, match="newer lpmops"):
        open_store(path)
