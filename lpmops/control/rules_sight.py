"""The rules for trouble with seeing: the sign-in, rights and the management API; and for a source that is merely quiet."""

from __future__ import annotations

from lpmops.control import remedies, signs
from lpmops.control.case import BLIND, EVERYWHERE, NOTE, SIGHT, Case, Found, listed, unique
from lpmops.control.probes import SIGN_IN
from lpmops.model import Confidence, Suspect


def auth_expired(case: Case) -> Found:
    """The sign-in is over: it comes first where it hides several services."""
    facts = case.facts
    sources = signs.sources_with(facts, "auth.expired")
    over = facts.credential.state in ("expired", "missing")
    if not sources and not over:
        return
    services = {source.partition(".")[0] for source in sources}
    evidence = [facts.problems[source].message for source in sources[:2]]
    if over:
        evidence.insert(0, f"the credential is {facts.credential.state}")
    yield (
        BLIND if over or len(services) > 1 else SIGHT,
        Suspect(
            "auth.expired",
            EVERYWHERE,
            Confidence.SURE,
            "The sign-in has expired or is missing: lpmops can't see this environment. The stream itself signs in on its own and may well flow.",
            unique(evidence),
            (remedies.sign_in(case.environment, facts.credential), remedies.look(case.environment)),
        ),
    )


def sight(case: Case) -> Found:
    """A management API that throttles or hangs, and rights that are missing."""
    facts, environment = case.facts, case.environment
    arm = {
        name: facts.problems[name]
        for name in signs.ARM_SOURCES
        if name in facts.problems and facts.problems[name].service != SIGN_IN
    }
    if slowed := [problem for problem in arm.values() if problem.code == "service.throttled"]:
        wait = max((problem.retry_after or 0.0 for problem in slowed), default=0.0)
        summary = "Azure Resource Manager throttles this identity: states and metrics are old. The stream itself is not touched by it."
        steps = (
            "close other tools that read the same subscription; lpmops waits as long as it is asked to",
            remedies.look(environment),
        )
        evidence = unique(
            [*(problem.message for problem in slowed[:2]), *([f"it asks to wait {wait:.0f} s"] if wait else [])]
        )
        yield SIGHT, Suspect("arm.throttled", EVERYWHERE, Confidence.SURE, summary, evidence, steps)
    if hanging := [problem for problem in arm.values() if problem.code == "service.deadline"]:
        summary = "Azure Resource Manager takes calls and does not answer: states and metrics are old. The stream itself is not touched by it."
        steps = ("see https://azure.status.microsoft for the region", remedies.look(environment))
        evidence = unique(problem.message for problem in hanging[:3])
        yield SIGHT, Suspect("arm.slow", EVERYWHERE, Confidence.SURE, summary, evidence, steps)
    if sources := signs.sources_with(facts, "auth.forbidden"):
        problems = [facts.problems[source] for source in sources]
        summary = f"The identity lacks the right to read {listed(sources)}."
        rights = (
            *unique(problem.hint for problem in problems if problem.hint)[:2],
            remedies.rights(environment),
        )
        yield (
            SIGHT,
            Suspect(
                "auth.forbidden",
                EVERYWHERE,
                Confidence.SURE,
                summary,
                unique(problem.message for problem in problems[:3]),
                rights,
            ),
        )


def quiet(case: Case) -> Found:
    """Nothing is written at the source."""
    if evidence := signs.quiet(case.facts, case.thresholds):
        summary = "The source table is quiet: no new records are written, so none can land. The stream waits for them."
        yield (
            NOTE,
            Suspect(
                "upstream.quiet", "cdf", Confidence.LIKELY, summary, tuple(evidence), ("ask whoever writes the table",)
            ),
        )
