"""The SQL warehouse: its state, and the time it takes to start.

A statement that meets a stopped warehouse starts it and waits, as on Databricks. Documents: databricks-sdk 0.156 `GetWarehouseResponse`.
"""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlsplit

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.databricks.calls import Answer, Call, Handler
from lpmops.sandbox.databricks.errors import not_found


class Warehouse:
    """One warehouse, running at first. `start_seconds` is sandbox time."""

    def __init__(self, warehouse_id: str, clock: Clock, start_seconds: float, base_url: str) -> None:
        self.id = warehouse_id
        self._clock, self._start_seconds, self._base_url = clock, start_seconds, base_url
        self._lock = threading.Lock()
        self._ready_at: float | None = clock.time()

    def state(self) -> str:
        """STOPPED, STARTING or RUNNING."""
        with self._lock:
            if self._ready_at is None:
                return "STOPPED"
            return "RUNNING" if self._clock.time() >= self._ready_at else "STARTING"

    def start(self) -> None:
        """Start it; nothing happens when it runs."""
        with self._lock:
            if self._ready_at is None:
                self._ready_at = self._clock.time() + self._start_seconds

    def stop(self) -> None:
        """Stop it; the next statement pays for the start."""
        with self._lock:
            self._ready_at = None

    def operations(self) -> list[tuple[str, str, Handler]]:
        """get, list, start, stop, and who may use it."""
        base = "/api/2.0/sql/warehouses"
        return [
            ("GET", base, lambda _: Answer({"warehouses": [self._document()]})),
            ("GET", base + "/{id}", self._get),
            ("POST", base + "/{id}/start", self._start),
            ("POST", base + "/{id}/stop", self._stop),
            ("GET", "/api/2.0/permissions/warehouses/{id}", self._permissions),
        ]

    def known(self, warehouse_id: str) -> None:
        """Raises ApiError for another warehouse."""
        if warehouse_id != self.id:
            raise not_found("RESOURCE_DOES_NOT_EXIST", f"The warehouse {warehouse_id} does not exist.")

    def _get(self, call: Call) -> Answer:
        self.known(call.names["id"])
        return Answer(self._document())

    def _start(self, call: Call) -> Answer:
        self.known(call.names["id"])
        self.start()
        return Answer()

    def _stop(self, call: Call) -> Answer:
        self.known(call.names["id"])
        self.stop()
        return Answer()

    def _permissions(self, call: Call) -> Answer:
        """Everybody may use it."""
        self.known(call.names["id"])
        level = {"permission_level": "CAN_USE", "inherited": False}
        listed = [{"group_name": "users", "display_name": "users", "all_permissions": [level]}]
        head = {"object_id": f"/sql/warehouses/{self.id}", "object_type": "warehouses"}
        return Answer({**head, "access_control_list": listed})

    def _document(self) -> dict[str, Any]:
        state, address = self.state(), urlsplit(self._base_url)
        path, running = f"/sql/1.0/warehouses/{self.id}", state == "RUNNING"
        return {
            "id": self.id,
            "name": "lpm",
            "cluster_size": "2X-Small",
            "min_num_clusters": 1,
            "max_num_clusters": 1,
            "auto_stop_mins": 0,
            "creator_name": "lpm-engineers",
            "enable_photon": True,
            "enable_serverless_compute": True,
            "warehouse_type": "PRO",
            "spot_instance_policy": "COST_OPTIMIZED",
            "channel": {"name": "CHANNEL_NAME_CURRENT"},
            "tags": {},
            "state": state,
            "num_clusters": int(running),
            "num_active_sessions": 0,
            "health": {"status": "HEALTHY"} if running else {},
            "jdbc_url": f"jdbc:spark://{address.netloc}/default;transportMode=http;httpPath={path};",
            "odbc_params": {
                "hostname": address.hostname or "",
                "path": path,
                "port": address.port or 443,
                "protocol": "https",
            },
        }
