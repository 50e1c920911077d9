"""What a metrics request asks for, checked, and the answer put together.

Both addresses (one resource, and getBatch) end here. Refusals follow the metrics service: a bare `{"code", "message"}` with 400.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from lpmops.sandbox.azure.errors import monitor_error
from lpmops.sandbox.azure.metric_catalogue import CATALOGUE, NAMESPACES, MetricDefinition
from lpmops.sandbox.azure.metrics import MINUTE, Bucket, Metrics
from lpmops.sandbox.azure.stamps import parse_duration, parse_timespan, seconds

GRAINS = {
    "PT1M": 60,
    "PT5M": 300,
    "PT15M": 900,
    "PT30M": 1800,
    "PT1H": 3600,
    "PT6H": 21600,
    "PT12H": 43200,
    "P1D": 86400,
}
AGGREGATIONS = ("Average", "Minimum", "Maximum", "Total", "Count")
NAMES_MAX = 20
# The recordings show that a longer span is cut to one month before its end.
SPAN_MAX = timedelta(days=31)

_TERM = re.compile(r"\s*([A-Za-z][\w.]*)\s+(eq|ne|sw|startswith)\s+'((?:[^']|'')*)'\s*", re.IGNORECASE)
_JOIN = re.compile(r"\s*(and|or)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MetricQuery:
    """A checked request: metrics of one type, a span in UTC, a grain in seconds (0 is the whole span)."""

    definitions: tuple[MetricDefinition, ...]
    namespace: str
    start: datetime
    end: datetime
    grain: int
    interval: str
    aggregations: tuple[str, ...]
    split_by: tuple[str, ...]
    accept: Mapping[str, frozenset[str]]
    top: int
    order_by: tuple[str, bool] | None
    metadata_only: bool


def bad_request(message: str) -> Exception:
    """The metrics service's 400."""
    return monitor_error(400, "BadRequest", message)


def query_from(
    query: Mapping[str, str], resource_type: str, start: datetime, end: datetime, filter_text: str
) -> MetricQuery:
    """A request's parameters, checked against what the resource's type has. Raises 400."""
    namespace = query.get("metricnamespace") or resource_type
    if namespace.lower() not in CATALOGUE:
        raise bad_request(
            f"Metric namespace '{namespace}' is not known for resource type '{resource_type}'."
        )  # assumed: the wording
    definitions = _definitions(query.get("metricnames", ""), namespace)
    if end <= start:
        raise bad_request("The end of the time span must be after its start.")  # assumed: the wording
    start = max(start, end - SPAN_MAX)
    interval = (query.get("interval") or "PT1M").upper()
    grain = _grain(interval)
    accept, split_by = parse_filter(filter_text)
    for definition in definitions:
        _check_dimensions(definition, [*accept, *split_by])
    rolled = {name.strip().lower() for name in query.get("rollupby", "").split(",") if name.strip()}
    known = {name.lower(): name for definition in definitions for name in definition.dimensions}
    split = tuple(known[name.lower()] for name in split_by if name.lower() not in rolled)
    return MetricQuery(
        definitions,
        NAMESPACES[namespace.lower()],
        start,
        end,
        grain,
        "FULL" if grain == 0 else interval,
        _aggregations(query.get("aggregation", "")),
        split,
        {known[name.lower()]: values for name, values in accept.items()},
        _top(query.get("top")),
        _order(query.get("orderby", "")),
        query.get("resulttype", "").lower() == "metadata",
    )


def timespan_of(text: str, now: datetime) -> tuple[datetime, datetime]:
    """A timespan parameter, one hour until now by default; what was encoded twice is decoded twice, as recorded. Raises 400."""
    if not text:
        return now - timedelta(hours=1), now
    try:
        return parse_timespan(unquote(text), now)
    except (ValueError, OverflowError):
        raise bad_request(f"Invalid timespan: '{text}'.") from None  # assumed: the wording


def parse_filter(text: str) -> tuple[dict[str, frozenset[str]], tuple[str, ...]]:
    """`A eq 'x' or A eq 'y' and B eq '*'`: (values accepted by dimension, dimensions to split by). Raises 400.

    A dimension that is named at all is also split by, as Azure does; `or` joins values of one dimension only.
    """
    accept: dict[str, set[str]] = {}
    order: list[str] = []
    at, joined, previous = 0, "and", ""
    while text.strip() and at < len(text):
        found = _TERM.match(text, at)
        if not found:
            raise bad_request(f"Invalid filter '{text}' at position {at}.")  # assumed: the wording
        name, operator, value = found.group(1), found.group(2).lower(), found.group(3).replace("''", "'")
        if operator != "eq":
            raise bad_request(f"The filter operator '{operator}' is not one the sandbox answers; use 'eq'.")
        if joined == "or" and name.lower() != previous:
            raise bad_request("The logical or operator cannot separate two different metadata names.")
        if joined == "and" and name.lower() in accept:
            raise bad_request(f"The dimension '{name}' is named twice.")  # assumed: the wording
        previous = name.lower()
        accept.setdefault(previous, set()).add(value.lower())
        if previous not in order:
            order.append(previous)
        at = found.end()
        if at < len(text):
            join = _JOIN.match(text, at)
            if not join or join.end() >= len(text):
                raise bad_request(f"Invalid filter '{text}' at position {at}.")  # assumed: the wording
            joined, at = join.group(1).lower(), join.end()
    return {name: frozenset(values) for name, values in accept.items() if "*" not in values}, tuple(order)


def answer_metrics(store: Metrics, resource_id: str, query: MetricQuery) -> list[dict[str, Any]]:
    """The `value` of an answer: one metric after the other, in the order asked."""
    return [_metric(store, resource_id, definition, query) for definition in query.definitions]


def cost_of(query: MetricQuery) -> int:
    """What the service counts (recorded: minutes less one, for each metric)."""
    minutes = math.ceil((query.end - query.start).total_seconds() / MINUTE)
    return max(0, minutes - 1) * len(query.definitions)


def _metric(store: Metrics, resource_id: str, definition: MetricDefinition, query: MetricQuery) -> dict[str, Any]:
    return {
        "id": f"/{resource_id.strip('/')}/providers/Microsoft.Insights/metrics/{definition.name}",
        "type": "Microsoft.Insights/metrics",
        "name": {"value": definition.name, "localizedValue": definition.display},
        "displayDescription": definition.description,
        "unit": definition.unit,
        "timeseries": _timeseries(store, resource_id, definition, query),
        "errorCode": "Success",
    }


def _timeseries(
    store: Metrics, resource_id: str, definition: MetricDefinition, query: MetricQuery
) -> list[dict[str, Any]]:
    if not store.knows(resource_id, definition.name):
        return []
    first = int(query.start.timestamp()) // MINUTE * MINUTE
    last = max(first + MINUTE, int(query.end.timestamp()) // MINUTE * MINUTE)
    found = store.read(resource_id, definition.name, first, last, query.split_by, query.accept)
    if not found and not query.split_by:
        found = {(): {}}
    aggregations = query.aggregations or (definition.primary,)
    series = [(values, _grouped(minutes, query.grain, first)) for values, minutes in sorted(found.items())]
    if query.split_by:
        series = [each for each in series if each[1]]
        if query.order_by is not None:
            name, descending = query.order_by
            series.sort(key=lambda each: _height(each[1], name), reverse=descending)
        series = series[: query.top]
    steps = range(first, last, query.grain) if query.grain else [first]
    return [
        {
            "metadatavalues": [
                {"name": {"value": name.lower(), "localizedValue": name.lower()}, "value": value}
                for name, value in zip(query.split_by, values, strict=True)
            ],
            "data": []
            if query.metadata_only
            else [_point(step, buckets.get(step), aggregations) for step in _aligned(steps, query.grain)],
        }
        for values, buckets in series
    ]


def _aligned(steps: range | list[int], grain: int) -> list[int]:
    if not grain:
        return list(steps)
    return sorted({step // grain * grain for step in steps})


def _grouped(minutes: Mapping[int, Bucket], grain: int, first: int) -> dict[int, Bucket]:
    grouped: dict[int, Bucket] = {}
    for minute, bucket in minutes.items():
        grouped.setdefault(minute // grain * grain if grain else first, Bucket()).merge(bucket)
    return grouped


def _point(step: int, bucket: Bucket | None, aggregations: tuple[str, ...]) -> dict[str, Any]:
    point: dict[str, Any] = {"timeStamp": seconds(datetime.fromtimestamp(step, UTC))}
    if bucket is not None:
        for name in aggregations:
            point[name.lower()] = _value(bucket, name)
    return point


def _value(bucket: Bucket, aggregation: str) -> float:
    return {
        "Average": bucket.total / bucket.count,
        "Minimum": bucket.minimum,
        "Maximum": bucket.maximum,
        "Total": bucket.total,
        "Count": float(bucket.count),
    }[aggregation]


def _height(buckets: Mapping[int, Bucket], aggregation: str) -> float:
    whole = Bucket()
    for bucket in buckets.values():
        whole.merge(bucket)
    return _value(whole, aggregation)


def _definitions(names: str, namespace: str) -> tuple[MetricDefinition, ...]:
    known = CATALOGUE[namespace.lower()]
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if len(wanted) > NAMES_MAX:
        raise bad_request(f"At most {NAMES_MAX} metrics can be asked for at once.")  # assumed: cap and wording
    if not wanted:
        return (next(iter(known.values())),)
    found = []
    for name in wanted:
        if name.lower() not in known:
            provider, _, kind = namespace.partition("/")
            valid = ",".join(metric.name for metric in known.values())
            raise bad_request(
                f"Failed to find metric configuration for provider: {provider}, resource Type: {kind}, metric: {name}, Valid metrics: {valid}"
            )
        found.append(known[name.lower()])
    return tuple(found)


def _grain(interval: str) -> int:
    if interval == "FULL":
        return 0
    try:
        grain = int(parse_duration(interval).total_seconds())
    except ValueError:
        grain = -1
    if grain not in GRAINS.values():
        raise bad_request(
            f"Invalid time grain '{interval}', supported ones are: {', '.join(GRAINS)}"
        )  # assumed: the wording
    return grain


def _aggregations(text: str) -> tuple[str, ...]:
    known = {name.lower(): name for name in AGGREGATIONS}
    asked = [name.strip() for name in text.split(",") if name.strip()]
    for name in asked:
        if name.lower() not in known:
            raise bad_request(
                f"Invalid aggregation '{name}', supported ones are: {', '.join(AGGREGATIONS)}"
            )  # assumed: the wording
    return tuple(dict.fromkeys(known[name.lower()] for name in asked))


def _check_dimensions(definition: MetricDefinition, names: list[str]) -> None:
    has = {name.lower() for name in definition.dimensions}
    wrong = [name for name in names if name.lower() not in has]
    if wrong:
        raise bad_request(
            f"Metric: {definition.name} does not support requested dimension combination: {','.join(wrong)}, "
            f"supported ones are: {','.join(definition.dimensions)}"
        )


def _top(text: str | None) -> int:
    if text is None:
        return 10
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise bad_request(f"Invalid top '{text}'.")  # assumed: the wording
    return int(text)


def _order(text: str) -> tuple[str, bool] | None:
    words = text.split()
    if not words:
        return None
    known = {name.lower(): name for name in (*AGGREGATIONS, "Sum")}
    name = known.get(words[0].lower())
    if name is None or len(words) > 2 or (len(words) == 2 and words[1].lower() not in ("asc", "desc")):
        raise bad_request(f"Invalid orderby '{text}'.")  # assumed: the wording
    return ("Total" if name == "Sum" else name), words[-1].lower() == "desc"
