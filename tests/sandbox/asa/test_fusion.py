"""Statements that are run as one give what they give one by one."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lpmops.sandbox.asa import Executor, compile_query
from tests.sandbox.asa.kit import NOON, events

_KEYS = ("a", "b", "c'd", "A")
_key = st.sampled_from(_KEYS)
_value = st.one_of(_key, st.none(), st.integers(0, 3), st.booleans())


@st.composite
def _condition(draw: Any) -> str:
    quoted = [one.replace("'", "''") for one in draw(st.lists(_key, min_size=1, max_size=3))]
    route = f"k = '{quoted[0]}'" if draw(st.booleans()) else "k IN (" + ", ".join(f"'{one}'" for one in quoted) + ")"
    rest = draw(st.sampled_from(["", " AND v > 1", " AND v <> 'a'", " OR v = 1", " AND v IS NULL"]))
    return f"{route}{rest}"


@st.composite
def _query(draw: Any) -> str:
    grouped = draw(st.booleans())
    source = "WITH s AS (SELECT k, v, v AS w FROM hub)\n"
    statements = []
    for number, condition in enumerate(draw(st.lists(_condition(), min_size=1, max_size=6))):
        if grouped and number % 2:
            statements.append(
                f"SELECT w, COUNT(*) AS n INTO out{number} FROM s WHERE {condition} GROUP BY w, TumblingWindow(second, 3)"
            )
        else:
            statements.append(f"SELECT k, v INTO out{number} FROM s WHERE {condition} -- {number}")
    return source + "\n".join(statements)


def outcome(query: str, bodies: list[dict[str, Any]], fuse: bool) -> dict[str, Any]:
    compiled = compile_query(query, {"hub": "stream"}, [f"out{number}" for number in range(6)])
    executor = Executor(compiled, fuse=fuse)
    half = len(bodies) // 2
    made = [
        executor.process(events(*bodies)[:half]),
        executor.process(events(*bodies)[half:]),
        executor.advance(NOON + timedelta(hours=1)),
    ]
    executor.close()
    return {
        f"{part} {name}": (batch.columns, batch.rows)
        for part, found in enumerate(made)
        for name, batch in sorted(found.items())
    }


@settings(max_examples=40)
@given(_query(), st.lists(st.fixed_dictionaries({"k": _value, "v": _value}), max_size=8))
def test_fused_statements_give_what_they_give_one_by_one(query: str, bodies: list[dict[str, Any]]) -> None:
    assert outcome(query, bodies, fuse=True) == outcome(query, bodies, fuse=False)


def test_a_thousand_routes_cost_about_what_ten_do() -> None:
    def seconds(routes: int) -> float:
        text = "WITH s AS (SELECT k, v FROM hub)\n" + "\n".join(
            f"SELECT k, v INTO out{one} FROM s WHERE k = 'key{one}'" for one in range(routes)
        )
        executor = Executor(compile_query(text, {"hub": "stream"}, [f"out{one}" for one in range(routes)]))
        batch = events(*({"k": f"key{one % 10}", "v": one} for one in range(300)))
        assert len(executor.process(batch)) == 10
        best = float("inf")
        for _ in range(5):
            began = time.perf_counter()
            executor.process(batch)
            best = min(best, time.perf_counter() - began)
        return best

    assert seconds(1000) < 5 * seconds(10) + 0.02
