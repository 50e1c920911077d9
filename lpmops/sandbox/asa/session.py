"""One run of a job, from its start to its stop: read, run the query, write, and only then read on."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from lpmops.sandbox.asa.checkpoint import Checkpoint
from lpmops.sandbox.asa.events import InputEvent
from lpmops.sandbox.asa.executor import Executor
from lpmops.sandbox.asa.intake import Intake, Read
from lpmops.sandbox.asa.joblog import JobLog
from lpmops.sandbox.asa.metrics import Load, MetricValue, Totals
from lpmops.sandbox.asa.outputs import OutputPort
from lpmops.sandbox.asa.plan import CompiledQuery
from lpmops.sandbox.asa.produced import OutputBatch, joined
from lpmops.sandbox.asa.seams import JobDefinition, JobSettings
from lpmops.sandbox.clock import Clock

_REFERENCE_RETRY = timedelta(seconds=5)


class Session:
    """The running part of a job. Raises CompileError from nothing here: the query is compiled before."""

    def __init__(
        self,
        query: CompiledQuery,
        definition: JobDefinition,
        settings: JobSettings,
        kept: Checkpoint,
        resumed: bool,
        clock: Clock,
        log: JobLog,
        totals: Totals,
        chance: random.Random,
    ) -> None:
        """Begin at what the checkpoint says: its output start, or its positions where the job is resumed."""
        self._definition, self._settings, self._clock, self._log, self._totals = (
            definition,
            settings,
            clock,
            log,
            totals,
        )
        self._executor = Executor(query)
        begin = kept.output_start or clock.now()
        watermark = kept.watermark if resumed else None
        hubs = {name: definition.inputs[name] for name in query.paths}
        self._intake = Intake(hubs, begin, query.longest_window, kept.positions if resumed else None, watermark)
        self._executor.skip_windows_through(max(begin, watermark or begin))
        self._outputs = {
            name: OutputPort(
                name, definition.outputs[name], definition.output_error_policy, settings, log, totals, chance
            )
            for name in query.outputs
        }
        self._reference_due = {name: clock.now() for name in sorted(query.references)}
        self._without_reference = set(query.references)
        self._load = Load(self._rate(definition.streaming_units), clock.time())
        self._late = 0
        self._committed = self._intake.seen
        self.last_bad_event: datetime | None = None

    @property
    def watermark(self) -> datetime:
        """The time up to which every event is read and every row written."""
        return self._committed

    @property
    def failures(self) -> int:
        """How often in a row the worst output failed."""
        return max((port.failures for port in self._outputs.values()), default=0)

    def step(self, now: datetime) -> int:
        """Write what is owed, or read on; return how many events were read. Raises QueryRuntimeError."""
        self._refresh(now)
        if self._without_reference or not self._flush(now):
            return 0
        limit = min(self._load.allow(self._clock.time()), self._settings.events_per_step)
        if limit <= 0:
            return 0
        reads = self._intake.read(limit, now)
        batches: dict[str, OutputBatch] = {}
        count = 0
        for read in reads:
            count += len(read.rebuilt) + len(read.fresh)
            self._count(read)
            self._executor.process(read.rebuilt, read.input_name, processed_at=now, rebuild=True)
            _merge(batches, self._executor.process(read.fresh, read.input_name, processed_at=now))
            self._report_data_errors(now, read.input_name)
        _merge(batches, self._executor.advance(self._intake.seen))
        self._load.take(count)
        for name, batch in batches.items():
            self._outputs[name].put(batch)
        self._flush(now)
        return count

    def scale(self, streaming_units: float) -> None:
        """Take in as much as other streaming units allow."""
        self._load = Load(self._rate(streaming_units), self._clock.time())

    def positions(self) -> dict[str, dict[int, int]]:
        """Up to where each partition is written."""
        return self._intake.positions()

    def last_times(self) -> dict[str, datetime]:
        """The time of each output's last row of this run."""
        return {name: port.last_time for name, port in self._outputs.items() if port.last_time is not None}

    def gauges(self, now: datetime) -> list[MetricValue]:
        """The values of now."""
        found = []
        for place, behind in self._intake.backlog():
            found.append(
                MetricValue("InputEventsSourcesBacklogged", place.input_name, place.partition, behind, "Maximum")
            )
            # An output that owes nothing is as far as its partition has been read, the others as far as it has been written.
            for name, port in self._outputs.items():
                at = place.watermark if port.blocked else max(place.watermark, place.seen)
                delay = max(0.0, (now - at).total_seconds())
                found.append(MetricValue("OutputWatermarkDelaySeconds", name, place.partition, delay, "Maximum"))
        found.append(MetricValue("ResourceUtilization", None, None, self._load.utilization(), "Maximum"))
        return found

    def close(self) -> None:
        """Let go of memory; what is owed stays unwritten, and its events are read again."""
        self._executor.close()

    def _rate(self, streaming_units: float) -> float:
        return max(0.001, streaming_units * self._settings.events_per_streaming_unit)

    def _flush(self, now: datetime) -> bool:
        """Write what is owed on every output; whether nothing is, and then what was read is written."""
        # All outputs get their turn: one that is blocked keeps no other from writing the rows of this batch.
        flushed = [port.flush(now) for port in self._outputs.values()]
        if not all(flushed):
            return False
        self._intake.commit()
        self._committed = max(self._committed, self._intake.seen)
        return True

    def _refresh(self, now: datetime) -> None:
        """Ask for reference data that is due; what was had before stays where it can't be had now."""
        for name, due in self._reference_due.items():
            if now < due:
                continue
            try:
                self._executor.set_reference(name, self._definition.references[name]())
            except Exception as error:  # noqa: BLE001 - whatever a source of reference data raises is logged, counted and tried again
                message = f"Reference data of input '{name}' could not be read: {error}"
                self._log.error(
                    now, f"Receive Events: Reference data read failure from {name}", name, message, type(error).__name__
                )
                self._totals.add("Errors", name, None, 1)
                self._reference_due[name] = now + _REFERENCE_RETRY
                continue
            self._without_reference.discard(name)
            self._reference_due[name] = now + timedelta(seconds=self._settings.reference_seconds)

    def _count(self, read: Read) -> None:
        counts: dict[int, tuple[int, int]] = {}
        for event in (*read.rebuilt, *read.fresh):
            number, size = counts.get(event.partition, (0, 0))
            counts[event.partition] = (number + 1, size + len(event.body))
        for partition, (number, size) in counts.items():
            self._totals.add("InputEvents", read.input_name, partition, number)
            self._totals.add("InputEventBytes", read.input_name, partition, size)

    def _report_data_errors(self, now: datetime, source: str) -> None:
        for error in self._executor.take_data_errors():
            self._totals.add("DeserializationError", source, error.event.partition, 1)
            self._totals.add("Errors", source, error.event.partition, 1)
            self._log.data_error(
                now,
                "Warning",
                "Deserialize Events: Failed to deserialize",
                source,
                error.kind,
                error.message,
                _payload(error.event),
            )
            self.last_bad_event = now
        late = self._executor.late_rows
        self._totals.add("LateInputEvents", source, None, late - self._late)
        self._late = late


def _payload(event: InputEvent) -> str:
    return event.body.decode("utf-8", "replace")


def _merge(into: dict[str, OutputBatch], batches: dict[str, OutputBatch]) -> None:
    for name, batch in batches.items():
        into[name] = joined(into[name], batch) if name in into else batch
