"""`hub tail`, `hub show` and `kpi show` on a command line whose whole world is replaced: forms, bounds, and nobody's number."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer
from typer.testing import CliRunner

from lpmops.cli import asa, asa_trial, context, hub, kpi
from lpmops.cli.context import World
from lpmops.config import Config
from lpmops.control.hubevents import Following
from lpmops.errors import ForbiddenError
from lpmops.model import HubState, NamespaceState
from lpmops.store.connection import open_store
from tests.control.hubs import START, Hub, body, heartbeat
from tests.control.pretend import environment


class FullHub(Hub):
    """A hub with its management plane; `groups` may be an error."""

    groups: Sequence[str] | Exception = ("$Default", "asa-01", "people")

    def namespace(self) -> NamespaceState:
        return NamespaceState("evhns-lpm-tdr-test", "/x", "Standard", 2, "Active", False)

    def hub(self) -> HubState:
        return HubState("tdr", 2, 604_800.0, "Active")

    def consumer_groups(self) -> Sequence[str]:
        if isinstance(self.groups, Exception):
            raise self.groups
        return self.groups


@dataclass
class Services:
    eventhubs: FullHub
    answers: dict[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    @property
    def sql(self) -> Services:
        return self

    def rows(self, database: str, query_name: str, parameters: Sequence[object] = ()) -> Sequence[Mapping[str, Any]]:
        return self.answers.get(query_name, ())

    @property
    def credential(self) -> Services:
        return self

    def state(self) -> SimpleNamespace:
        return SimpleNamespace(identity="somebody@example.com")

    def close(self) -> None:
        """Nothing is open."""


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def services() -> Services:
    return Services(FullHub({"0": [body(record="a"), heartbeat()], "1": [body("1002", "b")]}))


@pytest.fixture
def run(services: Services, tmp_path: Path) -> Run:
    def call(*words: str) -> tuple[int, str, str]:
        app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
        asa.register(app)
        hub.register(app)
        kpi.register(app)
        world = World(
            stdin=io.StringIO(),
            stdout=io.StringIO(),
            stderr=io.StringIO(),
            environ={},
            now=lambda: START + timedelta(minutes=5, seconds=30),
            load_config=lambda _: Config({"test": environment("test")}),
            open_services=lambda *_: cast(Any, services),
            open_store=lambda _: open_store(tmp_path / "lpmops.db"),
        )
        with context.using(world):
            done = CliRunner().invoke(app, list(words))
        if done.exception is not None and not isinstance(done.exception, SystemExit | KeyboardInterrupt):
            raise done.exception
        return done.exit_code, cast(Any, world.stdout).getvalue(), cast(Any, world.stderr).getvalue()

    return call


def test_the_last_events_are_a_table_with_their_stamps(run: Run) -> None:
    code, out, err = run("hub", "tail", "-e", "test")
    head, *lines = out.splitlines()
    assert (code, err) == (0, "")
    assert head.split("  ")[0] == "enqueued at"
    assert [line.split()[1:4] for line in lines] == [["0/0", "1001", "insert"], ["1/0", "1002", "insert"]]
    assert lines[0].endswith("2.0 s")


def test_fields_are_shown_masked(run: Run) -> None:
    _, out, _ = run("hub", "tail", "-e", "test", "--company", "1001", "--fields")
    assert "    caller_number: •••43" in out
    assert "555" not in out


def test_scripts_read_one_document_or_a_table(run: Run) -> None:
    document = json.loads(run("hub", "tail", "-e", "test", "-o", "json")[1])
    assert (document["schema"], document["ok"]) == ("lpmops/hub/v1", True)
    assert [item["record_id"] for item in document["data"]] == ["a", "b"]
    assert document["data"][0]["values"]["caller_number"] == "•••43"
    rows = list(csv.DictReader(io.StringIO(run("hub", "tail", "-e", "test", "-o", "csv", "--heartbeats")[1])))
    assert [row["change_type"] for row in rows] == ["insert", "insert", "heartbeat"]


def test_nothing_found_is_said_and_how_far_was_looked(run: Run, services: Services) -> None:
    assert "No such event is in the hub." in run("hub", "tail", "-e", "test", "--company", "9")[1]
    services.eventhubs.partitions_held["0"] = [body()] * 30_000
    _, _, err = run("hub", "tail", "-e", "test", "--company", "9")
    assert "only; 0 of them fit, and older ones may" in err


def test_following_shows_what_comes_until_the_person_leaves(
    run: Run, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    took = iter([lambda: services.eventhubs.partitions_held["1"].append(body("1002", "new"))])
    before = Following.take

    def take(self: Following, seconds: float) -> Any:
        step = next(took, None)
        if step is not None:
            step()
            return before(self, seconds)
        raise KeyboardInterrupt

    monkeypatch.setattr(Following, "take", take)
    code, out, _ = run("hub", "tail", "-e", "test", "--follow", "-o", "jsonl")
    assert code == 130
    assert [json.loads(line)["record_id"] for line in out.splitlines()] == ["a", "b", "new"]
    assert services.eventhubs.tails[0].closed


def test_the_hub_is_shown_also_where_part_of_it_may_not_be_read(run: Run, services: Services) -> None:
    services.eventhubs.groups = ForbiddenError("No right to list the groups.", service="eventhub")
    code, out, err = run("hub", "show", "-e", "test")
    assert code == 0
    assert "Standard, 2 throughput units, keeps events 7 d" in out
    assert "No right to list the groups." in err


def test_calls_come_with_their_gaps_and_what_cannot_be_added_up_is_said(run: Run, services: Services) -> None:
    made = {
        "windows": 2,
        "calls": 9,
        "answered": 6,
        "failed": 2,
        "answered_seconds": 300.0,
        "answered_timed": 6,
        "highest_p95_seconds": 90.0,
    }
    services.answers = {
        "calls_by_company": [{"company_id": "1001", **made}],
        "calls_by_minute": [{"window_end": START + timedelta(minutes=number), **made} for number in (1, 3)],
        "routes": [{"company_id": "1001", "company": "Acme"}],
    }
    _, out, _ = run("kpi", "show", "-e", "test", "--since", "5m")
    assert "1001 Acme" in out
    assert "75.0 %" in out
    assert "percentiles of minutes do not add up" in out
    document = json.loads(run("kpi", "show", "-e", "test", "--since", "5m", "-o", "json")[1])["data"]
    assert document["companies"][0]["answered_share"] == 0.75
    assert document["gaps"] == [{"from": "2026-11-23T12:02:00.000Z", "to": "2026-11-23T12:02:00.000Z"}]
    assert document["total"]["calls"] == 9


def test_a_company_that_is_not_routed_is_told_from_one_without_calls(run: Run, services: Services) -> None:
    assert run("kpi", "show", "-e", "test", "--company", "9")[0] == 3
    assert run("kpi", "show", "-e", "test", "--company", "")[0] == 2
    services.answers = {"route_of_company": [{"database_name": "lpm-01"}]}
    code, out, _ = run("kpi", "show", "-e", "test", "--company", "9", "--since", "10m")
    assert code == 0
    assert "not counted" in out


@pytest.mark.parametrize("option", ["--events", "--routes", "--query"])
def test_a_file_that_a_trial_cannot_read_is_refused_by_name(run: Run, tmp_path: Path, option: str) -> None:
    other = tmp_path / "other"
    other.write_bytes(b'{"caller_name": "Jos\xe9"}')
    for file, why in ((other, "no text in UTF-8"), (tmp_path, "can't be read"), (tmp_path / "none", "can't be read")):
        code, out, err = run("asa", "test", "-e", "test", option, str(file))
        assert (code, out) == (2, "")
        assert f"{file}" in err
        assert why in err
        assert "Jos" not in err


def test_a_mark_of_byte_order_is_no_part_of_a_file(run: Run, tmp_path: Path) -> None:
    events, routes = tmp_path / "events", tmp_path / "routes"
    events.write_text('\ufeff{"tdr_id": "a"}\n', encoding="utf-8")
    routes.write_text("\ufeffcompany_id,database\n", encoding="utf-8")
    # Routes are read after events, so what is said of them tells that the events were taken.
    _, _, err = run("asa", "test", "-e", "test", "--events", str(events), "--routes", str(routes))
    assert "The routes are no CSV" in err


@pytest.mark.parametrize("option", ["--events", "--routes", "--query"])
def test_a_file_without_an_end_is_too_large(run: Run, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    monkeypatch.setattr(asa_trial, "_LARGEST_FILE", 1 << 20)
    code, _, err = run("asa", "test", "-e", "test", option, "/dev/zero")
    assert code == 2
    assert "/dev/zero is larger than 1 MiB" in err
