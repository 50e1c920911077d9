"""From a parsed SELECT to a plan: names become columns of sources, nested access becomes paths into the event.

A field of a record is looked up where the event enters, however many steps later it is asked for: each step in between passes on a hidden column.
That works because a step's column is the event's field or an expression; a field of a computed record is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from lpmops.sandbox.asa import dialect, plan
from lpmops.sandbox.asa.diagnostics import CompileError, Diagnostic, SourceText
from lpmops.sandbox.asa.expressions import META, Expression, Path, Ref, contains_aggregate
from lpmops.sandbox.asa.grouping import grouped, is_grouped
from lpmops.sandbox.asa.parsed import dotted, function_name, place
from lpmops.sandbox.asa.scalars import ScalarLowering, is_condition

_HELD_CLAUSES = frozenset({"expressions", "from_", "joins", "where", "group", "having"})


@dataclass(slots=True)
class Catalog:
    """What names mean, by their text without case, and what of the inputs is read. A step of None failed to compile."""

    streams: Mapping[str, str]
    references: Mapping[str, str]
    steps: dict[str, plan.Step | None] = field(default_factory=dict)
    paths: dict[str, dict[Path, None]] = field(default_factory=dict)
    stars: set[str] = field(default_factory=set)
    used_references: set[str] = field(default_factory=set)
    receivers: Counter[str] = field(default_factory=Counter)
    first_receiver: dict[str, int] = field(default_factory=dict)

    def receiver_complaints(self, source: SourceText) -> Iterator[Diagnostic]:
        """One complaint for each input that too many SELECTs read."""
        for name, count in self.receivers.items():
            if count > dialect.RECEIVER_LIMIT:
                # azure-docs/stream-analytics-troubleshoot-input.
                message = (
                    f"{count} SELECTs read the input '{name}': the job will exceed the maximum amount of Event Hub Receivers "
                    f"({dialect.RECEIVER_LIMIT} per partition and consumer group). Read it once, in a WITH step."
                )
                yield source.diagnostic(message, self.first_receiver[name])


@dataclass(frozen=True, slots=True)
class Scope:
    """The sources of one SELECT by alias (without case): the stream at 0, reference inputs after it."""

    stream: plan.Input | plan.Step
    aliases: tuple[str, ...]


class Lowering:
    """Turns parsed SELECTs into plans. Raises CompileError; a SELECT that reads a failed step gives None."""

    def __init__(self, source: SourceText, catalog: Catalog) -> None:
        self._source, self._catalog = source, catalog

    def select(self, tree: Any, partitioned: bool) -> plan.Select | None:
        """One SELECT without UNION; `partitioned` says that it had PARTITION BY."""
        self._check_clauses(tree)
        stream = self._stream(tree)
        if stream is None:
            return None
        aliases = [_alias(tree.args["from_"].this)]
        joined: list[tuple[str, bool, Any]] = []
        for join in tree.args.get("joins") or ():
            joined.append(self._joined(join))
            aliases.append(_alias(join.this))
        if len(set(aliases)) < len(aliases):
            raise self.error("Two sources of one SELECT have the same name; give one an alias.", tree.args["joins"][-1])
        scope = Scope(stream, tuple(aliases))
        scalars = ScalarLowering(self, scope)
        joins = tuple(plan.Join(name, outer, self._condition(scalars, on)) for name, outer, on in joined)
        where = self._condition(scalars, tree.args["where"].this) if tree.args.get("where") else None
        having = (
            self._condition(scalars, tree.args["having"].this, aggregates=True) if tree.args.get("having") else None
        )
        items = self._items(tree, scope, scalars)
        if is_grouped(tree, items, having):
            if partitioned:
                raise self.error(
                    "PARTITION BY together with GROUP BY is not supported by this sandbox's Stream Analytics engine.",
                    tree,
                )
            window, items = grouped(self, tree, scalars, items, having)
            return plan.Select(stream, joins, where, items, window)
        if having is not None:
            # asa-query/having: "When GROUP BY is not used, HAVING behaves like a WHERE clause."
            where = scalars.both(where, having)
        return plan.Select(stream, joins, where, items)

    def error(self, message: str, node: Any) -> CompileError:
        """A complaint at a node of the parsed text."""
        return self._source.error(message, *place(node))

    def refuse(self, what: str, node: Any) -> CompileError:
        """A complaint about something that the service has and this engine has not."""
        return self.error(f"{what} is not supported by this sandbox's Stream Analytics engine.", node)

    def column(self, scope: Scope, names: list[str], node: Any) -> Ref:
        """The column that dotted names mean in a scope."""
        head = names[0].casefold()
        if len(names) > 1 and head in scope.aliases:
            return self._column_of(scope, scope.aliases.index(head), tuple(names[1:]), node)
        if len(scope.aliases) > 1:
            stream = scope.stream
            if not (isinstance(stream, plan.Step) and any(item.key == head for item in stream.visible())):
                raise self.error(
                    f"The column '{names[0]}' must be qualified with the name of its source, because this SELECT has a JOIN.",
                    node,
                )
        return self._column_of(scope, 0, tuple(names), node)

    def nested(self, scope: Scope, column: Expression, further: Path, node: Any) -> Ref:
        """A field inside a column."""
        if not isinstance(column, Ref) or column.origin > 0:
            raise self.refuse("Access to a field of a computed record or of reference data", node)
        return self._extend(scope.stream, column, further, node)

    def metadata(self, scope: Scope, names: list[str], wanted: str, node: Any) -> Ref:
        """GetMetadataPropertyValue: a property of the event, asked of the input itself."""
        if len(names) != 1 or names[0].casefold() != scope.aliases[0] or not isinstance(scope.stream, plan.Input):
            raise self.error(
                "The first argument of GetMetadataPropertyValue must be the input that this SELECT reads.", node
            )
        parts = wanted.replace("[", "").replace("]", "").split(".")
        name = dialect.METADATA.get(parts[-1].lower())
        if len(parts) != 2 or parts[0].lower() != "eventhub" or name is None:
            raise self.refuse(f"The metadata property '{wanted}'", node)
        return self._register(scope.stream, (META, name))

    def _stream(self, tree: Any) -> plan.Input | plan.Step | None:
        source = tree.args.get("from_")
        if source is None:
            raise self.error("FROM is required in every SELECT.", tree)
        table = source.this
        if not isinstance(table, exp.Table):
            raise self.refuse("A subquery in FROM", table)
        name = _table_name(table)
        key = name.casefold()
        if key in self._catalog.steps:
            return self._catalog.steps[key]
        if key in self._catalog.streams:
            known = self._catalog.streams[key]
            self._catalog.receivers[known] += 1
            self._catalog.first_receiver.setdefault(known, place(table)[0])
            self._catalog.paths.setdefault(known, {})
            return plan.Input(known)
        if key in self._catalog.references:
            raise self.error(f"'{name}' is reference data, which can only stand on the right side of a JOIN.", table)
        raise self.error(f"The input '{name}' used in the query is not defined.", table)

    def _joined(self, join: Any) -> tuple[str, bool, Any]:
        table = join.this
        if not isinstance(table, exp.Table):
            raise self.refuse("A subquery in JOIN", table)
        name = _table_name(table)
        key = name.casefold()
        if key in self._catalog.steps or key in self._catalog.streams:
            raise self.refuse("A JOIN of two streams", table)
        if key not in self._catalog.references:
            raise self.error(f"The input '{name}' used in the query is not defined.", table)
        if join.args.get("on") is None:
            raise self.error("A JOIN needs ON.", table)
        reference = self._catalog.references[key]
        self._catalog.used_references.add(reference)
        return reference, join.side == "LEFT", join.args["on"]

    def _check_clauses(self, tree: Any) -> None:
        if not isinstance(tree, exp.Select):
            raise self.error("A SELECT was expected.", tree)
        for clause, value in tree.args.items():
            if value and clause not in _HELD_CLAUSES:
                name = clause.strip("_").upper().replace("ORDER", "ORDER BY")
                raise self.refuse(f"The clause {name}", value if isinstance(value, exp.Expression) else tree)

    def _condition(self, scalars: ScalarLowering, node: Any, aggregates: bool = False) -> Expression:
        condition = scalars.lower(node)
        if not is_condition(condition):
            raise self.error("A condition was expected here, such as a comparison.", node)
        if not aggregates and contains_aggregate(condition):
            raise self.error("An aggregate function can be used in SELECT and HAVING only.", node)
        return condition

    def _items(self, tree: Any, scope: Scope, scalars: ScalarLowering) -> list[plan.Item | plan.Star]:
        items: list[plan.Item | plan.Star] = []
        named: set[str] = set()
        for node in tree.expressions:
            star = self._star(node, scope)
            if star is not None:
                # asa-query/select: columns of * whose names are taken already are ignored.
                items += [item for item in star if isinstance(item, plan.Star) or item.key not in named]
                named |= {item.key for item in star if isinstance(item, plan.Item)}
                continue
            name = self._item_name(node)
            if name.casefold() in named:
                raise self.error(f"The column name '{name}' is used more than once.", node)
            named.add(name.casefold())
            inner = node.this if isinstance(node, exp.Alias) else node
            items.append(plan.Item(name.casefold(), name, scalars.lower(inner)))
        return items

    def _item_name(self, node: Any) -> str:
        if isinstance(node, exp.Alias):
            return str(node.args["alias"].name)
        names = dotted(node)
        if names:
            return names[-1]
        call = node.this if isinstance(node, exp.Window) else node
        if isinstance(call, exp.Anonymous) and function_name(call) in dialect.AGGREGATES:
            # asa-query/snapshot-window sums the `count` of a step that says COUNT(*).
            return function_name(call).lower()
        raise self.refuse("An expression without a name (AS name)", node)

    def _star(self, node: Any, scope: Scope) -> list[plan.Item | plan.Star] | None:
        if isinstance(node, exp.Star):
            if len(scope.aliases) > 1:
                # asa-query/join: "SELECT * cannot be used in JOIN statements."
                raise self.error(
                    "SELECT * cannot be used in JOIN statements; use the name of a source before the star.", node
                )
            return self._all_columns(scope, 0)
        if not isinstance(node, exp.Column) or not isinstance(node.this, exp.Star):
            return None
        owner = node.args["table"].name
        if owner.casefold() not in scope.aliases or node.args.get("db"):
            raise self.refuse(f"All fields of a record ({owner}.*)", node)
        return self._all_columns(scope, scope.aliases.index(owner.casefold()))

    def _all_columns(self, scope: Scope, origin: int) -> list[plan.Item | plan.Star]:
        if origin == 0 and isinstance(scope.stream, plan.Step) and not scope.stream.open:
            return [plan.Item(item.key, item.name, Ref(0, item.key)) for item in scope.stream.visible()]
        if origin == 0:
            self._read_all(scope.stream)
        return [plan.Star(origin)]

    def _read_all(self, stream: plan.Input | plan.Step) -> None:
        if isinstance(stream, plan.Input):
            self._catalog.stars.add(stream.name)
            for name in dialect.SYSTEM_COLUMNS:
                self._register(stream, (META, name))

    def _column_of(self, scope: Scope, origin: int, path: tuple[str, ...], node: Any) -> Ref:
        if origin > 0:
            if len(path) > 1:
                raise self.refuse("Access to a field of reference data", node)
            return Ref(origin, path[0])
        return self._stream_column(scope.stream, path, node)

    def _stream_column(self, stream: plan.Input | plan.Step, path: Path, node: Any) -> Ref:
        if isinstance(stream, plan.Step):
            return Ref(0, self._step_column(stream, path, node))
        system = {name.lower(): name for name in dialect.SYSTEM_COLUMNS}
        head = str(path[0]).lower()
        if len(path) == 1 and head in system:
            return self._register(stream, (META, system[head]))
        return self._register(stream, path)

    def _register(self, stream: plan.Input, path: Path) -> Ref:
        self._catalog.paths.setdefault(stream.name, {})[path] = None
        return Ref(0, path)

    def _step_column(self, step: plan.Step, path: Path, node: Any) -> str:
        """The key of a step's column, or of a field inside one: then each SELECT of the step gets a hidden column for it."""
        head = str(path[0]).casefold()
        item = next((item for item in step.visible() if item.key == head), None)
        if item is not None and len(path) == 1:
            return item.key
        if item is None and not step.open:
            raise self.error(f"The step '{step.name}' has no column '{path[0]}'.", node)
        hidden = plan.HIDDEN + plan.HIDDEN.join(
            [head if item else str(path[0]), *(f"{type(part).__name__} {part}" for part in path[1:])]
        )
        if hidden not in step.paths:
            step.paths[hidden] = path
            for select in step.selects:
                select.items.append(plan.Item(hidden, hidden, self._behind(select, item, path, node)))
        return hidden

    def _behind(self, select: plan.Select, item: plan.Item | None, path: Path, node: Any) -> Ref:
        if select.window is not None:
            raise self.refuse("Access to a field of a grouped column", node)
        if item is None:
            return self._stream_column(select.source, path, node)
        here = next(one for one in select.items if isinstance(one, plan.Item) and one.key == item.key)
        if not isinstance(here.expression, Ref) or here.expression.origin > 0:
            raise self.refuse("Access to a field of a computed record or of reference data", node)
        return self._extend(select.source, here.expression, path[1:], node)

    def _extend(self, stream: plan.Input | plan.Step, column: Ref, further: Path, node: Any) -> Ref:
        if isinstance(stream, plan.Step):
            key = str(column.key)
            return Ref(0, self._step_column(stream, (*stream.paths.get(key, (key,)), *further), node))
        if isinstance(column.key, str) or column.key[0] == META:
            raise self.refuse("Access to a field of the event's metadata", node)
        return self._register(stream, (*column.key, *further))


def _alias(table: Any) -> str:
    return str(table.alias or _table_name(table)).casefold()


def _table_name(table: Any) -> str:
    return ".".join(str(part.name) for part in (table.args.get(level) for level in ("catalog", "db", "this")) if part)
