"""T-SQL text into tokens.

Holds the lexical rules of Transact-SQL: bracketed and double-quoted identifiers (QUOTED_IDENTIFIER is on), N'' strings, binary constants, nested
comments, @variables and @@globals. Raises SqlError 105 for an unclosed quote, 113 for an unclosed comment, 102 for a character T-SQL does not have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.errors import SqlError

WORD, QUOTED, STRING, NATIONAL, INTEGER, DECIMAL, FLOAT, HEX, VARIABLE, OPERATOR, END = (
    "word", "quoted", "string", "national", "integer", "decimal", "float", "hex", "variable", "operator", "end",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its kind, its text (unquoted where quoted), where it starts and ends in the batch and on which line, counted from 1."""

    kind: str
    text: str
    start: int
    end: int
    line: int

    @property
    def upper(self) -> str:
        """The word in capitals; empty for anything but an unquoted word."""
        return self.text.upper() if self.kind == WORD else ""


_PATTERN = re.compile(
    r"""(?P<space>[\s\u00a0\ufeff]+)
    |(?P<line_comment>--[^\r\n]*)
    |(?P<comment>/\*)
    |(?P<national>[Nn]'[^']*(?:''[^']*)*')
    |(?P<string>'[^']*(?:''[^']*)*')
    |(?P<bracket>\[[^\]]*(?:\]\][^\]]*)*\])
    |(?P<double>"[^"]*(?:""[^"]*)*")
    |(?P<hex>0[xX][0-9A-Fa-f]*)
    |(?P<float>(?:\d+\.?\d*|\.\d+)[eE][+-]?\d*)
    |(?P<decimal>\d+\.\d*|\.\d+)
    |(?P<integer>\d+)
    |(?P<variable>@@?[\w@$\#]+)
    |(?P<word>[^\W\d]\w*[\w@$\#]*|[_\#][\w@$\#]*)
    |(?P<operator><>|<=|>=|!=|!<|!>|\+=|-=|\*=|/=|%=|&=|\|=|\^=|::|[-+*/%=<>(),.;&|^~{}:?])
    """,
    re.VERBOSE,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def tokenize(text: str) -> tuple[Token, ...]:
    """Every token of a batch, closed by one of kind END."""
    tokens: list[Token] = []
    position, line = 0, 1
    while position < len(text):
        match = _PATTERN.match(text, position)
        if match is None:
            raise _unreadable(text, position, line)
        kind = match.lastgroup or ""
        end = _comment_end(text, position, line) if kind == "comment" else match.end()
        piece = text[position:end]
        if kind not in ("space", "line_comment", "comment"):
            tokens.append(Token(_KIND.get(kind, kind), _unquoted(kind, piece), position, end, line))
        line += piece.count("\n")
        position = end
    tokens.append(Token(END, "", position, position, line))
    return tuple(tokens)


_KIND = {"bracket": QUOTED, "double": QUOTED}


def _unquoted(kind: str, piece: str) -> str:
    if kind in ("string", "national"):
        # A backslash at the end of a line joins the lines, also inside a constant.
        inner = piece[1 if kind == "string" else 2 : -1].replace("''", "'")
        return inner.replace("\\\r\n", "").replace("\\\n", "") if "\\" in inner else inner
    if kind == "bracket":
        return piece[1:-1].replace("]]", "]")
    if kind == "double":
        return piece[1:-1].replace('""', '"')
    return piece


def _comment_end(text: str, position: int, line: int) -> int:
    depth = 0
    while True:
        edge = _COMMENT_EDGE.search(text, position)
        if edge is None:
            raise SqlError(113, "Missing end comment mark '*/'.", 15, 1, line)
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
        if depth == 0:
            return position


def _unreadable(text: str, position: int, line: int) -> SqlError:
    rest = text[position:]
    if rest[0] in "'\"[" or rest[:2].lower() == "n'":
        shown = rest.lstrip("Nn")[1:129]
        return SqlError(105, f"Unclosed quotation mark after the character string '{shown}'.", 15, 1, line)
    return errors.syntax(rest[0], line)
