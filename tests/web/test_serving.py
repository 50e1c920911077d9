"""`lpmops serve` as a person starts it: the same app, and an end that leaves nothing behind."""

from __future__ import annotations

import asyncio
import signal
import stat
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from lpmops import __main__
from lpmops.cli import context
from lpmops.tui.app import LpmopsApp
from tests.web.conftest import Window
from tests.web.serving import DEADLINE, Serving, is_running, prepare, serving


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    return prepare(tmp_path)


@asynccontextmanager
async def window_on(server: Serving) -> AsyncIterator[Window]:
    async with (
        aiohttp.ClientSession() as browser,
        browser.ws_connect(f"{server.url}/ws?width=120&height=40", origin=server.url) as socket,
    ):
        yield Window(socket)


async def gone(pid: int) -> None:
    async with asyncio.timeout(DEADLINE):
        while is_running(pid):
            await asyncio.sleep(0.01)


def argument_list(pid: int, of: str = "cmdline") -> list[str]:
    return Path(f"/proc/{pid}/{of}").read_text().split("\0")


async def test_the_app_opens_read_only_on_the_servers_own_configuration(
    machine: dict[str, str], tmp_path: Path
) -> None:
    async with serving(machine) as server, window_on(server) as window:
        await window.drawn("PROD")
        pid = await server.windows(1)
        assert argument_list(pid)[3:6] == ["--config", str(tmp_path / "lpmops.toml"), "--read-only"]
        assert {"LPMOPS_READ_ONLY=1", f"LPMOPS_STATE_DIR={tmp_path}/state"} <= set(argument_list(pid, "environ"))
        assert server.said == {
            "url": server.url,
            "read_only": True,
            "visitors": 4,
            "config": str(tmp_path / "lpmops.toml"),
            "token": None,
        }


async def test_with_actions_a_token_is_made_kept_and_asked_for(machine: dict[str, str], tmp_path: Path) -> None:
    async with serving(machine, "--allow-actions") as server, aiohttp.ClientSession() as browser:
        path = tmp_path / "state" / "serve-token"
        assert server.said["token"] == f"cat {path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        async with browser.get(server.url) as answer:
            assert answer.status == 401
        assert path.read_text().strip() not in "".join(server.told) + str(server.said)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
async def test_a_signal_ends_the_server_and_every_app(machine: dict[str, str], number: int, code: int) -> None:
    async with serving(machine) as server, window_on(server) as window:
        await window.drawn("PROD")
        pid = await server.windows(1)
        closing = asyncio.create_task(window.closed())
        assert await server.end(number) == code
        assert not is_running(pid)
        assert (await closing)[0] == aiohttp.WSCloseCode.GOING_AWAY
    assert not any("Traceback" in line for line in server.told)


async def test_an_app_does_not_outlive_a_server_that_is_killed(machine: dict[str, str]) -> None:
    async with serving(machine) as server, window_on(server) as window:
        await window.drawn("PROD")
        pid = await server.windows(1)
        await server.end(signal.SIGKILL)
        await gone(pid)


async def test_a_configuration_that_goes_away_is_told_in_the_window(machine: dict[str, str], tmp_path: Path) -> None:
    async with serving(machine) as server:
        (tmp_path / "lpmops.toml").unlink()
        async with window_on(server) as window:
            _, words = await window.closed()
        assert "No configuration found" in words


async def test_what_is_no_http_is_answered_without_a_word_to_the_operator(machine: dict[str, str]) -> None:
    async with serving(machine) as server:
        port = int(server.url.rpartition(":")[2])
        for noise in (b"\x16\x03\x01\x02\x00\x01\xfc", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"\0" * 70_000):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(noise)
            writer.write_eof()
            async with asyncio.timeout(DEADLINE):
                assert b"200 OK" not in await reader.read()
            writer.close()
        async with window_on(server) as window:
            await window.drawn("PROD")
    assert not any("Traceback" in line or "Error" in line for line in server.told)


@pytest.mark.parametrize("read_only", [True, False])
def test_the_app_is_told_what_the_command_line_said(
    read_only: bool, machine: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bool] = []
    monkeypatch.setattr(LpmopsApp, "run", lambda app, **_: opened.append(app.read_only))
    with context.using(context.World(config_path=machine["LPMOPS_CONFIG"], read_only=read_only)) as world:
        __main__.open_app(world.config())
    assert opened == [read_only]


async def test_an_app_that_draws_nothing_ends_too_when_its_server_is_gone() -> None:
    waits = "import threading; from lpmops.web import child; child.end_with_server(); print(flush=True); threading.Event().wait()"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", waits, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdout.readline()
    process.stdin.write(b"a key that is nobody's to take")
    process.stdin.close()
    async with asyncio.timeout(DEADLINE):
        assert await process.wait() == -signal.SIGTERM
