"""The source table's changes as its change feed has them: how many by company with the digest of their keys, and the keys themselves.

A change that is sent is an insert, the image after an update or a delete, and is known by (company, record, version, kind). Everything asked for lies
between two versions, both inclusive. Versions that can't be read raise UnreadableChangesError, which says why and what remains possible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lpmops import resources
from lpmops.config import Environment, Routing
from lpmops.errors import BadAnswerError, ServiceNotFoundError, StatementError, UnreadableChangesError
from lpmops.routing.quoting import spark_literal, spark_path
from lpmops.services import statements
from lpmops.services.bounded import SEARCH_SECONDS, Deadline
from lpmops.services.databricks import RIGHTS, SCOPE
from lpmops.services.identity import CachedCredential
from lpmops.services.sqltext import without_comments
from lpmops.services.transport import Transport
from lpmops.versions import PRESENT_ROWS, Versions

# What one answer holds: some megabytes of keys, well below the 25 MiB that the service gives in line.
_PAGE = 50_000

_GONE = f"They can't be sent again. {PRESENT_ROWS}"
_SHAPES = "Nothing is lost: shorter ranges can be read, each on one side of the change of the table's columns."
_SHAPE_ALONE = (
    "Nothing is lost while their files are kept, but no range is shorter: they can be read by hand, with the columns of that version "
    "(spark.databricks.delta.changeDataFeed.defaultSchemaModeForColumnMappingTable set to `endVersion`)."
)
_NEVER = f"Those changes were never recorded. {PRESENT_ROWS}"
# Delta's error class, or that of the engine where a file is missing: what it means for a range, what remains, and whether its parts may be readable.
_UNREADABLE: Mapping[str, tuple[str, str, bool]] = {
    "DELTA_MISSING_CHANGE_DATA": ("the change feed was not on for all of these versions", _NEVER, False),
    "DELTA_CHANGE_DATA_FILE_NOT_FOUND": ("VACUUM has removed the files of their changes", _GONE, False),
    "DELTA_FILE_NOT_FOUND": ("VACUUM has removed files that they need", _GONE, False),
    "DELTA_FILE_NOT_FOUND_DETAILED": ("VACUUM has removed files that they need", _GONE, False),
    "FAILED_READ_FILE.DBR_FILE_NOT_EXIST": ("VACUUM has removed files that they need", _GONE, False),
    "FAILED_READ_FILE.FILE_NOT_EXIST": ("VACUUM has removed files that they need", _GONE, False),
    "DELTA_VERSION_NOT_FOUND": ("the table's log does not reach back to them any more", _GONE, False),
    "DELTA_VERSIONS_NOT_CONTIGUOUS": ("the table's log has a hole there", _GONE, False),
    "DELTA_TIMESTAMP_EARLIER_THAN_COMMIT_RETENTION": ("the table's log does not reach back to them", _GONE, False),
    "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_SCHEMA_CHANGE": ("the table's columns changed within them", _SHAPES, True),
    "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_DATA_SCHEMA": ("the table's columns changed since", _SHAPES, True),
}


class Tally(NamedTuple):
    """How many changes, and the sum of the numbers of their keys: equal sums of equal counts are the same changes."""

    changes: int
    digest: int


class Key(NamedTuple):
    """What a change is known by within a company."""

    record_id: str
    version: int
    kind: str


class ChangeService:
    """The change feed of one table, read by statements on the warehouse."""

    def __init__(
        self, environment: Environment, transport: Transport, credential: CachedCredential, seconds: float
    ) -> None:
        self._settings = environment.databricks
        # These read much: they are given longer than a look at the state of things.
        self._seconds = max(seconds, SEARCH_SECONDS)
        self._client = transport.client(
            "databricks", self._settings.host, credential=credential, scope=SCOPE, advice=credential.advice(RIGHTS)
        )

    def counts(self, routing: Routing, versions: Versions) -> dict[str, Tally]:
        """Count and digest by company id; '' gathers the changes that name no company. Raises UnreadableChangesError and ServiceError types."""
        rows = self._read("changes_by_company", routing, versions)
        return {str(row["company_id"] or ""): Tally(int(row["changes"]), int(row["digest"] or 0)) for row in rows}

    def keys(self, routing: Routing, versions: Versions, company_ids: Sequence[str]) -> Iterator[tuple[str, Key]]:
        """Company and key of each change of these companies, a page at a time, those of a version together. Raises as `counts` does."""
        named = {f"id{number}": each for number, each in enumerate(company_ids)}
        marks = ", ".join(f":{name}" for name in named)
        first, after = versions.first, ""
        while first <= versions.last:
            # Within a version that fills a page alone the next page begins at a record.
            span = Versions(first, first if after else versions.last)
            rows = self._read(
                "changes_of_companies", routing, span, {**named, "after": after}, companies=marks, limit=_PAGE
            )
            found = [(str(row["company_id"] or ""), _key(row)) for row in rows]
            if len(found) < _PAGE:
                yield from found
                first, after = span.last + 1, ""
                continue
            newest = found[-1][1]
            if newest.version > first:
                whole, following = [each for each in found if each[1].version < newest.version], ""
            else:
                whole, following = [each for each in found if each[1].record_id < newest.record_id], newest.record_id
            if not whole:
                raise BadAnswerError(
                    f"More than {_PAGE:,} changes of version {newest.version} name one record.",
                    service="databricks",
                    hint=f"Check that {routing.record} is a record's own id: routing.record in lpmops.toml.",
                )
            yield from whole
            first, after = newest.version, following

    def quarantined(self, versions: Versions, company_ids: Sequence[str]) -> set[tuple[str, Key]]:
        """Company and key of the changes that were too large to be sent; none where there is no quarantine table. Raises ServiceError types."""
        named = {f"id{number}": each for number, each in enumerate(company_ids)}
        text = without_comments(resources.query("databricks/quarantined_changes.sql")).format(
            table=spark_path(f"{self._settings.table}_quarantine"),
            first=versions.first,
            last=versions.last,
            companies=", ".join(f":{name}" for name in named),
            limit=_PAGE,
        )
        try:
            rows = statements.run(self._client, self._settings.warehouse, text, named, Deadline.after(self._seconds))
        except ServiceNotFoundError:
            return set()
        return {(str(row["company_id"] or ""), _key(row)) for row in rows}

    def _read(
        self,
        name: str,
        routing: Routing,
        versions: Versions,
        parameters: Mapping[str, Any] | None = None,
        **places: object,
    ) -> list[dict[str, Any]]:
        key = spark_path(routing.key)
        if routing.key_type == "number":
            # As the routing query compares it: 7, 7.0 and "007" are one company.
            key = f"CAST({key} AS BIGINT)"
        text = without_comments(resources.query(f"databricks/{name}.sql")).format(
            key=key,
            record=spark_path(routing.record),
            table=spark_literal(self._settings.table),
            first=versions.first,
            last=versions.last,
            **places,
        )
        try:
            return statements.run(
                self._client, self._settings.warehouse, text, parameters or {}, Deadline.after(self._seconds)
            )
        except StatementError as error:
            named = error.error_class or ""
            known = _UNREADABLE.get(named) or _UNREADABLE.get(named.partition(".")[0])
            if known is None:
                raise
            why, remains, divisible = known
            if divisible and len(versions) == 1:
                remains = _SHAPE_ALONE
            raise UnreadableChangesError(
                str(versions), why, error_class=str(error.error_class), remains=remains, divisible=divisible
            ) from error


def why_unreadable(text: str) -> str:
    """What a text that names one of Delta's error classes for a range means and what remains; empty where it names none."""
    # The longest first: some classes begin as others do.
    for name in sorted(_UNREADABLE, key=len, reverse=True):
        if name in text:
            why, remains, _ = _UNREADABLE[name]
            return f"{why}. {remains}"
    return ""


def _key(row: Mapping[str, Any]) -> Key:
    return Key(str(row["record_id"] or ""), int(row["commit_version"]), str(row["change_type"]))
