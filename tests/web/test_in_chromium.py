"""The app in a real browser: it opens, takes keys, and comes back by itself after whatever cut it off."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.web import chromium
from tests.web.chromium import Page
from tests.web.conftest import Pair
from tests.web.serving import prepare, serving

pytestmark = pytest.mark.skipif(
    chromium.PROGRAM is None,
    reason="chromium is not installed: apt-get install chromium, or look at the other tests of lpmops/web",
)

_TEN_TIMES_AS_FAST = """
  const [now, every] = [Date.now.bind(Date), window.setInterval.bind(window)];
  const start = now();
  Date.now = () => start + (now() - start) * 10;
  window.setInterval = (act, pause) => every(act, pause / 10);
"""
_OVERVIEW = ("dev", "test", "PROD")


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    return prepare(tmp_path)


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with chromium.opened(tmp_path / "profile") as opened:
        yield opened


async def test_it_shows_the_environments_takes_keys_and_asks_nobody_else(machine: dict[str, str], page: Page) -> None:
    async with serving(machine) as server:
        await page.go(server.url)
        await page.shows(*_OVERVIEW)
        await page.press("3")
        await page.until("shown().includes('PROD') && !shown().includes('dev') && shown().includes('company')")
        await page.press("0")
        await page.shows(*_OVERVIEW)
        await page.press("?")
<<<<<<< HEAD
        await page.shows("on this screen")
=======
        await page.shows("everywhere")
>>>>>>> serve
        assert {urlsplit(url).netloc for url in page.requested if not url.startswith("data:")} == {
            urlsplit(server.url).netloc
        }


async def test_it_comes_back_after_its_process_was_killed(machine: dict[str, str], page: Page) -> None:
    async with serving(machine) as server:
        await page.go(server.url)
        await page.shows(*_OVERVIEW)
        os.kill(await server.windows(1), signal.SIGKILL)
        await server.windows(2)
        await page.shows(*_OVERVIEW)
        await page.press("?")
<<<<<<< HEAD
        await page.shows("on this screen")
=======
        await page.shows("everywhere")
>>>>>>> serve


async def test_it_comes_back_after_its_websocket_was_dropped_and_says_so_meanwhile(
    machine: dict[str, str], page: Page
) -> None:
    async with serving(machine) as server:
        await page.go(server.url)
        await page.shows(*_OVERVIEW)
        await page.run("window.fetch = () => Promise.reject(); kept.socket.close()")
        await page.until("document.querySelector('#notice').innerText.includes('The connection to lpmops was lost')")
        await page.click("#again")
        await server.windows(2)
        await page.shows(*_OVERVIEW)


async def test_it_comes_back_after_the_server_was_started_anew(machine: dict[str, str], page: Page) -> None:
    async with serving(machine) as server:
        await page.go(server.url)
        await page.shows(*_OVERVIEW)
        port = server.url.rpartition(":")[2]
    await page.until("document.querySelector('#notice').innerText.includes('lost')")
    async with serving(machine, "--port", port) as server:
        await server.windows(1)
        await page.shows(*_OVERVIEW)


async def test_a_server_that_answers_no_more_is_not_mistaken_for_a_calm_one(
    machine: dict[str, str], page: Page
) -> None:
    await page.call("Page.addScriptToEvaluateOnNewDocument", source=_TEN_TIMES_AS_FAST)
    async with serving(machine) as server:
        await page.go(server.url)
        await page.shows(*_OVERVIEW)
        server.process.send_signal(signal.SIGSTOP)
        try:
            await page.until(
                "document.querySelector('#notice').innerText.includes('The connection to lpmops was lost')"
            )
        finally:
            server.process.send_signal(signal.SIGCONT)
        await server.windows(2)
        await page.shows(*_OVERVIEW)


async def test_an_app_that_was_left_stays_closed_until_it_is_asked_for(machine: dict[str, str], page: Page) -> None:
    async with serving(machine) as server:
        await page.go(server.url)
        await page.shows(*_OVERVIEW)
        await page.press("q")
        await page.until("document.querySelector('#notice').innerText.includes('lpmops has ended in this window')")
        assert len(server.opened) == 1
        await page.click("#again")
        await server.windows(2)
        await page.shows(*_OVERVIEW)


async def test_a_window_too_many_opens_once_there_is_room(machine: dict[str, str], page: Page) -> None:
    async with serving(machine, "--visitors", "1") as server, aiohttp.ClientSession() as other:
        async with other.ws_connect(f"{server.url}/ws", origin=server.url):
            await server.windows(1)
            await page.go(server.url)
            await page.until("document.querySelector('#notice').innerText.includes('open in 1 window')")
        await server.windows(2)
        await page.shows(*_OVERVIEW)


async def test_over_tls_it_asks_for_the_token_and_then_opens(
    machine: dict[str, str], page: Page, tmp_path: Path, certified: Pair
) -> None:
    tls = ["--certificate", str(certified.certificate), "--key", str(certified.key)]
    async with serving(machine, "--allow-actions", *tls) as server:
        await page.go(server.url)
        for token, said in (("wrong", "That is not the token."), ((tmp_path / "state/serve-token").read_text(), None)):
            await page.until("document.activeElement.id === 'token'")
            await page.call("Input.insertText", text=token.strip())
            await page.click("button")
            if said:
                await page.until(f"document.body.innerText.includes({said!r})")
        await page.shows(*_OVERVIEW)
        assert await page.run("document.cookie") == ""
