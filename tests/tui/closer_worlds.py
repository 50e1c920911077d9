"""A day to look closer at: records that landed, calls, numbers of the last hour, and what the services wrote down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from lpmops.model import CallMinute, Credential, HubEvent, Kind, LandedRecord, LogLine
from tests.tui.worlds import NOW, MemoryFeed, ago, good, paused, saturated

SIP_REQUEST = (
    '{"method":"INVITE","request_uri":"urn:service:sos","from":"<sip:•••@esinet.example;user=phone>;tag=81c2d4ee","to":"<urn:service:sos>",'
    '"call_id":"9b1c44d2e0a7@192.0.2.17","cseq":2,"via":["SIP/2.0/TLS 192.0.2.17:5061;branch=z9hG4bKd41d8cd9","SIP/2.0/TLS bcf.esinet.example:5061;'
    'branch=z9hG4bK81c2d4ee"],"user_agent":"edge/4.2","geolocation":"•••","call_info":["<urn:emergency:uid:callid:9b1c44d2e0a7:c1001.psap.example>;'
    'purpose=emergency-CallId"]}'
)
KINDS = ("update_postimage", "insert", "update_postimage", "insert", "delete")


def record(
    number: int = 0, company: str = "1001", *, landed: datetime | None = None, hub: float = 0.12
) -> LandedRecord:
    """The `number`th newest change of a company."""
    at = landed or ago(2.4 + 9.7 * number)
    to_sql, to_sent = 0.9 + 0.13 * (number % 7), 0.8 + 0.21 * (number % 5)
    enqueued = at - timedelta(seconds=to_sql)
    sent = enqueued - timedelta(seconds=hub)
    commit = sent - timedelta(seconds=to_sent)
    return LandedRecord(
        company_id=company,
        record_id=f"0193e2c47a{5_120_417 - number * 37:06x}{number:04x}",
        commit_version=48_112 - number,
        change_type=KINDS[number % len(KINDS)],
        commit_at=commit,
        sent_at=sent,
        enqueued_at=enqueued,
        landed_at=at,
        partition=number % 8,
        sequence=48_112_331 - 3 * number,
        replay_id="replay-7f3a" if number in (5, 6) else None,
        values=payload(number, commit),
    )


def payload(number: int, at: datetime) -> dict[str, object]:
    return {
        "call_id": "9b1c44d2e0a7",
        "call_started_at": (at - timedelta(seconds=184)).replace(tzinfo=None),
        "call_answered_at": (at - timedelta(seconds=180)).replace(tzinfo=None),
        "call_ended_at": at.replace(tzinfo=None) if number % 2 else None,
        "disposition": "answered" if number % 3 else "failed",
        "duration_seconds": 180.25,
        "trunk": "trunk-03",
        "queue": "911-main",
        "caller_number": "•••",
        "caller_latitude": "•••",
        "caller_longitude": None,
        "sip_method": "INVITE",
        "sipreq": SIP_REQUEST,
    }


def records(count: int = 40, company: str = "1001") -> list[LandedRecord]:
    return [record(number, company) for number in range(count)]


def minutes(count: int = 60) -> list[CallMinute]:
    found = []
    for number in range(count):
        calls = 9 + round(5 * math.sin(number / 7)) + number % 3
        failed = 2 if number % 17 == 4 else 0
        answered = calls - failed - (1 if number % 5 == 0 else 0)
        found.append(
            CallMinute(
                NOW.replace(second=0) - timedelta(minutes=count - 1 - number),
                calls,
                answered,
                failed,
                171.0 + number % 40,
                402.0 + 7 * (number % 23),
            )
        )
    return found


def event(number: int, *, seconds_ago: float | None = None, problem: str = "") -> HubEvent:
    """The `number`th newest event of the hub."""
    at = ago(0.2 + 0.7 * number if seconds_ago is None else seconds_ago)
    place = (str(number % 4), 90_000 - number, at, 1_090)
    if problem:
        return HubEvent(*place, values={"body": "hello"}, problem=problem)
    return HubEvent(
        *place,
        company_id=str(1001 + number % 5),
        record_id=f"01a224e39eb900455b9da75e{number:04x}",
        change_type="insert" if number % 3 == 0 else "update_postimage" if number % 7 else "delete",
        commit_version=91_440 - number // 3,
        commit_at=at - timedelta(seconds=3.2),
        sent_at=at - timedelta(seconds=0.3),
        replay_id="rp-7" if number % 11 == 10 else None,
        values={"queue": f"urn:queue:{'fire' if number % 4 == 1 else 'police'}", "caller_number": "•••43"},
    )


def wave(middle: float, swing: float, *, peak: float = 0.0, step: float = 20.0) -> list[tuple[datetime, float]]:
    """An hour of points; `peak` is reached twenty minutes ago."""
    count = int(3_600 / step)
    points = []
    for number in range(count):
        at = ago(3_600 - number * step)
        near = max(0.0, 1 - abs((NOW - at).total_seconds() - 1_200) / 300)
        points.append((at, middle + swing * math.sin(number / 9) + swing / 3 * math.sin(number / 2.3) + near * peak))
    return points


def lines(source: str = "asa", count: int = 60) -> list[LogLine]:
    texts = (
        ("info", "lpm-tdr-prod-01", "job started; output starts at the last output time", 1),
        ("warning", "lpm-tdr-prod-01", "streaming units at 97 %: the job can't keep up with its input and its watermark is 48 s behind", 6),
        ("error", "lpm-tdr-prod-01", "output 'lpm-07': the server was not reachable within 30 s: [08001] TCP Provider: timeout expired "
         "(server lpm-sql-prod.database.example, database lpm-07, attempt 3 of 5); the events of this batch wait and will be sent again", 2),
        ("info", "lpm-tdr-prod-02", '{"operationName":"Send Events","properties":{"type":"OutputDataConversionError","rows":12}}', 1),
    )  # fmt: skip
    found = []
    for number in range(count):
        level, subject, text, times = texts[number % len(texts)]
        found.append(LogLine(ago(11 + 397.0 * number), source, level, subject, text, times))
    return found


def closer(feed: MemoryFeed) -> MemoryFeed:
    """`feed` with something to find everywhere."""
    feed.landed = records()
    feed.minutes = minutes()
    feed.came = [event(number) for number in range(40)]
    feed.written = [*lines("asa"), *lines("databricks", 3), *lines("eventhub", 1)]
    feed.numbers = {
        "company.1001.rows_per_minute": wave(812, 90),
        "company.1001.latency_p95": wave(5.4, 1.1, peak=58.0),
    }
    return feed


def closer_day() -> MemoryFeed:
    """A bad day with everything to look at."""
    prod = saturated("prod", Kind.PROD)
    first = replace(prod.routes[0], state="flowing", rows_per_minute=812.0, last_landed_at=ago(2.4), latency_p95=5.3)
    return closer(
        MemoryFeed(good("dev", Kind.DEV), paused("test", Kind.TEST), replace(prod, routes=(first, *prod.routes[1:])))
    )


def sign_ins() -> MemoryFeed:
    """An environment in each state of its sign-in."""
    feed = closer_day()
    late = Credential("expired", "ops@lpm.example", ago(600), "az login --tenant 11111111-2222-4333-8444-555555555555")
    feed.snapshots["prod"] = replace(feed.snapshots["prod"], credential=late)
    return feed


def of_level(found: Sequence[LogLine], level: str) -> list[LogLine]:
    return [line for line in found if line.level == level]
