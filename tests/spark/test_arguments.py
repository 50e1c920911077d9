"""What the job is told: checked before anything starts, and no secret in what it says."""

from __future__ import annotations

import pytest

from lpmops.streamjob import hub
from lpmops.streamjob.arguments import ReplaySettings, StreamSettings, parse
from lpmops.streamjob.failures import explain

STREAM = [
    "stream",
    "--table=lpm_prod.gold.tdr_streaming",
    "--namespace=lpm-prod.servicebus.windows.net",
    "--hub=tdr",
    "--sign-in=service-credential",
    "--credential=lpm-hub",
    "--checkpoint=/Volumes/lpm_prod/gold/stream/checkpoint",
    "--starting-version=12",
]
REPLAY = [
    *("replay" if one == "stream" else one for one in STREAM[:6]),
    "--replay-id=r-1",
    "--from-version=3",
    "--to-version=9",
    "--folder=/Volumes/lpm_prod/gold/stream/replays",
]
SAS = ["--sign-in=sas", "--secret=databricks:lpm/hub"]


def test_a_stream_and_a_replay_are_told_everything() -> None:
    stream, replay = parse(STREAM), parse([*REPLAY, "--company=1001", "--company=1002", "--company=1001"])
    assert isinstance(stream, StreamSettings)
    assert isinstance(replay, ReplaySettings)
    assert (stream.quarantine, stream.starting_version, stream.trigger_seconds) == (
        "lpm_prod.gold.tdr_streaming_quarantine",
        12,
        0,
    )
    assert (replay.companies, replay.rate, replay.first, replay.last) == (("1001", "1002"), 500, 3, 9)


def test_a_company_whose_id_looks_like_an_option_is_still_a_company() -> None:
    replay = parse([*REPLAY, "--company=-7", "--company=--rate", "--company=a=b"])
    assert isinstance(replay, ReplaySettings)
    assert replay.companies == ("-7", "--rate", "a=b")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--table=tdr`; DROP"], "--table"),
        (["--checkpoint=checkpoint"], "an absolute path"),
        (["--starting-version=-1"], "a whole number"),
        (["--starting-version=latest"], "a whole number"),
        (["--sign-in=sas"], "needs --secret"),
        (["--secret=env:X"], "takes no --secret"),
        (["--tasks=0"], "from 1 to 1000"),
        (["--authority=http://login.example"], "an https address"),
        (["--check=/x"], "unrecognized"),
    ],
)
def test_a_wrong_argument_is_named(more: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse([*STREAM, *more])


def test_a_replay_whose_end_is_before_its_start_is_refused() -> None:
    with pytest.raises(ValueError, match="is before"):
        parse([*REPLAY, "--from-version=10"])


def test_a_secret_given_in_place_of_its_reference_is_not_repeated() -> None:
    with pytest.raises(ValueError) as caught:
        parse([*STREAM, "--secret=Endpoint=sb://x/;SharedAccessKey=abc123"])
    assert "abc123" not in str(caught.value)


def test_each_way_to_sign_in_has_event_hubs_settings() -> None:
    common = {"namespace": "lpm.servicebus.windows.net", "name": "tdr"}
    sas = hub.options(hub.Hub(**common, sign_in="sas"), "Endpoint=sb://lpm/;SharedAccessKey=abc=")
    assert sas["kafka.bootstrap.servers"] == "lpm.servicebus.windows.net:9093"
    assert sas["kafka.sasl.jaas.config"].endswith(
        'PlainLoginModule required username="$ConnectionString" password="Endpoint=sb://lpm/;SharedAccessKey=abc=";'
    )
    entra = hub.options(hub.Hub(**common, sign_in="entra", tenant="t-1", client="c-1"), "hidden")
    assert entra["kafka.sasl.mechanism"] == "OAUTHBEARER"
    assert entra["kafka.sasl.oauthbearer.token.endpoint.url"].endswith("/t-1/oauth2/v2.0/token")
    assert 'scope="https://lpm.servicebus.windows.net/.default"' in entra["kafka.sasl.jaas.config"]
    credential = hub.options(hub.Hub(**common, sign_in="service-credential", credential="lpm-hub"), "")
    assert credential["databricks.serviceCredential"] == "lpm-hub"
    assert not any("sasl" in name for name in credential)
    for made in (sas, entra, credential):
        assert int(made["kafka.max.request.size"]) < 1_046_528
        assert made["kafka.enable.idempotence"] == "false"


def test_a_sign_in_that_would_break_out_of_its_quotes_is_refused() -> None:
    with pytest.raises(ValueError, match="a quote"):
        hub.options(hub.Hub("lpm.servicebus.windows.net", "tdr", "sas"), 'x"; evil="1')


def test_an_error_that_nobody_knows_keeps_its_type_and_first_line() -> None:
    assert str(explain(RuntimeError("first\nsecond"))) == "[STREAM_JOB_FAILED] RuntimeError: first"
