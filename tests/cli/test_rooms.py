"""The help of all subcommands: listed without loading any, and in the words that each uses itself."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from lpmops.cli.app import build
from lpmops.cli.rooms import ROOMS, Rooms


@pytest.mark.parametrize("name", ROOMS)
def test_each_subcommand_is_there_and_is_called_what_it_calls_itself(name: str) -> None:
    group = typer.main.get_command(build())
    assert isinstance(group, Rooms)
    command = group.get_command(None, name)
    own = " ".join((command.help or "").split())
    listed = ROOMS[name].sentence.rstrip(".")
    assert own.startswith(listed), own


def test_the_help_lists_every_subcommand_by_what_one_wants_to_do() -> None:
    shown = CliRunner().invoke(build(), ["--help"]).stdout
    assert all(f"  {name} " in shown for name in ROOMS)
    assert shown.index("Look:") < shown.index("Change:") < shown.index("Set up:")


def test_a_mistyped_subcommand_names_the_nearest() -> None:
    done = CliRunner().invoke(build(), ["histroy"])
    assert done.exit_code == 2
    assert "Did you mean 'history'" in done.output
