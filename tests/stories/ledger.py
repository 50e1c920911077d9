"""Both ends of an environment, side by side: every change in the source table, and every row in the landing tables, by the key that makes it one."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from lpmops.config import Environment
from lpmops.services import azuresql
from lpmops.services.cloud import open_environment
from lpmops.services.sqldrivers import Target, TdsDriver
from tests.stories.machine import PATIENCE

# company, record, commit version, change type
Key = tuple[str, str, int, str]
_LANDED = "SELECT company_id, record_id, commit_version, change_type FROM lpm.tdr"
_CHANGES = (
    "SELECT info_companyid, tdr_id, _commit_version, _change_type FROM table_changes('{table}', 1) "
    "WHERE _change_type <> 'update_preimage' AND _commit_version <= :version"
)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Reads both ends of one environment through the wire."""

    environment: Environment

    def version(self) -> int:
        """The newest version of the source table."""
        services = open_environment(self.environment, deadline=PATIENCE)
        try:
            return services.databricks.table().latest_version
        finally:
            services.close()

    def source(self, version: int) -> Counter[Key]:
        """Every change up to a version."""
        services = open_environment(self.environment, deadline=PATIENCE)
        try:
            rows = services.databricks.query(
                _CHANGES.format(table=self.environment.databricks.table), {"version": version}
            )
        finally:
            services.close()
        return Counter(
            (row["info_companyid"], row["tdr_id"], int(row["_commit_version"]), row["_change_type"]) for row in rows
        )

    def landed(self) -> Counter[Key]:
        """Every row of all landing tables."""
        found: Counter[Key] = Counter()
        for database in self.environment.sql.databases:
            found.update(
                (row["company_id"], row["record_id"], int(row["commit_version"]), row["change_type"])
                for row in self.rows(database, _LANDED)
            )
        return found

    def unrouted(self) -> int:
        """Rows that no route took."""
        rows = self.rows(self.environment.sql.control_database, "SELECT COUNT(*) AS n FROM lpmops.unrouted")
        return int(rows[0]["n"])

    def rows(self, database: str, text: str) -> list[dict[str, Any]]:
        """The rows of a statement."""
        services = open_environment(self.environment, deadline=PATIENCE)
        try:
            token = services.credential.token(azuresql.SCOPE).token
        finally:
            services.close()
        sql = self.environment.sql
        target = Target(sql.server, sql.port, database, token=token, trust_server_certificate=True)
        session = TdsDriver("a story").connect(target, PATIENCE)
        try:
            return session.rows(text, (), PATIENCE)
        finally:
            session.close()

    def assert_nothing_lost_or_doubled(self) -> int:
        """Every change up to now lands exactly once; how many there are."""
        version = self.version()
        source = self.source(version)
        assert source
        deadline = time.monotonic() + PATIENCE
        while missing := source - self.landed():
            assert time.monotonic() < deadline, (
                f"{len(missing)} of {source.total()} changes have not landed, such as {next(iter(missing))}"
            )
            time.sleep(0.2)
        landed = Counter({key: count for key, count in self.landed().items() if key[2] <= version})
        assert landed == source, f"{(landed - source).total()} rows are doubled or from nowhere"
        return source.total()
