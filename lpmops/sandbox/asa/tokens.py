"""From a query's text to the tokens of its steps and statements, each of which a stock T-SQL parser can read.

Stream Analytics puts statements one after another without a separator, names outputs by INTO, and has clauses and functions that T-SQL has not. They
are taken out, renamed or refused here, where each word still knows its place in the text. Nothing is understood beyond that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot.dialects.tsql import TSQL
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from lpmops.sandbox.asa import dialect
from lpmops.sandbox.asa.diagnostics import CompileError, Diagnostic, SourceText

# What a function's name becomes, so that the T-SQL parser has no opinion of its own about it.
FUNCTION_PREFIX = "asa "
TIMESTAMP = "SYSTEM_TIMESTAMP"

_CLAUSES = frozenset(["WHERE", "GROUP BY", "HAVING", "UNION", "JOIN", "LEFT", "INNER", "ON", "SELECT"])
_RESERVED = dialect.KEYWORDS | _CLAUSES | {"ORDER BY", "PARTITION BY"}


@dataclass(frozen=True, slots=True)
class Name:
    """A name as written, and where."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Statement:
    """The tokens of one SELECT or UNION, without INTO. `name` is the step's, or the output's (None where the text names none)."""

    name: Name | None
    tokens: tuple[Any, ...]
    start: int
    partitioned: bool


@dataclass(frozen=True, slots=True)
class Script:
    """A whole query: its WITH steps and its SELECT ... INTO statements, in order."""

    steps: tuple[Statement, ...]
    statements: tuple[Statement, ...]


def split(source: SourceText) -> Script:
    """Cut a query into steps and statements. Raises CompileError with every word that is refused, or the first that is out of place."""
    try:
        tokens = TSQL().tokenize(source.text)
    except SqlglotError as error:
        # The tokenizer gives up only on what is opened and never closed, so it has read to the end.
        raise source.error(
            f"The text ends inside a string, a comment or brackets ({_first_line(error)}).",
            max(0, len(source.text) - 1),
        ) from error
    refused = list(_refusals(source, tokens))
    if refused:
        raise CompileError(refused)
    return _Cutter(source, list(_rename_calls(tokens))).script()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _word(token: Any) -> str:
    """The token as a keyword; quoted names and strings are none."""
    return (
        ""
        if token.token_type in (TokenType.IDENTIFIER, TokenType.STRING)
        else " ".join(str(token.text).upper().split())
    )


_REFUSED_PAIRS = {
    ("TIMESTAMP", "BY"): "TIMESTAMP BY",
    ("CROSS", "APPLY"): "CROSS APPLY",
    ("OUTER", "APPLY"): "OUTER APPLY",
    ("CROSS", "JOIN"): "CROSS JOIN",
    ("RIGHT", "JOIN"): "RIGHT JOIN",
    ("RIGHT", "OUTER"): "RIGHT JOIN",
    ("FULL", "JOIN"): "FULL JOIN",
    ("FULL", "OUTER"): "FULL JOIN",
    ("UNION", "ALL"): "UNION ALL (UNION keeps duplicates already)",
    ("SELECT", "DISTINCT"): "SELECT DISTINCT",
    ("SELECT", "TOP"): "SELECT TOP",
    ("LIMIT", "DURATION"): "OVER with LIMIT DURATION",
    ("CREATE", "TABLE"): "CREATE TABLE",
    ("CREATE", "FUNCTION"): "CREATE FUNCTION",
}


def _refusals(source: SourceText, tokens: Sequence[Any]) -> Iterator[Diagnostic]:
    for index, token in enumerate(tokens):
        word = _word(token)
        after = _word(tokens[index + 1]) if index + 1 < len(tokens) else ""
        before = str(tokens[index - 1].text) if index else ""
        what = _REFUSED_PAIRS.get((word, after))
        if word == "MATCH_RECOGNIZE":
            what = word
        elif after == "(" and word and before == ".":
            owner = str(tokens[index - 2].text)
            if (owner.lower(), word) != ("system", "TIMESTAMP"):
                what = f"The user-defined function {owner}.{token.text}"
        elif (
            after == "("
            and before.upper() != "TABLE"
            and _is_name(token)
            and word not in dialect.KEYWORDS
            and word not in dialect.HELD
        ):
            if word not in dialect.REFUSED:
                hint = " Use COALESCE." if word == "ISNULL" else ""
                yield source.diagnostic(
                    f"The function '{token.text}' does not exist in Stream Analytics.{hint}", token.start, token.end + 1
                )
                continue
            what = dialect.REFUSED[word]
        if what:
            yield source.diagnostic(
                f"{what} is not supported by this sandbox's Stream Analytics engine.", token.start, token.end + 1
            )


def _is_name(token: Any) -> bool:
    text = str(token.text)
    return token.token_type not in (TokenType.IDENTIFIER, TokenType.STRING) and (text[:1].isalpha() or text[:1] == "_")


def _rename_calls(tokens: Sequence[Any]) -> Iterator[Any]:
    """The same tokens with functions out of the T-SQL parser's way, System.Timestamp as a function and !< !> as their equals."""
    index, count = 0, len(tokens)
    while index < count:
        token = tokens[index]
        following = [_word(one) for one in tokens[index + 1 : index + 4]]
        word = _word(token)
        if word == "SYSTEM" and following[:2] == [".", "TIMESTAMP"]:
            end = tokens[index + 2]
            yield _token(TokenType.VAR, FUNCTION_PREFIX + TIMESTAMP, token)
            yield _token(TokenType.L_PAREN, "(", end)
            yield _token(TokenType.R_PAREN, ")", end)
            index += 5 if following[2:] == ["("] else 3
            continue
        if word == "!" and following[:1] in (["<"], [">"]):
            less = following[0] == "<"
            yield _token(TokenType.GTE if less else TokenType.LTE, ">=" if less else "<=", token)
            index += 2
            continue
        if following[:1] == ["("] and word in dialect.HELD:
            yield _token(TokenType.VAR, FUNCTION_PREFIX + word, token)
            # ALL is what an aggregate does anyway.
            skip = word in dialect.AGGREGATES and following[1:2] == ["ALL"]
            if skip:
                yield tokens[index + 1]
            index += 3 if skip else 1
            continue
        yield token
        index += 1


def _token(kind: Any, text: str, place: Any) -> Any:
    return Token(kind, text, place.line, place.col, place.start, place.end)


class _Cutter:
    """Walks once over the tokens; raises CompileError at the first that is out of place."""

    def __init__(self, source: SourceText, tokens: Sequence[Any]) -> None:
        self._source, self._tokens, self._at = source, tokens, 0

    def script(self) -> Script:
        steps: list[Statement] = []
        if self._peek() == "WITH":
            self._at += 1
            steps.append(self._step())
            while self._peek() == ",":
                self._at += 1
                steps.append(self._step())
        statements: list[Statement] = []
        while self._at < len(self._tokens):
            if self._peek() == ";":
                self._at += 1
                continue
            statements.append(self._statement())
        if not statements:
            end = max(0, len(self._source.text) - 1)
            raise self._source.error("The query has no SELECT statement that writes to an output.", end)
        return Script(tuple(steps), tuple(statements))

    def _peek(self, ahead: int = 0) -> str:
        return _word(self._tokens[self._at + ahead]) if self._at + ahead < len(self._tokens) else ""

    def _step(self) -> Statement:
        name = self._name("the name of a step")
        for wanted in ("AS", "("):
            if self._peek() != wanted:
                raise self._unexpected(f"'{wanted}' after the step '{name.text}'")
            self._at += 1
        depth, start = 1, self._at
        while depth:
            if self._at >= len(self._tokens):
                raise self._source.error(
                    f"The parenthesis of the step '{name.text}' is never closed.", name.start, name.end
                )
            depth += {"(": 1, ")": -1}.get(self._peek(), 0)
            self._at += 1
        return self._clean(name, self._tokens[start : self._at - 1], name.start, in_step=True)

    def _statement(self) -> Statement:
        if self._peek() not in ("SELECT", "("):
            raise self._unexpected("SELECT")
        start, depth = self._at, 0
        while self._at < len(self._tokens) and not (depth == 0 and self._peek() == ";"):
            if (
                depth == 0
                and self._peek() == "SELECT"
                and self._at > start
                and _word(self._tokens[self._at - 1]) != "UNION"
            ):
                break
            depth += {"(": 1, ")": -1}.get(self._peek(), 0)
            self._at += 1
        return self._clean(None, self._tokens[start : self._at], self._tokens[start].start, in_step=False)

    def _clean(self, name: Name | None, tokens: Sequence[Any], start: int, in_step: bool) -> Statement:
        """Take INTO and PARTITION BY out. What the latter says is how the service spreads work, which changes no row here."""
        kept: list[Any] = []
        depth, index, partitioned = 0, 0, False
        while index < len(tokens):
            word = _word(tokens[index])
            depth += {"(": 1, ")": -1}.get(word, 0)
            if depth == 0 and word == "PARTITION BY":
                partitioned = True
                index = _end_of_partition(tokens, index + 1)
                continue
            if word == "INTO":
                token = tokens[index]
                if in_step or depth:
                    raise self._source.error(
                        "INTO cannot be used in a WITH step or a subquery.", token.start, token.end + 1
                    )
                if name is not None:
                    raise self._source.error("A statement has one INTO.", token.start, token.end + 1)
                name = _name_of(self._source, tokens, index + 1, "the name of an output after INTO")
                index += 2
                continue
            kept.append(tokens[index])
            index += 1
        return Statement(name, tuple(kept), start, partitioned)

    def _name(self, what: str) -> Name:
        name = _name_of(self._source, self._tokens, self._at, what)
        self._at += 1
        return name

    def _unexpected(self, wanted: str) -> CompileError:
        if self._at >= len(self._tokens):
            return self._source.error(f"The text ends where {wanted} was expected.", max(0, len(self._source.text) - 1))
        token = self._tokens[self._at]
        return self._source.error(f"'{_shown(token)}' was not expected here; {wanted} was.", token.start, token.end + 1)


def _shown(token: Any) -> str:
    return str(token.text).removeprefix(FUNCTION_PREFIX)[:60]


def _name_of(source: SourceText, tokens: Sequence[Any], index: int, what: str) -> Name:
    token = tokens[index] if index < len(tokens) else None
    named = token is not None and (
        token.token_type == TokenType.IDENTIFIER or (_is_name(token) and _word(token) not in _RESERVED)
    )
    if token is None or not named or not token.text:
        place = token or (tokens[-1] if tokens else None)
        start = place.start if place is not None else 0
        raise source.error(
            f"{what[:1].upper()}{what[1:]} was expected.", start, place.end + 1 if place is not None else None
        )
    return Name(str(token.text), token.start, token.end + 1)


def _end_of_partition(tokens: Sequence[Any], index: int) -> int:
    depth = 0
    while index < len(tokens):
        word = _word(tokens[index])
        depth += {"(": 1, ")": -1}.get(word, 0)
        numbered = index + 1 < len(tokens) and tokens[index + 1].token_type == TokenType.NUMBER
        if depth == 0 and (word in _CLAUSES or (word == "INTO" and not numbered)):
            break
        if depth < 0:
            break
        index += 1
    return index
