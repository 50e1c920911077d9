"""What of a SQL text is code: parameter marks, words that write, comments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops.services.sqltext import only_reads, pieces, to_pyformat, without_comments

_TEXTS = st.lists(
    st.sampled_from(
        ["'", "''", '"', "[", "]", "]]", "`", "--", "\n", "/*", "*/", "?", "%", " SELECT ", " x ", "é", "😀"]
    ),
    max_size=25,
).map("".join)


@given(_TEXTS)
def test_the_pieces_of_any_text_are_the_text(text: str) -> None:
    assert "".join(part for _, part in pieces(text)) == text


@given(_TEXTS)
def test_no_text_changes_on_its_way_through_percent_formatting(text: str) -> None:
    marks = sum(part.count("?") for is_code, part in pieces(text) if is_code)
    assert to_pyformat(text) % (("?",) * marks) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT ? WHERE a LIKE 'x?%'", "SELECT %s WHERE a LIKE 'x?%%'"),
        ("-- why?\nSELECT [a?] FROM t WHERE b = ?", "-- why?\nSELECT [a?] FROM t WHERE b = %s"),
        ("SELECT 5 % ? /* ? /* ? */ ? */", "SELECT 5 %% %s /* ? /* ? */ ? */"),
        ("SELECT 'it''s ?', \"?\"\"?\", []]?]", "SELECT 'it''s ?', \"?\"\"?\", []]?]"),
    ],
)
def test_only_marks_in_code_become_parameters(text: str, expected: str) -> None:
    assert to_pyformat(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "-- Rights: any. INSERT nothing\nWITH a AS (SELECT 1 AS n) SELECT n FROM a;",
        "select 'DELETE' as [UPDATE]",
        "DESCRIBE HISTORY `a`.`drop` LIMIT 1",
    ],
)
def test_a_text_that_only_reads_may_be_sent_again(text: str) -> None:
    assert only_reads(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-- nothing",
        "INSERT INTO t VALUES (1)",
        "WITH a AS (SELECT 1 AS n) DELETE FROM t",
        "SELECT * INTO copy FROM t",
        "SELECT 1; DROP TABLE t",
        "EXEC sp_who",
        "IF 1 = 1 SELECT 1",
        "SELECT 1 SET x = 2",
    ],
)
def test_a_text_that_could_write_is_sent_once(text: str) -> None:
    assert not only_reads(text)


def test_comments_go_and_strings_stay() -> None:
    assert without_comments("-- Rights: SELECT\nSELECT '--no' /* x */ FROM t") == "SELECT '--no'  FROM t"
