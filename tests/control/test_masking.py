"""What leaves the control plane of a caller: nothing that could be dialled or driven to, whatever the text around it is."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops.control import masking

CALL_ID = "1234567890abcdef1234"
SIP = {
    "method": "INVITE",
    "request_uri": "urn:service:sos",
    "from": '"Jane Roe" <sip:+12025550143@esinet.example;user=phone>;tag=ab12',
    "to": "<urn:service:sos>",
    "call_id": f"{CALL_ID}@192.0.2.7",
    "cseq": 3,
    "via": ["SIP/2.0/TLS 192.0.2.7:5061;branch=z9hG4bK12345678"],
    "geolocation": "<cid:target@psap.example>",
    "call_info": [f"<urn:emergency:uid:callid:{CALL_ID}:c1001.psap.example>;purpose=emergency-CallId"],
}
ROW: dict[str, Any] = {
    "call_id": CALL_ID,
    "call_started_at": datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC),
    "disposition": "answered",
    "duration_seconds": 1234567.5,
    "caller_number": "+1-202-555-0143",
    "caller_latitude": 37.78697,
    "caller_longitude": Decimal("-122.39967"),
    "caller_name": "Jane Roe",
    "queue": "urn:queue:police",
    "sipreq": json.dumps(SIP),
}


def test_a_record_loses_its_caller_and_keeps_what_tells_records_apart() -> None:
    shown = masking.record(ROW)
    for name in ("call_id", "call_started_at", "disposition", "duration_seconds", "queue"):
        assert shown[name] == ROW[name]
    assert [shown[name] for name in ("caller_latitude", "caller_longitude", "caller_name")] == ["•••"] * 3
    assert shown["caller_number"] == "•••43"
    sip = json.loads(shown["sipreq"])
    assert sip["from"] == '"•••" <sip:•••@esinet.example;user=phone>;tag=ab12'
    for name in ("method", "request_uri", "to", "call_id", "cseq", "via", "call_info"):
        assert sip[name] == SIP[name]
    assert sip["geolocation"] == "•••"


PLACES = (
    "caller at 37.78697, -122.39967",
    "geo:37.786971,-122.399677;u=10",
    "lat=37.78697 lon=-122.39967",
    '<presence><gml:pos>37.78697 -122.39967</gml:pos><ca:RD>Elm</ca:RD><ca:HNO>12</ca:HNO></presence>',
    '{"civic": {"a3": "Springfield", "road": ["Elm", 12]}, "coordinates": [-122.39967, 37.78697]}',
    '{"broken": 1, "latitude": 37.78697, "longitude": "-122.39967", "street": "Elm',
)  # fmt: skip


@pytest.mark.parametrize("text", PLACES)
def test_no_place_is_left_in_any_form(text: str) -> None:
    shown = masking.text(text)
    for part in ("37.78", "122.39", "Elm", "Springfield", "HNO>12"):
        assert part not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("From: Jane Roe <sip:jane.roe@example.org>\r\nCSeq: 1 INVITE", "From: ••• <sip:•••@example.org>\r\nCSeq: 1 INVITE"),
        ("tel:+1-202-555-0143;phone-context=example", "tel:•••;phone-context=example"),
        ("write to jane.roe@example.org", "write to •••@example.org"),
        ("call (202) 555-0143 now", "call (•••43 now"),
        ("call +44 20 7946 0958", "call •••58"),
        ("x12025550143y", "x•••43y"),
        ("٢٠٢٥٥٥٠١٤٣", "•••43"),
        ('[{"name": "From", "value": "Jane Roe <sip:jane@example.org>"}]', '[{"name":"From","value":"••• <sip:•••@example.org>"}]'),
        ('{"from": "Jane Roe"}', '{"from":"•••"}'),
        ('{"+12025550143": {"n": 12025550143}}', '{"•••43":{"n":"•••"}}'),
    ],
)  # fmt: skip
def test_people_and_numbers_are_masked_where_texts_hold_them(text: str, shown: str) -> None:
    assert masking.text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T04:05:06.1234567Z job asa-lpm-01 wrote 512 rows",
        "First Occurred: 11/23/2026 4:05:06 AM | Resource Name: lpm-01",
        "correlation 00000000-0000-4000-8000-000000000001 from 192.0.2.123",
        "SIP/2.0 486 Busy Here",
        "[STREAM_FAILED] Query tdr_stream terminated with exception: version 48112. SQLSTATE: XXKST",
        "record 0199c1d2e3f40000011234567890",
        '{"status":486,"call_id":"9876543210@host","started_at":1764000000000,"duration_ms":12345678,"ok":true,"none":null}',
    ],
)
def test_what_an_operator_needs_stays_readable(text: str) -> None:
    assert masking.text(text) == text


# Whatever the text is --------------------------------------------------------------------------------------------------------------------------

NUMBERS = st.from_regex(r"\+?1?[2-9][0-9]{2}[-. ]?555[-. ]?01[0-9]{2}", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


def shape(value: Any) -> Any:
    """Lengths, nesting and what is null or a truth; what a text or number says is left out."""
    if isinstance(value, dict):
        return ["object", [shape(item) for item in value.values()]]
    if isinstance(value, list):
        return ["list", [shape(item) for item in value]]
    return value if value is None or isinstance(value, bool) else "value"


@given(
    number=NUMBERS,
    prefix=st.text(max_size=12),
    suffix=st.text(max_size=12),
    key=st.sampled_from(["call_id", "note", "value", "from", "record", "caller", "version", "x"]),
)
def test_no_run_of_seven_digits_of_the_caller_survives(number: str, prefix: str, suffix: str, key: str) -> None:
    hidden = f"{prefix}{number}{suffix}"
    digits = re.sub(r"\D", "", number)
    row = {
        "caller_number": number,
        "call_id": f"{digits}-{CALL_ID}",
        "free": hidden,
        "sipreq": json.dumps({key: [hidden, {key: int(digits), "deep": json.dumps({key: hidden, number: 1})}]}),
    }
    left = re.sub(r"[^0-9]+", " ", json.dumps(masking.record(row), ensure_ascii=False).replace(CALL_ID, ""))
    assert not any(digits[at : at + 7] in left for at in range(len(digits) - 6))


@given(JSON)
def test_json_keeps_its_shape(value: Any) -> None:
    was = json.dumps({"payload": value})
    assert shape(json.loads(masking.text(was))) == shape(json.loads(was))


@given(st.text(max_size=60), st.text(max_size=200))
def test_no_name_and_no_text_is_too_strange(name: str, text: str) -> None:
    for value in (text, "{" + text, f'{{"{name}": "{text}"}}', f"sip:{text}@{text}", f"<presence>{text}"):
        assert isinstance(masking.record({name: value})[name], str)


@pytest.mark.parametrize(
    "unit", ["9", "1 ", "sip:", "<", ">", '"', "a@", "lat:", "1.234,", "{", "[", '{"a":', "abcdef", "\x00", "\ud800", "from:\n", '"a":"']
)  # fmt: skip
def test_ninety_thousand_characters_of_anything_are_masked(unit: str) -> None:
    text = (unit * 90_000)[:90_000]
    assert isinstance(masking.record({"sipreq": text, "caller_number": "+12025550143"})["sipreq"], str)


def test_a_value_of_any_type_is_taken() -> None:
    for value in (None, True, b"\x00", 10**5000, -1.0, float("nan"), float("inf"), Decimal("NaN"), object(), [1, [2]]):
        masking.record({"caller_number": value, "x": value, "version": value})


def test_more_than_can_be_shown_is_cut_and_said_so() -> None:
    shown = masking.record({"sipreq": "x " * 500_000})["sipreq"]
    assert len(shown) < 210_000
    assert shown.endswith("(1,000,000 characters)")
