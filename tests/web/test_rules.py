"""What `lpmops serve` agrees to serve, and the sentence with which it doesn't."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from lpmops.cli import app
from lpmops.cli.context import World, using
from lpmops.errors import LpmopsError
from lpmops.web import certificate, rules
from tests.benchmarks import samples
from tests.cli.conftest import Terminal
from tests.web.conftest import Pair


def served(*words: str, environ: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit code and what `lpmops serve` says when it doesn't serve."""
    from typer.testing import CliRunner

    with using(World(stderr=Terminal(), environ=environ or {})) as world:
        result = CliRunner().invoke(app.build(), [*words])
    assert isinstance(world.stderr, Terminal)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, world.stderr.getvalue() + result.stderr


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("a-token-that-nobody-guesses\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.7", "::", "2001:db8::7", "::ffff:192.0.2.7", "[::]"])
def test_any_address_but_loopback_needs_a_certificate_and_a_token(
    address: str, token_file: Path, certified: Pair
) -> None:
    tls = ["--certificate", str(certified.certificate), "--key", str(certified.key)]
    token = ["--token-file", str(token_file)]
    for given, missing in (
        ([], "a certificate and a token is"),
        (tls, "and a token is"),
        (token, "and a certificate is"),
    ):
        code, said = served("serve", "--address", address, *given)
        assert code == 2
        assert missing in said
        assert "lpmops serve --address" in said
        assert "ssh -L 27480:127.0.0.1:27480" in said


def test_a_token_that_was_made_is_not_enough_for_other_addresses(certified: Pair) -> None:
    tls = ["--certificate", str(certified.certificate), "--key", str(certified.key)]
    code, said = served("serve", "--address", "0.0.0.0", "--allow-actions", *tls)
    assert (code, "a token is missing" in said) == (2, True)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback_needs_nothing(address: str) -> None:
    found = rules.checked_address(address, port=1, has_certificate=False, has_token=False)
    assert found in ("127.0.0.1", "127.1.2.3", "::1")


@pytest.mark.parametrize(
    "address", ["", "ops.example.com", "127.1", "1.2.3.4.5", "0x7f000001", "[/bold]", "127.0.0.1:80"]
)
def test_a_name_is_no_address(address: str) -> None:
    code, said = served("serve", "--address", address)
    assert code == 2
    assert "is no IP address of this machine" in said


def test_a_certificate_goes_with_its_key(certified: Pair, tmp_path: Path) -> None:
    pem, key = str(certified.certificate), str(certified.key)
    nothing = tmp_path / "nothing.pem"
    nothing.touch(mode=0o600)
    open_key = tmp_path / "open.pem"
    open_key.write_bytes(certified.key.read_bytes())
    open_key.chmod(0o644)
    for given, says in (
        (["--certificate", pem], "goes with its key"),
        (["--key", key], "goes with its key"),
        (["--certificate", pem, "--key", str(tmp_path / "missing")], "can't be read"),
        (["--certificate", str(tmp_path / "missing"), "--key", key], "can't be read"),
        (["--certificate", pem, "--key", str(nothing)], "don't make a certificate with its key"),
        (["--certificate", key, "--key", key], "don't make a certificate with its key"),
        (["--certificate", pem, "--key", str(open_key)], "chmod 600"),
    ):
        code, said = served("serve", *given)
        assert (code, says in said) == (2, True), (given, said)


def test_a_certificate_knows_its_names(certified: Pair) -> None:
    found = certificate.read(certified.certificate, certified.key)
    assert found.names == ("ops.example.com", "*.lab.example.com", "127.0.0.1")
    assert found.warnings == []


def test_a_key_with_a_password_asks_nobody(certified: Pair, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(certified.key.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"hunter2"),
        )
    )
    locked.chmod(0o600)
    code, said = served("serve", "--certificate", str(certified.certificate), "--key", str(locked))
    assert (code, "without a password" in said) == (2, True)


def test_a_token_is_named_and_never_given_on_the_command_line(token_file: Path) -> None:
    secret = token_file.read_text().strip()
    from_file = rules.given_token(token_file, None, {})
    from_variable = rules.given_token(None, "OPS_TOKEN", {"OPS_TOKEN": secret})
    assert from_file is not None
    assert from_variable is not None
    assert from_file.secret == from_variable.secret == secret
    assert secret not in repr(from_file) + from_file.advice + from_variable.advice
    assert rules.given_token(None, None, {"OPS_TOKEN": secret}) is None


def test_a_token_that_is_missing_short_open_or_doubled_is_refused(token_file: Path, tmp_path: Path) -> None:
    short, readable, empty = (tmp_path / name for name in ("short", "readable", "empty"))
    for path, text, mode in ((short, "hunter2\n", 0o600), (readable, "x" * 40, 0o644), (empty, "", 0o600)):
        path.write_text(text)
        path.chmod(mode)
    for given, says in (
        (["--token-file", str(tmp_path / "missing")], "can't be read"),
        (["--token-file", str(short)], "shorter than 20 characters"),
        (["--token-file", str(readable)], "chmod 600"),
        (["--token-file", str(empty)], "holds no secret"),
        (["--token-file", str(tmp_path)], "can't be read"),
        (["--token-env", "OPS_TOKEN"], "OPS_TOKEN holds no secret"),
        (["--token-file", str(token_file), "--token-env", "OPS_TOKEN"], "two tokens"),
    ):
        code, said = served("serve", *given)
        assert (code, says in said, "hunter2" in said) == (2, True, False), (given, said)


def test_the_token_that_is_made_is_kept_for_its_owner_alone_and_used_again(tmp_path: Path) -> None:
    first = rules.kept_token(tmp_path)
    path = tmp_path / rules.TOKEN_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert first.advice == f"cat {path}"
    assert first.secret == path.read_text().strip()
    assert len(first.secret) >= rules.SHORTEST_TOKEN
    assert rules.kept_token(tmp_path) == first
    assert [entry.name for entry in tmp_path.iterdir()] == [rules.TOKEN_NAME]


def test_a_kept_token_that_others_may_read_is_refused(tmp_path: Path) -> None:
    rules.kept_token(tmp_path)
    (tmp_path / rules.TOKEN_NAME).chmod(0o644)
    with pytest.raises(LpmopsError, match="open to everybody"):
        rules.kept_token(tmp_path)


def test_a_folder_that_takes_no_token_is_named() -> None:
    with pytest.raises(LpmopsError, match="can't be kept in /proc"):
        rules.kept_token(Path("/proc"))


def test_read_only_and_actions_do_not_go_together() -> None:
    code, said = served("--read-only", "serve", "--allow-actions")
    assert (code, "Leave --read-only" in said) == (2, True)


def test_without_a_configuration_nothing_is_served(tmp_path: Path) -> None:
    code, said = served("--config", str(tmp_path / "missing.toml"), "serve")
    assert code == 2
    assert "missing.toml" in said


def test_a_port_that_is_taken_is_told_with_another_way(tmp_path: Path) -> None:
    import socket

    samples.write_config(tmp_path / "lpmops.toml")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, said = served("--config", str(tmp_path / "lpmops.toml"), "serve", "--port", port)
    assert code == 1
    assert "--port 0" in said


def test_a_range_is_held() -> None:
    for words in (["--port", "65536"], ["--port", "-1"], ["--visitors", "0"], ["--visitors", "51"], ["--port", "x"]):
        assert served("serve", *words)[0] == 2
