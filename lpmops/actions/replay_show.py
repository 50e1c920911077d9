"""A replay as scripts, tickets and people see it: its range, its chunks with what was sent of each, and the proof that all of it has landed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from lpmops.actions import replay_latency
from lpmops.control.reconciled import CompanyResult, Reconciliation
from lpmops.control.remedies import command
from lpmops.model import ReplayProgress, ReplayRun, to_data
from lpmops.plain_text import plain
from lpmops.store import codec
from lpmops.store.journal import OperationRow, StepRow
from lpmops.versions import Versions

# What is shown of a company, in order.
SHOWN = ("source", "landed", "missing_before", "missing", "doubled", "extra")
_COUNTS = ("source", "landed", "missing", "doubled", "extra", "repairable", "quarantined", "before")
# What the source has and the stream rightly did not bring.
_EXCUSED = {
    "quarantined": "larger than the hub takes, and in the quarantine table",
    "before": "older than the company's route",
}


def proof_data(proofs: Sequence[Reconciliation], asked: Sequence[Versions]) -> dict[str, Any]:
    """Reconciliations of the ranges of a replay, at least one, as one proof: the counts of each company over all of them.

    `asked` are the ranges as they were asked for, of which the newest versions may be too young to be judged.
    """
    found: dict[str, dict[str, Any]] = {}
    for proof in proofs:
        for each in proof.companies:
            held = found.setdefault(each.company_id, _nothing(each))
            for name in _COUNTS:
                held[name] += getattr(each, name)
    unreadable = [
        {"versions": str(each.versions), "why": each.why, "remains": each.remains}
        for proof in proofs
        for each in proof.unreadable
    ]
    unreadable += [
        {
            "versions": f"from {proof.waiting_from} on",
            "why": "they are too young to be judged.",
            "remains": f"A minute later: {_reconcile(proof.environment, proof.waiting_from, wanted.last)}",
        }
        for proof, wanted in zip(proofs, asked, strict=True)
        if proof.waiting_from is not None
    ]
    return {
        "at": to_data(max(proof.at for proof in proofs)),
        "table_id": proofs[0].table_id,
        "complete": all(proof.complete and proof.waiting_from is None for proof in proofs),
        "companies": [found[key] for key in sorted(found)],
        "unreadable": unreadable,
    }


def _nothing(result: CompanyResult) -> dict[str, Any]:
    named = {
        "note": result.unread,
        "company_id": result.company_id,
        "company": result.company,
        "database": result.database,
    }
    return {**named, **dict.fromkeys(_COUNTS, 0)}


def data(
    operation: OperationRow,
    steps: Sequence[StepRow],
    state: str,
    progress: Callable[[int], ReplayProgress | None],
    newest: Callable[[int], ReplayRun | None],
) -> dict[str, Any]:
    """A replay from its journal, where `state` is how the operation stands.

    `progress` says how far a chunk is and `newest` which its newest run is, None where that is not known.
    """
    plan = json.loads(operation.plan)["plan"]
    result = json.loads(operation.result) if operation.result else {}
    done = {each["n"]: each for each in result.get("chunks", ())}
    chunks = []
    for step, row in zip(plan["steps"], steps, strict=True):
        given = step["arguments"]
        if "n" not in given:
            continue
        ended = done.get(given["n"], {})
        rows = ended.get("rows")
        if rows is None and row.attempt:
            sent = progress(given["n"])
            rows = None if sent is None else sent.rows
        run = newest(given["n"]) if row.attempt and not ended else None
        chunks.append(
            {
                "n": given["n"],
                "from_version": given["first"],
                "to_version": given["last"],
                "rows": rows,
                "rows_planned": given["rows"],
                "state": "done" if row.state == "skipped" else row.state,
                "rate": ended.get("rate"),
                # What a run that was only just begun is called nothing but its receipt knows.
                "run_id": ended.get("run_id") or (run.run_id if run is not None else ordered(row)),
                "url": ended.get("url") or (run.url or None if run is not None else None),
                "quarantined": ended.get("quarantined"),
            }
        )
    ranges = plan["wish"].get("ranges") or []
    return {
        "id": operation.id,
        "environment": operation.environment,
        "state": state,
        "from_version": ranges[0][0] if ranges else None,
        "to_version": ranges[-1][1] if ranges else None,
        "companies": list(plan["wish"].get("companies") or ()),
        "ranges": [f"{first}:{last}" for first, last in ranges],
        "rate": plan["wish"].get("rate"),
        "counted": plan["wish"].get("counted"),
        "rows": _sum(chunk["rows"] for chunk in chunks),
        "rows_planned": sum(chunk["rows_planned"] for chunk in chunks),
        "chunks": chunks,
        "latency": result.get("latency"),
        "proof": _beside_before(result.get("proof"), plan["wish"].get("known") or {}),
        "by": operation.who,
        "at": to_data(codec.moment(operation.created_at)),
        "ended_at": None if operation.ended_at is None else to_data(codec.moment(operation.ended_at)),
        "reason": operation.reason,
        "ticket": operation.ticket,
        "error": operation.error,
        "given_up": result.get("reason") if state == "cancelled" else None,
    }


def ordered(row: StepRow) -> str | None:
    """The run that the service made of a chunk's newest order, where it answered."""
    location = json.loads(row.receipt).get("location") if row.receipt else None
    return None if location is None else str(location)


def _beside_before(proof: Mapping[str, Any] | None, known: Mapping[str, int]) -> dict[str, Any] | None:
    """The proof, beside each company how much was known to be missing when the replay was planned; None where nobody had seen any missing."""
    if proof is None:
        return None
    companies = [{**each, "missing_before": known.get(each["company_id"])} for each in proof["companies"]]
    return {**proof, "companies": companies}


def _sum(rows: Iterable[int | None]) -> int | None:
    """The sum of what is known; None where nothing is."""
    known = [each for each in rows if each is not None]
    return sum(known) if known else None


def span(shown: Mapping[str, Any]) -> str:
    """Its versions: those of its range, or its ranges where they are several."""
    if len(shown["ranges"]) > 1:
        return ", ".join(shown["ranges"])
    return f"{shown['from_version']} to {shown['to_version']}"


def markdown(shown: Mapping[str, Any]) -> list[str]:
    """The same for a ticket, as Markdown."""
    whom = ", ".join(_cell(each) for each in shown["companies"]) or "every company"
    lines = [
        f"## Replay {_cell(shown['id'])} in {_cell(shown['environment'])}: {shown['state']}",
        "",
        f"Versions {span(shown)}, {whom}, by {_cell(shown['by'])}, {shown['at']}.",
    ]
    lines += [f"{name.capitalize()}: {_cell(shown[name])}" for name in ("reason", "ticket", "error") if shown[name]]
    lines += ["", "| chunk | versions | sent | events a second | run | state |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {each['n']} | {each['from_version']} to {each['to_version']} | {_count(each['rows'])} | {_count(each['rate'])} "
        f"| {_cell(each['run_id'] or '-')} | {each['state']} |"
        for each in shown["chunks"]
    ]
    if shown["latency"] is not None:
        lines += ["", f"Live latency: {_cell(replay_latency.words(shown['latency']))}."]
    proof = shown["proof"]
    if proof is None:
        return [*lines, "", _cell(without_proof(shown))]
    lines += [
        "",
        "### Proof",
        "",
        f"**{verdict(proof)}.**",
        "",
        "| company | database | source | landed | missing before | missing | doubled | extra |",
    ]
    lines.append("|---|---|---|---|---|---|---|---|")
    for each in proof["companies"]:
        counts = " | ".join(_count(each[name]) for name in SHOWN)
        lines.append(
            f"| {_cell(each['company'])} ({_cell(each['company_id'])}) | {_cell(each['database'])} | {counts} |"
        )
    said = [
        f"- {_cell(each['company'])} ({_cell(each['company_id'])}): {_cell(words)}"
        for each in proof["companies"]
        for words in notes(each)
    ]
    said += [
        f"- versions {each['versions']}: {_cell(each['why'])} {_cell(each['remains'])}" for each in proof["unreadable"]
    ]
    return [*lines, *(["", *said] if said else []), "", _cell(method(proof))]


def without_proof(shown: Mapping[str, Any]) -> str:
    """Why there is no proof: it is still to come, or never will be."""
    if shown["state"] not in ("cancelled", "failed"):
        return "There is no proof yet: it is made once all runs are done."
    why = f" ({shown['given_up']})" if shown["given_up"] else ""
    look = _reconcile(shown["environment"], shown["from_version"], shown["to_version"])
    return f"There is no proof: it is {shown['state']}{why}. What has landed of its versions: {look}"


def _reconcile(environment: str, first: int, last: int) -> str:
    return command("lpmops", "reconcile", "-e", environment, "--versions", f"{first}:{last}")


def notes(company: Mapping[str, Any]) -> list[str]:
    """What its counts don't say: why it could not be asked, and why less landed than its source has although nothing is missing."""
    unread = [f"It could not be asked: {company['note']}"] if company["note"] else []
    return [*unread, *(f"{company[name]:,} {why}." for name, why in _EXCUSED.items() if company.get(name))]


def method(proof: Mapping[str, Any]) -> str:
    """How and when it was judged, for whoever has to believe it; a proof that was kept before this was noted says only how."""
    when = f" at {proof['at']}" if proof.get("at") else ""
    table = f" (table id {proof['table_id']})" if proof.get("table_id") else ""
    return (
        f"Judged{when}: the change feed of the source{table} against the landing tables, company by company, by the number of changes "
        "and by the sum of the SHA-256 of their keys (record, version, kind)."
    )


def verdict(proof: Mapping[str, Any]) -> str:
    """What a proof says, in a few words: versions that could not be judged are no loss that was found."""
    if proof["complete"]:
        return "Complete: each change of the source landed once"
    if any(each["missing"] or each["doubled"] or each["extra"] or each["note"] for each in proof["companies"]):
        return "Not complete"
    return "Not proven: some versions could not be judged"


def _count(rows: float | None) -> str:
    return "-" if rows is None else f"{rows:,}"


def _cell(text: object) -> str:
    """A text that stays within its cell, whatever it holds."""
    found = plain(str(text))
    for mark in ("\\", "|", "`", "*", "_", "[", "<"):
        found = found.replace(mark, f"\\{mark}")
    return found.replace("\n", " ")
