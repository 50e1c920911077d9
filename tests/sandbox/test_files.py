"""State files are replaced whole, privately where asked, and stay as they were where the write fails."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lpmops.sandbox.files import write_whole


@pytest.mark.parametrize(
    ("content", "written"), [("Zoë\n", "Zoë\n".encode()), (b"\x00\r\n", b"\x00\r\n")], ids=["text", "bytes"]
)
def test_a_file_and_its_folders_are_made_and_replaced(content: str | bytes, written: bytes, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.json"
    write_whole(path, "what was there before")
    write_whole(path, content, synced=True)
    assert path.read_bytes() == written
    assert os.listdir(path.parent) == ["state.json"]


def test_a_secret_is_private_even_where_a_public_file_was(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("public")
    path.chmod(0o644)
    write_whole(path, "secret", mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_write_that_fails_leaves_the_old_content_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "taken"
    (path / "inside").mkdir(parents=True)
    with pytest.raises(OSError):
        write_whole(path, "new")
    assert os.listdir(tmp_path) == ["taken"]
    with pytest.raises(UnicodeEncodeError):
        write_whole(tmp_path / "state.json", "\ud800")
    assert os.listdir(tmp_path) == ["taken"]


def test_a_name_as_long_as_names_can_be_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_whole(path, "whole")
    assert path.read_text() == "whole"
