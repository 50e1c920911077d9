"""What goes to stdout and stderr, and that no text from outside can steer a terminal, a spreadsheet or a script."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import textwrap

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from lpmops.cli import context, durations, output
from lpmops.cli.context import World
from lpmops.cli.output import Answer, Output
from lpmops.errors import ConfigError, UsageError
from lpmops.plain_text import plain

HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202etxt\u2066 \x9b31m\ud800\r\n\x00[bold]"


def written(answer: Answer, form: Output) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    with context.using(World(stdout=out, stderr=err)):
        output.emit(answer, form)
    return out.getvalue(), err.getvalue()


def test_the_document_has_five_keys_and_nothing_on_stderr() -> None:
    out, err = written(Answer("status", [{"a": 1}], warnings=["old"]), Output.JSON)
    assert json.loads(out) == {
        "schema": "lpmops/status/v1",
        "ok": True,
        "data": [{"a": 1}],
        "warnings": ["old"],
        "error": None,
    }
    assert err == ""


def test_an_error_is_in_the_document_with_its_next_step() -> None:
    error = ConfigError("lpmops.toml:3: unknown key", hint="Did you mean kind?")
    out, _ = written(Answer("status", error=error), Output.JSON)
    assert json.loads(out)["error"] == {
        "code": "config",
        "message": "lpmops.toml:3: unknown key",
        "hint": "Did you mean kind?",
        "retryable": False,
        "in_doubt": False,
        "operation": None,
    }
    assert json.loads(out)["ok"] is False


def test_without_json_errors_and_warnings_go_to_stderr() -> None:
    out, err = written(
        Answer("status", lines=["data"], warnings=["old"], error=UsageError("no", hint="do this")), Output.TABLE
    )
    assert out == "data\n"
    assert err == "warning: old\nerror: no\n  do this\n"


@given(st.text())
def test_no_text_keeps_what_could_steer_a_terminal(text: str) -> None:
    for character in plain(text):
        assert character.isprintable() or character in "\u00a0\u3000\u00ad" or not character.isascii()
    assert not set(plain(text)) & set("\x1b\x07\x00\r\n\x9b\u202e\u2066\u200b")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_is_read_back_as_it_was_and_holds_nothing_hostile(value: object) -> None:
    text = output.dumps(value)
    assert json.loads(text) == value
    assert not set(text) & set("\x1b\x07\x00\r\n\x7f\x9b\u202e\u2066\u200b\u2028")


def test_hostile_text_is_harmless_in_every_form() -> None:
    for form in Output:
        answer = Answer("status", [{"name": HOSTILE}], [plain(HOSTILE)], [{"name": HOSTILE}], warnings=[HOSTILE])
        out, err = written(answer, form)
        assert not set(out + err) & set("\x1b\x07\x9b\u202e\u2066\r\x00"), form


def test_a_spreadsheet_sees_text_where_text_looks_like_a_formula() -> None:
    out, _ = written(
        Answer("status", rows=[{"name": "=HYPERLINK(1)", "n": -5, "none": None, "comma": 'a,"b'}]), Output.CSV
    )
    assert list(csv.DictReader(io.StringIO(out))) == [
        {"name": "'=HYPERLINK(1)", "n": "-5", "none": "", "comma": 'a,"b'}
    ]


@pytest.mark.parametrize(
    ("environ", "terminal", "colour"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_colour_is_for_people_who_want_it(environ: dict[str, str], terminal: bool, colour: bool) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    world = World(stdout=Stream(), environ=environ)
    assert world.has_colour(world.stdout) is colour


def test_columns_stand_under_each_other_with_wide_and_combining_characters() -> None:
    lines = output.table(("name", "n"), [("救急センター", "1"), ("e\u0301clair", "22")], frozenset({1}))
    assert {output.width(line) for line in lines} == {16}


def test_a_stream_of_a_poor_encoding_gets_escapes() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    with context.using(World(stdout=stream, stderr=io.StringIO())):
        output.emit(Answer("status", lines=["● Zürich"]), Output.TABLE)
    assert raw.getvalue() == b"\\u25cf Z\\xfcrich\n"


def test_a_reader_that_goes_away_ends_the_command_without_a_word() -> None:
    program = """
        import typer
        from lpmops.cli import output
        app = typer.Typer()
        @app.command()
        def main() -> None:
            for _ in range(100_000):
                output.emit(output.Answer("x", lines=["line " * 20]), output.Output.TABLE)
        app()
    """
    read, write = os.pipe()
    running = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    os.read(read, 10)
    os.close(read)
    _, err = running.communicate(timeout=30)
    assert (running.returncode, err) == (output.SIGPIPE_EXIT, "")


def test_a_terminal_or_reader_that_went_away_leaves_the_exit_code_as_it_is() -> None:
    program = """
        import sys
        from lpmops import __main__
        __main__.run = lambda: sys.stdout.write("last words") and 129
        __main__.main()
    """
    # Without a buffer nothing would be left to be written at the end.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    read, write = os.pipe()
    os.close(read)
    running = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=write, stderr=subprocess.PIPE, text=True, env=environ
    )
    os.close(write)
    _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (129, "")


def test_an_error_leaves_with_its_exit_code() -> None:
    with context.using(World(stdout=io.StringIO(), stderr=io.StringIO())), pytest.raises(typer.Exit) as caught:
        output.fail("status", Output.JSON, UsageError("no"))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90.0), ("90s", 90.0), ("2m", 120.0), ("1h30m", 5_400.0), ("500ms", 0.5), ("1.5d", 129_600.0)],
)
def test_spans_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert durations.seconds(text) == seconds


@given(st.text(max_size=12))
def test_no_other_text_is_a_span(text: str) -> None:
    try:
        found = durations.seconds(text)
    except UsageError as error:
        hint = error.hint
    else:
        assert found >= 0
        return
    assert "2m" in hint
