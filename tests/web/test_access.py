"""Who is let in, asked over real HTTP on loopback."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import aiohttp
import pytest

from lpmops.web import certificate
from tests.web.conftest import LOOPBACK, TOKEN, WITH_TOKEN, Pair, Serve

_EVERY_ROUTE = ["/", "/alive", "/ws", "/download/abc", "/static/js/textual.js", "/page/page.js", "/nowhere"]


@pytest.mark.parametrize("path", _EVERY_ROUTE)
async def test_without_the_token_every_route_is_closed(serve: Serve, path: str) -> None:
    async with serve(serving=WITH_TOKEN) as served:
        status, text = await served.ask(path, headers={"Origin": served.url})
        assert status == 401
        assert ("password" in text) == (path == "/")


async def test_the_token_opens_the_app_and_the_browser_keeps_no_token(serve: Serve) -> None:
    async with serve(serving=WITH_TOKEN) as served:
        assert await served.sign_in() == 303
        (cookie,) = list(served.browser.cookie_jar)
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
        assert TOKEN not in cookie.OutputString()
        assert (await served.ask("/alive"))[0] == 204
        assert "terminal" in (await served.ask("/"))[1]
        async with served.open() as window:
            assert '"COLUMNS": "100"' in await window.drawn("COLUMNS")


@pytest.mark.parametrize("wrong", ["", "x", TOKEN[:-1], TOKEN + "x", "tokén \ud800", "x" * 10_000])
async def test_a_wrong_token_opens_nothing_and_is_told(serve: Serve, wrong: str) -> None:
    async with serve(serving=WITH_TOKEN) as served:
        form = f"token={quote(wrong.encode('utf-8', 'surrogatepass'))}"
        headers = {"Origin": served.url, "Content-Type": "application/x-www-form-urlencoded"}
        status, text = await served.ask("/sign-in", "POST", data=form, headers=headers)
        assert (status, "That is not the token." in text) == (401, True)
        assert not list(served.browser.cookie_jar)
        assert "wrong token" in await served.reported("token")


async def test_a_form_that_is_too_large_or_none_opens_nothing(serve: Serve) -> None:
    async with serve(serving=WITH_TOKEN) as served:
        own = {"Origin": served.url}
        assert (await served.ask("/sign-in", "POST", data={"token": "x" * 100_000}, headers=own))[0] == 413
        assert (await served.ask("/sign-in", "POST", data=b"\x00\xff", headers=own))[0] == 401
        assert (await served.ask("/sign-in", "POST", headers=own))[0] == 401


@pytest.mark.parametrize(
    "forged", ["", ".", "99999999999.", "99999999999.00ff", "x.y", "-1.x", "٣.x", "9" * 5000 + ".a", "99999999999.é"]
)
async def test_a_forged_cookie_opens_nothing(serve: Serve, forged: str) -> None:
    async with serve(serving=WITH_TOKEN) as served:
        name = f"lpmops-{served.url.rpartition(':')[2]}"
        assert (await served.ask("/alive", headers={"Cookie": f"{name}={forged}"}))[0] in (400, 401)


async def test_a_cookie_ends_with_its_day_and_with_its_token(serve: Serve) -> None:
    from aiohttp.test_utils import make_mocked_request
    from aiohttp.web import Response

    from lpmops.web.access import SIGNED_IN_FOR, Access

    def opens(access: Access, cookie: str) -> bool:
        request = make_mocked_request("GET", "/alive", headers={"Cookie": f"lpmops-0={cookie}"})
        return access.is_signed_in(request)

    now = 1_800_000_000.0
    first = Access(WITH_TOKEN, print, lambda: now)
    response = Response()
    first.sign_in(response)
    cookie = response.cookies["lpmops-0"].value
    later = Access(WITH_TOKEN, print, lambda: now + SIGNED_IN_FOR)
    assert WITH_TOKEN.token is not None
    renewed = Access(
        replace(WITH_TOKEN, token=replace(WITH_TOKEN.token, secret="another-token-0123456789")), print, lambda: now
    )
    assert [opens(access, cookie) for access in (first, later, renewed)] == [True, False, False]


@pytest.mark.parametrize("path", _EVERY_ROUTE)
@pytest.mark.parametrize(
    "host",
    ["rebound.example.com", "rebound.example.com:27480", "localhost.example.com", "192.0.2.1", "", "[", "localhost:x"],
)
async def test_a_name_that_is_not_the_servers_own_is_refused_everywhere(serve: Serve, path: str, host: str) -> None:
    async with serve() as served:
        status, _ = await served.ask(path, headers={"Host": host, "Origin": f"http://{host}"})
        assert status in (400, 421)


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:9000", "127.0.0.2", "[::1]:9000"])
async def test_loopback_is_the_servers_own_under_any_port_as_through_a_tunnel(serve: Serve, host: str) -> None:
    async with serve() as served:
        assert (await served.ask("/", headers={"Host": host}))[0] == 200
        async with served.open(headers={"Host": host}, origin=f"http://{host}") as window:
            await window.drawn("COLUMNS")


@pytest.mark.parametrize(
    "origin", ["https://evil.example.com", "http://localhost:3000", "http://127.0.0.1", "null", "file://", None]
)
async def test_a_page_of_another_site_gets_no_window_also_when_the_browser_is_signed_in(
    serve: Serve, origin: str | None
) -> None:
    async with serve(serving=WITH_TOKEN) as served:
        await served.sign_in()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with served.open(origin=origin):
                pass
        assert refused.value.status == 403
        assert "another site" in await served.reported("site")


async def test_a_page_of_another_site_can_neither_sign_in_nor_use_parts(serve: Serve) -> None:
    async with serve(serving=WITH_TOKEN) as served:
        foreign = {"Origin": "https://evil.example.com"}
        assert (await served.ask("/sign-in", "POST", data={"token": TOKEN}, headers=foreign))[0] == 403
        assert (await served.ask("/sign-in", "POST", data={"token": TOKEN}))[0] == 403
        await served.sign_in()
        cross_site = {"Sec-Fetch-Site": "cross-site"}
        assert (await served.ask("/page/page.js", headers=cross_site))[0] == 403
        assert (await served.ask("/", headers=cross_site))[0] == 200


async def test_no_answer_may_be_framed_sniffed_or_load_from_elsewhere(serve: Serve) -> None:
    async with serve(serving=WITH_TOKEN) as served:
        for path in _EVERY_ROUTE:
            async with served.browser.get(f"{served.url}{path}", headers={"Origin": served.url}) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["X-Frame-Options"] == "DENY"
                assert "Python" not in answer.headers["Server"]


async def test_no_folder_is_listed_and_none_is_left(serve: Serve) -> None:
    async with serve() as served:
        for path in (
            "/static/",
            "/static",
            "/page/",
            "/page/..%2fserver.py",
            "/static/..%2f..%2fserver.py",
            "/page/%2e%2e/server.py",
        ):
            assert (await served.ask(path))[0] in (403, 404), path


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("ops.example.com", True),
        ("ops.example.com:27480", True),
        ("db.lab.example.com", True),
        ("a.b.lab.example.com", False),
        ("lab.example.com", False),
        ("example.com", False),
    ],
)
async def test_with_a_certificate_its_names_are_the_servers_own(
    serve: Serve, certified: Pair, host: str, own: bool
) -> None:
    tls = certificate.read(certified.certificate, certified.key)
    async with serve(serving=replace(LOOPBACK, certificate=tls)) as served:
        assert served.url.startswith("https://")
        assert (await served.ask("/", headers={"Host": host}))[0] == (200 if own else 421)


async def test_over_tls_the_cookie_never_leaves_tls(serve: Serve, certified: Pair) -> None:
    tls = certificate.read(certified.certificate, certified.key)
    async with serve(serving=replace(WITH_TOKEN, certificate=tls)) as served:
        assert await served.sign_in() == 303
        (cookie,) = list(served.browser.cookie_jar)
        assert cookie["secure"]
        assert cookie.key.startswith("__Host-")
        async with served.open() as window:
            await window.drawn("COLUMNS")
