"""Unity Catalog 2.1: catalogs, schemas, tables, volumes, the metastore, and who may do what.

Tables are those of the workspace, their documents made from the Delta log at each look, so that a property set by SQL shows at once. Grants are kept
in a file and given back as they are; reading is open whatever they say, giving takes MANAGE or ownership. Documents: databricks-sdk 0.156 `catalog`,
and unitycatalog `api/all.yaml`.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lpmops.sandbox.databricks.calls import Answer, Call, Handler
from lpmops.sandbox.databricks.directory import Directory
from lpmops.sandbox.databricks.errors import ApiError, invalid, malformed, not_found
from lpmops.sandbox.files import write_whole
from lpmops.sandbox.lake.errors import DeltaFeedError
from lpmops.sandbox.lake.schema import spark_type, type_json
from lpmops.sandbox.lake.table import ChangeTable

OWNER = "lpm-engineers"
_KINDS = {1: "CATALOG", 2: "SCHEMA", 3: "TABLE"}
# What a new workspace grants on each catalog, to everyone.
DEFAULT_PRIVILEGES = ("ACCESS", "MODIFY", "READ_VOLUME", "SELECT", "USE_CATALOG", "USE_SCHEMA", "WRITE_VOLUME")
EVERYONE = "account users"
_TABLE_IDS = uuid.UUID("00000000-0000-4000-8000-0000000000dc")

# securable -> principal -> privileges
Grants = dict[str, dict[str, list[str]]]


class Catalog:
    """The catalog of one workspace. Names are compared without case."""

    def __init__(
        self,
        tables: Mapping[str, ChangeTable],
        volumes: Path,
        folder: Path,
        metastore_id: str,
        default_grants: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
        directory: Directory | None = None,
        credentials: Mapping[str, str] | None = None,
    ) -> None:
        self._tables = {name.lower(): table for name, table in tables.items()}
        self._volumes, self._file, self._metastore = volumes, folder / "grants.json", metastore_id
        self._directory, self._credentials = directory or Directory({}), dict(credentials or {})
        self._lock = threading.Lock()
        self._grants: Grants = {}
        if self._file.exists():
            self._grants = json.loads(self._file.read_text(encoding="utf-8"))
        else:
            open_to_all = {EVERYONE: (*DEFAULT_PRIVILEGES, "MANAGE")}
            given = default_grants or dict.fromkeys(self._catalogs(), open_to_all)
            given = {**{name: {EVERYONE: ("ACCESS",)} for name in self._credentials}, **given}
            self._grants = {
                name.lower(): {who: sorted(rights) for who, rights in held.items()} for name, held in given.items()
            }

    def find(self, name: str) -> ChangeTable | None:
        """A table by its full name."""
        return self._tables.get(name.lower())

    def operations(self) -> list[tuple[str, str, Handler]]:
        """Everything that can be looked at, and changing grants."""
        base = "/api/2.1/unity-catalog"
        return [
            ("GET", base + "/metastore_summary", self._metastore_summary),
            ("GET", base + "/catalogs", lambda _: Answer({"catalogs": [self._catalog(n) for n in self._catalogs()]})),
            ("GET", base + "/catalogs/{name}", self._one_catalog),
            ("GET", base + "/schemas", self._schema_list),
            ("GET", base + "/schemas/{name}", self._one_schema),
            ("GET", base + "/tables", self._table_list),
            ("GET", base + "/tables/{name}", self._one_table),
            ("GET", base + "/volumes/{name}", self._one_volume),
            ("GET", base + "/credentials/{name}", self._one_credential),
            ("GET", base + "/permissions/{kind}/{name}", self._permissions),
            ("PATCH", base + "/permissions/{kind}/{name}", self._change_permissions),
            ("GET", base + "/effective-permissions/{kind}/{name}", self._effective),
        ]

    # Names

    def _catalogs(self) -> list[str]:
        return sorted({name.split(".")[0] for name in [*self._tables, *self._volume_names()]})

    def _schemas(self, catalog: str) -> list[str]:
        names = [name.split(".") for name in [*self._tables, *self._volume_names()]]
        return sorted({parts[1] for parts in names if parts[0] == catalog.lower()})

    def _volume_names(self) -> list[str]:
        return [
            ".".join(path.relative_to(self._volumes).parts).lower()
            for path in sorted(self._volumes.glob("*/*/*"))
            if path.is_dir()
        ]

    # Documents

    def _metastore_summary(self, _: Call) -> Answer:
        return Answer(
            {
                "metastore_id": self._metastore,
                "name": "lpm",
                "cloud": "azure",
                "region": "westeurope",
                "owner": OWNER,
                "global_metastore_id": f"azure:westeurope:{self._metastore}",
                "privilege_model_version": "1.0",
                "delta_sharing_scope": "INTERNAL",
            }
        )

    def _catalog(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "full_name": name,
            "owner": OWNER,
            "catalog_type": "MANAGED_CATALOG",
            "metastore_id": self._metastore,
            "isolation_mode": "OPEN",
            "securable_type": "CATALOG",
        }

    def _one_catalog(self, call: Call) -> Answer:
        name = call.names["name"].lower()
        if name not in self._catalogs():
            raise not_found("CATALOG_DOES_NOT_EXIST", f"Catalog '{call.names['name']}' does not exist.")
        return Answer(self._catalog(name))

    def _schema(self, catalog: str, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "catalog_name": catalog,
            "full_name": f"{catalog}.{name}",
            "owner": OWNER,
            "catalog_type": "MANAGED_CATALOG",
            "metastore_id": self._metastore,
        }

    def _schema_list(self, call: Call) -> Answer:
        catalog = call.query.get("catalog_name", "").lower()
        if catalog not in self._catalogs():
            raise not_found("CATALOG_DOES_NOT_EXIST", f"Catalog '{catalog}' does not exist.")
        return Answer({"schemas": [self._schema(catalog, name) for name in self._schemas(catalog)]})

    def _one_schema(self, call: Call) -> Answer:
        catalog, _, name = call.names["name"].lower().partition(".")
        if name not in self._schemas(catalog):
            raise not_found("SCHEMA_DOES_NOT_EXIST", f"Schema '{call.names['name']}' does not exist.")
        return Answer(self._schema(catalog, name))

    def _table_list(self, call: Call) -> Answer:
        catalog, schema = call.query.get("catalog_name", "").lower(), call.query.get("schema_name", "").lower()
        if schema not in self._schemas(catalog):
            raise not_found("SCHEMA_DOES_NOT_EXIST", f"Schema '{catalog}.{schema}' does not exist.")
        names = sorted(name for name in self._tables if name.startswith(f"{catalog}.{schema}."))
        return Answer({"tables": [self._table(self._tables[name]) for name in names]})

    def _one_table(self, call: Call) -> Answer:
        table = self.find(call.names["name"])
        if table is None:
            raise not_found("TABLE_DOES_NOT_EXIST", f"Table '{call.names['name']}' does not exist.")
        try:
            return Answer(self._table(table))
        except (DeltaFeedError, FileNotFoundError) as error:
            raise not_found("TABLE_DOES_NOT_EXIST", f"Table '{call.names['name']}' does not exist.") from error

    def _table(self, table: ChangeTable) -> dict[str, Any]:
        catalog, schema, name = table.full_name.split(".")
        earliest, latest = table.earliest_version(), table.latest_version()
        columns = []
        for position, field in enumerate(table.arrow_schema()):
            type_text, type_name = spark_type(field.type)
            columns.append(
                {
                    "name": field.name,
                    "type_text": type_text,
                    "type_name": type_name,
                    "type_json": type_json(field),
                    "position": position,
                    "nullable": field.nullable,
                }
            )
        return {
            "name": name,
            "catalog_name": catalog,
            "schema_name": schema,
            "full_name": table.full_name,
            "table_type": "MANAGED",
            "data_source_format": "DELTA",
            "columns": columns,
            "storage_location": table.folder.as_uri(),
            "owner": OWNER,
            "properties": table.properties(),
            "metastore_id": self._metastore,
            # Unity Catalog gives ids of its own; the Delta id stands in DESCRIBE DETAIL.
            "table_id": str(uuid.uuid5(_TABLE_IDS, table.table_id)),
            "created_at": int(table.commit_time(earliest).timestamp() * 1000),
            "created_by": OWNER,
            "updated_at": int(table.commit_time(latest).timestamp() * 1000),
            "updated_by": OWNER,
        }

    def _one_volume(self, call: Call) -> Answer:
        name = call.names["name"].lower()
        if name not in self._volume_names():
            raise not_found("VOLUME_DOES_NOT_EXIST", f"Volume '{call.names['name']}' does not exist.")
        catalog, schema, own = name.split(".")
        return Answer(
            {
                "name": own,
                "catalog_name": catalog,
                "schema_name": schema,
                "full_name": name,
                "volume_type": "MANAGED",
                "owner": OWNER,
                "metastore_id": self._metastore,
            }
        )

    def _one_credential(self, call: Call) -> Answer:
        """A service credential and the access connector behind it (databricks-sdk 0.156 `catalog.CredentialInfo`)."""
        name = call.names["name"]
        if name not in self._credentials:
            raise not_found("CREDENTIAL_DOES_NOT_EXIST", f"Credential '{name}' does not exist.")
        return Answer(
            {
                "name": name,
                "full_name": name,
                "owner": OWNER,
                "purpose": "SERVICE",
                "azure_managed_identity": {"access_connector_id": self._credentials[name]},
                "metastore_id": self._metastore,
            }
        )

    # Grants

    def _securable(self, call: Call) -> str:
        kind, name = call.names["kind"].upper(), call.names["name"].lower()
        if kind == "METASTORE":
            known = name == self._metastore
        elif kind == "CATALOG":
            known = name in self._catalogs()
        elif kind == "SCHEMA":
            known = name.count(".") == 1 and name.split(".")[1] in self._schemas(name.split(".")[0])
        elif kind == "TABLE":
            known = name in self._tables
        elif kind == "VOLUME":
            known = name in self._volume_names()
        elif kind == "CREDENTIAL":
            known = name in {each.lower() for each in self._credentials}
        else:
            raise invalid(f"SecurableType {call.names['kind']} is not supported.")
        if not known:
            raise not_found(f"{kind}_DOES_NOT_EXIST", f"{kind.capitalize()} '{call.names['name']}' does not exist.")
        return name

    def _permissions(self, call: Call) -> Answer:
        name = self._securable(call)
        with self._lock:
            return self._assignments(name, call.query.get("principal"))

    def _assignments(self, name: str, principal: str | None = None) -> Answer:
        held = self._grants.get(name, {})
        shown = [{"principal": who, "privileges": held[who]} for who in sorted(held) if principal in (None, who)]
        return Answer({"privilege_assignments": shown} if shown else {})

    def _change_permissions(self, call: Call) -> Answer:
        name = self._securable(call)
        changes = call.body().get("changes", [])
        if not isinstance(changes, list) or not all(
            isinstance(one, dict) and isinstance(one.get("principal"), str) for one in changes
        ):
            raise malformed(
                "Could not parse request object: Expected 'changes' to be an array of maps with a principal"
            )
        with self._lock:
            self._refuse_stranger(call, name)
            held = self._grants.setdefault(name, {})
            for change in changes:
                rights = set(held.get(change["principal"], []))
                rights |= {str(one) for one in change.get("add") or []}
                rights -= {str(one) for one in change.get("remove") or []}
                held[change["principal"]] = sorted(rights)
                if not rights:
                    del held[change["principal"]]
            self._save()
            return self._assignments(name)

    def _refuse_stranger(self, call: Call, name: str) -> None:
        """Only an owner, or one with MANAGE on the thing or on what holds it, gives and takes."""
        who = {call.principal.name, call.principal.client_id, EVERYONE, *self._directory.groups_of(call.principal)}
        parts = name.split(".")
        above = [".".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
        manages = any("MANAGE" in self._grants.get(place, {}).get(one, ()) for place in above for one in who)
        if OWNER not in who and not manages:
            message = f"User does not have MANAGE on {name}."  # assumed: the wording
            raise ApiError(403, "PERMISSION_DENIED", message)

    def allow(self, name: str, principal: str, privilege: str, on: bool) -> None:
        """Give a privilege on a thing, or take it away, as its owner would."""
        with self._lock:
            held = self._grants.setdefault(name.lower(), {})
            rights = set(held.get(principal, [])) - {privilege}
            held[principal] = sorted(rights | {privilege} if on else rights)
            self._save()

    def _save(self) -> None:
        write_whole(self._file, json.dumps(self._grants))

    def _effective(self, call: Call) -> Answer:
        name, asked = self._securable(call), call.query.get("principal")
        parts = name.split(".")
        found: dict[str, list[dict[str, str]]] = {}
        with self._lock:
            for depth in range(1, len(parts) + 1):
                source = ".".join(parts[:depth])
                for who, rights in self._grants.get(source, {}).items():
                    inherited = (
                        {} if source == name else {"inherited_from_name": source, "inherited_from_type": _KINDS[depth]}
                    )
                    found.setdefault(who, []).extend({"privilege": right, **inherited} for right in rights)
        shown = [{"principal": who, "privileges": found[who]} for who in sorted(found) if asked in (None, who)]
        return Answer({"privilege_assignments": shown} if shown else {})
