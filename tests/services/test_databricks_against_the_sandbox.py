"""The source table, its streaming job and the warehouse, against the sandbox's own workspace over HTTP: as they are, and as they fail."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lpmops.config import Column, Kpi, Routing
from lpmops.errors import (
    BadAnswerError,
    DeadlineError,
    ForbiddenError,
    ServiceFaultError,
    ServiceNotFoundError,
    SignInError,
    StatementError,
    ThrottledError,
)
from lpmops.routing.source import SourceCheck, SourceColumn, check
from lpmops.services.calls import CallCounter
from lpmops.services.databricks import SCOPE, DatabricksService
from lpmops.services.identity import CachedCredential
from lpmops.services.transport import Transport
from tests.services.worlds import environment

pytest.importorskip("uvicorn", reason="the sandbox's own dependencies are not installed")
pytest.importorskip("databricks.sdk", reason="the workspace is served by a fixture that also knows the official client")

from lpmops.sandbox.azure.faults import HttpFault
from lpmops.sandbox.databricks import Durations
from lpmops.sandbox.lake.streamjob import PROGRESS_FILE, StreamJob
from tests.sandbox.databricks.conftest import JOB, START, TABLE, World, rows


class Signed(CachedCredential):
    """Signed in to the workspace's world, whose token a test may change."""

    def __init__(self, world: World, *given: Any) -> None:
        super().__init__(*given)
        self._world = world

    def token(self, scope: str, **_: Any) -> AccessToken:
        assert scope == SCOPE
        return AccessToken(self._world.token, 4_000_000_000)


class Client(DatabricksService):
    """lpmops' service, with what it was built from."""

    def __init__(self, world: World, seconds: float = 15.0, **changes: Any) -> None:
        self.calls = CallCounter()
        transport = Transport(self.calls)
        base = environment(world.url)
        described = replace(base, databricks=replace(base.databricks, **changes))
        self.credential = Signed(world, described, transport)
        super().__init__(described, transport, self.credential, seconds)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A workspace of the test's own."""
    made = World(tmp_path, Durations(warehouse_start=math.inf))
    yield made
    made.close()


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A table with an insert, an update and a delete that is only read; its tests heal what they break."""
    made = World(tmp_path_factory.mktemp("still"))
    made.table.insert(rows("a", "b", "c"))
    made.table.update({"disposition": "'answered'"}, "tdr_id = 'a'")
    made.table.delete("tdr_id = 'b'")
    yield made
    made.close()


@pytest.fixture
def broken(still: World) -> Iterator[Callable[[HttpFault], int]]:
    """Break the API of the still world until the test's end."""
    yield still.workspace.break_http
    still.workspace.mend_http()


# The table -------------------------------------------------------------------------------------------------------------------------------------


def test_the_table_is_known_by_one_look_and_one_statement(still: World) -> None:
    client = Client(still)
    table = client.table()
    assert (table.full_name, table.latest_version, table.change_feed) == (TABLE, still.table.latest_version(), "delta")
    assert table.latest_commit_at == still.table.commit_time(table.latest_version)
    assert table.latest_commit_at.tzinfo is UTC
    assert client.properties() == table.properties
    assert client.calls.operations()["databricks", "statement"] == 1


def test_the_columns_of_the_table_are_what_the_configured_ones_are_held_beside(still: World) -> None:
    client = Client(still)
    found = client.columns()
    assert found[0] == SourceColumn("tdr_id", "string")
    wished = (
        Column("duration_seconds", "FLOAT"),
        Column("sip_method", "NVARCHAR(20)", "sipreq.method"),
        Column("sipreq", "NVARCHAR(MAX)"),
    )
    assert check(wished, Routing(), Kpi(), found) == SourceCheck()
    assert client.calls.operations() == {("databricks", "table"): 1}


def test_companies_are_counted_by_what_came_and_found_by_what_is_there(still: World) -> None:
    service = Client(still)
    arrivals = service.company_arrivals("info_companyid")
    assert arrivals
    assert list(arrivals.values()) == sorted(arrivals.values(), reverse=True)
    busiest = next(iter(arrivals))
    found = service.company_records("info_companyid", [busiest, "'; DROP TABLE x --", "nobody"])
    assert list(found) == [busiest]
    assert found[busiest] > 0
    # Asked for again at once it is not read again.
    assert service.company_arrivals("info_companyid") is arrivals


def test_history_tells_what_each_commit_wrote(still: World) -> None:
    history = Client(still).history(10)
    assert [(commit.operation, commit.rows) for commit in history[:3]] == [("DELETE", 1), ("UPDATE", 1), ("WRITE", 3)]
    assert [commit.version for commit in history] == sorted((commit.version for commit in history), reverse=True)
    assert [commit.version for commit in Client(still).history(1)] == [history[0].version]


def test_the_feed_tells_its_first_version_and_how_long_a_version_lasts(world: World) -> None:
    client = Client(world)
    created = client.feed()
    assert (created.kind, created.first_version) == ("delta", 0)
    world.table.set_properties({"delta.enableChangeDataFeed": "false"})
    assert (client.feed().kind, client.feed().first_version) == ("off", None)
    world.table.set_properties({"delta.deletedFileRetentionDuration": "interval 2 days"})
    client.enable_feed()
    again = client.feed()
    assert (again.kind, again.first_version, again.retention) == ("delta", again.latest_version, 172_800.0)
    assert again.first_commit_at == world.table.commit_time(again.latest_version)
    assert again.writer_version is not None
    assert client.workspace_id() == "7405600000000001"


def test_a_feed_older_than_the_history_that_is_kept_has_no_known_beginning(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lpmops.services.databricks._FEED_HISTORY", 2)
    world.table.insert(rows("a"))
    world.table.insert(rows("b"))
    feed = Client(world).feed()
    assert (feed.kind, feed.first_version, feed.latest_version) == ("delta", None, 2)


def test_a_table_that_is_not_there_is_named(still: World) -> None:
    with pytest.raises(ServiceNotFoundError, match="tdr_other"):
        Client(still, table="lpm_dev.gold.tdr_other").table()


def test_runs_tell_how_they_ended_and_what_their_output_says(world: World) -> None:
    client = Client(world)
    world.pass_time(2)
    (running,) = client.endings()
    assert (running.run.state, running.code, running.error, running.trigger) == ("running", "", "", "CONTINUOUS")
    world.workspace.break_runs(
        "[STREAM_FAILED] Query tdr_stream terminated: password=hunter22 of the driver. SQLSTATE: XXKST"
    )
    world.pass_time(20)
    ended = [ending for ending in client.endings() if ending.run.state == "failed"]
    assert len(ended) > 1
    newest = ended[0]
    assert newest.code == "RUN_EXECUTION_ERROR"
    assert newest.run.ended_at is not None
    assert newest.error.startswith("[STREAM_FAILED]")
    assert newest.trace.splitlines()[0] == "Traceback (most recent call last):"
    assert newest.trace.splitlines()[-1].startswith("pyspark.errors")
    assert "hunter22" not in str(ended)
    assert client.calls.operations()["databricks", "output"] == min(5, len(ended))
    oldest = ended[-1].run
    assert oldest.started_at is not None
    assert all(
        ending.run.started_at <= oldest.started_at
        for ending in client.endings(oldest.started_at)
        if ending.run.started_at
    )


def test_the_log_of_a_job_that_is_not_there_names_the_setting(still: World) -> None:
    with pytest.raises(ServiceNotFoundError, match="no job 'other'") as caught:
        Client(still, job="other").endings()
    assert "databricks.job" in caught.value.hint


# Statements ------------------------------------------------------------------------------------------------------------------------------------


def test_values_come_back_as_what_they_are(still: World) -> None:
    (row,) = Client(still).query(
        f"SELECT tdr_id, duration_seconds, call_started_at, sipreq, CAST(7 AS BIGINT) AS n, CAST(1.50 AS DECIMAL(5,2)) AS d,"
        f" DATE'2026-11-23' AS day, true AS yes, CAST(NULL AS STRING) AS nothing FROM {TABLE} WHERE tdr_id = 'a'"
    )
    assert (row["tdr_id"], row["duration_seconds"], row["call_started_at"]) == ("a", 1.5, START)
    assert (row["n"], row["d"], row["day"]) == (7, Decimal("1.50"), date(2026, 11, 23))
    assert (row["yes"], row["nothing"], row["sipreq"]["method"]) == (True, None, "INVITE")


@given(text=st.text(st.characters(blacklist_categories=["Cs"]), max_size=40))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_of_a_parameter_changes_the_statement(still: World, text: str) -> None:
    assert Client(still).query("SELECT :given AS got", {"given": text}) == [{"got": text}]


def test_parameters_keep_their_type(still: World) -> None:
    moment = datetime(2026, 11, 23, 4, 5, 6, 789012, UTC)
    given_values: dict[str, Any] = {
        "n": 2**40,
        "f": 0.25,
        "yes": False,
        "at": moment,
        "day": date(2026, 1, 2),
        "none": None,
    }
    marks = ", ".join(f":{name} AS {name}" for name in given_values)
    assert Client(still).query(f"SELECT {marks}", given_values) == [given_values]


@pytest.mark.parametrize(
    ("statement", "error_class"),
    [
        (f"SELECT * FROM table_changes('{TABLE}', 999)", "DELTA_CDC_START_VERSION_AFTER_LATEST"),
        (f"SELECT * FROM table_changes('{TABLE}', 2, 1)", "DELTA_INVALID_CDC_RANGE"),
        (f"SELECT no_such_column FROM {TABLE}", "UNRESOLVED_COLUMN.WITHOUT_SUGGESTION"),
        ("SELECT FROM WHERE", "PARSE_SYNTAX_ERROR"),
    ],
)
def test_what_delta_refuses_carries_its_class(still: World, statement: str, error_class: str) -> None:
    with pytest.raises(StatementError) as caught:
        Client(still).query(statement)
    assert caught.value.error_class == error_class
    assert caught.value.request_id
    assert caught.value.hint


def test_a_stopped_warehouse_is_not_waited_for_beyond_the_deadline(world: World) -> None:
    world.workspace.warehouse.stop()
    client = Client(world, seconds=1.0)
    started = time.monotonic()
    with pytest.raises(DeadlineError, match="cancelled"):
        client.table()
    assert time.monotonic() - started < 2.0
    assert client.calls.operations()["databricks", "statement cancel"] == 1
    # The properties come from Unity Catalog, which needs no warehouse.
    assert client.properties()


# The stream ------------------------------------------------------------------------------------------------------------------------------------


def test_the_stream_is_followed_through_its_states(world: World) -> None:
    client = Client(world)
    world.pass_time(1)
    running = client.stream_run()
    assert (running.state, running.name) == ("running", JOB)
    assert running.started_at is not None
    assert abs(running.started_at - world.clock.now()) < timedelta(minutes=1)
    assert Client(world, job=str(running.job_id)).stream_run() == running
    world.workspace.break_runs("[STREAM_FAILED] the driver ran out of memory")
    world.workspace.fail_run("[STREAM_FAILED] the driver ran out of memory")
    failed = client.stream_run()
    assert (failed.state, failed.message) == ("failed", "[STREAM_FAILED] the driver ran out of memory")
    world.workspace.jobs.update(int(str(running.job_id)), {"continuous": {"pause_status": "PAUSED"}}, [])
    world.workspace.mend_runs()
    world.pass_time(10)
    # Nobody restarts what is paused, and how it ended stays in sight.
    assert client.stream_run() == failed


def test_a_stream_that_is_paused_by_a_person_is_paused(world: World) -> None:
    client = Client(world)
    world.pass_time(1)
    run = client.stream_run()
    world.workspace.jobs.update(int(str(run.job_id)), {"continuous": {"pause_status": "PAUSED"}}, [])
    world.workspace.jobs.cancel(int(str(run.run_id)))
    assert client.stream_run().state == "stopping"
    world.pass_time(1)
    assert client.stream_run().state == "paused"


def test_a_job_is_made_changed_and_permitted_and_a_second_on_the_same_table_is_seen(world: World) -> None:
    client = Client(world, job="another-job")
    words = ["stream", "--table", client._settings.table, "--hub", "tdr"]
    task = {"task_key": "a", "spark_python_task": {"python_file": "/Volumes/x/run.py", "parameters": words}}
    settings = {"name": "another-job", "tasks": [task], "continuous": {"pause_status": "PAUSED"}}
    client.create_job(settings)
    job = client.stream_job()
    assert job is not None
    assert (job.paused, job.continuous, client.other_jobs(job.job_id)) == (True, True, ())
    assert Client(world).other_jobs("1") == (f"another-job ({job.job_id})",)
    client.update_job(job.job_id, {"max_concurrent_runs": 2})
    held = client.job_settings(job.job_id)
    assert (held["max_concurrent_runs"], held["tasks"][0]["spark_python_task"]["parameters"]) == (2, words)
    client.create_job(settings)
    with pytest.raises(BadAnswerError, match="two jobs"):
        client.stream_job()


def test_a_file_is_written_with_its_folders_and_over_what_is_there(world: World) -> None:
    client = Client(world)
    path = f"{client._settings.checkpoint.rpartition('/')[0]}/code/1 ü/run.py"
    assert client.file_hash(path) is None
    for content in (b"one\r\n", b"\x00two"):
        client.put_file(path, content)
        assert client.file_hash(path) == hashlib.sha256(content).hexdigest()


def test_a_job_that_does_not_exist_is_absent(still: World) -> None:
    run = Client(still, job="another-job").stream_run()
    assert (run.state, run.job_id, run.name) == ("absent", None, "another-job")


def test_progress_is_the_same_beside_the_checkpoint_and_from_it(world: World) -> None:
    client = Client(world)
    assert client.progress() is None
    version = world.table.insert(rows("a", "b"))
    job = StreamJob(world.table, lambda _: None, world.volume / "tdr-stream", world.clock, starting_version=1)
    while (progress := job.step()) is not None and progress.end_version < version:
        world.clock.advance(0.1)
    beside = client.progress()
    (world.volume / PROGRESS_FILE).unlink()
    inside = client.progress()
    assert beside is not None
    assert inside is not None
    assert (beside.version, inside.version) == (version, version)
    assert beside.table_id == inside.table_id
    assert beside.batch == inside.batch
    assert beside.at is not None
    assert abs(beside.at - world.clock.now()) < timedelta(minutes=1)


def test_a_new_checkpoint_beside_an_old_one_has_no_progress_of_its_own_yet(world: World) -> None:
    version = world.table.insert(rows("a", "b"))
    old = StreamJob(world.table, lambda _: None, world.volume / "tdr-stream", world.clock, starting_version=1)
    while (progress := old.step()) is not None and progress.end_version < version:
        world.clock.advance(0.1)
    new = Client(world, checkpoint="/Volumes/lpm_dev/ops/checkpoints/tdr-stream-2")
    assert new.progress() is None
    world.table.recreate()
    StreamJob(world.table, lambda _: None, world.volume / "tdr-stream-2", world.clock, starting_version=0).step()
    found = new.progress()
    assert found is not None
    assert found.table_id == world.table.table_id


# Sign-in and trouble ---------------------------------------------------------------------------------------------------------------------------


def test_an_expired_token_means_signing_in_again(world: World) -> None:
    client = Client(world)
    client.properties()
    world.authority.expire_sign_in(environment="dev")
    with pytest.raises(SignInError) as caught:
        client.table()
    assert "az login" in caught.value.hint
    assert world.token not in caught.value.message
    assert client.credential.state().state == "expired"
    world.authority.renew_sign_in(environment="dev")
    client.properties()
    assert client.credential.state().state != "expired"


def test_a_token_of_nobody_is_forbidden(world: World) -> None:
    world.token = "dapi-not-one-of-ours"
    with pytest.raises(ForbiddenError) as caught:
        Client(world).properties()
    assert world.token not in caught.value.message + caught.value.hint


def test_throttling_is_waited_out_where_the_deadline_allows_it(
    still: World, broken: Callable[[HttpFault], int]
) -> None:
    broken(HttpFault("throttle", seconds=0.2, times=1))
    client = Client(still)
    assert client.properties()
    assert client.calls.operations()["databricks", "table"] == 2
    broken(HttpFault("throttle", seconds=60))
    with pytest.raises(ThrottledError) as caught:
        client.stream_run()
    assert caught.value.retry_after == 60.0


def test_a_workspace_that_is_slow_ends_at_the_deadline(still: World, broken: Callable[[HttpFault], int]) -> None:
    broken(HttpFault("slow", seconds=30))
    for ask in (DatabricksService.table, DatabricksService.stream_run, DatabricksService.progress):
        started = time.monotonic()
        with pytest.raises(DeadlineError):
            ask(Client(still, seconds=0.4))
        assert time.monotonic() - started < 15
    still.workspace.mend_http()


def test_a_workspace_that_fails_is_asked_again_before_it_counts(
    still: World, broken: Callable[[HttpFault], int]
) -> None:
    broken(HttpFault("server_error", times=2))
    client = Client(still)
    assert client.properties()
    broken(HttpFault("server_error"))
    with pytest.raises(ServiceFaultError) as caught:
        client.properties()
    assert caught.value.status == 500
    assert caught.value.request_id


def test_a_web_page_in_between_is_not_read_out_to_people(still: World, broken: Callable[[HttpFault], int]) -> None:
    broken(HttpFault("html"))
    with pytest.raises(ServiceFaultError) as caught:
        Client(still).properties()
    assert caught.value.status == 502
    assert "<" not in caught.value.message


def test_a_statement_that_reads_is_asked_again_after_a_lost_answer(
    still: World, broken: Callable[[HttpFault], int]
) -> None:
    broken(HttpFault("server_error", methods=frozenset({"POST"}), after_effect=True, times=1))
    assert Client(still).query("SELECT 1 AS one") == [{"one": 1}]


def test_a_statement_that_writes_is_sent_once_whatever_becomes_of_its_answer(world: World) -> None:
    world.workspace.break_http(HttpFault("server_error", methods=frozenset({"POST"}), after_effect=True, times=1))
    client = Client(world)
    before = world.table.latest_version()
    with pytest.raises(ServiceFaultError):
        client.query(f"ALTER TABLE {TABLE} SET TBLPROPERTIES ('lpmops.note' = 'x')")
    assert client.calls.operations()["databricks", "statement"] == 1
    assert world.table.latest_version() == before + 1
