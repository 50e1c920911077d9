"""`lpmops config`: check the configuration, show every setting and where it comes from, and say where the files are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpmops.cli import output
from lpmops.cli.context import world
from lpmops.cli.output import Answer, Output
from lpmops.plain_text import plain

if TYPE_CHECKING:
    from lpmops.config import Config

SCHEMA = "config"
Form = Annotated[Output, typer.Option("-o", "--output", help="The form of the output.")]
group = typer.Typer(help="Check and show the configuration.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="config")


@group.command()
def check(form: Form = Output.TABLE) -> None:
    """Read the configuration and say what is wrong with it; exit 2 where something is."""
    with output.guarded(SCHEMA, form):
        config = world().config()
        names = list(config.environments)
        lines = [f"{config.path} is right: {', '.join(names)}."]
        output.emit(Answer(SCHEMA, {"path": str(config.path), "environments": names}, lines), form)


@group.command()
def show(
    origin: Annotated[bool, typer.Option("--origin", help="Say for each setting where it comes from.")] = False,
    form: Form = Output.TABLE,
) -> None:
    """Print every setting that counts, defaults included."""
    with output.guarded(SCHEMA, form):
        config = world().config()
        rows = [{"key": key, "value": value, "origin": _origin(config, key)} for key, value in _settings(config)]
        if origin:
            lines = output.table(
                ["setting", "value", "from"], [[row["key"], _shown(row["value"]), row["origin"]] for row in rows]
            )
        else:
            lines = [f"{row['key']} = {_shown(row['value'])}" for row in rows]
        output.emit(Answer(SCHEMA, rows, lines, rows), form)


@group.command()
def path(form: Form = Output.TABLE) -> None:
    """Say where the configuration, the local store and the sandbox lie."""
    from lpmops import config_reader, paths

    with output.guarded(SCHEMA, form):
        here = world()
        found = config_reader.locate(here.config_path, here.environ)
        config = here.config()
        data = {
            "config": str(found),
            "store": str(paths.store_file(config.state_directory)),
            "sandbox": str(paths.sandbox_directory()),
        }
        output.emit(Answer(SCHEMA, data, [f"{name:8} {place}" for name, place in data.items()], [data]), form)


def _settings(config: Config) -> Iterator[tuple[str, Any]]:
    """Every setting as its dotted key and value, in the order of the file's types."""
    for field in fields(config):
        if field.name == "columns":
            yield from ((f"columns.{column.name}", column.type) for column in config.columns)
        elif field.name not in ("path", "origins"):
            yield from _walk(field.name, getattr(config, field.name))


def _walk(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _walk(f"{key}.{name}", inner)
    elif is_dataclass(value):
        for field in fields(value):
            # An environment's name is part of its key already.
            if field.name != "name":
                yield from _walk(f"{key}.{field.name}", getattr(value, field.name))
    else:
        yield key, list(value) if isinstance(value, tuple) else value


def _origin(config: Config, key: str) -> str:
    line = config.origins.get(key)
    return f"{config.path}, line {line}" if line else "default"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return plain(", ".join(value) if isinstance(value, list) else value) or '""'
