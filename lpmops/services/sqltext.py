"""Reads SQL text only as far as it must: what is code and what is quoted, which parameter marks count, whether it only reads.

Holds for T-SQL and Databricks SQL alike: 'text with '' doubled', "name", [name], `name`, -- to the line's end, /* nested */. When in doubt a
text writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_READING = {"SELECT", "WITH", "DESCRIBE", "DESC", "SHOW", "EXPLAIN", "VALUES"}
_WRITING = frozenset(
    (
        "INSERT UPDATE DELETE MERGE EXEC EXECUTE INTO CREATE ALTER DROP TRUNCATE GRANT REVOKE DENY BACKUP RESTORE KILL "
        "COPY OPTIMIZE VACUUM REFRESH SET USE CALL"
    ).split()
)
_WORD = re.compile(r"[A-Za-z_@#][\w@#$]*")
_OPENING = re.compile(r"""--|/\*|['"\[`]""")
_CLOSING = {"'": "'", '"': '"', "[": "]", "`": "`"}


def pieces(text: str) -> Iterator[tuple[bool, str]]:
    """The text in order, cut into code (True) and what is quoted or commented (False); joined again it is the text."""
    start = at = 0
    while (opening := _OPENING.search(text, at)) is not None:
        at = opening.start()
        end = _end_of_quoted(text, at)
        if start < at:
            yield True, text[start:at]
        yield False, text[at:end]
        start = at = end
    if start < len(text):
        yield True, text[start:]


def _end_of_quoted(text: str, at: int) -> int:
    """Where the string, name or comment that starts at `at` ends."""
    if text.startswith("--", at):
        line_end = text.find("\n", at)
        return len(text) if line_end < 0 else line_end
    if text.startswith("/*", at):
        return _end_of_comment(text, at)
    closing = _CLOSING[text[at]]
    end = at + 1
    while (end := text.find(closing, end)) >= 0:
        if text[end : end + 2] != closing * 2:
            return end + 1
        end += 2
    return len(text)


def _end_of_comment(text: str, at: int) -> int:
    depth = 0
    while at < len(text):
        if text.startswith("/*", at):
            depth, at = depth + 1, at + 2
        elif text.startswith("*/", at):
            depth, at = depth - 1, at + 2
            if depth == 0:
                return at
        else:
            at += 1
    return at


def only_reads(text: str) -> bool:
    """True where the text is one statement that certainly changes nothing, and so may be sent again."""
    code = "".join(part if is_code else " " for is_code, part in pieces(text))
    words = [word.upper() for word in _WORD.findall(code)]
    one_statement = not code.strip().rstrip(";").count(";")
    return bool(words) and words[0] in _READING and one_statement and _WRITING.isdisjoint(words)


def to_pyformat(text: str) -> str:
    """`?` marks as `%s`, and every other percent sign doubled, as python-tds wants it."""
    return "".join(
        part.replace("%", "%%").replace("?", "%s") if is_code else part.replace("%", "%%")
        for is_code, part in pieces(text)
    )


def without_comments(text: str) -> str:
    """The text without its comments; strings and quoted names stay."""
    return "".join(part for is_code, part in pieces(text) if is_code or not part.startswith(("--", "/*"))).strip()
