"""Emergency calls that look real and belong to nobody.

`CallRecords` lives through calls: a record is inserted when a call starts, updated when it is answered and when it ends, seldom
corrected, rarely erased. The same seed, companies and sequence of `next_changes(count, now)` give the same records. As in a lake that is
fed in small batches, the calls that started together are looked at together, a few times, so that a commit changes rows that lie in few
files. Values have the look of NENA i3 (urn:service:sos, Geolocation, emergency-CallId; STA-010.3): numbers are +1-NPA-555-01xx, addresses
192.0.2.0/24, hosts *.example. Holds calls until a few minutes after their end, never more.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

import pyarrow as pa

from lpmops.sandbox.lake.schema import IN_PROGRESS, RECORD_SCHEMA

# A call makes about three changes; more updates than this share of a batch would leave no room for new calls.
_UPDATES_AT_MOST = 0.72
_CORRECTED = 0.012
_ERASED = 0.003
_RINGS_SECONDS = 4.0
_ABANDONED, _FAILED = 0.07, 0.02
# When a batch of calls is looked at again, in mean call lengths: for who was answered, three times for who has ended, and to review them.
_LOOKS = (0.11, 0.5, 1.1, 2.3, 2.6)
_REVIEW = len(_LOOKS) - 1
_QUEUES = ("urn:queue:police", "urn:queue:fire", "urn:queue:ambulance", "urn:queue:text", "urn:queue:overflow")
_AGENTS = ("BCF/5.4.1", "ESRP/3.2", "OSP-Gateway/2.19", "Asterisk PBX 20.5.0", "LNG/1.8.7")
_AREA_CODES = (202, 212, 303, 312, 404, 415, 503, 512, 602, 615, 702, 713, 801, 816, 907, 919)


@dataclass(frozen=True, slots=True)
class Company:
    """A customer whose calls these are; `weight` is its share of them, against the others'."""

    id: str
    name: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """Changes to commit together, each part with all columns of the record; `deletes` holds the records as they last were. No record is
    in two.
    """

    inserts: pa.Table
    updates: pa.Table
    deletes: pa.Table

    def __len__(self) -> int:
        return int(self.inserts.num_rows + self.updates.num_rows + self.deletes.num_rows)


@dataclass(slots=True)
class _Call:
    """One call: its row as it stands, and how it will go on."""

    row: dict[str, Any]
    disposition: str
    answered_at: datetime | None
    ended_at: datetime


def companies_of(count: int, seed: int = 0) -> tuple[Company, ...]:
    """`count` companies with ids from "1001" on, a few of them much larger than the rest (Zipf)."""
    chooser = random.Random(f"companies {seed}")
    first = (
        "Acme",
        "Birch",
        "Cedar",
        "Dover",
        "Elm",
        "Fulton",
        "Grant",
        "Harbor",
        "Iron",
        "Juniper",
        "Knox",
        "Lake",
        "Mason",
        "North",
        "Ogden",
        "Pine",
    )
    second = ("County", "City", "Valley", "Ridge", "Shore", "Plains", "Springs", "Parish")
    names = [f"{a} {b} 911" for a in first for b in second]
    chooser.shuffle(names)
    # The first keeps its well-known name, whatever the seed.
    names.remove("Acme County 911")
    names.insert(0, "Acme County 911")
    return tuple(
        Company(
            str(1001 + n),
            names[n % len(names)] + ("" if n < len(names) else f" {n // len(names) + 1}"),
            1 / (n + 1) ** 0.8,
        )
        for n in range(count)
    )


def day_curve(moment: datetime) -> float:
    """How busy an hour is against the day's mean: quiet before dawn, busiest in the late afternoon (UTC-6). The mean over a day is 1."""
    hour = (moment.hour + moment.minute / 60 - 6) % 24
    return 1 + 0.45 * math.cos((hour - 17) / 24 * math.tau) + 0.1 * math.cos((hour - 12) / 12 * math.tau)


class CallRecords:
    """The source of all calls of one environment. Not thread-safe: one feeder owns it. Raises ValueError without companies or with odd
    weights.
    """

    def __init__(self, seed: int, companies: Sequence[Company], mean_call_seconds: float = 75.0) -> None:
        self._callers = _callers(companies)
        self._random = random.Random(seed)
        self._mean_call_seconds = mean_call_seconds
        self._serial = 0
        # (when, order, look, calls): the order keeps the looks at one batch of calls in sequence and never compares calls.
        self._due: list[tuple[float, int, int, list[_Call]]] = []
        self.in_progress = 0

    @property
    def callers(self) -> tuple[str, ...]:
        """The ids of the companies that call."""
        return tuple(company.id for company in self._callers[0])

    def admit(self, companies: Sequence[Company]) -> None:
        """Let these call too from now on; may be called from any thread. Raises ValueError as the making does."""
        self._callers = _callers((*self._callers[0], *companies))

    def next_changes(self, count: int, now: datetime) -> ChangeBatch:
        """The next `count` changes as of `now`, an aware datetime: first what is due of the calls that go on, then new calls.

        The batch has `count` changes always. Raises ValueError for a negative count.
        """
        if count < 0:
            raise ValueError("a batch cannot have fewer than no changes")
        updates: dict[str, dict[str, Any]] = {}
        deletes: dict[str, dict[str, Any]] = {}
        limit = int(count * _UPDATES_AT_MOST)
        while self._due and self._due[0][0] <= now.timestamp() and (room := limit - len(updates) - len(deletes)) > 0:
            when, order, look, calls = heapq.heappop(self._due)
            self._look(look, calls[:room], updates, deletes)
            if calls[room:]:
                heapq.heappush(self._due, (when, order, look, calls[room:]))
        inserts = self._start(count - len(updates) - len(deletes), now)
        return ChangeBatch(_rows(inserts), _rows(list(updates.values())), _rows(list(deletes.values())))

    def close(self, rows: pa.Table, now: datetime) -> pa.Table:
        """Calls in progress that an earlier life left in the table, as they ended meanwhile; update the table with them."""
        ended = []
        for row in rows.select(RECORD_SCHEMA.names).to_pylist():
            answered = row["call_answered_at"]
            call = _Call(row, "abandoned" if answered is None else "answered", answered, max(now, answered or now))
            ended.append(_ended(call))
        return _rows(ended)

    def _look(
        self, look: int, calls: list[_Call], updates: dict[str, dict[str, Any]], deletes: dict[str, dict[str, Any]]
    ) -> None:
        for call in calls:
            if look == _REVIEW:
                if self._random.random() < _ERASED / (_ERASED + _CORRECTED):
                    updates.pop(call.row["tdr_id"], None)
                    deletes[call.row["tdr_id"]] = call.row
                    continue
                call.row = {**call.row, "queue": self._random.choice(_QUEUES)}
            elif look == 0 and call.answered_at is not None:
                call.row = {**call.row, "call_answered_at": call.answered_at}
            else:
                call.row = _ended(call)
                self.in_progress -= 1
            updates[call.row["tdr_id"]] = call.row

    def _start(self, count: int, now: datetime) -> list[dict[str, Any]]:
        if not count:
            return []
        stretch = self._mean_call_seconds * self._random.uniform(0.6, 1.4)
        looks = [now.timestamp() + offset * stretch for offset in _LOOKS]
        plan: list[list[_Call]] = [[] for _ in _LOOKS]
        rows = []
        for _ in range(count):
            call = self._new_call(now, looks[_REVIEW - 1])
            rows.append(call.row)
            ended = call.ended_at.timestamp()
            if call.answered_at is not None and call.answered_at.timestamp() <= looks[0]:
                plan[0].append(call)
            plan[next((look for look in range(1, _REVIEW) if ended <= looks[look]), _REVIEW - 1)].append(call)
            if self._random.random() < _CORRECTED + _ERASED:
                plan[_REVIEW].append(call)
        for look, calls in enumerate(plan):
            if calls:
                heapq.heappush(self._due, (looks[look], self._serial + look, look, calls))
        self.in_progress += count
        return rows

    def _new_call(self, now: datetime, ends_before: float) -> _Call:
        choose = self._random
        self._serial += len(_LOOKS)
        started = now - timedelta(microseconds=int(choose.random() * 800_000))
        fate = choose.random()
        disposition = "failed" if fate < _FAILED else "abandoned" if fate < _FAILED + _ABANDONED else "answered"
        answered = (
            started + timedelta(seconds=choose.expovariate(1 / _RINGS_SECONDS) + 0.4)
            if disposition == "answered"
            else None
        )
        seconds = (
            choose.lognormvariate(math.log(self._mean_call_seconds) - 0.18, 0.6)
            if answered
            else choose.uniform(1.0, 25.0)
        )
        ended = min((answered or started) + timedelta(seconds=seconds), epoch(ends_before))
        # Ids grow with time, so that files hold ranges of them and a merge finds its rows by a file's least and greatest id.
        record_id = f"{int(now.timestamp() * 1000):012x}{self._serial & 0xFFFFFF:06x}{choose.getrandbits(40):010x}"
        companies, weights = self._callers
        company = choose.choices(companies, cum_weights=weights)[0]
        return _Call(_new_row(record_id, company.id, started, choose), disposition, answered, ended)


def _callers(companies: Sequence[Company]) -> tuple[tuple[Company, ...], list[float]]:
    """The companies with their weights summed up."""
    if not companies:
        raise ValueError("records need at least one company")
    if any(not math.isfinite(company.weight) or company.weight < 0 for company in companies) or not any(
        company.weight for company in companies
    ):
        raise ValueError("company weights must be finite, not negative, and not all zero")
    return tuple(companies), list(accumulate(company.weight for company in companies))


def _ended(call: _Call) -> dict[str, Any]:
    talked = None if call.answered_at is None else round((call.ended_at - call.answered_at).total_seconds(), 3)
    return {
        **call.row,
        "call_answered_at": call.answered_at,
        "call_ended_at": call.ended_at,
        "disposition": call.disposition,
        "duration_seconds": talked,
    }


def _new_row(record_id: str, company_id: str, started: datetime, choose: random.Random) -> dict[str, Any]:
    host = f"c{company_id}.psap.example"
    number = f"+1-{choose.choice(_AREA_CODES)}-555-01{choose.randrange(100):02d}"
    edge = f"192.0.2.{choose.randrange(1, 255)}"
    call_id = f"{choose.getrandbits(80):020x}"
    located = choose.random() < 0.8
    return {
        "tdr_id": record_id,
        "info_companyid": company_id,
        "call_id": call_id,
        "call_started_at": started,
        "call_answered_at": None,
        "call_ended_at": None,
        "disposition": IN_PROGRESS,
        "duration_seconds": None,
        "trunk": f"trunk-{choose.randrange(1, 9):02d}",
        "queue": choose.choice(_QUEUES[:3]),
        "caller_number": number,
        "caller_latitude": round(choose.uniform(25.1, 48.9), 5) if located else None,
        "caller_longitude": round(choose.uniform(-123.9, -67.1), 5) if located else None,
        "sipreq": _invite(call_id, number, edge, host, located, choose),
    }


def _invite(call_id: str, number: str, edge: str, host: str, located: bool, choose: random.Random) -> Mapping[str, Any]:
    """The SIP INVITE as the PSAP's edge saw it."""
    tag = f"{choose.getrandbits(64):016x}"
    return {
        "method": "INVITE",
        "request_uri": "urn:service:sos",
        "from": f"<sip:{number.replace('-', '')}@esinet.example;user=phone;verstat=TN-Validation-Passed>;tag={tag[:8]}",
        "to": "<urn:service:sos>",
        "call_id": f"{call_id}@{edge}",
        "cseq": 1 + choose.randrange(4),
        "via": [
            f"SIP/2.0/TLS {edge}:5061;branch=z9hG4bK{tag[8:]}",
            "SIP/2.0/TLS bcf.esinet.example:5061;branch=z9hG4bK" + tag[:8],
        ],
        "user_agent": choose.choice(_AGENTS),
        "geolocation": f"<cid:{tag}@{host}>" if located else None,
        "call_info": [f"<urn:emergency:uid:callid:{call_id}:{host}>;purpose=emergency-CallId"],
    }


def _rows(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=RECORD_SCHEMA)


def epoch(seconds: float) -> datetime:
    """Seconds since the epoch as an aware UTC datetime, which is what `next_changes` takes."""
    return datetime.fromtimestamp(seconds, UTC)
