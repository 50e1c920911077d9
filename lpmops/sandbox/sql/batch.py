"""The running of a batch: statement after statement, with variables, control of flow and SQL Server's rules on what an error ends.

Most run-time errors end their statement, some the batch, those of severity 20 the connection; XACT_ABORT makes any of them end the batch
and the transaction; TRY hands them to CATCH. A batch that does not parse does nothing. Variables live as long as their batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lpmops.sandbox.sql import errors, moments, procedures
from lpmops.sandbox.sql.conversion import Stored
from lpmops.sandbox.sql.definitions import DEFINITIONS, Surroundings, define
from lpmops.sandbox.sql.errors import STATEMENT_ENDING, SqlError
from lpmops.sandbox.sql.parser import parse
from lpmops.sandbox.sql.results import Message, Parameter, Sink
from lpmops.sandbox.sql.session import Session
from lpmops.sandbox.sql.settings import apply_option
from lpmops.sandbox.sql.syntax import (
    Block,
    Declare,
    Delete,
    Execute,
    Expression,
    If,
    Insert,
    InsertBulk,
    LoopExit,
    Print,
    Raiserror,
    Return,
    SelectStatement,
    SetOption,
    SetVariable,
    Statement,
    Throw,
    Transaction,
    Truncate,
    TryCatch,
    Update,
    WaitFor,
    While,
)
from lpmops.sandbox.sql.translate import Program, translate, translate_condition, translate_value
from lpmops.sandbox.sql.translate.fragment import constant
from lpmops.sandbox.sql.types import INT, SqlType, nvarchar, resolve

# Errors of binding names that TRY at the same level does not see. Source: TRY...CATCH page, "Errors unaffected by a TRY...CATCH construct".
_PAST_CATCH = frozenset({102, 105, 113, 137, 156, 207, 208, 209, 3617, 4104})
_MAX_NESTING = 32
# Errors that a batch as a whole is refused for: names that tables do not have, grouping that does not hold, what this server lacks.
_BINDING = frozenset({137, 145, 174, 189, 195, 207, 209, 4104, 4121, 8120, 8121, 8127, 40510, 40513, 40514, 40517})


class _Ended(Exception):
    """The batch is over, its error told."""


class _Returned(Exception):
    """RETURN."""

    def __init__(self, status: int) -> None:
        self.status = status


class _Looped(Exception):
    """BREAK or CONTINUE."""

    def __init__(self, word: str) -> None:
        self.word = word


@dataclass(slots=True)
class Batch:
    """A running batch: its session, whom it tells, its variables by casefolded name."""

    session: Session
    sink: Sink
    types: dict[str, SqlType] = field(default_factory=dict)
    values: dict[str, Stored] = field(default_factory=dict)
    tries: int = 0
    nesting: int = 0
    loops: int = 0
    catching: list[SqlError] = field(default_factory=list)


def run_batch(
    session: Session, text: str, parameters: Sequence[Parameter], sink: Sink, nesting: int = 0, tries: int = 0
) -> tuple[Batch, int]:
    """Run a batch to its end; errors go to the sink. The batch, for its variables, and the status that RETURN gave.

    Within a TRY of a caller (`tries`), errors are raised to it instead.
    """
    batch = Batch(session, sink, nesting=nesting, tries=tries)
    for parameter in parameters:
        batch.types[parameter.name.casefold()] = parameter.type
        batch.values[parameter.name.casefold()] = parameter.value
    status = 0
    try:
        if nesting > _MAX_NESTING:
            raise SqlError(
                217, "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32).", 16, 1
            )
        statements = parse(text)
        _bind(batch, statements)
        _run_all(batch, statements)
    except SqlError as error:
        if tries:
            raise
        session.last_error = error.number
        if session.settings.xact_abort and session.trancount:
            session.abandon()
        sink.error(error)
    except _Ended:
        status = -6
    except _Returned as returned:
        status = returned.status
    if nesting == 0 and session.doomed:
        session.abandon()
        sink.error(
            SqlError(
                3998,
                "Uncommittable transaction is detected at the end of the batch. The transaction is rolled back.",
                16,
                1,
            )
        )
    return batch, status


def _bind(batch: Batch, statements: Sequence[Statement]) -> None:
    """Refuse a batch that names columns its tables lack, or things this server lacks, before any of it runs.

    As in SQL Server, only names of tables that do not exist yet are left until their statement's turn (deferred name resolution).
    """
    inner = list(_flattened(statements))
    if len(inner) < 2:
        return
    types = dict(batch.types)
    for statement in inner:
        if isinstance(statement, Declare):
            for name, type_name, _ in statement.variables:
                types[name.casefold()] = resolve(type_name.name, type_name.arguments, batch.session.catalog.collation)
    for statement in inner:
        if isinstance(statement, (SelectStatement, Insert, Update, Delete)):
            try:
                _program(batch, statement, types)
            except SqlError as error:
                if error.number in _BINDING:
                    raise error.at_line(statement.line) from None


def _flattened(statements: Sequence[Statement]) -> Iterator[Statement]:
    for statement in statements:
        match statement:
            case Block():
                yield from _flattened(statement.statements)
            case If():
                yield from _flattened(
                    [branch for branch in (statement.then, statement.otherwise) if branch is not None]
                )
            case While():
                yield from _flattened([statement.body])
            case TryCatch():
                yield from _flattened((*statement.attempt, *statement.handler))
            case _:
                yield statement


def _run_all(batch: Batch, statements: Sequence[Statement]) -> None:
    for statement in statements:
        _run_one(batch, statement)


def _run_one(batch: Batch, statement: Statement) -> None:
    session = batch.session
    try:
        session.check()
        _dispatch(batch, statement)
        if not isinstance(statement, (If, While, Block, TryCatch)):
            session.last_error = 0
    except SqlError as error:
        error = error.at_line(statement.line)
        session.last_error = error.number
        if batch.tries and error.number not in _PAST_CATCH and not error.fatal:
            raise error from None
        _fail(batch, statement, error)


def _fail(batch: Batch, statement: Statement, error: SqlError) -> None:
    """Tell an error outside TRY, and end what it ends."""
    session = batch.session
    raised = isinstance(statement, Raiserror)
    ends = error.number not in STATEMENT_ENDING or isinstance(statement, Throw) or error.fatal
    if session.settings.xact_abort and not raised and session.trancount:
        session.abandon()
        ends = True
    if error.fatal or error.number == 1205:
        session.abandon()
    batch.sink.error(error)
    if ends or (session.settings.xact_abort and not raised):
        raise _Ended from None
    session.rowcount = 0
    batch.sink.done(None, "")


def _dispatch(batch: Batch, statement: Statement) -> None:
    session = batch.session
    match statement:
        case SelectStatement() | Insert() | Update() | Delete() | Truncate():
            _rows(batch, statement)
        case If():
            chosen = statement.then if _holds(batch, statement.condition) else statement.otherwise
            if chosen is not None:
                _run_one(batch, chosen)
        case Block():
            _run_all(batch, statement.statements)
        case While():
            _loop(batch, statement)
        case TryCatch():
            _try(batch, statement)
        case Declare():
            _declare(batch, statement)
        case SetVariable():
            _assign(batch, statement.name, statement.value)
            session.rowcount = 1
        case SetOption():
            apply_option(session, statement)
            session.rowcount = 0
        case Transaction():
            _transaction(batch, statement)
        case Print():
            text = _value(batch, statement.value, nvarchar(4000))
            batch.sink.message(Message(0, "" if text is None else str(text), 0, 1, statement.line))
            session.rowcount = 0
        case Throw():
            _throw(batch, statement)
        case Raiserror():
            _raise(batch, statement)
        case Return():
            status = _value(batch, statement.value, INT) if statement.value is not None else 0
            raise _Returned(int(status or 0))
        case LoopExit():
            raise _Looped(statement.word)
        case WaitFor():
            _wait(batch, statement)
        case Execute():
            _execute(batch, statement)
        case InsertBulk():
            raise errors.unsupported_statement("INSERT BULK outside a bulk load")
        case _ if isinstance(statement, DEFINITIONS):
            _define(batch, statement)
        case _:
            raise errors.unsupported_statement(type(statement).__name__.upper())


# --- rows and values ----------------------------------------------------------------------------------------------------------------------------


def _rows(batch: Batch, statement: Statement) -> None:
    session = batch.session
    if not isinstance(statement, SelectStatement) or _reads(statement):
        session.begin_implicitly()
    program = _program(batch, statement, batch.types)
    count = session.run(program, batch.values, batch.sink)
    session.rowcount = count
    if program.ignores_duplicates and isinstance(statement, Insert) and statement.rows and count < len(statement.rows):
        batch.sink.message(Message(3604, "Duplicate key was ignored.", 0, 1, statement.line))
    if program.targets and program.verb == "SELECT":
        return
    batch.sink.done(None if session.settings.nocount else count, program.verb)


def _program(batch: Batch, statement: Statement, types: dict[str, SqlType]) -> Program:
    session = batch.session
    return session.database.program(
        ("rows", session.settings.identity_insert), statement, session, types,
        lambda: translate(statement, session.catalog, types, session.database.name, session.default_schema, session.settings.identity_insert),
    )  # fmt: skip


def _reads(statement: SelectStatement) -> bool:
    return getattr(statement.query.body, "source", statement) is not None


def _value(batch: Batch, node: Expression, kind: SqlType | None) -> Stored:
    session = batch.session
    program = session.database.program(
        ("value", kind), node, session, batch.types,
        lambda: translate_value(node, kind, session.catalog, batch.types, session.database.name, session.default_schema),
    )  # fmt: skip
    return session.value(program, batch.values)


def _holds(batch: Batch, node: Expression) -> bool:
    session = batch.session
    program = session.database.program(
        ("condition", None), node, session, batch.types,
        lambda: translate_condition(node, session.catalog, batch.types, session.database.name, session.default_schema),
    )  # fmt: skip
    return session.value(program, batch.values) == 1


def _declare(batch: Batch, statement: Declare) -> None:
    for name, type_name, initial in statement.variables:
        key = name.casefold()
        # A DECLARE inside a loop is met again each time round; SQL Server declares once, before the batch runs.
        if key in batch.types and not batch.loops:
            text = f"The variable name '{name}' has already been declared. Variable names must be unique within a query batch or stored procedure."
            raise SqlError(134, text, 15, 2)
        batch.types[key] = resolve(type_name.name, type_name.arguments, batch.session.catalog.collation)
        batch.values[key] = None
        if initial is not None:
            _assign(batch, name, initial)


def _assign(batch: Batch, name: str, node: Expression) -> None:
    key = name.casefold()
    if key not in batch.types:
        raise errors.undeclared_variable(name)
    batch.values[key] = _value(batch, node, batch.types[key])


def _define(batch: Batch, statement: Statement) -> None:
    session = batch.session
    session.begin_implicitly()

    def evaluate(program: Program) -> str:
        return constant(session.value(program, {}))

    place = Surroundings(
        session.catalog,
        session.principal,
        session.database.name,
        session.default_schema,
        session.now,
        session.row_count,
        evaluate,
    )
    session.apply(define(statement, place))
    session.rowcount = 0


# --- control of flow ----------------------------------------------------------------------------------------------------------------------------


def _loop(batch: Batch, statement: While) -> None:
    batch.loops += 1
    try:
        while _holds(batch, statement.condition):
            batch.session.check()
            try:
                _run_one(batch, statement.body)
            except _Looped as looped:
                if looped.word == "BREAK":
                    return
    finally:
        batch.loops -= 1


def _try(batch: Batch, statement: TryCatch) -> None:
    batch.tries += 1
    try:
        _run_all(batch, statement.attempt)
        return
    except SqlError as error:
        caught = error
    finally:
        batch.tries -= 1
    session = batch.session
    if session.settings.xact_abort and session.trancount:
        session.doomed = True
    outer, session.caught = session.caught, caught
    batch.catching.append(caught)
    try:
        _run_all(batch, statement.handler)
    finally:
        batch.catching.pop()
        session.caught = outer


def _transaction(batch: Batch, statement: Transaction) -> None:
    session = batch.session
    session.rowcount = 0
    match statement.verb:
        case "BEGIN":
            session.begin()
        case "COMMIT":
            session.commit()
        case _:
            session.rollback()


def _throw(batch: Batch, statement: Throw) -> None:
    if not statement.arguments:
        if not batch.catching:
            raise SqlError(
                10704,
                (
                    "To rethrow an error, a THROW statement must be used inside a CATCH block. Insert the THROW "
                    "statement inside a CATCH block, or add error parameters to the THROW statement."
                ),
                15,
                1,
            )
        raise batch.catching[-1]
    if len(statement.arguments) != 3:
        raise errors.syntax("THROW")
    kinds = (INT, nvarchar(2048), INT)
    number, text, state = (_value(batch, node, kind) for node, kind in zip(statement.arguments, kinds, strict=True))
    if number is None or int(number) < 50000:
        raise SqlError(
            35100,
            (
                f"Error number {number!s} in the THROW statement is outside the valid range. Specify an error number in "
                "the valid range of 50000 to 2147483647."
            ),
            16,
            10,
        )
    raise SqlError(int(number), str(text or ""), 16, int(state or 0) % 256, statement.line)


def _raise(batch: Batch, statement: Raiserror) -> None:
    if len(statement.arguments) < 3:
        raise errors.syntax(")")
    text = _value(batch, statement.arguments[0], None)
    if isinstance(text, int):
        raise errors.unsupported_feature("RAISERROR with a message number")
    severity, state = (int(_value(batch, node, INT) or 0) for node in statement.arguments[1:3])
    given = [_value(batch, node, None) for node in statement.arguments[3:]]
    shown = procedures.formatted_message(str(text or ""), given)
    batch.session.rowcount = 0
    if severity > 18:
        raise SqlError(
            2754,
            "Error severity levels greater than 18 can only be specified by members of the sysadmin role, using the WITH LOG option.",
            16,
            1,
        )
    if severity <= 10:
        batch.sink.message(Message(50000, shown, max(severity, 0), state, statement.line))
        return
    raise SqlError(50000, shown, severity, state, statement.line)


def _wait(batch: Batch, statement: WaitFor) -> None:
    text = _value(batch, statement.delay, SqlType("time", scale=7))
    seconds = moments.time_ticks(str(text)) / moments.SECOND if text is not None else 0.0
    session = batch.session
    if session.wait(session.database.clock.real_seconds(seconds)):
        raise errors.cancelled()


# --- EXEC ---------------------------------------------------------------------------------------------------------------------------------------


def _execute(batch: Batch, statement: Execute) -> None:
    session = batch.session
    if statement.text is not None:
        text = _value(batch, statement.text, nvarchar())
        run_batch(session, str(text or ""), (), batch.sink, batch.nesting + 1, batch.tries)
        return
    arguments: list[Parameter] = []
    outputs: list[tuple[str, str]] = []
    for place, argument in enumerate(statement.arguments):
        name = argument.name or ""
        if argument.value is None:
            raise errors.unsupported_option("DEFAULT")
        kind = _kind_of(batch, argument.value)
        value = _value(batch, argument.value, None)
        arguments.append(Parameter(name, kind, value, argument.output))
        target = getattr(argument.value, "name", "")
        if argument.output:
            if not target.startswith("@"):
                raise SqlError(
                    179, "Cannot use the OUTPUT option when passing a constant to a stored procedure.", 15, 1
                )
            outputs.append((name.casefold() if name else str(place), target.casefold()))
    status, returned = procedures.call(
        session, statement.procedure or "", arguments, batch.sink, batch.nesting + 1, batch.tries
    )
    for source, target in outputs:
        if source in returned:
            batch.values[target] = returned[source]
    if statement.result is not None:
        batch.values[statement.result.casefold()] = status


def _kind_of(batch: Batch, node: Expression) -> SqlType:
    """The type of an argument, found as any expression's is."""
    session = batch.session
    return (
        translate_value(node, None, session.catalog, batch.types, session.database.name, session.default_schema)
        .columns[0]
        .type
    )
