"""The rest of a workspace, through the official SDK and lpmops' own client: catalog, files, sign-in, and an API that is in trouble."""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from azure.core.credentials import AccessToken
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    AlreadyExists,
    BadRequest,
    InternalError,
    NotFound,
    PermissionDenied,
    Unauthenticated,
)
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service import catalog

from lpmops.sandbox.azure.faults import HttpFault
from lpmops.sandbox.azure.identity import ARM
from lpmops.services.databricks import DatabricksService
from lpmops.services.identity import CachedCredential
from lpmops.services.transport import Transport
from tests.sandbox.databricks.conftest import JOB, TABLE, World, rows
from tests.services.worlds import environment

Make = Callable[..., World]
VOLUME = "/Volumes/lpm_dev/ops/checkpoints"


# Catalog


def test_a_table_is_described_as_it_is(sdk: WorkspaceClient, still: World) -> None:
    table = sdk.tables.get(TABLE)
    assert table.full_name == TABLE
    assert table.data_source_format == catalog.DataSourceFormat.DELTA
    assert table.storage_location == still.table.folder.as_uri()
    assert table.properties is not None
    assert table.properties["delta.enableChangeDataFeed"] == "true"
    columns = {column.name: column for column in table.columns or []}
    assert [column.position for column in columns.values()] == list(range(14))
    assert columns["sipreq"].type_name == catalog.ColumnTypeName.STRUCT
    assert str(columns["sipreq"].type_text).startswith("struct<method:string,")
    assert json.loads(str(columns["call_started_at"].type_json))["type"] == "timestamp"
    assert [one.full_name for one in sdk.tables.list("lpm_dev", "gold")] == [TABLE]
    assert [one.name for one in sdk.catalogs.list()] == ["lpm_dev"]
    assert [one.name for one in sdk.schemas.list("lpm_dev")] == ["gold", "ops"]
    assert sdk.metastores.summary().cloud == "azure"
    with pytest.raises(NotFound, match="does not exist"):
        sdk.tables.get("lpm_dev.gold.other")


def test_a_table_that_is_made_anew_has_another_id(make_world: Make) -> None:
    world = make_world()
    before = world.sdk().tables.get(TABLE).table_id
    world.table.insert(rows("a"))
    assert world.sdk().tables.get(TABLE).table_id == before
    world.table.recreate()
    assert world.sdk().tables.get(TABLE).table_id != before


def test_grants_are_given_inherited_and_taken(make_world: Make) -> None:
    world = make_world()
    sdk = world.sdk()
    change = catalog.PermissionsChange(principal="asa", add=[catalog.Privilege.SELECT])
    sdk.grants.update("table", TABLE, changes=[change])
    world.close()
    sdk = make_world().sdk()
    held = sdk.grants.get("table", TABLE).privilege_assignments or []
    assert [(one.principal, one.privileges) for one in held] == [("asa", [catalog.Privilege.SELECT])]
    effective = sdk.grants.get_effective("table", TABLE).privilege_assignments or []
    everyone = {one.principal: one.privileges or [] for one in effective}["account users"]
    assert everyone[0].inherited_from_name == "lpm_dev"
    assert everyone[0].inherited_from_type == catalog.SecurableType.CATALOG
    change = catalog.PermissionsChange(principal="asa", remove=[catalog.Privilege.SELECT])
    sdk.grants.update("table", TABLE, changes=[change])
    assert not sdk.grants.get("table", TABLE).privilege_assignments
    with pytest.raises(NotFound):
        sdk.grants.get("table", "lpm_dev.gold.other")


# Files


def test_files_are_written_listed_and_read(make_world: Make) -> None:
    world = make_world()
    files = world.sdk().files
    files.create_directory(f"{VOLUME}/deep/down")
    files.upload(f"{VOLUME}/deep/päth %41?#.bin", io.BytesIO(b"0123456789"))
    with pytest.raises(AlreadyExists):
        files.upload(f"{VOLUME}/deep/päth %41?#.bin", io.BytesIO(b""), overwrite=False)
    files.upload(f"{VOLUME}/deep/päth %41?#.bin", io.BytesIO(b"abc"), overwrite=True)
    assert (world.volume / "deep" / "päth %41?#.bin").read_bytes() == b"abc"
    entries = list(files.list_directory_contents(f"{VOLUME}/deep"))
    assert [(one.name, one.is_directory, one.file_size) for one in entries] == [
        ("down", True, None),
        ("päth %41?#.bin", False, 3),
    ]
    found = files.download(str(entries[1].path))
    assert found.contents is not None
    assert found.contents.read() == b"abc"
    assert files.get_metadata(str(entries[1].path)).content_length == 3
    files.get_directory_metadata(f"{VOLUME}/deep/down")
    with pytest.raises(BadRequest, match="not empty"):
        files.delete_directory(f"{VOLUME}/deep")
    files.delete(str(entries[1].path))
    files.delete_directory(f"{VOLUME}/deep/down")
    files.delete_directory(f"{VOLUME}/deep")
    for missing in (files.get_metadata, files.download, files.delete, files.get_directory_metadata):
        with pytest.raises(NotFound):
            missing(f"{VOLUME}/deep")


def test_a_long_directory_comes_in_pages(make_world: Make) -> None:
    world = make_world()
    for number in range(25):
        (world.volume / f"{number:02}").touch()
    listed = world.sdk().files.list_directory_contents(VOLUME, page_size=10)
    assert [one.name for one in listed] == [f"{number:02}" for number in range(25)]
    first = world.sdk().api_client.do("GET", f"/api/2.0/fs/directories{VOLUME}", query={"page_size": 10})
    assert isinstance(first, dict)
    assert len(first["contents"]) == 10
    with pytest.raises(BadRequest):
        world.sdk().api_client.do("GET", f"/api/2.0/fs/directories{VOLUME}", query={"page_token": "%%%"})


def raw(world: World, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """A request whose path nobody tidies."""
    address = urlsplit(world.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=5)
    connection.request(method, path, body, {"Authorization": f"Bearer {world.token}"})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world with a secret beside its volumes, and a link to it from inside."""
    world = World(tmp_path_factory.mktemp("guarded"))
    (world.folder / "secret").write_text("kept")
    (world.volume / "link").symlink_to(world.folder)
    yield world
    world.close()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
@pytest.mark.parametrize(
    "path",
    [
        "/Volumes/lpm_dev/ops/checkpoints/../../../../secret",
        "/Volumes/lpm_dev/ops/checkpoints/%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret",
        "/Volumes/lpm_dev/ops/checkpoints%2F..%2F..%2F..%2F..%2Fsecret",
        "/Volumes/../secret/x/y",
        "/Volumes/lpm_dev/ops/../ops/checkpoints/a",
        "/Volumes/lpm_dev/ops/checkpoints/a%00b",
        "/Volumes/lpm_dev/ops/checkpoints/..%5C..%5Csecret",
        "/Volumes/lpm_dev/ops/checkpoints/link/secret",
        "/Volumes/lpm_dev/ops/checkpoints/" + "x" * 300,
        "/Volumes/lpm_dev/ops",
        "/etc/passwd",
        "//etc/passwd",
        "",
    ],
)
def test_no_path_leaves_its_volume(guarded: World, method: str, path: str) -> None:
    world = guarded
    secret = world.folder / "secret"
    for kind in ("files", "directories"):
        status, body = raw(world, method, f"/api/2.0/fs/{kind}{path}", b"written" if method == "PUT" else None)
        assert status in (400, 403, 404), (kind, status, body)
        assert b"kept" not in body
    assert secret.read_text() == "kept"
    assert sorted(one.name for one in world.folder.iterdir()) == ["secret", "table", "volumes", "workspace"]


# Sign-in and trouble


def test_whoever_signed_in_is_known_and_others_are_told_apart(make_world: Make) -> None:
    world = make_world()
    assert world.sdk().current_user.me().user_name == "operator@lpm.example"
    answer = requests.get(f"{world.url}/api/2.0/preview/scim/v2/Me", timeout=5)
    assert answer.status_code == 401
    assert answer.headers["x-databricks-org-id"] == "7405600000000001"
    assert answer.json()["message"].startswith("Credential was not sent")
    good, world.token = world.token, "dapi-not-one-of-ours"
    with pytest.raises(PermissionDenied, match="Invalid access token"):
        world.sdk().current_user.me()
    world.token = world.new_token(ARM)
    with pytest.raises(BadRequest, match="IncorrectClaimException"):
        world.sdk().current_user.me()
    world.token = good
    world.authority.expire_sign_in(environment="dev")
    with pytest.raises(Unauthenticated):
        world.sdk().current_user.me()
    world.authority.renew_sign_in(environment="dev")
    world.sdk().current_user.me()


def test_a_throttled_workspace_says_when_to_come_back(make_world: Make) -> None:
    world = make_world()
    client = world.sdk()
    world.workspace.break_http(HttpFault("throttle", seconds=1, times=1))
    answer = requests.get(f"{world.url}/api/2.2/jobs/list", timeout=5)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    world.workspace.break_http(HttpFault("throttle", seconds=1, times=1))
    assert client.current_user.me().active
    number = world.workspace.break_http(HttpFault("server_error"))
    with pytest.raises(InternalError):
        client.current_user.me()
    world.workspace.mend_http(number)
    world.workspace.break_http(HttpFault("html"))
    assert requests.get(f"{world.url}/api/2.2/jobs/list", timeout=5).headers["content-type"].startswith("text/html")
    world.workspace.mend_http()
    with pytest.raises(ValueError, match="reset"):
        world.workspace.break_http(HttpFault("reset"))


def test_a_lost_answer_leaves_its_effect(make_world: Make) -> None:
    world = make_world()
    world.workspace.break_http(HttpFault("server_error", methods=frozenset({"POST"}), after_effect=True, times=1))
    with pytest.raises(DatabricksError):
        world.sdk().jobs.create(name="lost")
    assert [job.settings.name for job in world.sdk().jobs.list(name="lost") if job.settings] == ["lost"]


def test_a_hanging_workspace_frees_its_callers(make_world: Make) -> None:
    world = make_world()
    world.workspace.break_http(HttpFault("slow", seconds=60))
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{world.url}/api/2.2/jobs/list", timeout=0.3)
    world.workspace.mend_http()
    assert world.sdk().current_user.me().active


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/api/2.0/clusters/list"), ("PATCH", "/api/2.2/jobs/get")]
)
def test_an_unknown_address_is_named(still: World, method: str, path: str) -> None:
    status, body = raw(still, method, path)
    assert (status, json.loads(body)["error_code"]) == (404, "ENDPOINT_NOT_FOUND")


@pytest.mark.parametrize("body", [b"{", b"[]", b"[" * 100_000, b'{"job_id": NaN}', b"\xff", b'{"job_id": {}}'])
def test_a_damaged_body_is_refused(still: World, body: bytes) -> None:
    for path in (
        "/api/2.2/jobs/run-now",
        "/api/2.0/sql/statements",
        "/api/2.1/jobs/update",
        "/api/2.2/jobs/runs/cancel",
    ):
        assert raw(still, "POST", path, body)[0] == 400


# lpmops' own client


class _Token(CachedCredential):
    def __init__(self, world: World, *given: Any) -> None:
        super().__init__(*given)
        self._world = world

    def token(self, scope: str, **_: Any) -> Any:
        return AccessToken(self._world.token, 4_000_000_000)


def client(world: World) -> DatabricksService:
    settings, transport = environment(world.url), Transport()
    return DatabricksService(settings, transport, _Token(world, settings, transport), 5.0)


def test_lpmops_sees_the_table_the_run_and_the_progress(make_world: Make) -> None:
    world = make_world()
    version = world.table.insert(rows("a", "b", "c"))
    service = client(world)
    table = service.table()
    assert (table.latest_version, table.change_feed, table.full_name) == (version, "delta", TABLE)
    assert table.latest_commit_at == world.table.commit_time(version)
    assert [(one.operation, one.rows) for one in service.history(1)] == [("WRITE", 3)]
    query = f"SELECT tdr_id, call_started_at, sipreq FROM {TABLE} WHERE tdr_id = :id"
    found = service.query(query, {"id": "b"})[0]
    assert (found["tdr_id"], found["call_started_at"].microsecond, found["sipreq"]["method"]) == ("b", 789012, "INVITE")
    assert service.progress() is None
    offset = {"sourceVersion": 1, "reservoirId": "t", "reservoirVersion": 7, "index": -1, "isStartingVersion": False}
    offsets = world.volume / "tdr-stream" / "offsets"
    offsets.mkdir(parents=True)
    (offsets / "4").write_text(f'v1\n{{"batchTimestampMs":1795406706000}}\n{json.dumps(offset)}')
    progress = service.progress()
    assert progress is not None
    assert (progress.version, progress.batch) == (6, 4)


def test_lpmops_sees_each_state_of_the_stream(make_world: Make) -> None:
    world = make_world()
    service = client(world)
    assert service.stream_run().state == "starting"
    world.pass_time(1)
    assert (service.stream_run().state, service.stream_run().name) == ("running", JOB)
    world.workspace.fail_run("no room")
    assert (service.stream_run().state, service.stream_run().message) == ("failed", "no room")
    world.pass_time(2)
    run = service.stream_run()
    assert run.job_id is not None
    assert run.url.endswith(f"/run/{run.run_id}")
    world.workspace.jobs.update(int(run.job_id), {"continuous": {"pause_status": "PAUSED"}}, [])
    world.workspace.jobs.cancel(int(str(run.run_id)))
    assert service.stream_run().state == "stopping"
    world.pass_time(1)
    assert service.stream_run().state == "paused"


def test_a_state_file_is_never_half_written(make_world: Make, tmp_path: Path) -> None:
    world = make_world()
    for number in range(20):
        world.workspace.jobs.create({"name": f"n{number}"}, "x")
        assert (
            json.loads((tmp_path / "workspace" / "jobs.json").read_text())["jobs"][-1]["settings"]["name"]
            == f"n{number}"
        )
    assert [one.name for one in (tmp_path / "workspace").iterdir()] == ["jobs.json"]
