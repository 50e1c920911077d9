"""The parts of a Stream Analytics job as steps: its settings, inputs, outputs and text, each looked at and written on its own.

Each write is held to what was planned on by the part's ETag, and its step keeps what was there before, from which a deployment can be taken back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from lpmops.actions.action import Bench, Handler
from lpmops.control.hands import Observation, Sight
from lpmops.control.plan import Change, Step
from lpmops.errors import PreconditionError, ServiceError
from lpmops.model import Receipt, StreamingJob
from lpmops.routing import job as definitions
from lpmops.routing.fields import flat
from lpmops.routing.job import Definition, Difference
from lpmops.store.journal import StepRow

PART, SETTINGS = "asa.part", "asa.settings"
_NOUNS = {"inputs": "input", "outputs": "output", "transformations": "the query and streaming units"}


def text_words(text: str) -> str:
    """A query as a plan names it: the beginning of its hash, and its length."""
    return f"{hashlib.sha256(text.encode('utf-8')).hexdigest()[:16]} ({len(text.splitlines())} lines)"


def settings_step(job: StreamingJob, target: Definition, live: Definition, items: Sequence[Difference]) -> Step:
    """Give a stopped job other settings of its own; `items` are the differences that are shown."""
    names = {item.field.partition(".")[0] for item in items}
    arguments = {
        "after": {name: target.settings[name] for name in sorted(names)},
        "former": {name: live.settings.get(name) for name in sorted(names)},
    }
    fields = {*flat(arguments["after"]), *flat(arguments["former"])}
    touches = tuple(sorted(f"{job.name}.{name}" for name in fields))
    return Step(
        f"set {', '.join(sorted(names))} of {job.name}", SETTINGS, job.name, arguments, _shown(job, items), touches
    )


def part_step(
    job: StreamingJob,
    target: Definition,
    live: Definition,
    collection: str,
    name: str,
    items: Sequence[Difference],
) -> Step:
    """Make, replace or delete an input, an output, or the text with its streaming units; one that is not in `target` is deleted."""
    after, before = target.part(collection, name), live.part(collection, name)
    where = f"{job.name}.{collection}.{name}."
    if collection == "transformations":
        name = job.transformation
        touches: tuple[str, ...] = (f"{job.name}.query", f"{job.name}.streaming_units")
        title = f"put {_NOUNS[collection]} of {job.name}"
    else:
        touches = tuple(sorted({where + path for path in (*flat(after or {}), *flat(before or {}))}))
        title = f"{'delete' if after is None else 'put'} {_NOUNS[collection]} {name} of {job.name}"
    arguments = {"collection": collection, "name": name, "after": after, "former": before}
    return Step(title, PART, job.name, arguments, _shown(job, items), touches)


def _shown(job: StreamingJob, items: Sequence[Difference]) -> tuple[Change, ...]:
    def value(item: Difference, given: Any) -> Any:
        return text_words(given) if item.field == "query" and given is not None else given

    return tuple(
        Change(f"{job.name}.{item.title}", value(item, item.before), value(item, item.after)) for item in items
    )


def _observe_part(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    given, job = step.arguments, bench.services.streamanalytics.job(step.target)
    live = definitions.deployed(job).part(given["collection"], given["name"])
    return compared(job, f"{given['collection']} {given['name']}", given, live)


def _observe_settings(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    job = bench.services.streamanalytics.job(step.target)
    there = definitions.deployed(job).settings
    live = {name: there.get(name) for name in step.arguments["after"]}
    return compared(job, "its settings", step.arguments, live)


def compared(job: StreamingJob, what: str, given: Mapping[str, Any], live: Mapping[str, Any] | None) -> Observation:
    """As wished; as it was planned on; or as somebody else made it, which no write may go over."""
    after, before = given["after"], given["former"]
    if (after is None and live is None) or (
        after is not None and live is not None and not definitions.unlike(after, live)
    ):
        return Observation(Sight.SO, f"{what}: as wished")
    if (before is None) == (live is None) and flat(before or {}) == flat(live or {}):
        return Observation(Sight.ABSENT, f"{what}: as before, and {job.name} is {job.state}")
    return Observation(Sight.OTHERWISE, f"somebody else changed {what} meanwhile; {job.name} is {job.state}")


def _act_part(bench: Bench, step: Step, operation: str) -> Receipt:
    """One write, held by ETag to what was planned on: the ETag is read first and the part after it, so none can slip in between."""
    del operation
    service, given = bench.services.streamanalytics, step.arguments
    collection, name = given["collection"], given["name"]
    etag = service.part_etag(step.target, collection, name)
    _refuse_moved(bench, step, _observe_part)
    try:
        if given["after"] is None:
            return service.delete_part(step.target, collection, name)
        return service.put_part(step.target, collection, name, given["after"], etag)
    except ServiceError as error:
        raise _standing_still(error, step) from error


def _act_settings(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    service = bench.services.streamanalytics
    etag = service.job(step.target).etag
    _refuse_moved(bench, step, _observe_settings)
    try:
        return service.change(step.target, step.arguments["after"], etag)
    except ServiceError as error:
        raise _standing_still(error, step) from error


def _refuse_moved(bench: Bench, step: Step, observe: Any) -> None:
    seen: Observation = observe(bench, step, None, None)
    if seen.sight is not Sight.ABSENT:
        error = PreconditionError(f"{seen.said}.", service="streamanalytics")
        error.settled = True
        raise error


def _standing_still(error: ServiceError, step: Step) -> ServiceError:
    """The same error, saying that the job stands still."""
    error.message = f"{error.message} {step.target} stands still until this is finished or taken back."
    return error


HANDLERS = {PART: Handler(_observe_part, _act_part), SETTINGS: Handler(_observe_settings, _act_settings)}
