"""Words of a Kusto query, each with its place in the text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lpmops.sandbox.azure.stamps import parse_time


class KqlError(Exception):
    """A query that can't be run. `kind` is SyntaxError or SemanticError; `position` is an offset in the text, where one is known."""

    def __init__(self, kind: str, code: str, message: str, position: int | None = None, token: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.code = code
        self.message = message
        self.position = position
        self.token = token


def syntax_error(token: Token, text: str) -> KqlError:
    """The query stops making sense at this word."""
    line, column = place(text, token.position)
    shown = token.text or "<EOF>"
    message = f"Query could not be parsed at '{shown}' on line [{line},{column}]"
    return KqlError("SyntaxError", "SYN0002", message, token.position, shown)


def place(text: str, position: int) -> tuple[int, int]:
    """Line from 1 and column from 0, as Kusto counts."""
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1)


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is name, literal, operator or end; `value` is a literal's."""

    kind: str
    text: str
    position: int
    value: Any = None


_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_WORD = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*)
  | (?P<moment>datetime\s*\(\s*(?P<moment_text>[^()]*?)\s*\))
  | (?P<span>(?P<amount>\d+(?:\.\d+)?)(?P<unit>ms|[dhms])(?!\w))
  | (?P<number>\d+(?:\.\d+)?(?![\w]))
  | (?P<string>@"[^"\n]*"|@'[^'\n]*'|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
  | (?P<negated>!(?:contains_cs|contains|has_cs|has|in~|in|startswith|endswith|between)(?!\w))
  | (?P<insensitive>in~)
  | (?P<dashed>(?:project|mv|make)-[a-z-]+)
  | (?P<name>[A-Za-z_][\w$]*)
  | (?P<operator>==|!=|=~|!~|<=|>=|\.\.|[<>=+\-*/%|,().\[\];{}:])
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_WORDS = {"true": True, "false": False}


def tokens_of(text: str) -> list[Token]:
    """All words and an end. Raises KqlError at what is no word."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _WORD.match(text, at)
        if not match:
            raise syntax_error(Token("operator", text[at], at), text)
        kind = match.lastgroup if match.lastgroup != "moment_text" else "moment"
        if kind != "space":
            found.append(_token(match, str(kind), text))
        at = match.end()
    found.append(Token("end", "", len(text)))
    return found


def _token(match: re.Match[str], kind: str, text: str) -> Token:
    word, position = match.group(), match.start()
    if kind == "moment":
        return Token("literal", word, position, _moment(match, text))
    if kind == "span":
        seconds = float(match["amount"]) * _UNITS[match["unit"].lower()]
        try:
            return Token("literal", word, position, timedelta(seconds=seconds))
        except OverflowError:
            raise syntax_error(Token("literal", word, position), text) from None
    if kind == "number":
        return Token("literal", word, position, float(word) if "." in word else int(word))
    if kind == "string":
        return Token("literal", word, position, _string(word))
    if kind == "name" and word.lower() in _WORDS:
        return Token("literal", word, position, _WORDS[word.lower()])
    if kind in ("negated", "insensitive"):
        return Token("operator", word.lower(), position)
    return Token("name" if kind in ("name", "dashed") else "operator", word, position)


def _moment(match: re.Match[str], text: str) -> datetime:
    try:
        return parse_time(match.group("moment_text").strip("\"'"))
    except ValueError:
        token = Token("literal", match.group(), match.start())
        line, column = place(text, token.position)
        message = f"Failed to parse datetime literal: '{token.text}' [line:position={line}:{column}]"
        raise KqlError("SyntaxError", "SYN0002", message, token.position, token.text) from None


def _string(word: str) -> str:
    if word.startswith("@"):
        return word[2:-1]
    return _ESCAPE.sub(lambda m: _ESCAPES.get(m.group(1), m.group(1)), word[1:-1])
