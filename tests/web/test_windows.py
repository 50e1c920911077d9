"""One window: keys in, drawing out, and an end that is told, whatever the app's process does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import aiohttp
import pytest

from lpmops.web import server
from tests.web.conftest import DEADLINE, LOOPBACK, Serve


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition outside of this process."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_keys_go_in_and_drawing_comes_out(serve: Serve) -> None:
    async with serve() as served, served.open() as window:
        drawn = json.loads(await window.drawn("pid"))
        assert (drawn["COLUMNS"], drawn["ROWS"]) == ("100", "30")
        await window.socket.send_json(["stdin", "x→\x1b[A"])
        assert await window.drawn("typed") == "typed x→\x1b[A"
        await window.socket.send_json(["resize", {"width": 120, "height": 40}])
        assert json.loads((await window.drawn("resize")).removeprefix("told "))["width"] == 120


@pytest.mark.parametrize(("read_only", "told"), [(True, "1"), (False, None)])
async def test_the_app_is_told_whether_it_may_change_anything_and_never_the_token(
    serve: Serve, read_only: bool, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LPMOPS_READ_ONLY", "0" if read_only else "1")
    async with serve(serving=replace(LOOPBACK, read_only=read_only)) as served, served.open() as window:
        drawn = json.loads(await window.drawn("pid"))
        assert (drawn["LPMOPS_READ_ONLY"], drawn["HUSHED"]) == (told, None)


@pytest.mark.parametrize(
    "nonsense",
    [
        "", "{", "[]", "null", "7", '["stdin"]', '["stdin", 7]', '["resize", {"width": "a"}]', '["resize", {"width": 1e999, "height": 1}]',
        '["resize", null]', '["exec", "rm"]', "[" * 5_000, '["stdin", "\\ud800"]', '["ping", {}]', '{"stdin": "x"}',
    ],
)  # fmt: skip
async def test_what_is_no_message_of_the_page_is_passed_over(serve: Serve, nonsense: str) -> None:
    async with serve() as served, served.open() as window:
        await window.socket.send_str(nonsense)
        await window.socket.send_bytes(b"\x00\xff")
        await window.socket.send_json(["stdin", "still here"])
        await window.drawn("typed still here")


@pytest.mark.parametrize("size", ["width=0&height=-5", "width=99999999999&height=1e9", "width=&height=x", ""])
async def test_a_size_that_no_screen_has_becomes_one_that_a_screen_has(serve: Serve, size: str) -> None:
    async with serve() as served, served.browser.ws_connect(f"{served.url}/ws?{size}", origin=served.url) as socket:
        drawn = json.loads((await socket.receive(DEADLINE)).data)
        assert 1 <= int(drawn["COLUMNS"]) <= 1000
        assert 1 <= int(drawn["ROWS"]) <= 1000


async def test_a_message_too_large_ends_the_window_and_its_process(serve: Serve) -> None:
    async with serve() as served:
        async with served.open() as window:
            pid = json.loads(await window.drawn("pid"))["pid"]
            await window.socket.send_str("x" * 2_000_000)
            assert (await window.closed())[0] == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
        await until(lambda: not is_running(pid))


async def test_a_window_too_many_is_told_so_and_gets_in_once_there_is_room(serve: Serve) -> None:
    async with serve() as served, AsyncExitStack() as stack:
        first = await stack.enter_async_context(served.open())
        second = await stack.enter_async_context(served.open())
        await first.drawn("pid")
        await second.drawn("pid")
        async with served.open() as third:
            code, words = await third.closed()
        assert code == server.FULL
        assert "open in 2 windows" in words
        assert (await served.ask("/alive"))[0] == 503
        await first.socket.close()
        await served.reported("closed")
        assert (await served.ask("/alive"))[0] == 204
        async with served.open() as fourth:
            await fourth.drawn("pid")


async def test_a_window_that_is_closed_takes_its_process_with_it(serve: Serve) -> None:
    async with serve() as served:
        async with served.open() as window:
            pid = json.loads(await window.drawn("pid"))["pid"]
        await until(lambda: not is_running(pid))
        assert str(pid) in await served.reported("closed")


async def test_an_app_that_is_left_ends_the_window_as_left(serve: Serve) -> None:
    async with serve() as served, served.open() as window:
        await window.socket.send_json(["stdin", "q"])
        assert (await window.closed())[0] == server.LEFT


async def test_an_app_that_stops_in_the_middle_says_its_last_words(serve: Serve) -> None:
    async with serve("die") as served, served.open() as window:
        await window.socket.send_json(["stdin", "x"])
        code, words = await window.closed()
        assert code == server.DIED
        assert "the terminal burned down" in words


async def test_an_app_that_cannot_open_says_why_in_plain_text(serve: Serve) -> None:
    async with serve("refuse") as served, served.open() as window:
        code, words = await window.closed()
        assert code == server.NEVER_OPENED
        assert words == "lpmops could not open. error: No configuration found.   Make one with: lpmops init␛[2J"
        assert "No configuration found" in await served.reported("configuration")


async def test_an_app_that_is_killed_ends_the_window_as_died(serve: Serve) -> None:
    async with serve() as served, served.open() as window:
        os.kill(json.loads(await window.drawn("pid"))["pid"], signal.SIGKILL)
        assert (await window.closed())[0] == server.DIED


async def test_an_app_that_writes_what_is_no_packet_ends_the_window(serve: Serve) -> None:
    async with serve("garbage") as served, served.open() as window:
        assert (await window.closed())[0] == server.DIED


async def test_a_server_that_ends_sends_its_windows_away_and_ends_processes_that_hang(serve: Serve) -> None:
    async with serve("hang") as served:
        window = await served.browser.ws_connect(f"{served.url}/ws", origin=served.url)
        pid = json.loads((await window.receive(DEADLINE)).data)["pid"]
        other = asyncio.create_task(window.receive(DEADLINE))
    assert (await other).data == aiohttp.WSCloseCode.GOING_AWAY
    assert not is_running(pid)


async def test_a_program_that_is_not_there_is_told(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    async with serve() as served, served.open() as window:
        code, words = await window.closed()
        assert code == server.NEVER_OPENED
        assert "could not be started" in words


async def test_a_file_that_is_saved_goes_to_the_browser_and_is_no_page_of_ours(serve: Serve) -> None:
    async with serve() as served, served.open() as window:
        await window.socket.send_json(["stdin", "s"])
        async with asyncio.timeout(DEADLINE):
            while (said := await window.socket.receive()).type is not aiohttp.WSMsgType.TEXT:
                pass
        assert said.json() == ["deliver_file_start", "k1"]
        async with served.browser.get(f"{served.url}/download/k1") as answer:
            assert await answer.text() == "<script>alert(1)</script>"
            assert answer.headers["Content-Disposition"] == "attachment; filename=table.html"
            assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert (await served.ask("/download/k1"))[0] == 404
