"""The rules for the company databases: which one holds up what, and whose records wait."""

from __future__ import annotations

from lpmops.control import remedies, signs
from lpmops.control.case import CAUSE, NAMED, UNREACHABLE, Case, Found, listed, unique
from lpmops.control.facts import Facts
from lpmops.model import Confidence, Suspect
from lpmops.plain_text import counted


def databases(case: Case) -> Found:
    """Company databases that can't be reached, are at their limit, paused, or refuse."""
    facts, environment = case.facts, case.environment
    if names := signs.databases_with(facts, *UNREACHABLE):
        yield CAUSE, _unreachable(case, names)
    kinds = (
        ("service.throttled", "sql.throttled", "is at its limit and refuses work", remedies.database_load),
        (
            "sql.paused",
            "sql.paused",
            "is paused: it wakes at the next connection, which takes about a minute",
            remedies.keep_awake,
        ),
        ("sql.refused", "sql.rejected", "refuses what is asked of its landing table", remedies.show_database),
    )
    for code, suspect, words, remedy in kinds:
        for name in signs.databases_with(facts, code)[:NAMED]:
            problem = facts.problems.get(f"sql.{name}")
            evidence = ((problem.message,) if problem is not None else ()) + tuple(
                signs.waiting(facts, case.thresholds)
            )
            summary = f"The database {name} {words}. It concerns {_companies(facts, [name])}."
            yield (
                CAUSE,
                Suspect(
                    suspect,
                    "sql",
                    Confidence.SURE,
                    summary,
                    evidence,
                    (remedy(environment, name), remedies.watch(environment)),
                ),
            )


def _unreachable(case: Case, names: list[str]) -> Suspect:
    facts, environment = case.facts, case.environment
    every = len(names) == len(facts.databases) and len(names) > 1
    what = (
        f"No database of {environment.sql.server}"
        if every
        else f"The database {listed(names)}"
        if len(names) == 1
        else f"The databases {listed(names)}"
    )
    summary = f"{what} can{'' if every else chr(39) + 't'} be reached. It concerns {_companies(facts, names)}."
    others = [item for item in facts.databases if item.name not in names]
    if others:
        jobs = sorted(
            {
                job.name
                for job in facts.jobs or ()
                for part in job.outputs
                if part.name in names or part.details.get("database") in names
            }
        )
        shard = f" of {listed(jobs)}" if jobs else ""
        summary += f" The job keeps trying, so the other outputs{shard} can fall behind too: Stream Analytics itself is not the cause."
    evidence = [facts.problems[f"sql.{name}"].message for name in names[:NAMED] if f"sql.{name}" in facts.problems]
    evidence += signs.waiting(facts, case.thresholds)
    if every and "control.heartbeat" in facts.problems:
        evidence.append("the control database can't be reached either: the server, its firewall or the way there")
    steps = [
        *(remedies.show_database(environment, name) for name in names[:2]),
        remedies.show_firewall(environment),
        remedies.watch(environment),
    ]
    return Suspect("sql.unreachable", "sql", Confidence.SURE, summary, unique(evidence), tuple(steps))


def _companies(facts: Facts, databases: list[str]) -> str:
    names = {route.company_id: route.company for route in facts.routes or ()}
    ids = [company for item in facts.databases if item.name in databases for company in item.companies]
    if not ids:
        return "no company that is known here"
    shown = [f"{names.get(company, '')} ({company})".strip() for company in ids[:NAMED]]
    return (
        f"{counted(len(ids), 'company', 'companies')}: "
        + ", ".join(shown)
        + (f" and {len(ids) - NAMED} more" if len(ids) > NAMED else "")
    )
