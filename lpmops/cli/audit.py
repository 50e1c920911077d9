"""`lpmops audit`: what was done from this machine, by whom and why, and the proof that none of it was changed since."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpmops.cli import changing, output
from lpmops.cli.changing import Form, NoInput
from lpmops.cli.context import world
from lpmops.cli.output import Answer, Output
from lpmops.errors import LpmopsError, StoreError
from lpmops.plain_text import plain

if TYPE_CHECKING:
    from lpmops.store.audit import Entry, Head
    from lpmops.store.connection import Store

SCHEMA = "audit"
AnyEnv = Annotated[str | None, typer.Option("-e", "--env", metavar="ENV", help="Only of this environment.")]
group = typer.Typer(help="Who did what from this machine, and the proof that nobody changed it.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="audit")


@group.command("list")
def list_entries(
    environment: AnyEnv = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many of the newest.")] = 50,
    form: Form = Output.TABLE,
    no_input: NoInput = False,
) -> None:
    """List the newest entries, oldest of them first."""
    del no_input
    with output.guarded(SCHEMA, form):
        items = _entries(environment, limit)
        rows = [
            [
                str(item["seq"]),
                item["at"],
                plain(item["environment"]),
                plain(item["who"]),
                plain(item["what"]),
                _gist(item),
            ]
            for item in items
        ]
        lines = (
            output.table(("seq", "at", "environment", "who", "what", "gist"), rows)
            if rows
            else ["Nothing was done yet."]
        )
        output.emit(Answer(SCHEMA, items, lines, [{**item, "body": json.dumps(item["body"])} for item in items]), form)


@group.command()
def verify(
    environment: Annotated[
        list[str] | None,
        typer.Option("-e", "--env", metavar="ENV", help="Hold it against the head kept there; may be repeated."),
    ] = None,
    form: Form = Output.TABLE,
    no_input: NoInput = False,
) -> None:
    """Check the chain, and that it is not shorter than the heads which the control databases keep; exit 1 where something was changed."""
    del no_input
    with output.guarded(SCHEMA, form):
        from lpmops.store import audit

        store = world().stored()
        try:
            head = audit.head(store)
            compared = {name: _compare(name, store, head) for name in changing.listed(environment)}
        finally:
            store.close()
        data = {
            "entries": head.sequence if head else 0,
            "chain": head.chain if head else None,
            "hash": head.hash if head else None,
            "heads": compared,
        }
        bad = [name for name, found in compared.items() if not found["fits"]]
        error = _cut(bad) if bad else None
        said = f"{data['entries']} entries, each as it was written."
        lines = [said, *(f"  {plain(name)}: {plain(found['said'])}" for name, found in compared.items())]
        output.emit(
            Answer(SCHEMA, data, lines, [{"entries": data["entries"], "hash": data["hash"]}], error=error), form
        )
        if error is not None:
            output.leave(error.exit_code)


@group.command()
def export(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to; default: stdout, one entry a line.")
    ] = None,
    environment: AnyEnv = None,
    form: Form = Output.JSONL,
    no_input: NoInput = False,
) -> None:
    """Write all entries with their hashes, one JSON object a line."""
    del no_input
    with output.guarded(SCHEMA, form):
        items = _entries(environment, None)
        if out is None:
            output.emit(
                Answer(
                    SCHEMA,
                    items,
                    [output.dumps(item) for item in items],
                    [{**item, "body": json.dumps(item["body"])} for item in items],
                ),
                form,
            )
            return
        try:
            out.write_text("".join(output.dumps(item) + "\n" for item in items), encoding="utf-8")
        except OSError as error:
            raise LpmopsError(
                f"{out} can't be written: {error.strerror}.", hint="Name another place with --out."
            ) from error
        output.narrate(f"Wrote {len(items)} entries to {out}.")


def _entries(environment: str | None, limit: int | None) -> list[dict[str, Any]]:
    from lpmops.store import audit

    store = world().stored()
    try:
        return [_data(entry) for entry in audit.entries(store, environment, limit=limit)]
    finally:
        store.close()


def _data(entry: Entry) -> dict[str, Any]:
    from lpmops.model import to_data

    found = to_data(entry)
    assert isinstance(found, dict)
    return found


def _compare(environment: str, store: Store, head: Head | None) -> dict[str, Any]:
    """Whether the chain still holds the entry that was its newest when it last changed that environment."""
    from lpmops.store import audit

    if head is None:
        return {"fits": True, "sequence": None, "said": "nothing was done from here yet"}
    with changing.desk(environment) as desk:
        kept = desk.control.head(head.chain)
    if kept is None:
        return {"fits": True, "sequence": None, "said": "no head of this chain is kept there"}
    fits = audit.hash_at(store, kept.sequence) == kept.hash
    said = (
        f"the head kept there is entry {kept.sequence}, and it is {'as it was' if fits else 'another one here or gone'}"
    )
    return {"fits": fits, "sequence": kept.sequence, "said": said}


def _cut(names: list[str]) -> StoreError:
    return StoreError(
        f"The audit of this machine was shortened or replaced: it does not hold what {', '.join(names)} knows of it.",
        hint="Keep the file as evidence, and compare with the activity log: az monitor activity-log list",
    )


def _gist(item: dict[str, Any]) -> str:
    body = item["body"]
    words = body.get("step") or body.get("summary") or body.get("state") or body.get("reason") or ""
    return plain(words)[:80]
