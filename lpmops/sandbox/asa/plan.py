"""A compiled query: steps, statements and what they read, with every name resolved.

A step or a statement is one SELECT, or several under UNION. A grouped SELECT has a window; what it produces when the window closes is a new stream to
whoever reads it. Items that start with HIDDEN are columns that no one named: nested fields that a later step asks for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lpmops.sandbox.asa.expressions import Aggregate, Expression, Path

HIDDEN = "\x1f"


@dataclass(frozen=True, slots=True)
class Input:
    """A stream input, by its name in the job."""

    name: str


@dataclass(slots=True)
class Item:
    """One column of a SELECT: `key` is how it is found (its name without case, or a hidden key), `name` how it is written out."""

    key: str
    name: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Star:
    """All columns of a source whose columns are not known before events come: an input, a step open to one, or reference data."""

    origin: int


@dataclass(frozen=True, slots=True)
class Join:
    """A reference input joined to the stream; `outer` keeps events that match nothing."""

    reference: str
    outer: bool
    condition: Expression


@dataclass(slots=True)
class Window:
    """A tumbling window (start, end] of `size` microseconds, moved by `offset`, and what is grouped and counted in it."""

    size: int
    offset: int
    keys: tuple[Expression, ...]
    aggregates: tuple[Aggregate, ...]
    having: Expression | None


@dataclass(slots=True)
class Select:
    """One SELECT. In a windowed one the items speak of keys and aggregates, `where` and the keys of the source."""

    source: Input | Step
    joins: tuple[Join, ...]
    where: Expression | None
    items: list[Item | Star]
    window: Window | None = None


@dataclass(slots=True, eq=False)
class Step:
    """A WITH step. `paths` says which nested field each hidden column is; an open step passes on fields it doesn't name."""

    name: str
    selects: list[Select] = field(default_factory=list)
    paths: dict[str, Path] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether it has columns that are not known before events come."""
        return any(isinstance(item, Star) for item in self.selects[0].items)

    def visible(self) -> list[Item]:
        """The columns that the text names, in order."""
        return [item for item in self.selects[0].items if isinstance(item, Item) and not item.key.startswith(HIDDEN)]


@dataclass(frozen=True, slots=True)
class Statement:
    """A SELECT ... INTO: which output gets which rows."""

    output: str
    selects: tuple[Select, ...]


@dataclass(frozen=True, slots=True)
class CompiledQuery:
    """A query that can be run. `paths` are the fields read of each stream input; `stars` the inputs of which all fields are read."""

    text: str
    steps: tuple[Step, ...]
    statements: tuple[Statement, ...]
    paths: dict[str, list[Path]]
    stars: frozenset[str]
    references: frozenset[str]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that are written, in order of the text."""
        return tuple(statement.output for statement in self.statements)

    @property
    def longest_window(self) -> int:
        """Microseconds of the longest window; 0 where nothing is grouped."""
        selects = [select for step in self.steps for select in step.selects]
        selects += [select for statement in self.statements for select in statement.selects]
        return max((select.window.size for select in selects if select.window), default=0)
