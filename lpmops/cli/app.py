"""All subcommands on one Typer application. Importing this loads no SDK, no Textual and no room that a command may not need."""

from __future__ import annotations

from typing import Annotated

import typer

from lpmops.cli.context import world
from lpmops.cli.rooms import Rooms

_HELP = """Make and operate the stream that carries call records from Databricks to each company's database.

Without a subcommand lpmops opens the app. See everything without an account: lpmops demo
"""


def build() -> typer.Typer:
    """The application with every command registered."""
    app = typer.Typer(
        name="lpmops",
        cls=Rooms,
        help=_HELP,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(top)
    return app


def top(
    context: typer.Context,
    config_path: Annotated[
        str | None, typer.Option("--config", metavar="FILE", help="The configuration to use.")
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", envvar="LPMOPS_READ_ONLY", help="Open the app unable to change anything.")
    ] = False,
    no_mouse: Annotated[
        bool, typer.Option("--no-mouse", envvar="LPMOPS_NO_MOUSE", help="Leave the mouse to the terminal.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", help="Say which version this is.")] = False,
) -> None:
    """What holds for every command; without one, the app opens."""
    here = world()
    here.config_path = config_path
    here.read_only, here.mouse = read_only, not no_mouse
    if version:
        from lpmops import __version__
        from lpmops.cli import output

        output.say(f"lpmops {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        _open_app(context)


def _open_app(context: typer.Context) -> None:
    """Open the app on a terminal or for a browser; elsewhere nobody could see it, so the help is shown."""
    from lpmops.cli import output
    from lpmops.web import child

    here = world()
    if not (child.is_served(here.environ) or (here.is_terminal(here.stdin) and here.is_terminal(here.stdout))):
        output.say(context.get_help())
        output.narrate("The app needs a terminal; for scripts there is: lpmops status -o json")
        raise typer.Exit(2)
    with output.guarded("app", output.Output.TABLE):
        here.open_app(here.config())
