"""Where the files are, in words for a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from lpmops.config import Config
from lpmops.control.places import places


def test_each_place_is_named_with_why_the_configuration_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "lpmops.toml"
    file.touch()
    monkeypatch.delenv("LPMOPS_STATE_DIR")
    config = Config({}, state_directory=str(tmp_path / "kept"), path=file)
    found = dict(places(config))
    assert found["configuration"] == f"{file} (--config)"
    assert found["store"] == str(tmp_path / "kept" / "lpmops.db")
    assert found["saved files"].startswith(found["reports"])
    assert "preferences and keys" in found
    monkeypatch.setenv("LPMOPS_CONFIG", str(file))
    assert dict(places(config))["configuration"] == f"{file} (LPMOPS_CONFIG)"
    monkeypatch.delenv("LPMOPS_CONFIG")
    monkeypatch.chdir(tmp_path)
    assert dict(places(config))["configuration"] == f"{file} (this folder)"


def test_a_folder_that_can_not_be_made_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LPMOPS_STATE_DIR", str(tmp_path / "file" / "state"))
    found = dict(places(Config({})))
    assert found["store"].startswith("can't be made: Not a directory")
    assert found["configuration"] == "given by the program, no file"
