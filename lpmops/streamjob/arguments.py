"""What the job is told, checked: `stream` and `replay` with their options, as frozen settings.

A wrong argument raises ValueError with its name and what it must be; a secret given by mistake is not repeated.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from .hub import AUTHORITY, Hub

_TABLE = re.compile(r"[^.`\s/]+(\.[^.`\s/]+){1,2}|/[^`]+")
_REPLAY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_NAMESPACE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?")
_HUB = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,255}")
_SECRET = re.compile(r"databricks:[^/\s]+/\S+|env:[A-Za-z_][A-Za-z0-9_]*|file:/\S+")
_WORD = re.compile(r"[A-Za-z0-9._-]+")
_AUTHORITY = re.compile(r"https://[A-Za-z0-9.-]+|http://(127\.0\.0\.1|localhost)(:[0-9]+)?")
_FOLDER = re.compile(r"/[^/\0]+(/[^/\0]+)*/?")


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """The continuous stream. `trigger_seconds` 0 is Spark's default trigger, the next batch as soon as the last is done."""

    table: str
    record: str
    company: str
    quarantine: str
    hub: Hub
    tasks: int
    checkpoint: str
    starting_version: int | None
    accepted_schema_version: int | None
    trigger_seconds: int


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """A bounded replay: versions [first, last], of `companies` or of all; `rate` events a second at most, `chunk` versions a step."""

    table: str
    record: str
    company: str
    quarantine: str
    hub: Hub
    tasks: int
    replay_id: str
    first: int
    last: int
    companies: tuple[str, ...]
    rate: int
    chunk: int
    folder: str


def parse(arguments: Sequence[str]) -> StreamSettings | ReplaySettings:
    """The settings that the arguments mean. Raises ValueError in words."""
    given = _parser().parse_args(list(arguments))
    hub = _hub(given)
    shared = {
        "table": given.table,
        "record": given.record_column,
        "company": given.company_column,
        "quarantine": given.quarantine or given.table.rstrip("/") + "_quarantine",
        "hub": hub,
        "tasks": given.tasks,
    }
    if given.command == "stream":
        return StreamSettings(
            **shared,
            checkpoint=given.checkpoint.rstrip("/"),
            starting_version=given.starting_version,
            accepted_schema_version=given.accept_schema_version,
            trigger_seconds=given.trigger_seconds,
        )
    if given.to_version < given.from_version:
        raise ValueError(f"--to-version {given.to_version} is before --from-version {given.from_version}")
    return ReplaySettings(
        **shared,
        replay_id=given.replay_id,
        first=given.from_version,
        last=given.to_version,
        companies=tuple(dict.fromkeys(given.company or ())),
        rate=given.rate,
        chunk=given.chunk_versions,
        folder=given.folder.rstrip("/"),
    )


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would end the process, because on Databricks only an exception's words reach the run's page."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lpmops-stream-job",
        allow_abbrev=False,
        description="Sends the change feed of a Delta table to an Event Hub.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    stream = commands.add_parser("stream", allow_abbrev=False, help="follow the feed until stopped")
    replay = commands.add_parser("replay", allow_abbrev=False, help="send the changes of some versions again")
    for command in (stream, replay):
        command.add_argument(
            "--table", required=True, type=_matching(_TABLE, "catalog.schema.table or an absolute path")
        )
        command.add_argument("--record-column", default="tdr_id", type=_text)
        command.add_argument("--company-column", default="info_companyid", type=_text)
        command.add_argument("--quarantine", type=_matching(_TABLE, "catalog.schema.table or an absolute path"))
        command.add_argument("--namespace", required=True, type=_matching(_NAMESPACE, "a host name"))
        command.add_argument("--hub", required=True, type=_matching(_HUB, "the name of a hub"))
        command.add_argument("--sign-in", required=True, choices=("sas", "entra", "service-credential"))
        command.add_argument("--secret", type=_secret)
        command.add_argument("--tenant", type=_matching(_WORD, "a tenant's id"))
        command.add_argument("--client", type=_matching(_WORD, "an application's id"))
        command.add_argument("--credential", type=_text)
        command.add_argument("--authority", default=AUTHORITY, type=_matching(_AUTHORITY, "an https address"))
        command.add_argument("--tasks", default=4, type=_number(1, 1000))
    folder = _matching(_FOLDER, "an absolute path, as /Volumes/catalog/schema/volume/folder")
    stream.add_argument("--checkpoint", required=True, type=folder)
    stream.add_argument("--starting-version", type=_number(0, 2**62))
    stream.add_argument("--accept-schema-version", type=_number(0, 2**62))
    stream.add_argument("--trigger-seconds", default=0, type=_number(0, 3600))
    replay.add_argument("--replay-id", required=True, type=_matching(_REPLAY_ID, "up to 64 letters, digits, - and _"))
    replay.add_argument("--from-version", required=True, type=_number(0, 2**62))
    replay.add_argument("--to-version", required=True, type=_number(0, 2**62))
    replay.add_argument("--company", action="append", type=_text, help="only this company; may be repeated")
    replay.add_argument("--rate", default=500, type=_number(1, 100_000))
    replay.add_argument("--chunk-versions", default=20, type=_number(1, 10_000))
    replay.add_argument("--folder", required=True, type=folder, help="where the replay keeps how far it is")
    return parser


def _hub(given: argparse.Namespace) -> Hub:
    needs = {
        "sas": ("secret",),
        "entra": ("secret", "tenant", "client"),
        "service-credential": ("credential",),
    }[given.sign_in]
    for name in ("secret", "tenant", "client", "credential"):
        value = getattr(given, name)
        if (name in needs) != bool(value):
            verb = "needs" if name in needs else "takes no"
            raise ValueError(f"--sign-in {given.sign_in} {verb} --{name}")
    return Hub(
        given.namespace,
        given.hub,
        given.sign_in,
        given.secret or "",
        given.tenant or "",
        given.client or "",
        given.credential or "",
        given.authority,
    )


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
