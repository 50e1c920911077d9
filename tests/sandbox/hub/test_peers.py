"""A peer that speaks AMQP frame by frame: what Microsoft's client does not do, and what nobody should."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.hub import AmqpNamespace, Hub, OutgoingEvent, SharedAccessKey, TokenRefused
from lpmops.sandbox.hub.amqp import connection as connection_module
from lpmops.sandbox.hub.amqp.codec import (
    Described,
    Symbol,
    UByte,
    UInt,
    ULong,
    UShort,
    decode,
    encode,
    encode_described,
)
from lpmops.sandbox.hub.amqp.message import BATCH_FORMAT, make_sections, split

OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
SASL = b"AMQP\x03\x01\x00\x00"
AMQP = b"AMQP\x00\x01\x00\x00"


class Peer:
    """One raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, performative: int, values: list[Any], payload: bytes = b"", channel: int = 0, kind: int = 0) -> None:
        body = encode_described(performative, values) + payload
        self.writer.write(struct.pack(">IBBH", len(body) + 8, 2, kind, channel) + body)

    async def header(self, header: bytes) -> bytes:
        self.writer.write(header)
        return await asyncio.wait_for(self.reader.readexactly(8), 5)

    async def frame(self) -> tuple[int, list[Any], bytes]:
        """The next frame that is no heartbeat: code, fields, payload."""
        while True:
            size = int.from_bytes(await asyncio.wait_for(self.reader.readexactly(4), 5), "big")
            rest = await self.reader.readexactly(size - 4)
            if len(rest) > 4:
                described, end = decode(rest[4:])
                return int(described.descriptor), described.value, rest[4 + end :]

    async def expect(self, code: int) -> list[Any]:
        """The next frame of this kind; others before it are passed over."""
        return (await self.find(code))[0]

    async def find(self, code: int) -> tuple[list[Any], bytes]:
        while True:
            found, values, payload = await self.frame()
            if found == code:
                return values, payload

    async def closed_with(self) -> str:
        """The condition with which the server closes."""
        return str((await self.expect(CLOSE))[0].value[0])

    async def login(self, user: str = "R", password: str = "the-key") -> int:
        assert await self.header(SASL) == SASL
        assert "PLAIN" in (await self.frame())[1][0].items
        self.send(0x41, [Symbol("PLAIN"), f"\0{user}\0{password}".encode(), None], kind=1)
        return int((await self.frame())[1][0])

    async def open(self, max_frame_size: int = 65536, idle: int | None = None, window: int = 1000) -> None:
        assert await self.login() == 0
        assert await self.header(AMQP) == AMQP
        self.send(OPEN, ["peer", "host", UInt(max_frame_size), UShort(10), None if idle is None else UInt(idle)])
        assert len(await self.expect(OPEN)) == 10
        self.send(BEGIN, [None, UInt(0), UInt(window), UInt(1000)])
        assert len(await self.expect(BEGIN)) == 8

    def attach(self, handle: int, role: bool, address: str, **fields: Any) -> None:
        source = Described(ULong(0x28), [address if role else None, *[None] * 6, fields.get("filters")])
        target = Described(ULong(0x29), [None if role else address])
        count = None if role else UInt(0)
        settle = UByte(fields.get("settle", 2))
        tail = [None, False, count, None, None, fields.get("desired"), fields.get("properties")]
        self.send(ATTACH, [f"link-{handle}", UInt(handle), role, settle, UByte(0), source, target, *tail])

    def credit(
        self, handle: int, credit: int, count: int = 0, drain: bool = False, window: int = 1000, seen: int = 0
    ) -> None:
        numbers = [UInt(seen), UInt(window), UInt(0), UInt(1000), UInt(handle), UInt(count), UInt(credit)]
        self.send(FLOW, [*numbers, None, drain, False])

    def transfer(
        self, handle: int, delivery: int, payload: bytes, *, more: bool = False, form: int = 0, settled: bool = False
    ) -> None:
        self.send(TRANSFER, [UInt(handle), UInt(delivery), b"t", UInt(form), settled, more], payload)

    async def refused(self) -> tuple[str, str]:
        """The condition and description of the next detach."""
        error = (await self.expect(DETACH))[2].value
        assert len(error) == 3
        return str(error[0]), error[1]

    async def sender(self, address: str = "tdr/Partitions/0", handle: int = 0) -> None:
        self.attach(handle, False, address)
        assert len(await self.expect(ATTACH)) == 14
        assert len(await self.expect(FLOW)) == 11

    async def receiver(self, handle: int = 0, **fields: Any) -> list[Any]:
        self.attach(handle, True, "tdr/ConsumerGroups/$Default/Partitions/0", **fields)
        return await self.expect(ATTACH)


Connect = Callable[[], Awaitable[Peer]]


async def make(hub: Hub, **options: Any) -> AmqpNamespace:
    def authorize(token: str, audience: str) -> bool:
        if token == "revoked":
            raise TokenRefused("ExpiredToken: The token is expired.")
        return token == "good"

    keys = [SharedAccessKey("R", "the-key"), SharedAccessKey("listener", "k", frozenset({"Listen"}))]
    namespace = AmqpNamespace({"tdr": hub}, authorize, clock=hub.clock, keys=keys, **options)
    await namespace.start(("127.0.0.1", 0))
    return namespace


@pytest.fixture
async def namespace(hub: Hub) -> AsyncIterator[AmqpNamespace]:
    namespace = await make(hub)
    yield namespace
    await namespace.close()


@pytest.fixture
async def connect(namespace: AmqpNamespace) -> AsyncIterator[Connect]:
    peers: list[Peer] = []

    async def dial() -> Peer:
        peers.append(Peer(*await asyncio.open_connection("127.0.0.1", namespace.port)))
        return peers[-1]

    yield dial
    for peer in peers:
        peer.writer.close()


def fill(hub: Hub, count: int, size: int = 10) -> None:
    hub.append([OutgoingEvent.of(b"%d" % number + b"." * size) for number in range(count)], 0)


def body(number: int) -> bytes:
    return make_sections(b"%d" % number, None)


async def quiet(peer: Peer) -> None:
    """Nothing more comes: proven by asking for a flow and getting that first."""
    peer.send(FLOW, [UInt(0), UInt(1000), UInt(0), UInt(1000), None, None, None, None, False, True])
    assert (await peer.frame())[0] == FLOW


async def test_a_password_that_is_wrong_is_refused(connect: Connect) -> None:
    assert await (await connect()).login(password="guess") == 1
    assert await (await connect()).login(user="nobody") == 1


@pytest.mark.parametrize("header", [AMQP, b"AMQP\x02\x01\x00\x00", b"GET / HT", b"\x16\x03\x01\x02\x00\x01\x00\x01"])
async def test_another_protocol_is_answered_with_ours_and_a_goodbye(connect: Connect, header: bytes) -> None:
    peer = await connect()
    assert await peer.header(header) == SASL
    assert await peer.reader.read() == b""


async def test_a_message_in_fragments_is_put_together(connect: Connect, hub: Hub) -> None:
    peer = await connect()
    await peer.open()
    await peer.sender()
    message = make_sections(bytes(range(256)) * 10, {"a": "b"})
    for start in range(0, len(message), 100):
        peer.transfer(0, 0, message[start : start + 100], more=start + 100 < len(message))
    outcome = await peer.expect(DISPOSITION)
    assert (outcome[0], outcome[1], outcome[3], outcome[4].descriptor) == (True, 0, True, 0x24)
    assert hub.read(0, -1, 10)[0].body == bytes(range(256)) * 10


async def test_an_aborted_message_is_not_appended(connect: Connect, hub: Hub) -> None:
    peer = await connect()
    await peer.open()
    await peer.sender()
    peer.transfer(0, 0, body(1), more=True)
    peer.send(TRANSFER, [UInt(0), UInt(0), b"t", UInt(0), False, False, None, None, False, True])
    peer.transfer(0, 1, body(2))
    assert (await peer.expect(DISPOSITION))[1] == 1
    assert [event.body for event in hub.read(0, -1, 10)] == [b"2"]


async def test_a_settled_message_gets_no_answer(connect: Connect, hub: Hub) -> None:
    peer = await connect()
    await peer.open()
    await peer.sender()
    peer.transfer(0, 0, body(1), settled=True)
    peer.transfer(0, 1, body(2))
    assert (await peer.expect(DISPOSITION))[1] == 1
    assert hub.partition(0).last_enqueued_sequence_number == 1


async def test_a_message_that_is_no_message_is_rejected_and_the_link_lives_on(connect: Connect, hub: Hub) -> None:
    peer = await connect()
    await peer.open()
    await peer.sender()
    peer.transfer(0, 0, b"\xffjunk")
    assert (await peer.expect(DISPOSITION))[4].value[0].value[0] == "amqp:decode-error"
    peer.transfer(0, 1, make_sections(b"x", None)[:-1], form=BATCH_FORMAT)
    assert (await peer.expect(DISPOSITION))[4].value[0].value[0] == "amqp:decode-error"
    peer.transfer(0, 2, body(1))
    assert (await peer.expect(DISPOSITION))[4].descriptor == 0x24


async def test_credit_is_granted_again_before_it_runs_out(connect: Connect, hub: Hub) -> None:
    peer = await connect()
    await peer.open()
    await peer.sender()
    for number in range(160):
        peer.transfer(0, number, body(number), settled=True)
    flow = await peer.expect(FLOW)
    assert flow[4] == 0
    assert flow[5] + flow[6] >= 450


async def test_the_session_s_window_is_granted_again_before_it_is_used_up(connect: Connect, hub: Hub) -> None:
    peer = await connect()
    await peer.open()
    await peer.sender()
    peer.transfer(0, 0, body(0), more=True)
    for number in range(1, 6000):
        peer.transfer(0, 0, b"", more=number < 5999)
    flow = await peer.expect(FLOW)
    assert (flow[0], flow[1], flow[4]) == (2500, 5000, None)
    assert (await peer.expect(DISPOSITION))[4].descriptor == 0x24


async def test_a_receiver_gets_no_more_than_its_credit(connect: Connect, hub: Hub) -> None:
    fill(hub, 20)
    peer = await connect()
    await peer.open()
    attached = await peer.receiver()
    assert attached[9] == 0
    peer.credit(0, 3)
    for number in range(3):
        values, payload = await peer.find(TRANSFER)
        assert (values[0], values[1], values[4], values[5], len(values)) == (0, number, True, False, 11)
        assert len(list(split(payload))) == 2
    await quiet(peer)
    peer.credit(0, 2, count=3)
    assert [(await peer.expect(TRANSFER))[1] for _ in range(2)] == [3, 4]
    await quiet(peer)


async def test_a_receiver_that_drains_gets_what_there_is_and_is_told(connect: Connect, hub: Hub) -> None:
    fill(hub, 4)
    peer = await connect()
    await peer.open()
    await peer.receiver()
    peer.credit(0, 100, drain=True)
    for _ in range(4):
        await peer.expect(TRANSFER)
    flow = await peer.expect(FLOW)
    assert (flow[5], flow[6], flow[8]) == (100, 0, True)


async def test_a_receiver_gets_no_more_than_the_session_s_window(connect: Connect, hub: Hub) -> None:
    fill(hub, 10)
    peer = await connect()
    await peer.open(window=4)
    await peer.receiver()
    peer.credit(0, 100, window=4)
    for _ in range(4):
        await peer.expect(TRANSFER)
    peer.send(FLOW, [UInt(4), UInt(0), UInt(0), UInt(1000), None, None, None, None, False, True])
    assert (await peer.frame())[0] == FLOW
    peer.send(FLOW, [UInt(4), UInt(3), UInt(0), UInt(1000)])
    assert [(await peer.expect(TRANSFER))[1] for _ in range(3)] == [4, 5, 6]


async def test_a_message_larger_than_a_frame_comes_in_fragments_within_the_window(connect: Connect, hub: Hub) -> None:
    fill(hub, 1, size=5000)
    fill(hub, 1)
    peer = await connect()
    await peer.open(max_frame_size=512, window=5)
    await peer.receiver()
    peer.credit(0, 100, window=5)
    parts = [await peer.find(TRANSFER) for _ in range(5)]
    peer.send(FLOW, [UInt(5), UInt(100), UInt(0), UInt(1000)])
    while parts[-1][0][5]:
        parts.append(await peer.find(TRANSFER))
    assert {values[1] for values, _ in parts} == {0}
    assert all(len(payload) <= 504 for _, payload in parts)
    whole = b"".join(payload for _, payload in parts)
    assert whole.endswith(hub.read(0, -1, 1)[0].sections)
    assert (await peer.expect(TRANSFER))[1] == 1


async def test_new_events_are_sent_as_they_come(connect: Connect, hub: Hub) -> None:
    peer = await connect()
    await peer.open()
    await peer.receiver()
    peer.credit(0, 100)
    await quiet(peer)
    begun = time.perf_counter()
    await asyncio.to_thread(fill, hub, 1)
    await peer.expect(TRANSFER)
    assert time.perf_counter() - begun < 2


async def test_a_receiver_that_waits_for_our_settlement_gets_it(connect: Connect, hub: Hub) -> None:
    fill(hub, 1)
    peer = await connect()
    await peer.open()
    await peer.receiver(settle=0)
    peer.credit(0, 1)
    await peer.expect(TRANSFER)
    peer.send(DISPOSITION, [True, UInt(0), UInt(0), False, Described(ULong(0x24), [])])
    outcome = await peer.expect(DISPOSITION)
    assert (outcome[0], outcome[1], outcome[3]) == (False, 0, True)


async def test_a_slow_reader_is_waited_for_and_others_are_served(connect: Connect, hub: Hub) -> None:
    fill(hub, 60, size=100_000)
    slow, quick = await connect(), await connect()
    for peer in (slow, quick):
        await peer.open(window=100_000)
        await peer.receiver()
    slow.credit(0, 100_000, window=100_000)
    quick.credit(0, 100_000, window=100_000)
    last = 0
    while last < 59:
        last = (await quick.expect(TRANSFER))[1]
    while last >= 0:
        last -= (await slow.expect(TRANSFER))[5] is False


@pytest.mark.parametrize(
    ("fields", "condition"),
    [
        (
            {"filters": {Symbol("apache.org:selector-filter:string"): "amqp.annotation.x-opt-colour = 'red'"}},
            "amqp:invalid-field",
        ),
        ({"filters": {Symbol("apache.org:selector-filter:string"): 7}}, "amqp:invalid-field"),
        (
            {"filters": {Symbol("apache.org:selector-filter:string"): "amqp.annotation.x-opt-offset > 'x'"}},
            "amqp:invalid-field",
        ),
        (
            {"filters": {Symbol("apache.org:selector-filter:string"): "amqp.annotation.x-opt-sequence-number > '9'"}},
            "com.microsoft:argument-error",
        ),
        ({"properties": {Symbol("com.microsoft:epoch"): "one"}}, "amqp:invalid-field"),
    ],
)
async def test_a_receiver_that_asks_for_nonsense_is_refused(
    connect: Connect, fields: dict[str, Any], condition: str
) -> None:
    peer = await connect()
    await peer.open()
    attached = await peer.receiver(**fields)
    assert attached[5:7] == [None, None]
    assert (await peer.refused())[0] == condition


@pytest.mark.parametrize(
    ("role", "address", "condition"),
    [
        (False, "nowhere", "amqp:not-found"),
        (False, "tdr/Partitions/4", "amqp:not-found"),
        (False, "tdr/Partitions/x", "amqp:not-found"),
        (False, "tdr/Publishers/device-1", "amqp:not-implemented"),
        (True, "tdr", "amqp:not-found"),
        (True, "tdr/ConsumerGroups/nobody/Partitions/0", "amqp:not-found"),
        (True, "tdr/ConsumerGroups/$Default/Partitions/99999999999999999999", "amqp:not-found"),
    ],
)
async def test_an_address_that_leads_nowhere_is_refused(
    connect: Connect, role: bool, address: str, condition: str
) -> None:
    peer = await connect()
    await peer.open()
    peer.attach(3, role, address)
    assert (await peer.refused())[0] == condition
    peer.send(DETACH, [UInt(3), True])
    await peer.sender(handle=3)


async def test_a_removed_consumer_group_detaches_its_receivers(connect: Connect, hub: Hub) -> None:
    peer = await connect()
    await peer.open()
    peer.attach(0, True, "tdr/ConsumerGroups/people/Partitions/0")
    await peer.expect(ATTACH)
    hub.remove_consumer_group("people")
    assert (await peer.refused())[0] == "amqp:resource-deleted"


class Asker:
    """A request and response pair with a node."""

    def __init__(self, peer: Peer, node: str) -> None:
        self.peer, self.node, self.asked = peer, node, 0

    async def attach(self) -> Asker:
        self.peer.attach(10, True, self.node)
        await self.peer.expect(ATTACH)
        self.peer.credit(10, 100)
        self.peer.attach(11, False, self.node)
        await self.peer.expect(FLOW)
        return self

    async def ask(self, properties: dict[str, Any], value: Any = None) -> dict[str, Any]:
        message = (
            b"\x00\x53\x73"
            + encode([ULong(self.asked)])
            + b"\x00\x53\x74"
            + encode(properties)
            + b"\x00\x53\x77"
            + encode(value)
        )
        self.peer.transfer(11, self.asked, message)
        self.asked += 1
        _, payload = await self.peer.find(TRANSFER)
        sections = {one.code: decode(payload, one.start)[0] for one in split(payload)}
        assert sections[0x73][5] == self.asked - 1
        return {**sections[0x74], "value": sections[0x77]}


async def test_management_refuses_by_name_what_it_does_not_do(connect: Connect) -> None:
    peer = await connect()
    await peer.open()
    node = await Asker(peer, "$management").attach()
    answer = await node.ask({"operation": "CREATE", "type": "com.microsoft:consumergroup", "name": "tdr"})
    assert (answer["status-code"], answer["error-condition"]) == (501, "amqp:not-implemented")
    assert "CREATE" in answer["status-description"]
    assert (await node.ask({"operation": "READ", "type": "com.microsoft:eventhub", "name": "no"}))["status-code"] == 404
    answer = await node.ask({"operation": "READ", "type": "com.microsoft:partition", "name": "tdr", "partition": "7"})
    assert answer["status-code"] == 404
    answer = await node.ask({"operation": "READ", "type": "com.microsoft:partition", "name": "TDR", "partition": "3"})
    assert (answer["status-code"], answer["value"]["name"], answer["value"]["partition"]) == (200, "tdr", "3")


async def anonymous(peer: Peer) -> Asker:
    """A connection that has shown nothing yet, with a link to $cbs."""
    await peer.header(SASL)
    await peer.frame()
    peer.send(0x41, [Symbol("ANONYMOUS"), b"", None], kind=1)
    assert (await peer.frame())[1][0] == 0
    await peer.header(AMQP)
    peer.send(OPEN, ["peer", None, UInt(65536)])
    peer.send(BEGIN, [None, UInt(0), UInt(1000), UInt(1000)])
    await peer.expect(BEGIN)
    return await Asker(peer, "$cbs").attach()


async def put(node: Asker, token: Any, audience: str = "sb://host/tdr", kind: str = "jwt") -> tuple[int, str]:
    answer = await node.ask({"operation": "put-token", "type": kind, "name": audience}, token)
    assert "error-condition" not in answer
    return answer["status-code"], answer["status-description"]


async def test_nothing_is_allowed_without_a_token_and_only_what_the_token_covers(connect: Connect) -> None:
    peer = await connect()
    node = await anonymous(peer)
    peer.attach(0, False, "tdr")
    condition, text = await peer.refused()
    assert (condition, "'Send' claim(s) are required" in text) == ("amqp:unauthorized-access", True)
    assert (await put(node, "good", "sb://host/tdr/ConsumerGroups/people")) == (202, "Accepted")
    peer.attach(1, False, "tdr")
    assert (await peer.refused())[0] == "amqp:unauthorized-access"
    peer.attach(2, True, "tdr/consumergroups/PEOPLE/partitions/0")
    assert (await peer.expect(ATTACH))[5] is not None


@pytest.mark.parametrize(
    ("token", "kind", "audience", "status", "text"),
    [
        ("bad", "jwt", "sb://host/tdr", 401, "InvalidToken"),
        ("revoked", "jwt", "sb://host/tdr", 401, "ExpiredToken: The token is expired."),
        ("good", "jwt", "sb://host/none", 404, "The messaging entity 'sb://namespace/none' could not be found"),
        ("good", "saml", "sb://host/tdr", 400, "InvalidTokenType"),
        (7, "jwt", "sb://host/tdr", 400, "needs a type, a name and a token"),
        ("SharedAccessSignature sr=x", "servicebus.windows.net:sastoken", "sb://host/tdr", 401, "MalformedToken"),
        (
            "SharedAccessSignature sr=sb%3a%2f%2fhost%2ftdr&sig=a&se=1&skn=R",
            "servicebus.windows.net:sastoken",
            "sb://host/tdr",
            401,
            "InvalidSignature",
        ),
    ],
)
async def test_a_token_is_refused_with_its_reason(
    connect: Connect, token: Any, kind: str, audience: str, status: int, text: str
) -> None:
    node = await anonymous(await connect())
    found = await put(node, token, audience, kind)
    assert found[0] == status
    assert text in found[1]


async def test_a_token_that_is_taken_back_detaches_its_links(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "_RECHECK_SECONDS", 0.0)
    good = {"good"}
    namespace = AmqpNamespace({"tdr": hub}, lambda token, _: token in good, clock=Clock())
    peer = Peer(*await asyncio.open_connection("127.0.0.1", await namespace.start(("127.0.0.1", 0))))
    node = await anonymous(peer)
    assert (await put(node, "good"))[0] == 202
    await peer.sender()
    good.clear()
    assert (await peer.refused())[0] == "amqp:unauthorized-access"
    peer.writer.close()
    await namespace.close()


@pytest.mark.parametrize(
    ("raw", "condition"),
    [
        (b"\x00\x00\x00\x04\x02\x00\x00\x00", "amqp:connection:framing-error"),
        (b"\x7f\xff\xff\xff\x02\x00\x00\x00", "amqp:connection:framing-error"),
        (b"\x00\x00\x00\x09\x01\x00\x00\x00\x40", "amqp:connection:framing-error"),
        (b"\x00\x00\x00\x09\x09\x00\x00\x00\x40", "amqp:connection:framing-error"),
        (b"\x00\x00\x00\x09\x02\x01\x00\x00\x40", "amqp:connection:framing-error"),
        (b"\x00\x00\x00\x09\x02\x00\x00\x00\x40", "amqp:decode-error"),
        (b"\x00\x00\x00\x0c\x02\x00\x00\x00\x00\x53\x99\x45", "amqp:decode-error"),
        (b"\x00\x00\x00\x0c\x02\x00\x00\x00\x00\x53\x12\x45", "amqp:decode-error"),
        (b"\x00\x00\x00\x0c\x02\x00\x00\x07\x00\x53\x17\x45", "amqp:not-allowed"),
        (b"\x00\x00\x00\x11\x02\x00\x00\x07\x00\x53\x13\xc0\x05\x04\x43\x43\x43\x43"[:-1], "amqp:decode-error"),
    ],
)
async def test_a_frame_that_is_wrong_closes_that_connection_only(connect: Connect, raw: bytes, condition: str) -> None:
    bad, good = await connect(), await connect()
    await good.open()
    await bad.open()
    bad.writer.write(raw)
    assert await bad.closed_with() == condition
    await good.sender()


async def test_a_handle_that_is_not_attached_ends_the_session(connect: Connect) -> None:
    peer = await connect()
    await peer.open()
    peer.transfer(5, 0, body(1))
    assert (await peer.expect(END))[0].value[0] == "amqp:session:unattached-handle"
    peer.transfer(5, 1, body(1))
    peer.send(END, [None])
    peer.send(BEGIN, [None, UInt(0), UInt(1000), UInt(1000)])
    await peer.expect(BEGIN)
    await peer.sender()


async def test_a_handle_in_use_ends_the_session_and_one_too_high_the_connection(connect: Connect) -> None:
    peer = await connect()
    await peer.open()
    await peer.sender()
    peer.attach(0, False, "tdr")
    assert (await peer.expect(END))[0].value[0] == "amqp:session:handle-in-use"
    peer.send(END, [None])
    peer.send(BEGIN, [None, UInt(0), UInt(1000), UInt(1000)])
    peer.attach(256, False, "tdr")
    assert await peer.closed_with() == "amqp:connection:framing-error"


async def test_a_frame_size_below_the_minimum_is_refused(connect: Connect) -> None:
    peer = await connect()
    await peer.login()
    await peer.header(AMQP)
    peer.send(OPEN, ["peer", None, UInt(100)])
    assert await peer.closed_with() == "amqp:invalid-field"


async def test_a_peer_is_kept_awake_and_a_dead_one_is_let_go(hub: Hub) -> None:
    namespace = await make(hub, idle_seconds=0.5)
    peer = Peer(*await asyncio.open_connection("127.0.0.1", namespace.port))
    await peer.open(idle=1000)
    assert await asyncio.wait_for(peer.reader.readexactly(8), 5) == b"\0\0\0\x08\x02\0\0\0"
    assert await peer.closed_with() == "amqp:connection:forced"
    peer.writer.close()
    await namespace.close()


async def test_a_peer_that_never_opens_is_dropped(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "HANDSHAKE_SECONDS", 0.1)
    namespace = await make(hub)
    reader, writer = await asyncio.open_connection("127.0.0.1", namespace.port)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    await namespace.close()


async def test_closing_says_goodbye_to_everyone_and_counts_them(connect: Connect, namespace: AmqpNamespace) -> None:
    peer = await connect()
    await peer.open()
    assert namespace.active_connections == 1
    closing = asyncio.create_task(namespace.close())
    assert await peer.closed_with() == "amqp:connection:forced"
    peer.send(CLOSE, [None])
    await closing
    assert namespace.active_connections == 0
    assert namespace.counters.totals() == {"ConnectionsOpened": 1, "ConnectionsClosed": 1}


async def test_a_fault_of_ours_closes_that_connection_only(
    connect: Connect, namespace: AmqpNamespace, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer, other = await connect(), await connect()
    await peer.open()
    await other.open()
    await peer.sender()
    monkeypatch.setattr(Hub, "append", lambda *_: 1 / 0)
    peer.transfer(0, 0, body(1))
    assert await peer.closed_with() == "amqp:internal-error"
    await other.sender()
    assert namespace.counters.totals()["ServerErrors"] == 1


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_a_stranger_sends_the_namespace_serves_the_next(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    hub = Hub(tmp_path_factory.mktemp("hub"), "tdr", 1, Clock(), throughput_units=1000)
    hub.append([OutgoingEvent.of(b"x")], 0)

    async def run() -> None:
        namespace = await make(hub)
        stranger = Peer(*await asyncio.open_connection("127.0.0.1", namespace.port))
        if data.draw(st.booleans(), label="greets"):
            await stranger.open()
            for _ in range(data.draw(st.integers(1, 4), label="frames")):
                code = data.draw(st.integers(0x10, 0x18), label="performative")
                values = data.draw(st.lists(_fields, max_size=14), label="fields")
                stranger.send(
                    code,
                    values,
                    data.draw(st.binary(max_size=30), label="payload"),
                    data.draw(st.integers(0, 1), label="channel"),
                )
        stranger.writer.write(data.draw(st.binary(max_size=60), label="noise"))
        await stranger.writer.drain()
        friend = Peer(*await asyncio.open_connection("127.0.0.1", namespace.port))
        await friend.open()
        await friend.receiver()
        friend.credit(0, 1)
        await friend.expect(TRANSFER)
        assert namespace.counters.totals().get("ServerErrors", 0) == 0
        stranger.writer.close()
        friend.send(CLOSE, [None])
        friend.writer.close()
        await namespace.close()

    asyncio.run(run())
    hub.close()


_fields = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(0, 4).map(UInt),
    st.integers(0, 2**32 - 1).map(UInt),
    st.integers(0, 255).map(UByte),
    st.text(max_size=5),
    st.sampled_from(["tdr", "$cbs", "$management"]),
    st.builds(
        lambda code, address: Described(ULong(code), [address]),
        st.sampled_from([0x28, 0x29]),
        st.sampled_from(["tdr", "$cbs", None]),
    ),
    st.lists(st.none(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
)
