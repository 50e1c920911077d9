"""A deployed text is read back into routes, and told apart from what should be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lpmops.config import Config, Routing
from lpmops.routing import deployed, job, shards
from lpmops.routing.deployed import Deployed, Drift
from lpmops.routing.query import Share
from lpmops.routing.routes import PAUSED, Route
from lpmops.routing.shards import Present, Settings, ShardPlan
from tests.routing.hostile import ids
from tests.services.worlds import environment

PLACE = environment("http://127.0.0.1:1")
CONFIG = Config({PLACE.name: PLACE})
BY_QUERY = Settings("asa-", strategy="query")


def read(share: Share | list[str]) -> Deployed:
    return deployed.read(job.wished(CONFIG, PLACE, share, "asa-01"), Routing())


def all_read(plan: ShardPlan) -> dict[str, Deployed]:
    return {shard.job: read(shard.share) for shard in plan.shards}


@given(st.dictionaries(ids, st.sampled_from(["lpm-01", "o'hara]", "x--/*"]), max_size=12))
def test_every_route_of_a_text_is_read_back_whatever_the_ids(routes: dict[str, str]) -> None:
    plan = shards.plan(
        ["lpm-01", "o'hara]", "x--/*"], BY_QUERY, routes=[Route(one, "", database) for one, database in routes.items()]
    )
    [found] = all_read(plan).values()
    assert found.routes == routes
    assert found.unread == ()
    assert deployed.drift(plan, all_read(plan)) == ()
    assert {route.company_id: route.database for route in deployed.adopted([found])} == routes


def test_a_text_by_reference_data_says_which_databases_it_knows() -> None:
    found = read(Share(("lpm-01",), elsewhere=("lpm-02",)))
    assert found == Deployed("reference", ("lpm-01",), control=True, known=("lpm-01", "lpm-02"))


def test_a_text_that_people_wrote_is_read_and_what_is_not_understood_is_named() -> None:
    made = job.wished(CONFIG, PLACE, ["lpm-01", "lpm-02", "lpm-03"], "asa-01")
    text = """
        WITH step AS (SELECT * FROM [tdr-hub])
        SELECT * INTO [lpm-01] FROM step WHERE step.info_companyid = '1001' -- ours
        SELECT * INTO [lpm-02] FROM step WHERE info_companyid IN ('1002', 'it''s') AND kind = 'x'
        SELECT * INTO [lpm-03] FROM step WHERE info_companyid = '1003' OR trunk = 'a' /* all of it */
    """
    found = deployed.read(replace(made, query=text), Routing())
    assert found.routes == {"1001": "lpm-01", "1002": "lpm-02", "it's": "lpm-02"}
    assert found.unread == ("lpm-03",)
    assert found.strategy == "query"


def test_drift_names_each_company_and_each_database() -> None:
    before = shards.plan(["lpm-01", "lpm-02"], BY_QUERY, routes=[Route("1", "", "lpm-01"), Route("2", "", "lpm-02")])
    after = shards.plan(
        ["lpm-01", "lpm-03"],
        BY_QUERY,
        routes=[Route("1", "", "lpm-03"), Route("2", "", "lpm-01", PAUSED), Route("3", "", "lpm-01")],
    )
    found = deployed.drift(after, all_read(before))
    assert found == (
        Drift("database", "lpm-02", "asa-01", ""),
        Drift("database", "lpm-03", "", "asa-01"),
        Drift("company", "1", "lpm-01", "lpm-03"),
        Drift("company", "2", "lpm-02", ""),
        Drift("company", "3", "", "lpm-01"),
    )
    assert found[2].said == "company 1: lpm-01 now, lpm-03 as planned"


def test_an_unrouted_output_in_two_jobs_or_none_is_drift() -> None:
    present = {"asa-01": Present(("lpm-01",), control=True), "asa-02": Present(("lpm-02",))}
    plan = shards.plan(["lpm-01", "lpm-02"], Settings("asa-"), present=present)
    jobs: dict[str, Any] = all_read(plan)
    assert deployed.drift(plan, jobs) == ()
    twice = {**jobs, "asa-02": replace(jobs["asa-02"], control=True)}
    assert deployed.drift(plan, twice) == (Drift("control", "unrouted", "asa-01, asa-02", "asa-01"),)
    none = {**jobs, "asa-01": replace(jobs["asa-01"], control=False)}
    assert deployed.drift(plan, none) == (Drift("control", "unrouted", "", "asa-01"),)
