"""The stream follows from the checkpoint that its run names; a table made anew needs a new one, and that one a version to begin at."""

from __future__ import annotations

from pathlib import Path

import pytest

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.databricks.errors import ApiError
from lpmops.sandbox.databricks.volumes import Volumes
from lpmops.sandbox.lake.errors import DeltaFeedError
from lpmops.sandbox.lake.streamjob import NoStartingVersion
from lpmops.sandbox.lake.table import ChangeTable
from lpmops.sandbox.streaming import Streaming
from tests.sandbox.lake.conftest import NAME
from tests.sandbox.lake.test_streamjob import Hub

VOLUME = "/Volumes/lpm_dev/ops/checkpoints"


def test_a_table_made_anew_is_followed_from_a_new_checkpoint_that_is_told_where_to_begin(tmp_path: Path) -> None:
    clock = Clock(start=1_800_000_000.0)
    table = ChangeTable.create(tmp_path / "table", NAME, clock)
    own = tmp_path / VOLUME.lstrip("/").removeprefix("Volumes/") / "tdr-stream"
    own.parent.mkdir(parents=True)
    stream = Streaming(table, Hub().append, Volumes(tmp_path).place, clock, own)
    table.set_properties({"lpm.owner": "ops"})
    before = ["stream", "--checkpoint", f"{VOLUME}/tdr-stream/"]
    # A job that says nothing and one that names the environment's own checkpoint are at the same place.
    for arguments in ([], before):
        found = stream.step(arguments)
        assert found is None or found.end_version == 1

    table.recreate()
    with pytest.raises(DeltaFeedError, match="DIFFERENT_DELTA_TABLE_READ_BY_STREAMING_SOURCE"):
        stream.step(before)
    with pytest.raises(NoStartingVersion, match=r"^\[STARTING_VERSION_NEEDED\] second "):
        stream.step(["stream", "--checkpoint", f"{VOLUME}/second"])
    with pytest.raises(ApiError, match="does not exist"):
        stream.step(["stream", "--checkpoint=/Volumes/lpm_dev/ops/elsewhere/second"])
    found = stream.step(["stream", f"--checkpoint={VOLUME}/second", "--starting-version=0"])
    assert found is not None
    assert found.end_version == table.latest_version()
