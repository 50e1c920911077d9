"""`lpmops init`: makes a configuration, by questions on a terminal or from the sandbox that runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lpmops.cli import output
from lpmops.cli.context import world
from lpmops.cli.output import Answer, Output
from lpmops.errors import DeclinedError, LpmopsError, NotFoundError, UsageError
from lpmops.model import Kind

if TYPE_CHECKING:
    from lpmops.cli.questions import Question

SCHEMA = "init"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(init)


def init(
    path: Annotated[Path, typer.Option("--path", help="Where to write it.")] = Path("lpmops.toml"),
    from_sandbox: Annotated[
        bool, typer.Option("--from-sandbox", help="Point at the sandbox on this machine; asks nothing.")
    ] = False,
    environments: Annotated[
        list[str] | None,
        typer.Option("-e", "--env", metavar="NAME", help="An environment to ask about; may be repeated."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    form: Annotated[Output, typer.Option("-o", "--output", help="The form of the output.")] = Output.TABLE,
    no_input: Annotated[bool, typer.Option("--no-input", help="Never ask; then --from-sandbox is needed.")] = False,
) -> None:
    """Make a configuration: guided on a terminal, or from the sandbox."""
    here = world()
    with output.guarded(SCHEMA, form):
        if path.exists() and not force:
            raise UsageError(f"{path} is there already.", hint="Replace it with --force, or name another with --path.")
        if from_sandbox:
            text = _sandbox_text()
        elif here.may_ask(no_input):
            text = _asked(environments or [kind.value for kind in Kind])
        else:
            raise DeclinedError(
                "Without a terminal nothing is asked.", hint="Add --from-sandbox, or write lpmops.toml by hand."
            )
        _write(path, text)
        lines = [f"Wrote {path}.", "  check it   lpmops config check", "  look       lpmops status"]
        output.emit(Answer(SCHEMA, {"path": str(path)}, lines), form)


def _sandbox_text() -> str:
    from lpmops import paths

    source = paths.sandbox_directory() / "lpmops.toml"
    try:
        return source.read_text(encoding="utf-8")
    except OSError:
        raise NotFoundError("There is no sandbox yet.", hint="Make one with: lpmops sandbox start") from None


def _asked(names: list[str]) -> str:
    from lpmops.cli import questions
    from lpmops.cli.sandbox_setup import COMMON_TOML

    output.narrate("An empty answer takes the suggestion in brackets; ctrl+c leaves without writing anything.")
    answers, kinds = {}, {}
    for name in names:
        kinds[name] = name if name in list(Kind) else _ask_kind(name)
        output.narrate(f"\n{name}:")
        answers[name] = questions.ask_all(name, _ask, output.narrate)
    return questions.render(answers, kinds, COMMON_TOML)


def _ask_kind(name: str) -> str:
    while (kind := _line(f"What is {name} for: dev, test or prod? ")) not in list(Kind):
        output.narrate("It is one of dev, test, prod.")
    return kind


def _ask(question: Question) -> str:
    suggestion = f" [{question.suggestion}]" if question.suggestion else ""
    help_text = f" ({question.help})" if question.help else ""
    return _line(f"  {question.key}{help_text}{suggestion}: ")


def _line(prompt: str) -> str:
    here = world()
    here.stderr.write(prompt)
    here.stderr.flush()
    line = here.stdin.readline()
    if not line:
        raise DeclinedError("The answers ended early; nothing was written.", hint="Begin again with: lpmops init")
    return line.strip()


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LpmopsError(
            f"{path} can't be written: {error.strerror}.", hint="Name another place with --path."
        ) from None
