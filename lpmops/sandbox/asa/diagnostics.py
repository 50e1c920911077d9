"""What the engine says when a query can't be compiled or run.

A Diagnostic points at the text by line and column, both from 1, as the compile answer of the service does; a CompileError carries all that were
found. A QueryRuntimeError is what stops a running job: the documentation says so of a CAST that can't be done.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One complaint about a query, and where: lines and columns count from 1, the end is exclusive."""

    message: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.message}"


class CompileError(Exception):
    """A query that can't be compiled; `diagnostics` says why, in order of the text."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = sorted(diagnostics, key=lambda found: (found.line, found.column))
        super().__init__("; ".join(map(str, self.diagnostics)))


class QueryRuntimeError(Exception):
    """A query that compiled, and met a value it can't go on with (a CAST, an overflow, a division by zero)."""


class SourceText:
    """A query's text, and where in it things are."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._lines = [0]
        for index, character in enumerate(text):
            if character == "\n":
                self._lines.append(index + 1)

    def diagnostic(self, message: str, start: int, end: int | None = None) -> Diagnostic:
        """A complaint about the characters from `start` up to `end` (default: one character)."""
        line, column = self._position(start)
        end_line, end_column = self._position(max(start + 1, end or 0))
        return Diagnostic(message, line, column, end_line, end_column)

    def error(self, message: str, start: int, end: int | None = None) -> CompileError:
        """The same as an error to raise."""
        return CompileError([self.diagnostic(message, start, end)])

    def _position(self, offset: int) -> tuple[int, int]:
        offset = min(offset, len(self.text))
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1
