"""Options that are declared once: a command that names a bundle has its options behind its own, and is handed their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from lpmops.cli.options import spread


@dataclass(frozen=True, slots=True)
class Why:
    """Needed and optional ones."""

    who: Annotated[str, typer.Option("--who", help="Needed.")]
    reason: Annotated[str, typer.Option("--reason", metavar="WHY", help="Optional.")] = "none"
    often: Annotated[bool, typer.Option("--often", help="A flag.")] = False


def app() -> typer.Typer:
    made = typer.Typer(rich_markup_mode=None)

    @made.command()
    @spread
    def act(name: Annotated[str, typer.Argument()], why: Why, more: Annotated[int, typer.Option("--more")] = 3) -> None:
        """Do it."""
        typer.echo(f"{name} {more} {why}")

    return made


def test_the_command_is_handed_the_bundle_filled() -> None:
    found = CliRunner().invoke(app(), ["it", "--often", "--who", "dana", "--more", "4"])
    assert found.output.strip() == "it 4 Why(who='dana', reason='none', often=True)"


def test_an_option_of_a_bundle_that_is_needed_is_missed_by_its_name() -> None:
    found = CliRunner().invoke(app(), ["it"])
    assert found.exit_code == 2
    assert "--who" in found.output


def test_the_options_of_a_bundle_stand_behind_the_command_s_own_in_the_help() -> None:
    shown = CliRunner().invoke(app(), ["--help"]).output
    places = [shown.index(flag) for flag in ("--more", "--who", "--reason WHY", "--often")]
    assert places == sorted(places)
    assert "Do it." in shown


def test_an_option_that_is_there_twice_is_found_when_the_command_is_made() -> None:
    def twice(reason: Annotated[str, typer.Option("--reason")], why: Why) -> None:
        """Never made."""

    with pytest.raises(TypeError, match="reason"):
        spread(twice)
