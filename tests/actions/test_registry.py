"""One entry an action drives every face: its name is its command, its level comes from the guard, and it says when it makes no sense."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from lpmops.actions import registry
from lpmops.cli.app import build
from lpmops.control.plan import Danger
from lpmops.errors import NotFoundError
from lpmops.model import Health, Kind, Reading, Snapshot, Stage
from tests.actions.cases import CASES

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def _snapshot(asa: str = "running", cdf: str = "running", feed: str = "delta") -> Snapshot:
    readings = (Reading("change_feed", feed, "", NOW, "databricks"),)
    stages = {
        "cdf": Stage("cdf", Health.HEALTHY, cdf, readings=readings),
        "asa": Stage("asa", Health.HEALTHY, asa),
    }
    return Snapshot("prod", Kind.PROD, NOW, Health.HEALTHY, stages)


@pytest.mark.parametrize("name", registry.ACTIONS)
def test_every_action_is_a_command_with_help_and_a_level(name: str) -> None:
    entry = registry.action(name)
    words = registry.command_line(entry, "prod").split()
    assert words[0] == "lpmops"
    assert words[3:] == ["-e", "prod"]
    found = CliRunner().invoke(build(), [*words[1:3], "--help"])
    assert found.exit_code == 0
    for flag in ("--env", "--dry-run", "--out", "--yes", "--confirm", "--reason", "--ticket", "--no-input", "--output"):
        assert flag in found.output, flag
    assert entry.title
    assert entry.help.endswith(".")
    assert set(entry.pins) <= {"tenant", "server", "workspace"}
    assert registry.danger(entry, Kind.PROD) >= Danger.PRODUCTION
    assert entry.hard or Danger.PRODUCTION > registry.danger(entry, Kind.DEV) > Danger.READ
    assert entry.name in registry._SENSELESS or entry.name == "cdf.enable"


def test_every_action_has_a_case_that_its_proofs_run_over() -> None:
    assert {case.action for case in CASES.values()} == set(registry.ACTIONS)


def test_keys_are_given_once() -> None:
    keys = [entry.key for entry in registry.ACTIONS.values() if entry.key]
    assert len(keys) == len(set(keys))


def test_an_action_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFoundError, match=r"no action 'asa\.fly'"):
        registry.action("asa.fly")


@pytest.mark.parametrize(
    ("name", "snapshot", "why"),
    [
        ("asa.start", _snapshot(), "Stream Analytics is running."),
        ("asa.start", _snapshot(asa="paused"), ""),
        ("asa.pause", _snapshot(), ""),
        ("asa.pause", _snapshot(asa="failed"), "Stream Analytics is failed."),
        ("cdf.enable", _snapshot(), "The change feed is on already."),
        ("cdf.enable", _snapshot(feed="off"), ""),
        ("stream.start", _snapshot(), "The stream is running."),
        ("stream.stop", _snapshot(cdf="stopped"), "The stream is stopped."),
        ("stream.restart", _snapshot(cdf="failed"), ""),
        ("stream.restart", None, ""),
    ],
)
def test_an_action_says_why_it_makes_no_sense_now(name: str, snapshot: Snapshot | None, why: str) -> None:
    assert registry.disabled(registry.action(name), snapshot) == why
