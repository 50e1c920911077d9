"""What somebody with the rights to it does to a table and what old versions do not outlive: VACUUM, a cleaned log, columns that come and go.

`vacuum_before` and `clean_log_before` do at once, for the versions before one, what Delta does for those past their retention. A column is added or
dropped by a commit of metadata alone, as with column mapping: the data files stay as they are, and a dropped column's values stay in them unseen. All
work beside the table's writer. Renaming and changes of a type are not here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from lpmops.sandbox.lake import log, shapes
from lpmops.sandbox.lake.schema import RECORD_SCHEMA
from lpmops.sandbox.lake.table import ChangeTable

# What the table's own writer can't do without.
_NEEDED = ("tdr_id", "info_companyid", "disposition")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\..*parquet")


class Refused(ValueError):
    """Why a table can't be altered so, in words."""


def vacuum_before(table: ChangeTable, version: int) -> int:
    """VACUUM: remove the files that only versions before this one need; gives how many. Rows of the table itself stay. Raises Refused."""
    with table.writing:
        _check_version(table, version)
        needed = {path for path, _ in table.data_files()}
        found: dict[str, int] = {}
        for one in range(table.earliest_version(), version):
            actions = log.actions(table.folder, one, "cdc", "remove")
            for action in (*actions["cdc"], *actions["remove"]):
                found[unquote(action["path"])] = int(action.get("size") or 0)
        there = {path: size for path, size in found.items() if path not in needed and (table.folder / path).exists()}
        sizes = {"numFilesToDelete": str(len(there)), "sizeOfDataToDelete": str(sum(there.values()))}
        _commit(table, "VACUUM START", {"retentionCheckEnabled": "false"}, sizes, [])
        for path in there:
            (table.folder / path).unlink(missing_ok=True)
        _commit(table, "VACUUM END", {"status": "COMPLETED"}, {"numDeletedFiles": str(len(there))}, [])
        return len(there)


def clean_log_before(table: ChangeTable, version: int) -> int:
    """Remove the log of the versions before this one, as past delta.logRetentionDuration; gives how many versions. Raises Refused."""
    with table.writing:
        _check_version(table, version)
        # The versions that stay are read from here on.
        table.snapshot(version).create_checkpoint()
        gone = range(table.earliest_version(), version)
        for one in gone:
            log.commit_path(table.folder, one).unlink(missing_ok=True)
        for path in (table.folder / "_delta_log").iterdir():
            if (found := _CHECKPOINT.fullmatch(path.name)) and int(found.group(1)) < version:
                path.unlink()
        return len(gone)


def add_column(table: ChangeTable, name: str) -> int:
    """ALTER TABLE ADD COLUMNS: a text that is NULL in every row; gives the version. Raises Refused."""
    if not _NAME.fullmatch(name):
        raise Refused(f"{name!r} can't name a column: letters, digits and _ can, beginning with no digit.")
    if name in RECORD_SCHEMA.names:
        raise Refused(f"{name} is a column of the source itself and can't be added.")
    with table.writing:
        metadata = _metadata(table)
        fields = _fields(metadata)
        if name.casefold() in (field["name"].casefold() for field in fields):
            raise Refused(f"The table has a column {name} already.")
        added = {"name": name, "type": "string", "nullable": True, "metadata": {}}
        said = {"columns": json.dumps([{"column": added}])}
        return _commit(table, "ADD COLUMNS", said, {}, [{"metaData": _with(metadata, [*fields, added])}])


def drop_column(table: ChangeTable, name: str) -> int:
    """ALTER TABLE DROP COLUMNS, after column mapping is switched on where it is not; gives the version of the drop. Raises Refused."""
    if name in _NEEDED:
        raise Refused(f"The source can't write without its column {name}.")
    with table.writing:
        metadata = _metadata(table)
        fields = _fields(metadata)
        if name not in (field["name"] for field in fields):
            raise Refused(f"The table has no column {name}; it has {', '.join(field['name'] for field in fields)}.")
        mapping = {shapes.MAPPING_PROPERTY: "name"}
        if not shapes.is_mapped(metadata["configuration"]):
            metadata["configuration"] |= mapping
            said = {"properties": json.dumps(mapping)}
            _commit(table, "SET TBLPROPERTIES", said, {}, [{"metaData": _with(metadata, fields)}])
        left = [field for field in fields if field["name"] != name]
        return _commit(
            table, "DROP COLUMNS", {"columns": json.dumps([name])}, {}, [{"metaData": _with(metadata, left)}]
        )


def _check_version(table: ChangeTable, version: int) -> None:
    if not 0 <= version <= table.latest_version():
        raise Refused(f"{version} is no version of the table: its newest is {table.latest_version()}.")


def _metadata(table: ChangeTable) -> dict[str, Any]:
    """The table's metadata as the log's action holds it."""
    snapshot = table.snapshot()
    found = snapshot.metadata()
    return {
        "id": str(found.id),
        "name": found.name,
        "description": found.description,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": snapshot.schema().to_json(),
        "partitionColumns": list(found.partition_columns),
        "configuration": dict(found.configuration),
        "createdTime": found.created_time,
    }


def _fields(metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    fields: list[dict[str, Any]] = json.loads(metadata["schemaString"])["fields"]
    return fields


def _with(metadata: Mapping[str, Any], fields: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {**metadata, "schemaString": json.dumps({"type": "struct", "fields": fields})}


def _commit(
    table: ChangeTable,
    operation: str,
    parameters: Mapping[str, str],
    metrics: Mapping[str, str],
    actions: Sequence[Mapping[str, Any]],
) -> int:
    return table.commit_files(operation, parameters, metrics, actions, table.latest_version())
