"""The picture that the README shows: made without a terminal, the same every time."""

from __future__ import annotations

from pathlib import Path

import pytest

from lpmops.errors import TimedOutError
from lpmops.model import Kind
from lpmops.tui import picture
from tests.tui.worlds import MemoryFeed, bad_day


def test_the_picture_is_saved_and_is_the_same_each_time(tmp_path: Path) -> None:
    first = picture.save_picture(bad_day(), tmp_path / "one.svg").read_text()
    second = picture.save_picture(bad_day(), tmp_path / "two.svg", keys=("3",)).read_text()
    assert picture.save_picture(bad_day(), tmp_path / "three.svg").read_text() == first
    assert first.startswith("<svg")
    assert "asa.saturated" in first
    assert "Harbour&#160;911" in second


def test_a_store_that_does_not_answer_is_no_empty_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "_DEADLINE", 0.2)
    with pytest.raises(TimedOutError, match="could not be read"):
        picture.save_picture(MemoryFeed(extra=[("dev", Kind.DEV)], hanging=True), tmp_path / "none.svg")
    assert not (tmp_path / "none.svg").exists()
