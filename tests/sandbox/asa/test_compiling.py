"""What compiles, what is refused, and where the complaint points."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops.sandbox.asa import CompileError, Diagnostic, InputKind, compile_query
from tests.sandbox.asa.kit import OUTPUTS, ROUTING, compiled

INPUTS: dict[str, InputKind] = {"hub": "stream", "second": "stream", "route": "reference"}


def complaints(query: str) -> list[str]:
    with pytest.raises(CompileError) as caught:
        compile_query(query, INPUTS, ["out", "other"])
    return [str(found) for found in caught.value.diagnostics]


def test_the_routing_query_compiles_and_reads_only_the_fields_it_needs() -> None:
    query = compile_query(ROUTING, {"tdr-hub": "stream", "route": "reference"}, OUTPUTS)

    assert query.outputs == OUTPUTS
    assert ("sipreq", "via", 0) in query.paths["tdr-hub"]
    assert ("sipreq", "via") not in query.paths["tdr-hub"]


@pytest.mark.parametrize(
    ("query", "place", "words"),
    [
        ("SELECT a INTO out FROM nowhere", "1:24", "The input 'nowhere' used in the query is not defined."),
        ("SELECT a\nINTO gone\nFROM hub", "2:6", "The output 'gone' used in the query is not defined."),
        ("SELECT a FROM hub", "1:1", "The output 'output' used in the query is not defined."),
        ("SELECT a, b AS A INTO out FROM hub", "1:11", "The column name 'A' is used more than once."),
        (
            "WITH s AS (SELECT a FROM hub), S AS (SELECT a FROM hub) SELECT a INTO out FROM s",
            "1:32",
            "defined more than once",
        ),
        ("SELECT a INTO out FROM hub SELECT b INTO out FROM hub", "1:42", "written by more than one statement"),
        ("WITH s AS (SELECT a FROM hub)\nSELECT b INTO out FROM s", "2:8", "The step 's' has no column 'b'."),
        ("SELECT a INTO out FROM hub TIMESTAMP BY a", "1:28", "TIMESTAMP BY is not supported"),
        ("SELECT LAG(a) OVER (LIMIT DURATION(minute, 1)) AS b INTO out FROM hub", "1:8", "LAG is not supported"),
        (
            "SELECT e.ArrayValue INTO out FROM hub h CROSS APPLY GetArrayElements(h.a) AS e",
            "1:41",
            "CROSS APPLY is not supported",
        ),
        ("SELECT udf.f(a) AS b INTO out FROM hub", "1:12", "The user-defined function udf.f is not supported"),
        ("SELECT h.a INTO out FROM hub h JOIN second s ON h.a = s.a", "1:37", "A JOIN of two streams is not supported"),
        (
            "SELECT COUNT(*) AS n INTO out FROM hub GROUP BY HoppingWindow(minute, 5, 1)",
            "1:49",
            "HoppingWindow is not supported",
        ),
        (
            "SELECT COUNT(*) AS n INTO out FROM hub GROUP BY SessionWindow(minute, 5)",
            "1:49",
            "SessionWindow is not supported",
        ),
        ("SELECT a INTO out FROM hub MATCH_RECOGNIZE (x)", "1:28", "MATCH_RECOGNIZE is not supported"),
        ("CREATE TABLE hub (a bigint); SELECT a INTO out FROM hub", "1:1", "CREATE TABLE is not supported"),
        (
            "SELECT ISNULL(a, 0) AS b INTO out FROM hub",
            "1:8",
            "'ISNULL' does not exist in Stream Analytics. Use COALESCE.",
        ),
        ("SELECT CAST(a AS int) AS b INTO out FROM hub", "1:13", "there are bigint, float, nvarchar(max)"),
        ("SELECT CAST(a AS nvarchar(10)) AS b INTO out FROM hub", "1:13", "NVARCHAR(10) does not exist"),
        (
            "SELECT a, COUNT(*) AS n INTO out FROM hub GROUP BY TumblingWindow(minute, 1)",
            "1:8",
            "Column 'a' cannot be used in SELECT clause",
        ),
        ("SELECT COUNT(*) AS n INTO out FROM hub GROUP BY TumblingWindow(day, 8)", "1:49", "at most 7 days"),
        ("SELECT COUNT(*) AS n INTO out FROM hub", "1:8", "A window must be specified"),
        ("SELECT CASE WHEN a = 1 THEN 2 END AS b INTO out FROM hub", "1:18", "CASE needs ELSE."),
        ("SELECT * INTO out FROM hub h JOIN route r ON h.a = r.a", "1:8", "SELECT * cannot be used in JOIN statements"),
        ("SELECT a INTO out FROM hub h JOIN route r ON h.a = r.a", "1:8", "must be qualified"),
        ("SELECT a INTO out FROM route", "1:24", "reference data"),
        ("SELECT a INTO out FROM hub WHERE a", "1:34", "A condition was expected"),
        ("SELECT a INTO out FROM hub ORDER BY a", "1:37", "ORDER BY is not supported"),
        ("SELECT 9223372036854775809 AS a INTO out FROM hub", "1:8", "outside the range of bigint"),
        ("SELECT a + 1 INTO out FROM hub", "1:8", "An expression without a name"),
        ("SELECT a b c INTO out FROM hub", "1:12", "Syntax error near 'c'"),
        ("SELECT 'never closed INTO out FROM hub", "1:38", "ends inside a string"),
    ],
)
def test_a_refusal_names_what_it_refuses_and_points_at_it(query: str, place: str, words: str) -> None:
    found = complaints(query)[0]

    assert found.startswith(f"{place}: ")
    assert words in found


def test_every_complaint_is_made_at_once_in_order_of_the_text() -> None:
    found = complaints("SELECT a INTO gone FROM hub\nSELECT a, a INTO out FROM hub\nSELECT x INTO other FROM nowhere")

    assert [one.split(":")[0] for one in found] == ["1", "2", "3"]


def test_a_sixth_reader_of_a_hub_is_refused_and_a_step_is_the_remedy() -> None:
    names = [f"out{number}" for number in range(6)]
    direct = "\n".join(f"SELECT a INTO {name} FROM hub" for name in names)
    shared = "WITH s AS (SELECT a FROM hub)\n" + direct.replace("FROM hub", "FROM s")

    with pytest.raises(CompileError, match="maximum amount of Event Hub Receivers"):
        compile_query(direct, {"hub": "stream"}, names)
    assert compile_query(shared, {"hub": "stream"}, names).outputs == tuple(names)


def test_a_query_over_the_limit_is_refused() -> None:
    with pytest.raises(CompileError, match="the limit is 512,000"):
        compiled("SELECT a INTO out FROM hub --" + "x" * 512_000)


def test_statements_need_no_separator_and_comments_change_nothing() -> None:
    bare = compiled("SELECT a INTO out FROM hub SELECT b INTO other FROM hub")
    dressed = compiled(
        "/* SELECT x INTO y */ SELECT a -- INTO z\nINTO [out] FROM [hub];;\nSELECT b INTO other FROM hub;"
    )

    assert bare.outputs == dressed.outputs == ("out", "other")


_WORDS = (
    "SELECT a b.c INTO out FROM hub WITH s AS ( ) , . * = < ! 'x' [y] 1 GROUP BY WHERE UNION CASE WHEN JOIN ON OVER COUNT( CAST( LIKE IN NOT "
    "TumblingWindow(minute,1) System.Timestamp() PARTITION BY -- /* */ ; NULL END ELSE THEN AND"
).split()


@given(st.lists(st.sampled_from(_WORDS), max_size=25))
def test_whatever_is_wrong_with_a_text_is_said_as_diagnostics(words: list[str]) -> None:
    found = _diagnostics(" ".join(words))

    assert all(one.message and one.line >= 1 and one.column >= 1 for one in found)


def _diagnostics(text: str) -> list[Diagnostic]:
    try:
        compiled(text)
    except CompileError as error:
        return error.diagnostics
    return []


@given(st.text(max_size=60))
def test_no_name_breaks_out_of_its_quotes(name: str) -> None:
    quoted = "'" + name.replace("'", "''") + "'"
    query = compiled(f"SELECT a INTO out FROM hub WHERE a = {quoted}")

    assert query.outputs == ("out",)
    assert query.statements[0].selects[0].where is not None


def test_without_outputs_a_text_may_name_any() -> None:
    found = compile_query("SELECT a INTO [wherever] FROM hub", {"hub": "stream"}, None)
    assert found.outputs == ("wherever",)
