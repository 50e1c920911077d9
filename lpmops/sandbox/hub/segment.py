"""One file of a partition's log: records that are only ever appended.

A segment opens with a header (what comes before it) and then holds records, each with its length and checksum. After
a crash the last record may be torn: `Segment.recover` finds the last whole one and cuts the rest off, so that what is
read was written whole. A sparse index in memory leads to any record by sequence number or by time. Not thread-safe:
the partition holds the lock.

Header: magic, sequence number and offset of the first record, offset and time of the record before it, checksum.
Record: length, checksum of what follows, sequence number, time, length of the key (0xFFFF for none), key, sections.
An offset is the record's place in the partition, counted over all segments.
"""

from __future__ import annotations

import errno
import os
import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import NoReturn
from zlib import crc32

from lpmops.sandbox.hub.model import HubError, HubStorageError, HubStorageFull, OutgoingEvent, StoredEvent

_MAGIC = b"LPMHUB1\n"
_HEADER = struct.Struct(">8sQQqq")
_BODY = _HEADER.size + 4
_FRAME = struct.Struct(">II")
_FIXED = struct.Struct(">QqH")
_NO_KEY = 0xFFFF
_CHUNK = 1 << 18
_STRIDE = 64
# A torn length may claim gigabytes; no record is longer than this.
_LONGEST = 4 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def encode_record(event: OutgoingEvent, sequence: int, enqueued_ms: int) -> bytes:
    """The record of one event. Raises HubError for a key of 65,535 bytes or more."""
    key = b"" if event.key is None else event.key.encode()
    if len(key) >= _NO_KEY:
        raise HubError("the partition key is too long")
    content = _FIXED.pack(sequence, enqueued_ms, _NO_KEY if event.key is None else len(key)) + key + event.sections
    return _FRAME.pack(len(content), crc32(content)) + content


@dataclass(frozen=True, slots=True)
class Start:
    """What a segment's header says: where it begins, and what the last record before it was (offset -1 and year 1 for none)."""

    base_sequence: int
    base_offset: int
    previous_offset: int
    previous_ms: int

    def pack(self) -> bytes:
        """The header's bytes."""
        head = _HEADER.pack(_MAGIC, self.base_sequence, self.base_offset, self.previous_offset, self.previous_ms)
        return head + crc32(head).to_bytes(4, "big")


def read_start(path: Path) -> Start:
    """The header of a segment file. Raises HubStorageError where it is damaged."""
    with path.open("rb") as file:
        head = file.read(_BODY)
    if len(head) < _BODY or head[:8] != _MAGIC or crc32(head[:-4]) != int.from_bytes(head[-4:], "big"):
        raise HubStorageError(f"{path} has no valid segment header")
    return Start(*_HEADER.unpack(head[:-4])[1:])


class Segment:
    """A segment: the last one of a partition takes appends (`create`, `recover`), the ones before it are only read (`sealed`)."""

    def __init__(self, path: Path, start: Start) -> None:
        self.path = path
        self.start = start
        self.next_sequence = start.base_sequence
        self.size = _BODY
        self.last_ms = start.previous_ms
        self.last_offset = start.previous_offset
        self._file: FileIO | None = None
        self._positions = array("Q")
        self._times = array("q")
        self._indexed = True

    @classmethod
    def create(cls, folder: Path, start: Start) -> Segment:
        """A new, empty segment; it appears under its name only when its header is whole. Raises HubStorageFull."""
        path = folder / f"{start.base_sequence:020d}.log"
        part = path.with_suffix(".part")
        try:
            part.write_bytes(start.pack())
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            _raise_full(error)
        segment = cls(path, start)
        segment._file = path.open("r+b", buffering=0)
        return segment

    @classmethod
    def recover(cls, path: Path) -> Segment:
        """The last segment of a partition, after a restart: every record is checked, and what follows the last whole one is cut off.

        Raises HubStorageError where the header is damaged.
        """
        segment = cls(path, read_start(path))
        segment._file = path.open("r+b", buffering=0)
        for position, length, sequence, enqueued_ms in _scan(segment._file, segment.start.base_sequence):
            segment._note(position, sequence, enqueued_ms, length)
        if segment.size < path.stat().st_size:
            segment._file.truncate(segment.size)
        return segment

    @classmethod
    def sealed(cls, path: Path, following: Start) -> Segment:
        """A segment that another follows; its records are looked at when they are first read. Raises HubStorageError."""
        segment = cls(path, read_start(path))
        segment.size = path.stat().st_size
        segment.next_sequence = following.base_sequence
        segment.last_ms, segment.last_offset = following.previous_ms, following.previous_offset
        segment._indexed = False
        if segment.end_offset != following.base_offset or following.base_sequence < segment.start.base_sequence:
            raise HubStorageError(f"{path} does not end where the next segment begins")
        return segment

    def next_start(self) -> Start:
        """The start of a segment that follows this one."""
        return Start(self.next_sequence, self.end_offset, self.last_offset, self.last_ms)

    @property
    def end_offset(self) -> int:
        """The offset that the next record gets."""
        return self.start.base_offset + self.size - _BODY

    def append(self, records: Sequence[bytes], enqueued_ms: int, fsync: bool) -> list[int]:
        """Write records that begin at `next_sequence`; return their offsets. Raises HubStorageFull, and then the segment is as it was."""
        if self._file is None:
            raise ValueError("the segment is closed")
        block = memoryview(b"".join(records))
        try:
            self._file.seek(self.size)
            while block:
                block = block[self._file.write(block) :]
            if fsync:
                os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(self.size)
            _raise_full(error)
        offsets = []
        for record in records:
            offsets.append(self.end_offset)
            self._note(self.size, self.next_sequence, enqueued_ms, len(record))
        return offsets

    def _note(self, position: int, sequence: int, enqueued_ms: int, length: int) -> None:
        self._index(position, sequence, enqueued_ms)
        self.next_sequence = sequence + 1
        self.size = position + length
        self.last_ms = enqueued_ms
        self.last_offset = self.start.base_offset + position - _BODY

    def _index(self, position: int, sequence: int, enqueued_ms: int) -> None:
        if (sequence - self.start.base_sequence) % _STRIDE == 0:
            self._positions.append(position)
            self._times.append(enqueued_ms)

    def _ensure_index(self) -> None:
        """Look at the records of a segment from before the restart. Raises HubStorageError where they are damaged."""
        if self._indexed:
            return
        sequence, end = self.start.base_sequence, _BODY
        with self._reading() as file:
            for position, length, at_sequence, enqueued_ms in _scan(file, sequence):
                self._index(position, at_sequence, enqueued_ms)
                sequence, end = at_sequence + 1, position + length
        if sequence != self.next_sequence:
            self._positions, self._times = array("Q"), array("q")
            raise HubStorageError(f"{self.path} is damaged at byte {end}, and later segments exist")
        self._indexed = True

    @contextmanager
    def _reading(self) -> Iterator[FileIO]:
        """The file to read from. A sealed segment keeps none open: a week of them would use up the process's allowance."""
        if self._file is not None:
            yield self._file
            return
        with self.path.open("rb", buffering=0) as file:
            yield file

    def read(self, partition: int, sequence: int, limit: int) -> list[StoredEvent]:
        """Up to `limit` events from `sequence` on, which must lie in this segment. Raises HubStorageError."""
        self._ensure_index()
        slot = (sequence - self.start.base_sequence) // _STRIDE
        position = self._positions[slot]
        at_sequence = self.start.base_sequence + slot * _STRIDE
        events: list[StoredEvent] = []
        buffer, at = b"", 0
        with self._reading() as file:
            while len(events) < limit and at_sequence < self.next_sequence:
                if len(buffer) - at < _FRAME.size:
                    buffer, at = self._read_at(file, position, _FRAME.size), 0
                length, checksum = _FRAME.unpack_from(buffer, at)
                end = at + _FRAME.size + length
                if end > len(buffer):
                    buffer, at = self._read_at(file, position, _FRAME.size + length), 0
                    end = _FRAME.size + length
                if at_sequence >= sequence:
                    events.append(
                        self._event(partition, buffer[at + _FRAME.size : end], checksum, position, at_sequence)
                    )
                position, at_sequence, at = position + _FRAME.size + length, at_sequence + 1, end
        return events

    def _read_at(self, file: FileIO, position: int, needed: int) -> bytes:
        buffer = _pread(file, position, needed)
        if len(buffer) < needed or position + needed > self.size:
            raise HubStorageError(f"{self.path} is damaged at byte {position}")
        return buffer

    def _event(self, partition: int, content: bytes, checksum: int, position: int, expected: int) -> StoredEvent:
        sequence, enqueued_ms, key_length = _FIXED.unpack_from(content)
        if crc32(content) != checksum or sequence != expected:
            raise HubStorageError(f"{self.path} is damaged at byte {position}")
        start = _FIXED.size + (0 if key_length == _NO_KEY else key_length)
        key = None if key_length == _NO_KEY else content[_FIXED.size : start].decode()
        return StoredEvent(
            partition, sequence, str(self.start.base_offset + position - _BODY), enqueued_ms, key, content[start:]
        )

    def first_ms(self) -> int:
        """The time of the first record, or of the last where there is none or it is damaged; reads no more than that one."""
        with self._reading() as file:
            for _, _, _, enqueued_ms in _scan(file, self.start.base_sequence):
                return enqueued_ms
        return self.last_ms

    def near_time(self, enqueued_ms: int) -> int:
        """A sequence number at most one index stride before the first record at or after this time."""
        self._ensure_index()
        slot = max(0, bisect_left(self._times, enqueued_ms) - 1)
        return min(self.start.base_sequence + slot * _STRIDE, self.next_sequence)

    def near_offset(self, offset: int) -> int:
        """A sequence number at most one index stride before the record at this offset."""
        self._ensure_index()
        slot = max(0, bisect_right(self._positions, offset - self.start.base_offset + _BODY) - 1)
        return min(self.start.base_sequence + slot * _STRIDE, self.next_sequence)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """Delete the file: everything in it has expired."""
        self.close()
        self.path.unlink(missing_ok=True)


def _pread(file: FileIO, position: int, needed: int) -> bytes:
    file.seek(position)
    return file.read(max(_CHUNK, needed))


def _scan(file: FileIO, expected: int) -> Iterator[tuple[int, int, int, int]]:
    """Position, length, sequence number and time of each whole record, from sequence number `expected` up to the first that is not whole."""
    position = _BODY
    buffer, at = b"", 0
    while True:
        if len(buffer) - at < _FRAME.size:
            buffer, at = _pread(file, position, _FRAME.size), 0
            if len(buffer) < _FRAME.size:
                return
        length, checksum = _FRAME.unpack_from(buffer, at)
        end = at + _FRAME.size + length
        if end > len(buffer):
            buffer, at = _pread(file, position, min(_FRAME.size + length, _LONGEST)), 0
            end = _FRAME.size + length
            if end > len(buffer):
                return
        content = memoryview(buffer)[at + _FRAME.size : end]
        if length < _FIXED.size or crc32(content) != checksum:
            return
        sequence, enqueued_ms, _ = _FIXED.unpack_from(content)
        if sequence != expected:
            return
        yield position, _FRAME.size + length, sequence, enqueued_ms
        position, expected, at = position + _FRAME.size + length, expected + 1, end


def _raise_full(error: OSError) -> NoReturn:
    if error.errno in _FULL:
        raise HubStorageFull(f"no room for the hub's log: {error.strerror}") from error
    raise error
