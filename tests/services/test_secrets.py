"""Secrets are read where they are kept, and refused where others could read them too."""

from __future__ import annotations

from pathlib import Path

import pytest

from lpmops.errors import ConfigError, ForbiddenError
from lpmops.services.bounded import Deadline
from lpmops.services.identity import CachedCredential
from lpmops.services.redact import clean_lines
from lpmops.services.secrets import SecretReader
from lpmops.services.transport import Transport
from tests.services.recorded import session_of
from tests.services.worlds import Forbidden, SignedIn, environment


def soon() -> Deadline:
    return Deadline.after(60.0)


def test_a_variable_is_read_and_a_missing_one_named() -> None:
    reader = SecretReader()
    assert reader.read("env:PASSWORD_HERE", soon(), {"PASSWORD_HERE": "s3cret"}) == "s3cret"
    with pytest.raises(ConfigError, match="PASSWORD_HERE"):
        reader.read("env:PASSWORD_HERE", soon(), {"PASSWORD_HERE": ""})


def test_a_private_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    file.chmod(0o600)
    assert SecretReader().read(f"file:{file}", soon()) == "s3cret"


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o777])
def test_a_file_that_everybody_can_read_is_refused_with_the_command(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret")
    file.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        SecretReader().read(f"file:{file}", soon())
    assert caught.value.hint == f"chmod 600 {file}"
    assert "s3cret" not in caught.value.message


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * 70_000, b"a\0b"])
def test_a_file_without_a_secret_says_so(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="holds no secret"):
        SecretReader().read(f"file:{file}", soon())


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        SecretReader().read(f"file:{tmp_path}/absent", soon())


@pytest.mark.parametrize("reference", ["", "s3cret", "env:", "http://x", "keyvault:https://evil.example/secrets/x"])
def test_anything_else_is_refused_without_being_repeated(reference: str) -> None:
    world = environment("http://127.0.0.1:1")
    transport = Transport()
    with pytest.raises(ConfigError) as caught:
        SecretReader(transport, CachedCredential(world, transport)).read(reference, soon())
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_a_key_vault_that_refuses_names_the_role() -> None:
    vault = Forbidden()
    world = environment("http://127.0.0.1:1")
    transport = Transport(session=session_of({"https://kv-lpm.vault.azure.net": vault}))
    reader = SecretReader(transport, SignedIn(world, transport))
    with pytest.raises(ForbiddenError) as caught:
        reader.read("keyvault:https://kv-lpm.vault.azure.net/secrets/sql-password", soon())
    assert "Key Vault Secrets User" in caught.value.hint
    assert vault.asked == 1


def test_a_long_trace_keeps_its_head_its_cause_and_no_secret() -> None:
    trace = "\n".join(
        ["Traceback:", *(f"    frame {number}" for number in range(90)), "", "Error: AccountKey=abc123=="]
    )
    lines = clean_lines(trace, 9).splitlines()
    assert lines[:3] == ["Traceback:", "    frame 0", "    frame 1"]
    assert lines[3] == "… 83 lines …"
    assert lines[-2:] == ["    frame 89", "Error: AccountKey=[removed]"]
    assert len(lines) == 10
    assert clean_lines("one\n\ntwo", 9) == "one\ntwo"
