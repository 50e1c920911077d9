"""A headless Chromium, driven over its DevTools protocol: opens a page, types, and reads what the page's terminal shows.

The terminal draws on a canvas, so its text is read from xterm.js itself: the page's script assigns a property of a known name on the one object that
holds the terminal, and a setter of that name, put there before the page loads, keeps the object.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp

PROGRAM = shutil.which("chromium")
_DEADLINE = 40.0
_KEEP_TERMINAL = """
Object.defineProperty(Object.prototype, "weblinksAddon", {configurable: true, set(addon) {
  window.kept = this;
  Object.defineProperty(this, "weblinksAddon", {value: addon, writable: true, configurable: true, enumerable: true});
}});
window.shown = () => {
  const buffer = window.kept?.terminal.buffer.active;
  return buffer ? Array.from({length: buffer.length}, (_, row) => buffer.getLine(row).translateToString(true)).join("\\n") : "";
};
"""
_WAIT = """
new Promise((done) => {
  const find = () => { try { return %s; } catch { return false; } };  // What is looked for may not be there yet.
  const look = () => { const found = find(); found ? done(found) : setTimeout(look, 30); };
  look();
})
"""


class Refused(Exception):
    """The browser could not do what it was asked, such as waiting in a page that has been left."""


class Page:
    """One tab. Its size is 1,280 by 800 pixels."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._session: str | None = None
        self.requested: list[str] = []

    async def listen(self) -> None:
        """Take in what the browser says until it ends."""
        async for message in self._socket:
            said = message.json()
            if said.get("method") == "Network.requestWillBeSent":
                self.requested.append(said["params"]["request"]["url"])
            waiting = self._waiting.pop(said.get("id", 0), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(said)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One DevTools call. Raises Refused with the browser's words."""
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        session = {"sessionId": self._session} if self._session else {}
        await self._socket.send_json({"id": number, "method": method, "params": parameters, **session})
        said = await self._waiting[number]
        if "error" in said:
            raise Refused(said["error"]["message"])
        result: dict[str, Any] = said["result"]
        return result

    async def attach(self) -> Self:
        """Open the tab."""
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            await self.call(f"{domain}.enable")
        await self.call("Page.addScriptToEvaluateOnNewDocument", source=_KEEP_TERMINAL)
        return self

    async def go(self, url: str) -> None:
        """Open that address."""
        await self.call("Page.navigate", url=url)

    async def run(self, script: str) -> Any:
        """The value of a script, once its promise is kept. Raises Refused."""
        found = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise Refused(str(found["exceptionDetails"].get("exception", {}).get("description", found)))
        return found["result"].get("value")

    async def until(self, condition: str) -> Any:
        """Wait until a script's value is true, also over a reload of the page; gives the value. Fails with what is shown instead."""
        try:
            async with asyncio.timeout(_DEADLINE):
                while True:
                    try:
                        return await self.run(_WAIT % condition)
                    except Refused as refused:
                        if "context" not in str(refused) and "navigated" not in str(refused):
                            raise
        except TimeoutError:
            shown = await self.run("document.body.innerText + '\\n' + shown()")
            raise AssertionError(f"{condition} never held; shown is:\n{shown}") from None

    async def shows(self, *words: str) -> str:
        """Wait until the terminal shows all the words; gives its text."""
        text: str = await self.until(" && ".join([*(f"shown().includes({word!r})" for word in words), "shown()"]))
        return text

    async def press(self, key: str) -> None:
        """Press a key of the keyboard, such as `?` or `3`."""
        await self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def click(self, selector: str) -> None:
        """Click the middle of an element."""
        x, y = await self.until(
            f"(() => {{ const box = document.querySelector({selector!r})?.getBoundingClientRect();"
            " return box && box.width && [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def picture(self, path: Path) -> None:
        """Save what is seen as PNG."""
        taken = await self.call("Page.captureScreenshot")
        path.write_bytes(base64.b64decode(taken["data"]))


@asynccontextmanager
async def opened(profile: Path, *options: str) -> AsyncIterator[Page]:
    """A browser with one tab, which ends with the block."""
    if PROGRAM is None:
        raise RuntimeError("chromium is not installed")
    browser = await asyncio.create_subprocess_exec(
        PROGRAM, "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--remote-debugging-port=0", f"--user-data-dir={profile}",
        "--no-first-run", "--window-size=1280,800", "--ignore-certificate-errors", *options, "about:blank", stdout=DEVNULL, stderr=PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_DEADLINE):
            address = await _address(browser.stderr)
        draining = asyncio.create_task(_drain(browser.stderr))
        async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
            page = Page(socket)
            listening = asyncio.create_task(page.listen())
            yield await page.attach()
            listening.cancel()
        draining.cancel()
    finally:
        if browser.returncode is None:
            browser.kill()
        await browser.wait()


async def _address(stderr: asyncio.StreamReader | None) -> str:
    assert stderr is not None
    while line := (await stderr.readline()).decode("utf-8", "replace"):
        if "DevTools listening on " in line:
            return line.split("DevTools listening on ")[1].strip()
    raise RuntimeError("chromium ended before it listened")


async def _drain(stderr: asyncio.StreamReader | None) -> None:
    assert stderr is not None
    while await stderr.read(65_536):
        pass
