"""The subcommands by name, each loaded when it is called for and not before, so that none pays for the others at its start.

The help lists them from here; a test holds each sentence against the command's own.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class Room(NamedTuple):
    """A subcommand: its name, the module that registers it, and its line in the help."""

    name: str
    module: str
    sentence: str


SECTIONS: tuple[tuple[str, tuple[Room, ...]], ...] = (
    (
        "Look",
        (
            Room("status", "status", "Show how each environment is, how far behind it is, and what is probably wrong."),
            Room("wait", "wait", "Wait until an environment has the wished health."),
            Room("hub", "hub", "The Event Hub: see it, its last events and those that come."),
            Room("kpi", "kpi", "The calls by company and minute: how many, answered, failed, how long."),
            Room("history", "history", "Show how an environment was at a moment, or what turned in a span of time."),
            Room(
                "reconcile",
                "reconcile",
                "Hold the source's changes against what landed: what is missing, and for whom.",
            ),
            Room("doctor", "doctor", "Assess this machine and each environment: what is wrong, and what to do."),
            Room("access", "access", "Who has which right, what lacks, and giving it."),
            Room("record", "record", "Keep what is seen of each environment in the local store."),
            Room("serve", "serve", "Show the app in a browser, until ctrl+c."),
        ),
    ),
    (
        "Change",
        (
            Room("cdf", "cdf", "The source table's change feed: see it, what can be replayed, enable it."),
            Room(
                "stream", "stream", "The Databricks job that sends the change feed: see, deploy, start, stop, restart."
            ),
            Room("asa", "asa", "The Stream Analytics jobs: see, pause, start, deploy and scale them."),
            Room(
                "route", "route", "Which company lands in which database: see, bring on, pause, resume, move, remove."
            ),
            Room(
                "provision",
                "provision",
                "The environment in Azure: see it, make or adopt it, write it as Bicep, compare two.",
            ),
            Room("replay", "replay", "Send versions of the source table again: plan, run, see, pause, resume, cancel."),
            Room("apply", "op", "Run exactly the plan of a file."),
            Room("op", "op", "Operations: see them, and finish those that were interrupted."),
            Room("freeze", "lock", "Let no operation begin or go on in an environment."),
            Room("unfreeze", "lock", "Let operations begin again."),
            Room("lock", "lock", "The lock of an environment: one operator changes it at a time."),
            Room("audit", "audit", "Who did what from this machine, and the proof that nobody changed it."),
        ),
    ),
    (
        "Set up",
        (
            Room("init", "init", "Make a configuration: guided on a terminal, or from the sandbox."),
            Room("config", "config", "Check and show the configuration."),
            Room("demo", "demo", "See the whole stream on this machine, with no account."),
            Room(
                "sandbox",
                "sandbox",
                "An Azure and a Databricks on this machine, to try everything on and to drill with.",
            ),
        ),
    ),
)
ROOMS = {room.name: room for _, rooms in SECTIONS for room in rooms}


class Rooms(TyperGroup):
    """The group of all subcommands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # Names alone, for the suggestions where one is mistyped.
        self.commands = {room.name: TyperCommand(room.name, help=room.sentence) for room in ROOMS.values()}

    def list_commands(self, ctx: Any) -> list[str]:
        """The names in the order of the help."""
        del ctx
        return list(ROOMS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The subcommand itself, loaded now; None where there is none of that name."""
        del ctx
        room = ROOMS.get(cmd_name)
        if room is None:
            return None
        alone = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
        import_module(f"lpmops.cli.{room.module}").register(alone)
        return typer.main.get_group(alone).commands[cmd_name]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The names with their sentences, by what one wants to do, without loading any of them."""
        del ctx
        for title, rooms in SECTIONS:
            with formatter.section(title):
                formatter.write_dl([(room.name, room.sentence) for room in rooms])
