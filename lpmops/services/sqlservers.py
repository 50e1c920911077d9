"""What Resource Manager says of the logical server's databases (Microsoft.Sql 2021-11-01): no database is connected to, so none is woken by it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from lpmops.config import Environment
from lpmops.services.bounded import Deadline
from lpmops.services.identity import CachedCredential
from lpmops.services.resourcemanager import resource_manager
from lpmops.services.transport import Transport

_VERSION = {"api-version": "2021-11-01"}


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """A database as its server keeps it. `status` is Online, Paused, Resuming and so on; `auto_pause` minutes without a session until it pauses,
    None where it never does; `objective` such as S3 or GP_S_Gen5_2."""

    name: str
    status: str
    tier: str
    objective: str
    auto_pause: int | None


class SqlServerService:
    """The logical server of one environment."""

    def __init__(
        self, environment: Environment, transport: Transport, credential: CachedCredential, seconds: float
    ) -> None:
        self._seconds = seconds
        settings = environment.sql
        group = quote(settings.resource_group or environment.resource_group, safe="")
        server = quote(settings.server_name or settings.server.partition(".")[0], safe="")
        self._path = f"/subscriptions/{environment.subscription_id}/resourceGroups/{group}/providers/Microsoft.Sql/servers/{server}"
        self._client = resource_manager(environment, transport, credential, "azuresql", "Reader on the SQL server")

    def databases(self) -> dict[str, DatabaseSettings]:
        """The databases by name, without the server's own. Raises ServiceError types."""
        pages = self._client.pages(
            f"{self._path}/databases", operation="databases", deadline=Deadline.after(self._seconds), params=_VERSION
        )
        found: dict[str, DatabaseSettings] = {}
        for fields in pages:
            name, properties, sku = fields.text("name"), fields.object("properties"), fields.object("sku")
            delay = properties.maybe_integer("autoPauseDelay")
            found[name] = DatabaseSettings(
                name=name,
                status=properties.maybe_text("status") or "Unknown",
                tier=sku.maybe_text("tier") or "",
                objective=properties.maybe_text("currentServiceObjectiveName") or "",
                auto_pause=delay if delay is not None and delay > 0 else None,
            )
        return found
