"""Whether a table that is there will take what Stream Analytics writes, and what it lacks.

`wanted` reads the very statements that make a table; `compare` holds them beside what a database says it has, column by column. What can be added
without touching a row is planned (columns that may be NULL, indexes, a default, the view); everything else is refused with the reason, because a
table that refuses a row stops every company of its job, and one that drops a row does so in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lpmops.config import Column, Kpi, Routing
from lpmops.resources import query
from lpmops.routing import quoting
from lpmops.routing.job import KPI_TABLE, LANDING_TABLE
from lpmops.routing.schema import KPI_INDEXES, LANDING_INDEXES, fill, landing_table, landing_view

LANDING_VIEW = "lpm.tdr_current"
_COLUMN = re.compile(
    r"^    (?P<name>\[(?:[^\]]|\]\])+\]|\w+) (?P<type>\w+(?:\([^)]*\))?)(?: COLLATE (?P<collation>\w+))? (?P<null>NOT NULL|NULL)"
    r"(?: CONSTRAINT (?P<constraint>\w+) DEFAULT (?P<default>\S+?))?,?$",
    re.MULTILINE,
)
_INDEX = re.compile(r"CREATE (?P<unique>UNIQUE )?INDEX (?P<name>\w+) ON \S+ \((?P<key>[^)]*)\)")
_TYPE = re.compile(r"(\w+)(?:\((.*)\))?")
# Defaults that stamp a row with the moment in UTC.
_STAMPS = frozenset({"sysutcdatetime()", "getutcdate()", "sysdatetimeoffset()"})
_CASE_SENSITIVE = re.compile(r"_BIN2?(_UTF8)?$|_CS_AS_KS_WS", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FoundColumn:
    """A column as the database has it: its type as one writes it (`NVARCHAR(64)`), its default's text, "" where there is none."""

    name: str
    type: str
    nullable: bool
    collation: str = ""
    default: str = ""
    generated: bool = False


@dataclass(frozen=True, slots=True)
class FoundIndex:
    """An index as the database has it; `rowstore` is False for columnstore and the like."""

    name: str
    key: tuple[str, ...]
    unique: bool = False
    ignore_dup_key: bool = False
    whole: bool = True
    rowstore: bool = True
    included: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundTable:
    """What stands in a database under a name. `name` is as it is written there, "" where nothing is; `view` the text of the view beside it."""

    name: str = ""
    is_table: bool = True
    columns: tuple[FoundColumn, ...] = ()
    indexes: tuple[FoundIndex, ...] = ()
    rules: tuple[str, ...] = ()
    view: str = ""


@dataclass(frozen=True, slots=True)
class WantedColumn:
    """A column as it is declared. `key` says that the unique index holds it; `default` is its text, "" where there is none."""

    name: str
    type: str
    nullable: bool
    collation: str = ""
    constraint: str = ""
    default: str = ""
    key: bool = False


@dataclass(frozen=True, slots=True)
class WantedTable:
    """A table as it is made: its columns, its statements by the name of their file, and the key under which a second delivery is dropped."""

    name: str
    columns: tuple[WantedColumn, ...]
    unique: str
    key: tuple[str, ...]
    statements: Mapping[str, str]
    indexes: Mapping[str, str]
    view: str = ""


@dataclass(frozen=True, slots=True)
class LandingCheck:
    """`statements` (name, text) make the table what it must be, in order; with `refusals` none of them may run. Warnings hinder nothing.

    `risks` are those refusals that keep no row out: what lands may be dropped or stamped wrong. Where rows land already they are no news.
    """

    statements: tuple[tuple[str, str], ...] = ()
    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether the table will do as it is."""
        return not self.statements and not self.refusals


@dataclass(slots=True)
class _Draft:
    statements: list[tuple[str, str]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    risks: list[str] = field(default_factory=list)

    def risk(self, words: str) -> None:
        """Refuse for what would land wrong rather than not at all."""
        self.refusals.append(words)
        self.risks.append(words)


def wanted(columns: Iterable[Column], routing: Routing) -> WantedTable:
    """`lpm.tdr` with the configured columns, and its view."""
    return _wanted(LANDING_TABLE, "landing_table", landing_table(columns, routing), LANDING_INDEXES, LANDING_VIEW)


def wanted_counts() -> WantedTable:
    """`lpm.kpi_minute`, which takes a company database's own counts."""
    return _wanted(KPI_TABLE, "landing_kpi", query("tsql/landing_kpi.sql"), KPI_INDEXES)


def wanted_tables(columns: Iterable[Column], routing: Routing, kpi: Kpi) -> tuple[WantedTable, ...]:
    """All tables of a company database."""
    return (wanted(columns, routing), *([wanted_counts()] if kpi.output == "company" else []))


def _wanted(name: str, table: str, text: str, index_names: Sequence[str], view: str = "") -> WantedTable:
    indexes = {index: query(f"tsql/{index}.sql") for index in index_names}
    found = {index: match for index, text in indexes.items() if (match := _INDEX.search(text))}
    unique = next(match for match in found.values() if match["unique"])
    key = tuple(word.strip() for word in unique["key"].split(","))
    columns = declared(text, key)
    named = {found[index]["name"]: index for index in indexes}
    return WantedTable(name, columns, unique["name"], key, {table: text, **indexes}, named, view)


def declared(text: str, key: Sequence[str] = ()) -> tuple[WantedColumn, ...]:
    """The columns of the table that a statement makes; those named in `key` as they are written there are of its unique index."""
    return tuple(
        WantedColumn(
            bare(match["name"]),
            match["type"].upper(),
            match["null"] == "NULL",
            match["collation"] or "",
            match["constraint"] or "",
            match["default"] or "",
            match["name"] in key,
        )
        for match in _COLUMN.finditer(text)
    )


def bare(name: str) -> str:
    """A name without its brackets."""
    return name[1:-1].replace("]]", "]") if name.startswith("[") else name


# Comparing ----------------------------------------------------------------------------------------------------------------------------------------


def compare(want: WantedTable, found: FoundTable) -> LandingCheck:
    """What must be added to `found` so that it takes what is written, or why it can't be."""
    draft = _Draft()
    if not found.name:
        draft.statements += [("landing_schema", query("tsql/landing_schema.sql")), *want.statements.items()]
        _check_view(want, found, draft, changed=False)
        return LandingCheck(tuple(draft.statements))
    if not found.is_table:
        return LandingCheck(refusals=(f"{found.name} is no table: nothing can be written to it.",))
    if found.name != want.name:
        draft.refusals.append(
            f"The table is named {found.name}, and Stream Analytics asks for {want.name} with its very case: rename it."
        )
    _check_columns(want, found, draft)
    _check_indexes(want, found, draft)
    draft.warnings += [
        f"{found.name} has the rule {rule}: a row that it refuses stops every company of the job."
        for rule in found.rules
    ]
    _check_view(want, found, draft, changed=any(name == "table_add_column" for name, _ in draft.statements))
    statements = () if draft.refusals else tuple(draft.statements)
    return LandingCheck(statements, tuple(draft.refusals), tuple(draft.warnings), tuple(draft.risks))


def _check_columns(want: WantedTable, found: FoundTable, draft: _Draft) -> None:
    there = {column.name.casefold(): column for column in found.columns}
    for column in want.columns:
        present = there.pop(column.name.casefold(), None)
        if present is None:
            _add_column(want, column, draft)
        else:
            _check_column(want, column, present, draft)
    for further in there.values():
        if not (further.nullable or further.default or further.generated):
            draft.refusals.append(
                f"{want.name} has a column {further.name} that must have a value and gets none: let it be NULL, or give it a default."
            )


def _add_column(want: WantedTable, column: WantedColumn, draft: _Draft) -> None:
    if not column.nullable:
        draft.refusals.append(
            f"{want.name} has no column {column.name} ({column.type}), and the rows that are there have no value for it: "
            "move the table away, and a new one is made."
        )
        return
    text = fill(
        "table_add_column",
        table=quoting.path(want.name),
        table_text=quoting.national_literal(want.name),
        column=quoting.identifier(column.name),
        column_text=quoting.national_literal(column.name),
        type=column.type,
    )
    draft.statements.append(("table_add_column", text))


def _check_column(want: WantedTable, column: WantedColumn, present: FoundColumn, draft: _Draft) -> None:
    what = f"The column {present.name} of {want.name}"
    if present.name != column.name:
        draft.refusals.append(f"{what} is written {column.name} by Stream Analytics: rename it to that very case.")
    if reason := unfit(column.type, present.type):
        draft.refusals.append(f"{what} is {present.type} and {column.type} is written to it: {reason}.")
    if present.generated:
        draft.refusals.append(f"{what} is computed or an identity: nothing can be written to it.")
    if column.nullable and not present.nullable:
        draft.refusals.append(f"{what} must have a value, and a record may have none: let it be NULL.")
    if not column.nullable and present.nullable and column.key:
        draft.warnings.append(f"{what} may be NULL; nothing writes NULL to it.")
    if column.collation and not _CASE_SENSITIVE.search(present.collation):
        draft.risk(
            f"{what} is compared as {present.collation or 'no text'}: ids that differ in case or width alone would be taken for one and the second "
            f"dropped. Make it {column.collation}."
        )
    if column.default:
        _check_default(want, column, present, draft)


def _check_default(want: WantedTable, column: WantedColumn, present: FoundColumn, draft: _Draft) -> None:
    if not present.default:
        text = fill(
            "table_add_default",
            table=quoting.path(want.name),
            constraint=quoting.identifier(column.constraint),
            column=quoting.identifier(column.name),
        )
        draft.statements.append(("table_add_default", text))
    elif present.default.casefold().strip().strip("()") + "()" not in _STAMPS:
        draft.risk(
            f"The column {present.name} of {want.name} has the default {present.default}, which is no moment in UTC: make it {column.default}."
        )


def _check_indexes(want: WantedTable, found: FoundTable, draft: _Draft) -> None:
    key = {name.casefold() for name in want.key}
    held = False
    for index in found.indexes:
        columns = {name.casefold() for name in index.key}
        if not index.rowstore:
            draft.risk(
                f"{want.name} has the index {index.name}, which holds whole columns: IGNORE_DUP_KEY can't work beside it."
            )
        elif index.unique and index.whole and columns == key and index.ignore_dup_key:
            held = True
        elif index.unique and columns == key and not index.ignore_dup_key:
            draft.risk(
                f"The index {index.name} of {want.name} has IGNORE_DUP_KEY off: a record that is delivered twice would be refused row by row. Drop "
                "it, and it is made again."
            )
        elif index.unique and not columns >= key:
            draft.risk(
                f"The index {index.name} of {want.name} takes only one row for each {', '.join(index.key)}: other changes would be "
                f"{'dropped' if index.ignore_dup_key else 'refused'}. Drop it."
            )
        elif index.name.casefold() == want.unique.casefold():
            draft.risk(
                f"The index {index.name} of {want.name} is not unique over all rows by {', '.join(want.key)}: drop it, and it is made again."
            )
    names = {index.name.casefold() for index in found.indexes}
    for name, statement in want.indexes.items():
        if name.casefold() not in names and not (name == want.unique and held):
            draft.statements.append((statement, want.statements[statement]))
    if not held and want.unique.casefold() not in names:
        draft.warnings.append(
            f"{want.name} has no index that drops what is delivered twice: it is made, which fails where a change is there twice already."
        )


def _check_view(want: WantedTable, found: FoundTable, draft: _Draft, changed: bool) -> None:
    if not want.view:
        return
    if not found.view:
        draft.statements.append(("landing_view", landing_view("CREATE")))
    elif changed or _body(found.view) != _body(landing_view("CREATE")):
        # A view that names all columns of a table knows those that were there when it was made.
        draft.statements.append(("landing_view", landing_view("ALTER")))


def _body(text: str) -> str:
    """A view's text after its name, without comments' lines and spacing."""
    lines = " ".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return " ".join(re.split(r"(?i)\bAS\b", lines, maxsplit=1)[-1].split())


# Types --------------------------------------------------------------------------------------------------------------------------------------------

_INTEGERS = {"TINYINT": 0, "SMALLINT": 1, "INT": 2, "BIGINT": 3}


def unfit(wanted_type: str, found_type: str) -> str:
    """Why a column of the found type can't take every value of the wanted one; empty where it can."""
    (want, sizes), (have, room) = _parts(wanted_type), _parts(found_type)
    if have == want == "DECIMAL":
        fits = room[1] >= sizes[1] and room[0] - room[1] >= sizes[0] - sizes[1]
        return "" if fits else "a value can have more digits than it holds"
    if want in ("NVARCHAR", "VARCHAR"):
        return _unfit_text(want, sizes[0], have, room)
    if want in _INTEGERS and have in _INTEGERS:
        return "" if _INTEGERS[have] >= _INTEGERS[want] else "a value can be larger than it holds"
    if have != want:
        return "it is another type"
    return "" if not sizes or room[0] >= sizes[0] else "it holds fewer digits of a second"


def _unfit_text(want: str, size: float, have: str, room: Sequence[float]) -> str:
    if have not in ("NVARCHAR", "VARCHAR"):
        return "it is another type"
    if want == "NVARCHAR" and have == "VARCHAR":
        return "it holds letters of one alphabet alone"
    return "" if room[0] >= size else "a text can be longer than it holds"


def _parts(text: str) -> tuple[str, tuple[float, ...]]:
    match = _TYPE.fullmatch(text.strip().upper())
    name, given = (match[1], match[2]) if match else (text.upper(), None)
    name = {"NUMERIC": "DECIMAL", "FLOAT(53)": "FLOAT", "INTEGER": "INT"}.get(name, name)
    sizes = tuple(float("inf") if size.strip() == "MAX" else float(size) for size in given.split(",")) if given else ()
    if name == "FLOAT":
        return (("REAL" if sizes and sizes[0] < 25 else "FLOAT"), ())
    if name == "DATETIME2" and not sizes:
        sizes = (7.0,)
    return name, sizes
