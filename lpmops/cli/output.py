"""The one place that writes for a command: data to stdout as table, json, jsonl or csv, everything else to stderr.

One JSON document is `{"schema", "ok", "data", "warnings", "error"}`, and only ever gains keys. Text from outside (names, reasons, messages) is made
plain on its way out (`lpmops.plain_text`), and no cell is a formula for a spreadsheet.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NoReturn, TextIO

import typer

from lpmops.cli.context import world
from lpmops.errors import ExitCode, LpmopsError
from lpmops.plain_text import escaped, plain

SIGPIPE_EXIT = 141
_COLOURS = {"green": "32", "yellow": "33", "red": "31", "grey": "90", "bold": "1"}


class Output(StrEnum):
    """The forms of output."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


@dataclass(slots=True)
class Answer:
    """What a command has to say. `data` is plain JSON values; `lines` its table; `rows` its flat form for csv; `error` what went wrong beside it."""

    schema: str
    data: Any = None
    lines: Sequence[str] = ()
    rows: Sequence[Mapping[str, Any]] = ()
    warnings: list[str] = field(default_factory=list)
    error: LpmopsError | None = None


def paint(text: str, colour: str) -> str:
    """Text in a colour, where stdout takes colour."""
    stream = world().stdout
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if world().has_colour(stream) else text


def width(text: str) -> int:
    """The cells that a text takes on a terminal, colours not counted."""
    bare = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in bare
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> list[str]:
    """Lines of aligned columns; `right` are the columns of numbers."""
    cells = [list(head), *(list(row) for row in rows)]
    widths = [max(width(row[column]) for row in cells) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        padded = (
            " " * (widths[place] - width(cell)) + cell if place in right else cell + " " * (widths[place] - width(cell))
            for place, cell in enumerate(row)
        )
        return "  ".join(padded).rstrip()

    return [line(row) for row in cells]


def error_data(error: LpmopsError) -> dict[str, Any]:
    """An error as scripts read it."""
    return {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "retryable": error.retryable,
        "in_doubt": error.in_doubt,
        "operation": error.operation,
    }


def envelope(answer: Answer) -> dict[str, Any]:
    """The one JSON document."""
    return {
        "schema": f"lpmops/{answer.schema}/v1",
        "ok": answer.error is None,
        "data": answer.data,
        "warnings": list(answer.warnings),
        "error": None if answer.error is None else error_data(answer.error),
    }


def dumps(value: Any, indent: int | None = None) -> str:
    """Plain JSON values as text that is safe to show."""
    text = json.dumps(
        value, ensure_ascii=False, indent=indent, allow_nan=False, separators=None if indent else (",", ":")
    )
    return escaped(text)


def emit(answer: Answer, output: Output, *, compact: bool = False) -> None:
    """Write an answer in the wanted form; warnings and an error are told on stderr unless they are in the document."""
    out = world().stdout
    if output is Output.JSON:
        _write(out, dumps(envelope(answer), None if compact else 2) + "\n")
        return
    if output is Output.JSONL:
        items = answer.data if isinstance(answer.data, list) else [] if answer.data is None else [answer.data]
        _write(out, "".join(dumps(item) + "\n" for item in items))
    elif output is Output.CSV:
        from lpmops.delimited import csv_text

        _write(out, csv_text(answer.rows))
    elif answer.lines:
        _write(out, "\n".join(answer.lines) + "\n")
    for warning in answer.warnings:
        narrate(f"warning: {warning}")
    if answer.error is not None:
        tell(answer.error)


def say(text: str) -> None:
    """A text of our own, on stdout."""
    _write(world().stdout, text.rstrip("\n") + "\n")


def narrate(text: str) -> None:
    """A line for the person, on stderr."""
    _write(world().stderr, plain(text) + "\n")


def tell(error: LpmopsError) -> None:
    """An error for the person: what happened, then what to do."""
    narrate(f"error: {error.message}")
    for line in error.hint.splitlines():
        narrate(f"  {line.strip()}")


@contextlib.contextmanager
def guarded(schema: str, output: Output) -> Iterator[None]:
    """Turn an error of lpmops that leaves a command into its document or sentence, and its exit code."""
    try:
        yield
    except LpmopsError as error:
        fail(schema, output, error)


def fail(schema: str, output: Output, error: LpmopsError) -> NoReturn:
    """Write an error as this output wants it, and end with its exit code."""
    emit(Answer(schema, error=error), output)
    raise typer.Exit(int(error.exit_code))


def leave(code: ExitCode) -> None:
    """End with that exit code; 0 just returns."""
    if code is not ExitCode.OK:
        raise typer.Exit(int(code))


def finish(stream: TextIO) -> None:
    """Write what is left, and let go of a stream that nobody reads any more: Python would flush it again at exit, complain, and end with 120."""
    try:
        stream.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _write(stream: TextIO, text: str) -> None:
    """Write what the stream's encoding can't hold as escapes; a reader that went away ends the command without a word."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        finish(stream)
        raise typer.Exit(SIGPIPE_EXIT) from None
