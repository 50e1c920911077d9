"""A wrong configuration is named by file, line, key and nearest key; a right one says the same to every room."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops import config_reader
from lpmops.cli import sandbox_setup
from lpmops.config import Config
from lpmops.errors import ConfigError, NotFoundError
from lpmops.model import Kind

GOOD = sandbox_setup.render_config(Path("/var/lib/lpmops"), sandbox_setup.Wish(port=27400))
PATH = Path("lpmops.toml")


def parsed(text: str) -> Config:
    return config_reader.parse(text, PATH)


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    assert caught.value.hint
    return caught.value.message


def line_of(text: str, start: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith(start))


def test_a_right_file_gives_typed_environments() -> None:
    config = parsed(GOOD)
    assert [environment.kind for environment in config.environments.values()] == [Kind.DEV, Kind.TEST, Kind.PROD]
    assert config.environments["prod"].sql.databases == ("lpm-01", "lpm-02", "lpm-03")
    assert {column.name: column.source for column in config.columns}["sip_method"] == "sipreq.method"


def test_an_address_of_the_namespace_names_the_same_namespace() -> None:
    here = config_reader.parse(GOOD, PATH).environment("prod")
    there = replace(
        here, eventhub=replace(here.eventhub, namespace=f"{here.eventhub.namespace}.servicebus.windows.net")
    )
    assert there.namespace_id == here.namespace_id
    assert here.namespace_id.endswith(f"/providers/Microsoft.EventHub/namespaces/{here.eventhub.namespace}")


@pytest.mark.parametrize(
    ("right", "wrong", "key", "says"),
    [
        ("job_prefix", "job_prefx", "environments.dev.streamanalytics.job_prefx", "did you mean job_prefix"),
        ('kind = "dev"', 'kind = "develop"', "environments.dev.kind", "dev, test or prod"),
        ("port = 27403", 'port = "27403"', "environments.dev.sql.port", "a whole number"),
        ("port = 27403", "port = 0", "environments.dev.sql.port", "1 or more"),
        ('host = "http://127.0.0.1:27401"', 'host = "http://adb.example"', "environments.dev.databricks.host", "https"),
        (
            'auth = "connection-string"',
            'auth = "connectionstring"',
            "environments.dev.eventhub.auth",
            "did you mean connection-string",
        ),
        ('tenant_id = "0', 'tenant_id = "x', "environments.dev.tenant_id", "an id such as"),
        ('call_id = "NVARCHAR(128)"', 'call_id = "TEXT"', "columns.call_id", "can't land"),
        ('call_id = "NVARCHAR(128)"', 'call_id = "NVARCHAR(4001)"', "columns.call_id", "can't land"),
        ('call_id = "NVARCHAR(128)"', 'call_id = "NVARCHAR(0)"', "columns.call_id", "can't land"),
        ('call_id = "NVARCHAR(128)"', 'call_id = "DECIMAL(16, 2)"', "columns.call_id", "can't land"),
        ('call_id = "NVARCHAR(128)"', 'call_id = "DECIMAL(5, 6)"', "columns.call_id", "can't land"),
        ('call_id = "NVARCHAR(128)"', 'Landed_At = "NVARCHAR(128)"', "columns.Landed_At", "lpmops' own columns"),
        (
            "trust_server_certificate = true",
            "trust_server_certificate = 1",
            "environments.dev.sql.trust_server_certificate",
            "true or false",
        ),
        ('databases = ["lpm-01"', 'databases = ["lpm-control"', "environments.dev.sql.databases", "twice"),
        ("[routing]", "[ruoting]", "ruoting", "did you mean routing"),
    ],
)
def test_a_mistake_is_named_by_line_and_key(right: str, wrong: str, key: str, says: str) -> None:
    text = GOOD.replace(right, wrong, 1)
    message = complaint(text)
    assert f"line {line_of(text, wrong.split(' ')[0])}: {key} " in message
    assert says in message


def test_two_columns_that_differ_in_case_alone_are_one_named_twice() -> None:
    text = GOOD.replace('call_id = "NVARCHAR(128)"', 'Disposition = "BIT"')
    assert f"line {line_of(text, 'disposition')}: columns.disposition is named twice" in complaint(text)


SOMEBODY = "group:00000000-0000-4000-8000-0000000000e1"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('tier = "Basic"', "must be one of Standard, Premium"),
        ("throughput_units = 0", "must be 1 or more"),
        ("maximum_throughput_units = 1", "is less than throughput_units"),
        ('tier = "Premium"\nmaximum_throughput_units = 9', "is only for the Standard tier"),
        ('senders = ["ops@lpm.example"]', "user:ID, group:ID or service:ID"),
        ('receivers = ["robot:00000000-0000-4000-8000-0000000000e1"]', "user:ID, group:ID or service:ID"),
        ("senders = [3]", "a list of names"),
        ("partition = 4", "did you mean partitions"),
    ],
)
def test_a_size_or_a_principal_that_can_not_be_is_named(line: str, says: str) -> None:
    text = GOOD.replace('hub = "tdr"\n', f'hub = "tdr"\n{line}\n', 1)
    message = complaint(text)
    assert "environments.dev.eventhub." in message
    assert says in message


def test_the_sizes_and_principals_of_an_environment_have_defaults_and_are_read() -> None:
    hub = parsed(GOOD).environment("dev").eventhub
    assert (hub.tier, hub.throughput_units, hub.maximum_throughput_units, hub.partitions, hub.retention_days) == (
        *("Standard", 2, 0),
        *(4, 7),
    )
    lines = f'hub = "tdr"\nsenders = []\nreceivers = ["{SOMEBODY}"]\nmaximum_throughput_units = 20\n'
    changed = parsed(GOOD.replace('hub = "tdr"\n', lines, 1)).environment("dev").eventhub
    assert (changed.senders, changed.receivers, changed.maximum_throughput_units) == ((), (SOMEBODY,), 20)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("interval = 5", "reconcile.interval must be 60 or more, or 0 for never"),
        ("interval = -1", "must be 60 or more, or 0 for never"),
        ("again_interval = 1e9", "reconcile.again_interval must be 604800 or less, or 0 for never"),
        ("again = 60", "did you mean again_interval"),
    ],
)
def test_how_often_it_reconciles_by_itself_has_bounds(line: str, says: str) -> None:
    assert says in complaint(f"{GOOD}\n[reconcile]\n{line}\n")


def test_reconciling_by_itself_can_be_switched_off() -> None:
    assert (parsed(GOOD).reconcile.interval, parsed(GOOD).reconcile.again_interval) == (300.0, 1_800.0)
    changed = parsed(f"{GOOD}\n[reconcile]\ninterval = 0\nagain_interval = 3600\n").reconcile
    assert (changed.interval, changed.again_interval) == (0.0, 3_600.0)


def test_a_key_needs_the_account_that_it_is_of_and_is_never_in_the_file() -> None:
    region = 'region = "westeurope"\n'
    alone = GOOD.replace(region, f'{region}storage_account_key = "env:KEY"\n', 1)
    assert "environments.dev.streamanalytics.storage_account is missing" in complaint(alone)
    bare = GOOD.replace(region, f'{region}storage_account = "stlpm"\nstorage_account_key = "hunter2"\n', 1)
    assert "never the secret itself" in complaint(bare)


def test_a_missing_setting_is_named_under_its_table() -> None:
    text = GOOD.replace('warehouse = "0123456789abcdef"\n', "", 1)
    assert (
        complaint(text)
        == f"lpmops.toml, line {line_of(text, '[environments.dev.databricks]')}: environments.dev.databricks.warehouse is missing."
    )


def test_broken_toml_says_where() -> None:
    assert "line 2" in complaint("[environments.dev]\nkind = ")


@pytest.mark.parametrize(
    "text",
    ["", "environments = 3", "[environments]\ndev = 3", "a = " + "[" * 5_000, "[environments.'../x']\nkind = 'dev'"],
)
def test_hostile_or_empty_text_is_refused_in_words(text: str) -> None:
    assert complaint(text)


@given(st.text(max_size=400))
def test_no_text_does_worse_than_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigError):
        parsed(text)


@given(
    st.dictionaries(
        st.sampled_from(["environments", "columns", "slo", "kpi", "x"]),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5),
            lambda inner: st.dictionaries(st.text("abc.", min_size=1, max_size=3), inner, max_size=3),
        ),
    )
)
def test_no_shape_does_worse_than_a_configuration_error(document: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        config_reader.parse_document(document, PATH)


def test_a_secret_written_in_the_file_is_refused_without_being_repeated() -> None:
    message = complaint(GOOD.replace('header = "file:', 'header = "hunter2', 1))
    assert "never the secret itself" in message
    assert "hunter2" not in message


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, word in ((tmp_path, "can't be read"), (binary, "UTF-8"), (tmp_path / "absent.toml", "can't be read")):
        with pytest.raises(ConfigError, match=word):
            config_reader.read(path)


def test_the_places_are_searched_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="No configuration found"):
        config_reader.locate()
    for name in ("here", "environment", "explicit"):
        (tmp_path / f"{name}.toml").write_text(GOOD)
    (tmp_path / "lpmops.toml").write_text(GOOD)
    assert config_reader.locate() == Path("lpmops.toml")
    environ = {"LPMOPS_CONFIG": str(tmp_path / "environment.toml")}
    assert config_reader.locate(environ=environ).name == "environment.toml"
    assert config_reader.locate(str(tmp_path / "explicit.toml"), environ).name == "explicit.toml"


def test_an_unknown_environment_names_the_nearest() -> None:
    with pytest.raises(NotFoundError, match="Did you mean prod"):
        parsed(GOOD).environment("porduction"[:5])
