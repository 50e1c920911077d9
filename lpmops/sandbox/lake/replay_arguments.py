"""What a bounded replay is told, checked as the stream job's own code checks it (`lpmops/streamjob`): the same options, patterns, bounds and words.

The rule is written again here, because the sandbox imports nothing of lpmops; a test holds both against one table of good and bad arguments. A wrong
argument raises ReplayError with its name and what it must be; a secret given by mistake is not repeated.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

_TABLE = re.compile(r"[^.`\s/]+(\.[^.`\s/]+){1,2}|/[^`]+"), "catalog.schema.table or an absolute path"
_REPLAY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"), "up to 64 letters, digits, - and _"
_NAMESPACE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?"), "a host name"
_HUB = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,255}"), "the name of a hub"
_TENANT = re.compile(r"[A-Za-z0-9._-]+"), "a tenant's id"
_CLIENT = re.compile(r"[A-Za-z0-9._-]+"), "an application's id"
_AUTHORITY = re.compile(r"https://[A-Za-z0-9.-]+|http://(127\.0\.0\.1|localhost)(:[0-9]+)?"), "an https address"
_FOLDER = re.compile(r"/[^/\0]+(/[^/\0]+)*/?"), "an absolute path, as /Volumes/catalog/schema/volume/folder"
_SECRET = re.compile(r"databricks:[^/\s]+/\S+|env:[A-Za-z_][A-Za-z0-9_]*|file:/\S+")
# What each way to sign in takes, and nothing else of these.
_SIGN_IN = {"sas": ("secret",), "entra": ("secret", "tenant", "client"), "service-credential": ("credential",)}


class ReplayError(Exception):
    """Why a replay can't be done; begins with the class in brackets where the job's own errors do."""


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """Versions [first, last], of `companies` or of all; `rate` events a second at most, `chunk` versions a step.

    `record` and `company` are the columns that hold a change's record and company. How the job signs in is checked and not kept: the environment
    sends as the job's own application.
    """

    table: str
    record: str
    company: str
    replay_id: str
    first: int
    last: int
    companies: tuple[str, ...]
    rate: int
    chunk: int
    folder: str


def parsed(arguments: Sequence[str]) -> ReplayRequest:
    """The request that the arguments mean. Raises ReplayError in words."""
    given = _parser().parse_args(list(arguments))
    _check_sign_in(given)
    if given.to_version < given.from_version:
        raise ReplayError(f"--to-version {given.to_version} is before --from-version {given.from_version}")
    return ReplayRequest(
        given.table,
        given.record_column,
        given.company_column,
        given.replay_id,
        given.from_version,
        given.to_version,
        tuple(dict.fromkeys(given.company or ())),
        given.rate,
        given.chunk_versions,
        given.folder.rstrip("/"),
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ReplayError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="lpmops-stream-job", allow_abbrev=False)
    replay = parser.add_subparsers(dest="command", required=True).add_parser("replay", allow_abbrev=False)
    replay.add_argument("--table", required=True, type=_matching(*_TABLE))
    replay.add_argument("--record-column", default="tdr_id", type=_text)
    replay.add_argument("--company-column", default="info_companyid", type=_text)
    replay.add_argument("--quarantine", type=_matching(*_TABLE))
    replay.add_argument("--namespace", required=True, type=_matching(*_NAMESPACE))
    replay.add_argument("--hub", required=True, type=_matching(*_HUB))
    replay.add_argument("--sign-in", required=True, choices=tuple(_SIGN_IN))
    replay.add_argument("--secret", type=_secret)
    replay.add_argument("--tenant", type=_matching(*_TENANT))
    replay.add_argument("--client", type=_matching(*_CLIENT))
    replay.add_argument("--credential", type=_text)
    replay.add_argument("--authority", type=_matching(*_AUTHORITY))
    replay.add_argument("--tasks", type=_number(1, 1000))
    replay.add_argument("--replay-id", required=True, type=_matching(*_REPLAY_ID))
    replay.add_argument("--from-version", required=True, type=_number(0, 2**62))
    replay.add_argument("--to-version", required=True, type=_number(0, 2**62))
    replay.add_argument("--company", action="append", type=_text)
    replay.add_argument("--rate", default=500, type=_number(1, 100_000))
    replay.add_argument("--chunk-versions", default=20, type=_number(1, 10_000))
    replay.add_argument("--folder", required=True, type=_matching(*_FOLDER))
    return parser


def _check_sign_in(given: argparse.Namespace) -> None:
    needs = _SIGN_IN[given.sign_in]
    for name in ("secret", "tenant", "client", "credential"):
        if (name in needs) != bool(getattr(given, name)):
            verb = "needs" if name in needs else "takes no"
            raise ReplayError(f"--sign-in {given.sign_in} {verb} --{name}")


def _matching(pattern: re.Pattern[str], says: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise argparse.ArgumentTypeError(f"{value!r} is not {says}")
        return value

    return check


def _number(low: int, high: int) -> Callable[[str], int]:
    def check(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,19}", value) or not low <= int(value) <= high:
            raise argparse.ArgumentTypeError(f"{value!r} is not a whole number from {low} to {high}")
        return int(value)

    return check


def _text(value: str) -> str:
    if not value or "\0" in value:
        raise argparse.ArgumentTypeError("it is empty or holds a NUL")
    return value


def _secret(value: str) -> str:
    # What was given is not repeated: it may be the secret itself.
    if not _SECRET.fullmatch(value):
        raise argparse.ArgumentTypeError("it is not a reference: databricks:SCOPE/KEY, env:NAME or file:/path")
    return value
