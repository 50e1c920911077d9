"""The change feed is switched on only where Delta and Unity Catalog would let it, and what that does to the table is said before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lpmops.cli.cdf import _kind_words
from lpmops.errors import RefusedError, UnreachableError
from lpmops.model import FeedState
from tests.actions import cloud_access
from tests.actions.cases import CASES
from tests.actions.cloud import START, Act
from tests.actions.operator import Operator, operator

CASE = CASES["feed"]
TABLE = "lpm.gold.tdr_streaming"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"type": "VIEW"}, "is a view"),
        ({"type": "MATERIALIZED_VIEW"}, "is a materialized view"),
        ({"format": "PARQUET"}, "of the format PARQUET"),
    ],
)
def test_what_is_no_delta_table_is_refused_with_what_to_do(values: dict[str, Any], words: str, folder: Path) -> None:
    with operator(folder) as worker:
        worker.cloud.put("feed", **values)
        with pytest.raises(RefusedError, match=words) as caught:
            worker.plan(CASE)
        assert (caught.value.exit_code, bool(caught.value.hint)) == (6, True)
        assert not worker.cloud.acts()


def _refused(worker: Operator) -> str:
    plan = worker.plan(CASE)
    with pytest.raises(RefusedError) as caught:
        worker.approve(plan)
    assert caught.value.exit_code == 6
    assert not worker.cloud.acts()
    return caught.value.message


def test_columns_that_the_feed_needs_for_itself_refuse_it(folder: Path) -> None:
    with operator(folder) as worker:
        worker.cloud.put("feed", columns=["tdr_id", "_Commit_Version"])
        assert "(_Commit_Version)" in _refused(worker)


def _given(worker: Operator, *rights: str) -> None:
    """The operator has these privileges on the table and everybody else none."""
    worker.cloud.put("access", privileges={**cloud_access.given(), "account users": [], "ops@lpm.example": [*rights]})


@pytest.mark.parametrize("rights", [("SELECT",), ("SELECT", "MANAGE")])
def test_who_may_not_alter_the_table_is_told_what_to_ask_for(rights: tuple[str, ...], folder: Path) -> None:
    with operator(folder) as worker:
        _given(worker, *rights)
        message = _refused(worker)
        assert f"may not alter {TABLE}" in message
        assert "GRANT MODIFY ON TABLE" in message


@pytest.mark.parametrize("rights", [("MODIFY",), ("ALL_PRIVILEGES",)])
def test_who_may_modify_the_table_may_switch_it_on(rights: tuple[str, ...], folder: Path) -> None:
    with operator(folder) as worker:
        _given(worker, *rights)
        assert worker.run(CASE).state == "succeeded"


def test_a_right_that_is_taken_between_plan_and_apply_refuses_it_before_the_table_is_asked(folder: Path) -> None:
    with operator(folder) as worker:
        plan = worker.plan(CASE)
        _given(worker, "SELECT")
        with pytest.raises(RefusedError, match="may not alter"):
            worker.desk.apply(plan, worker.approve(plan))
        assert not worker.cloud.acts()


def test_a_right_that_nobody_can_tell_of_is_a_warning_and_the_service_decides(folder: Path) -> None:
    def silent(place: str, verb: str) -> None:
        if verb == "securable":
            raise UnreachableError("The workspace does not answer.", service="databricks")

    with operator(folder) as worker:
        worker.cloud.trouble = silent
        plan = worker.plan(CASE)
        assert any("can't be told" in warning for warning in plan.warnings)
        assert worker.desk.apply(plan, worker.approve(plan)).state == "succeeded"


@pytest.mark.parametrize(
    ("values", "changes", "words"),
    [
        ({"writer": 2}, {"table.writer_version": (2, 4)}, "rises from 2 to 4"),
        ({"writer": 4}, {}, ""),
        (
            {"writer": 7, "features": ["deletionVectors"]},
            {"table.features": (["deletionVectors"], ["changeDataFeed", "deletionVectors"])},
            "do not know the table feature changeDataFeed",
        ),
        ({"writer": 7, "features": ["changeDataFeed"]}, {}, ""),
        ({"mapping": "name", "writer": 5}, {}, "maps its columns by name"),
        ({"kind": "automatic", "writer": 7, "features": ["changeDataFeed"]}, {}, "from row tracking already"),
    ],
)
def test_what_it_does_to_readers_and_writers_is_said_before(
    values: dict[str, Any], changes: dict[str, Any], words: str, folder: Path
) -> None:
    with operator(folder) as worker:
        worker.cloud.put("feed", **values)
        plan = worker.plan(CASE)
        shown = {change.field: (change.before, change.after) for change in plan.steps[0].changes}
        assert shown.pop("table.change_feed")[1] == "delta"
        assert shown == changes
        assert words in " ".join(plan.warnings)


def test_the_result_names_the_first_version_that_is_recorded(folder: Path) -> None:
    with operator(folder) as worker:
        result = worker.run(CASE).result
        assert (result["first_version"], result["change_feed"], result["writer_version"]) == (8, "delta", 4)
        assert worker.cloud.acts() == {Act("enable", "feed"): 1}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("delta", "recorded at every write since version 8"),
        ("automatic", "row tracking"),
        ("off", "lpmops cdf enable -e prod"),
    ],
)
def test_both_kinds_of_change_feed_are_told_apart(kind: str, words: str) -> None:
    from lpmops.actions import cdf

    data = cdf.show(FeedState(kind, 9, START, first_version=8), TABLE, START)
    assert words in _kind_words(data, "prod")
