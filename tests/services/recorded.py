"""Recorded real exchanges and official examples, handed to the services without a socket, each judged against the specifications."""

from __future__ import annotations

import importlib.util
import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from lpmops.services.answers import Answer
from lpmops.services.transport import Transport
from tests.azure_specs import AZURE, CheckedTraffic


def player(name: str, *wanted: str) -> Any:
    """The adapter of `recordings.py` over one recording, narrowed to the exchanges that match `wanted` ("GET pattern"), in that order."""
    path = AZURE / "recordings.py"
    if not path.exists():
        pytest.skip(f"the recordings are not beside the repository ({path} is absent)")
    spec = importlib.util.spec_from_file_location("azure_recordings", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    adapter = module.Playback(AZURE / "recordings" / f"{name}.yaml")
    pairs = adapter.pairs
    adapter.pairs = [
        next(
            pair
            for pair in pairs
            if re.search(pattern, f"{pair['request']['method']} {pair['request']['uri']}", re.IGNORECASE)
        )
        for pattern in wanted
    ]
    return adapter


def session_of(adapters: dict[str, Any]) -> requests.Session:
    """A session whose addresses lead to adapters instead of sockets."""
    session = requests.Session()
    session.trust_env = False
    session.adapters.clear()
    for prefix, adapter in adapters.items():
        session.mount(prefix, adapter)
    return session


def judged(traffic: CheckedTraffic, transport: Transport) -> Transport:
    """The transport, every exchange of which the judge sees; token requests are no Azure API of the specifications."""
    send = transport.bounded.send

    def send_and_judge(request: Any, **options: Any) -> Any:
        answer: Answer = send(request, **options)
        if urlsplit(request.url).path != "/msi/token":
            traffic.check(
                request.method,
                request.url,
                _json(request.content),
                answer.status_code,
                _json(answer.body),
                dict(answer.headers),
            )
        return answer

    transport.bounded.send = send_and_judge  # type: ignore[method-assign]  # the judge stands in the way of every call
    return transport


def _json(content: Any) -> Any:
    return json.loads(content) if content else None


def example(path: str) -> Any:
    """The 200 body of an official example; skips where the specifications are absent."""
    file = AZURE / "specs" / path
    if not file.exists():
        pytest.skip(f"the specifications are not beside the repository ({file} is absent)")
    return json.loads(file.read_text(encoding="utf-8-sig"))["responses"]["200"]["body"]
