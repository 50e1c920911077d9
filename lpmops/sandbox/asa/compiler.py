"""From a query's text to a CompiledQuery, or to every complaint that can be made about it at once.

The text is cut by `tokens`, each SELECT is parsed by sqlglot's T-SQL parser, and `lowering` resolves its names. Here is what concerns the whole:
names of inputs, outputs and steps, the limits, and how many receivers the query makes on an input.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from sqlglot import exp
from sqlglot.dialects.tsql import TSQL
from sqlglot.errors import ParseError

from lpmops.sandbox.asa import dialect, tokens
from lpmops.sandbox.asa.diagnostics import CompileError, Diagnostic, SourceText
from lpmops.sandbox.asa.lowering import Catalog, Lowering
from lpmops.sandbox.asa.plan import CompiledQuery, Item, Select, Star, Statement, Step
from lpmops.sandbox.asa.pruning import paths_read

InputKind = Literal["stream", "reference"]


def compile_query(text: str, inputs: Mapping[str, InputKind], outputs: Collection[str] | None) -> CompiledQuery:
    """Compile a query for a job with these inputs (name to "stream" or "reference") and outputs; without outputs, with those that it names.

    Raises CompileError with every diagnostic found; names of inputs, outputs, steps and columns match without case (assumed).
    """
    source = SourceText(text)
    if len(text) > dialect.QUERY_LIMIT:
        # Microsoft's limits page for Stream Analytics.
        raise source.error(f"The query has {len(text):,} characters; the limit is {dialect.QUERY_LIMIT:,}.", 0)
    return _Compiler(source, inputs, outputs).compile()


class _Compiler:
    def __init__(self, source: SourceText, inputs: Mapping[str, InputKind], outputs: Collection[str] | None) -> None:
        self._source = source
        self._outputs = None if outputs is None else {name.casefold(): name for name in outputs}
        self._catalog = Catalog(
            streams={name.casefold(): name for name, kind in inputs.items() if kind == "stream"},
            references={name.casefold(): name for name, kind in inputs.items() if kind == "reference"},
        )
        self._parser = TSQL().parser()
        self._complaints: list[Diagnostic] = []
        self._lowering = Lowering(source, self._catalog)

    def compile(self) -> CompiledQuery:
        script = tokens.split(self._source)
        steps: list[Step] = []
        for written in script.steps:
            step = self._step(written)
            if step is not None:
                steps.append(step)
        statements: list[Statement] = []
        used: set[str] = set()
        for written in script.statements:
            output = self._output(written, used)
            selects = self._selects(written)
            if output is not None and selects:
                statements.append(Statement(output, tuple(selects)))
        self._complaints += self._catalog.receiver_complaints(self._source)
        if self._complaints:
            raise CompileError(self._complaints)
        return CompiledQuery(
            text=self._source.text,
            steps=tuple(steps),
            statements=tuple(statements),
            paths=paths_read(self._catalog.paths, steps, statements),
            stars=frozenset(self._catalog.stars),
            references=frozenset(self._catalog.used_references),
        )

    def _step(self, written: tokens.Statement) -> Step | None:
        assert written.name is not None, "a step always has a name"
        name, key = written.name, written.name.text.casefold()
        if key in self._catalog.steps:
            self._complain(f"The step '{name.text}' is defined more than once.", name.start, name.end)
        elif key in self._catalog.streams or key in self._catalog.references:
            self._complain(f"The step '{name.text}' has the name of an input.", name.start, name.end)
        selects = self._selects(written)
        # A step that failed is still known by name, so that its readers are not reported too.
        step = Step(name.text, selects) if selects else None
        self._catalog.steps.setdefault(key, step)
        return step

    def _output(self, written: tokens.Statement, used: set[str]) -> str | None:
        # asa-query/into: "If not specified, the default output stream is 'output'."
        name = written.name or tokens.Name("output", written.start, written.start + len("SELECT"))
        output = name.text if self._outputs is None else self._outputs.get(name.text.casefold())
        if output is None:
            self._complain(f"The output '{name.text}' used in the query is not defined.", name.start, name.end)
        elif output in used:
            # Assumed: the reference shows each output in one statement only and names UNION for more.
            self._complain(
                f"The output '{name.text}' is written by more than one statement; use UNION.", name.start, name.end
            )
        else:
            used.add(output)
        return output

    def _selects(self, written: tokens.Statement) -> list[Select]:
        """The SELECTs of a step or statement; empty after a complaint."""
        try:
            tree = self._parse(written)
            selects = [self._lowering.select(branch, written.partitioned) for branch in _branches(tree)]
            self._check_union(selects, written)
        except CompileError as error:
            self._complaints += error.diagnostics
            return []
        except RecursionError:
            self._complain("The expressions are nested too deeply for this sandbox.", written.start, written.start + 1)
            return []
        return [] if None in selects else [select for select in selects if select is not None]

    def _parse(self, written: tokens.Statement) -> Any:
        try:
            found = self._parser.parse(list(written.tokens), self._source.text)
        except ParseError as error:
            raise self._syntax_error(error, written) from error
        if len(found) != 1 or found[0] is None:
            raise self._source.error("A SELECT was expected.", written.start)
        return found[0]

    def _syntax_error(self, error: ParseError, written: tokens.Statement) -> CompileError:
        known = error.errors[0] if error.errors else {}
        word = str(known.get("highlight") or "").removeprefix(tokens.FUNCTION_PREFIX)
        start = next(
            (
                token.start
                for token in written.tokens
                if (token.line, token.col) == (known.get("line"), known.get("col"))
            ),
            written.start,
        )
        reason = str(known.get("description") or error).split(" Line ")[0].rstrip(".")
        return self._source.error(f"Syntax error near '{word}': {reason}.", start, start + max(1, len(word)))

    def _check_union(self, selects: list[Select | None], written: tokens.Statement) -> None:
        known = [select for select in selects if select is not None]
        if len(selects) < 2 or len(known) != len(selects):
            return
        if any(isinstance(item, Star) for select in known for item in select.items):
            raise self._source.error(
                "UNION of SELECT * over an input is not supported by this sandbox's Stream Analytics engine.",
                written.start,
            )
        shapes = {tuple(item.key for item in select.items if isinstance(item, Item)) for select in known}
        if len(shapes) > 1:
            raise self._source.error(
                "The SELECTs of a UNION must have the same columns in the same order.", written.start
            )

    def _complain(self, message: str, start: int, end: int) -> None:
        self._complaints.append(self._source.diagnostic(message, start, end))


def _branches(tree: Any) -> list[Any]:
    """The SELECTs under UNION, in order of the text."""
    found: list[Any] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, exp.Union):
            waiting += [node.expression, node.this]
        elif isinstance(node, exp.Subquery):
            waiting.append(node.this)
        else:
            found.append(node)
    return found
