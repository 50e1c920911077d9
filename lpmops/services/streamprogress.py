"""How far the stream is, as Spark writes it: its own progress beside the checkpoint, or the offsets that the checkpoint plans."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TypeVar

from lpmops.errors import BadAnswerError
from lpmops.model import StreamProgress
from lpmops.services.answers import Answer, Fields

_Part = TypeVar("_Part")


def written(answer: Answer) -> StreamProgress:
    """Spark's StreamingQueryProgress as JSON, as the stream job writes it after each batch."""
    fields = answer.fields()
    sources = [source for source in fields.objects("sources") if _offset(source, answer) is not None]
    offset = _offset(sources[0], answer) if sources else None
    if offset is None:
        answer.refuse("names no Delta source with its end")
    parts = _Parts()
    milliseconds = parts.read(lambda: fields.object("durationMs").maybe_number("triggerExecution"))
    return StreamProgress(
        version=_planned_version(offset),
        table_id=offset.maybe_text("reservoirId"),
        batch=parts.read(lambda: fields.maybe_integer("batchId")),
        at=parts.read(lambda: fields.maybe_time("timestamp")),
        input_rate=parts.read(lambda: fields.maybe_number("inputRowsPerSecond")),
        processed_rate=parts.read(lambda: fields.maybe_number("processedRowsPerSecond")),
        batch_seconds=None if milliseconds is None else milliseconds / 1000,
        backlog_bytes=parts.read(lambda: sources[0].object("metrics").maybe_integer("numBytesOutstanding")),
        unreadable=tuple(parts.unreadable),
    )


def belongs_to(answer: Answer, checkpoint: str) -> bool:
    """Whether a progress is that of the checkpoint of this name in the same folder; one that names none is taken for it."""
    return bool(answer.fields().values.get("checkpoint", checkpoint) == checkpoint)


class _Parts:
    """Reads what a progress may do without: a part that can't be read is None, and `unreadable` says which it was."""

    def __init__(self) -> None:
        self.unreadable: list[str] = []

    def read(self, part: Callable[[], _Part | None]) -> _Part | None:
        """What `part` gives."""
        try:
            return part()
        except BadAnswerError as error:
            self.unreadable.append(error.message)
            return None


def _offset(source: Fields, answer: Answer) -> Fields | None:
    """The end of what a source has read; Spark writes it as an object or as JSON in a string."""
    value = source.values.get("endOffset")
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return Fields(value, answer) if isinstance(value, dict) and "reservoirVersion" in value else None


def planned(answer: Answer, batch: int) -> StreamProgress:
    """A file of `offsets/`: a line `v1`, a line of metadata, then one line of JSON for each source."""
    lines = answer.body.decode("utf-8", "replace").splitlines()
    if not lines or lines[0].strip() != "v1":
        answer.refuse("is no checkpoint offset of version 1")
    at: datetime | None = None
    parts = _Parts()
    for number, line in enumerate(lines[1:], 2):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            parts.unreadable.append(f"The answer of {answer.place} has no JSON object in line {number}.")
            continue
        fields = Fields(value, answer)
        if "batchTimestampMs" in value:
            at = parts.read(partial(fields.maybe_epoch_milliseconds, "batchTimestampMs"))
        if "reservoirVersion" in value:
            return StreamProgress(
                _planned_version(fields),
                table_id=fields.maybe_text("reservoirId"),
                batch=batch,
                at=at,
                unreadable=tuple(parts.unreadable),
            )
    return answer.refuse("names no Delta source")


def _planned_version(offset: Fields) -> int:
    """The newest version that is read in part or whole: Delta writes the next version with a negative index once one is done."""
    version = offset.integer("reservoirVersion")
    index = offset.maybe_integer("index")
    return version - 1 if index is not None and index < 0 else version
