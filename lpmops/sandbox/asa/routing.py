"""Which SELECTs an input or a closing window feeds, and which of them can be run as one.

Statements that differ only in a text constant that a column must equal become one query joined to a table of those constants: a job with a thousand
routes costs about what a job with one costs. What they give is what they give one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from lpmops.sandbox.asa.expressions import Binary, Expression, In, Literal, Logical, Ref, conjuncts
from lpmops.sandbox.asa.plan import CompiledQuery, Input, Item, Select, Statement, Step


@dataclass(slots=True, eq=False)
class Sink:
    """A SELECT whose rows leave the row-by-row part of the query: to outputs, or into a window.

    `routes` are the constants of `route` and the place in `outputs` that each stands for; without `route` there is one output, or none where the
    window of a step is fed.
    """

    select: Select
    outputs: tuple[str, ...]
    route: Expression | None = None
    routes: tuple[tuple[str, int], ...] = ()
    step: Step | None = None
    number: int = 0


@dataclass(slots=True, eq=False)
class Feed:
    """What one root (an input, or the window of a step) feeds: for each step its live SELECTs, in order, and the sinks."""

    root: Input | Sink
    steps: list[tuple[Step, list[Select]]] = field(default_factory=list)
    sinks: list[Sink] = field(default_factory=list)

    def readers(self) -> Counter[Step]:
        """How many SELECTs read each step."""
        read = Counter[Step]()
        for select in [
            *(select for _, selects in self.steps for select in selects),
            *(sink.select for sink in self.sinks),
        ]:
            if isinstance(select.source, Step):
                read[select.source] += 1
        return read


def feeds(query: CompiledQuery, fuse: bool = True) -> list[Feed]:
    """The feeds of a query, inputs first, then windows of steps in order of the text."""
    sinks = list(_sinks(query, fuse))
    for number, sink in enumerate(sinks):
        sink.number = number
    roots: list[Input | Sink] = [Input(name) for name in query.paths]
    roots += [sink for sink in sinks if sink.step is not None]
    return [_feed(query, root, sinks) for root in roots]


def _feed(query: CompiledQuery, root: Input | Sink, sinks: list[Sink]) -> Feed:
    feed = Feed(root)
    alive: set[Step] = set()

    def fed(select: Select) -> bool:
        return select.source in alive if isinstance(select.source, Step) else select.source == root

    for step in query.steps:
        selects = [select for select in step.selects if select.window is None and fed(select)]
        if isinstance(root, Sink) and root.step is step:
            alive.add(step)
        if selects:
            alive.add(step)
        if step in alive:
            feed.steps.append((step, selects))
    feed.sinks = [sink for sink in sinks if fed(sink.select)]
    return feed


def _sinks(query: CompiledQuery, fuse: bool) -> Iterator[Sink]:
    for step in query.steps:
        for select in step.selects:
            if select.window is not None:
                yield Sink(select, (), step=step)
    waiting: dict[object, list[tuple[Statement, tuple[str, ...]]]] = {}
    templates: dict[object, tuple[Select, Expression]] = {}
    shapes = {id(statement): list(_shapes(statement)) if fuse else [] for statement in query.statements}
    frequency = Counter(shape for found in shapes.values() for shape, *_ in found)
    for statement in query.statements:
        candidates = [found for found in shapes[id(statement)] if frequency[found[0]] > 1]
        if not candidates:
            yield from (Sink(select, (statement.output,)) for select in statement.selects)
            continue
        shape, route, values, rest = max(candidates, key=lambda found: frequency[found[0]])
        waiting.setdefault(shape, []).append((statement, values))
        original = statement.selects[0]
        where = None if not rest else rest[0] if len(rest) == 1 else Logical("AND", rest)
        templates.setdefault(
            shape, (Select(original.source, original.joins, where, original.items, original.window), route)
        )
    for shape, members in waiting.items():
        select, route = templates[shape]
        routes = tuple((value, place) for place, (_, values) in enumerate(members) for value in dict.fromkeys(values))
        yield Sink(select, tuple(statement.output for statement, _ in members), route, routes)


def _shapes(statement: Statement) -> Iterator[tuple[object, Expression, tuple[str, ...], tuple[Expression, ...]]]:
    """The ways to see a statement as one of many: the rest when one condition is taken out, its column, its constants, the other conditions."""
    if len(statement.selects) != 1:
        return
    select = statement.selects[0]
    conditions = conjuncts(select.where)
    items = tuple((item.key, item.name, item.expression) if isinstance(item, Item) else item for item in select.items)
    held = select.window
    window = held and (held.size, held.offset, held.keys, held.aggregates, held.having)
    for place, condition in enumerate(conditions):
        found = _constants(condition)
        if found is None:
            continue
        column, values = found
        rest = conditions[:place] + conditions[place + 1 :]
        source = id(select.source) if isinstance(select.source, Step) else select.source
        yield (source, select.joins, items, window, column, rest), column, values, rest


def _constants(condition: Expression) -> tuple[Expression, tuple[str, ...]] | None:
    match condition:
        case Binary(operator="=", left=Ref() as column, right=Literal(value=str(value))):
            return column, (value,)
        case In(operand=Ref() as column, options=options):
            values = tuple(
                option.value for option in options if isinstance(option, Literal) and isinstance(option.value, str)
            )
            return (column, values) if len(values) == len(options) else None
        case _:
            return None
