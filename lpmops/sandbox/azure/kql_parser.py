"""A Kusto query as a tree: a table, or a union of some, and the steps it is piped through.

The subset: union at the beginning (with isfuzzy),
where, extend, project, summarize, order/sort by, top, take/limit, count, getschema. Any other operator is refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lpmops.sandbox.azure.kql_lexer import KqlError, Token, place, syntax_error, tokens_of

OPERATORS = (
    "where",
    "filter",
    "extend",
    "project",
    "summarize",
    "order",
    "sort",
    "top",
    "take",
    "limit",
    "count",
    "getschema",
)
_TEXT = ("contains", "contains_cs", "has", "has_cs", "startswith", "endswith")
_COMPARE = ("==", "!=", "=~", "!~", "<", "<=", ">", ">=", *_TEXT, *(f"!{name}" for name in _TEXT))
_DEEPEST = 60


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written in the query."""

    value: Any


@dataclass(frozen=True, slots=True)
class Column:
    """A column by name."""

    name: str
    token: Token


@dataclass(frozen=True, slots=True)
class Member:
    """A part of a dynamic value: `p.Message`, `p["Message"]`, `p[0]`."""

    whole: Expression
    key: str | int


@dataclass(frozen=True, slots=True)
class Invoke:
    """A function called."""

    name: str
    arguments: tuple[Expression, ...]
    token: Token


@dataclass(frozen=True, slots=True)
class Binary:
    """Two values and what is between them: comparison, and, or, arithmetic."""

    operator: str
    left: Expression
    right: Expression
    token: Token


@dataclass(frozen=True, slots=True)
class Membership:
    """`x in (...)`; `negated` for !in, `blind` to case for in~."""

    value: Expression
    choices: tuple[Expression, ...]
    negated: bool
    blind: bool


@dataclass(frozen=True, slots=True)
class Between:
    """`x between (low .. high)`, both ends included."""

    value: Expression
    low: Expression
    high: Expression
    negated: bool
    token: Token


Expression = Literal | Column | Member | Invoke | Binary | Membership | Between


@dataclass(frozen=True, slots=True)
class Named:
    """An expression and, where the query gives one, its name."""

    name: str | None
    expression: Expression


@dataclass(frozen=True, slots=True)
class Ordering:
    """What to sort by; descending unless told, nulls last when descending."""

    expression: Expression
    descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One operator of the pipe with whatever it needs."""

    operator: str
    token: Token
    columns: tuple[Named, ...] = ()
    by: tuple[Named, ...] = ()
    condition: Expression | None = None
    order: tuple[Ordering, ...] = ()
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Query:
    """Tables piped through steps. `fuzzy` leaves out those of several tables that do not exist."""

    tables: tuple[Token, ...]
    steps: tuple[Step, ...]
    fuzzy: bool = False


def parse(text: str) -> Query:
    """The tree of a query. Raises KqlError."""
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens_of(text)
        self._at = 0
        self._depth = 0

    def query(self) -> Query:
        table = self._name()
        tables: tuple[Token, ...] = (table,)
        fuzzy = False
        if table.text.lower() == "union":
            tables, fuzzy = self._union()
        elif table.text.lower() in (
            "let",
            "set",
            "declare",
            "search",
            "find",
            "print",
            "range",
            "datatable",
            "externaldata",
            "evaluate",
        ):
            raise self._refused(table)
        steps = []
        while self._take("|"):
            steps.append(self._step())
        self._take(";")
        if self._peek().kind != "end":
            raise self._bad()
        return Query(tables, tuple(steps), fuzzy)

    def _union(self) -> tuple[tuple[Token, ...], bool]:
        """The tables of a union, and whether it is fuzzy; its other options are refused."""
        fuzzy = False
        if self._peek().kind == "name" and self._tokens[self._at + 1].text == "=":
            option = self._name()
            if option.text.lower() != "isfuzzy":
                raise self._refused(option)
            self._at += 1
            value = self._next()
            if value.text.lower() not in ("true", "false"):
                raise syntax_error(value, self._text)
            fuzzy = value.text.lower() == "true"
        tables = [self._name()]
        while self._take(","):
            tables.append(self._name())
        return tuple(tables), fuzzy

    def _step(self) -> Step:
        token = self._name()
        name = token.text.lower()
        if name not in OPERATORS:
            raise self._refused(token)
        if name in ("where", "filter"):
            return Step("where", token, condition=self._expression())
        if name in ("extend", "project"):
            return Step(name, token, columns=self._named_list())
        if name == "summarize":
            columns = () if self._is_word("by") else self._named_list()
            return Step(name, token, columns=columns, by=self._named_list() if self._word("by") else ())
        if name in ("order", "sort"):
            self._expect_word("by")
            return Step("sort", token, order=self._orderings())
        if name == "top":
            limit = self._count()
            self._expect_word("by")
            return Step("top", token, limit=limit, order=self._orderings())
        if name in ("take", "limit"):
            return Step("take", token, limit=self._count())
        return Step(name, token)

    def _named_list(self) -> tuple[Named, ...]:
        found = [self._named()]
        while self._take(","):
            found.append(self._named())
        return tuple(found)

    def _named(self) -> Named:
        if self._peek().kind == "name" and self._tokens[self._at + 1].text == "=":
            name = self._name().text
            self._at += 1
            return Named(name, self._expression())
        return Named(None, self._expression())

    def _orderings(self) -> tuple[Ordering, ...]:
        found = [self._ordering()]
        while self._take(","):
            found.append(self._ordering())
        return tuple(found)

    def _ordering(self) -> Ordering:
        expression = self._expression()
        descending = not self._word("asc")
        if descending:
            self._word("desc")
        nulls_first = not descending
        if self._word("nulls"):
            nulls_first = self._word("first")
            if not nulls_first:
                self._expect_word("last")
        return Ordering(expression, descending, nulls_first)

    def _expression(self) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._bad()
        try:
            left = self._conjunction()
            while self._is_word("or"):
                left = Binary("or", left, self._after(self._conjunction), self._tokens[self._at - 1])
            return left
        finally:
            self._depth -= 1

    def _after(self, part: Any) -> Any:
        self._at += 1
        return part()

    def _conjunction(self) -> Expression:
        left = self._comparison()
        while self._is_word("and"):
            left = Binary("and", left, self._after(self._comparison), self._tokens[self._at - 1])
        return left

    def _comparison(self) -> Expression:
        left = self._sum()
        token = self._peek()
        word = token.text.lower()
        if word in ("in", "!in", "in~", "!in~"):
            self._at += 1
            return Membership(left, self._parenthesized(), word.startswith("!"), word.endswith("~"))
        if word in ("between", "!between"):
            self._at += 1
            self._expect("(")
            low = self._sum()
            self._expect("..")
            high = self._sum()
            self._expect(")")
            return Between(left, low, high, word.startswith("!"), token)
        if word in _COMPARE:
            self._at += 1
            return Binary(word, left, self._sum(), token)
        return left

    def _parenthesized(self) -> tuple[Expression, ...]:
        self._expect("(")
        found = []
        if self._peek().text != ")":
            found.append(self._expression())
            while self._take(","):
                found.append(self._expression())
        self._expect(")")
        return tuple(found)

    def _sum(self) -> Expression:
        left = self._product()
        while self._peek().text in ("+", "-") and self._peek().kind == "operator":
            token = self._next()
            left = Binary(token.text, left, self._product(), token)
        return left

    def _product(self) -> Expression:
        left = self._unary()
        while self._peek().text in ("*", "/", "%") and self._peek().kind == "operator":
            token = self._next()
            left = Binary(token.text, left, self._unary(), token)
        return left

    def _unary(self) -> Expression:
        token = self._peek()
        if token.text == "-" and token.kind == "operator":
            self._at += 1
            return Binary("-", Literal(0), self._postfix(), token)
        return self._postfix()

    def _postfix(self) -> Expression:
        found = self._primary()
        while True:
            if self._take("."):
                found = Member(found, self._name().text)
            elif self._take("["):
                key = self._next()
                if key.kind != "literal" or not isinstance(key.value, str | int):
                    raise syntax_error(key, self._text)
                self._expect("]")
                found = Member(found, key.value)
            else:
                return found

    def _primary(self) -> Expression:
        token = self._next()
        if token.kind == "literal":
            return Literal(token.value)
        if token.text == "(" and token.kind == "operator":
            found = self._expression()
            self._expect(")")
            return found
        if token.kind == "name":
            if self._peek().text == "(" and self._peek().kind == "operator":
                return Invoke(token.text.lower(), self._parenthesized(), token)
            return Column(token.text, token)
        raise syntax_error(token, self._text)

    def _count(self) -> int:
        token = self._next()
        if token.kind != "literal" or not isinstance(token.value, int) or isinstance(token.value, bool):
            raise syntax_error(token, self._text)
        return token.value

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        if token.kind != "end":
            self._at += 1
        return token

    def _name(self) -> Token:
        token = self._next()
        if token.kind != "name":
            raise syntax_error(token, self._text)
        return token

    def _take(self, text: str) -> bool:
        if self._peek().kind == "operator" and self._peek().text == text:
            self._at += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._bad()

    def _is_word(self, word: str) -> bool:
        return self._peek().kind == "name" and self._peek().text.lower() == word

    def _word(self, word: str) -> bool:
        if self._is_word(word):
            self._at += 1
            return True
        return False

    def _expect_word(self, word: str) -> None:
        if not self._word(word):
            raise self._bad()

    def _bad(self) -> KqlError:
        return syntax_error(self._peek(), self._text)

    def _refused(self, token: Token) -> KqlError:
        line, column = place(self._text, token.position)
        message = f"The operator '{token.text}' on line [{line},{column}] is not one this sandbox runs; it runs {', '.join(OPERATORS)}"
        return KqlError("SyntaxError", "SYN0002", message, token.position, token.text)
