"""One contract: what a replay is told means the same to the stream job and to its stand-in here, and is refused by both in the same words."""

from __future__ import annotations

import pytest

from lpmops.sandbox.lake.replay_arguments import ReplayError, parsed
from lpmops.streamjob.arguments import ReplaySettings, parse

GOOD = [
    "replay", "--table=lpm_dev.gold.tdr_streaming", "--namespace=lpm.servicebus.example:9093", "--hub=tdr", "--sign-in=service-credential",
    "--credential=lpm", "--replay-id=r-1", "--from-version=3", "--to-version=9", "--folder=/Volumes/lpm_dev/ops/checkpoints/replays/",
]  # fmt: skip


def without(*names: str) -> list[str]:
    return [word for word in GOOD if word.partition("=")[0] not in names]


@pytest.mark.parametrize(
    "given",
    [
        GOOD,
        [word for whole in GOOD for word in whole.split("=")],
        [*GOOD, "--company=1001", "--company", "1002", "--company=1001"],
        [*GOOD, "--company=-x", "--company=--rate", "--company=a=b", "--company= 7 ", "--company=Å \"'"],
        [*GOOD, "--rate=100000", "--chunk-versions=10000", "--tasks=1000", "--quarantine=/lake/q"],
        [*GOOD, "--from-version=0", f"--to-version={2**62}"],
        [*GOOD, "--record-column=a b", "--company-column=-c", "--authority=http://localhost:80"],
        [*GOOD, "--table=/lake/tdr streaming", "--replay-id=R", "--folder=/x"],
        [*without("--credential"), "--sign-in=sas", "--secret=databricks:lpm/hub"],
        [*without("--credential"), "--sign-in=entra", "--secret=env:X", "--tenant=t", "--client=c"],
    ],
)
def test_both_take_the_same(given: list[str]) -> None:
    theirs, ours = parse(given), parsed(given)
    assert isinstance(theirs, ReplaySettings)
    for name in ours.__slots__:
        assert getattr(ours, name) == getattr(theirs, name), name


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["--table=a.b", "replay", *GOOD[2:]],
        *(without(name) for name in ("--table", "--namespace", "--hub", "--sign-in", "--replay-id", "--folder")),
        *(without(name) for name in ("--from-version", "--to-version", "--credential")),
        *([*GOOD, f"--table={name}"] for name in ("tdr", "a.b.c.d", "a.`b`", "a. b", "tdr`; DROP", "/", "", "/x`y")),
        *([*GOOD, f"--quarantine={name}"] for name in ("tdr", "")),
        *([*GOOD, f"--namespace={name}"] for name in ("", "lpm/", "-lpm", "lpm:", "lpm:123456", "lpm example")),
        *([*GOOD, f"--hub={name}"] for name in ("", "-tdr", "tdr/x", "t" * 257)),
        *([*GOOD, f"--folder={name}"] for name in ("", "/", "x", "/a//b", "/a\0", "../x")),
        *([*GOOD, f"--replay-id={name}"] for name in ("", "-a", "_a", "../a", "a.json", "a b", "é", "r" * 65, "r\n")),
        *([*GOOD, f"--{which}-version={text}"] for which in ("from", "to") for text in ("-1", "x", "", "1.0", " 1", "٣")),
        [*GOOD, f"--to-version={2**62 + 1}"],
        [*GOOD, "--from-version=10"],
        *([*GOOD, f"--rate={text}"] for text in ("0", "100001", "-5", "many", "1e3")),
        *([*GOOD, f"--chunk-versions={text}"] for text in ("0", "10001", "")),
        *([*GOOD, f"--tasks={text}"] for text in ("0", "1001", "4.5")),
        *([*GOOD, f"--{name}="] for name in ("company", "record-column", "company-column", "credential")),
        [*GOOD, "--company=a\0b"],
        [*GOOD, "--company", "-x"],
        [*GOOD, "--company"],
        [*GOOD, "--sign-in=kerberos"],
        [*GOOD, "--sign-in=sas"],
        [*GOOD, "--secret=env:X"],
        [*GOOD, "--tenant=t"],
        [*GOOD, "--sign-in=entra", "--secret=env:X", "--tenant=t", "--client=c"],
        [*without("--credential"), "--sign-in=entra", "--secret=env:X", "--tenant=a b", "--client=c"],
        [*without("--credential"), "--sign-in=sas", "--secret=Endpoint=sb://x/;SharedAccessKey=hidden"],
        [*GOOD, "--authority=http://login.example"],
        [*GOOD, "--checkpoint=/x"],
        [*GOOD, "--comp=1001"],
        [*GOOD, "1001"],
    ],
)  # fmt: skip
def test_both_refuse_the_same_in_the_same_words(given: list[str]) -> None:
    with pytest.raises(ValueError) as theirs:
        parse(given)
    with pytest.raises(ReplayError) as ours:
        parsed(given)
    assert str(ours.value) == str(theirs.value)
    assert "hidden" not in str(ours.value)
