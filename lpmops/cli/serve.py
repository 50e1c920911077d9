"""`lpmops serve`: the app in a browser, on this machine and read-only unless told otherwise."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lpmops.cli import output
from lpmops.cli.context import World, world
from lpmops.cli.output import Answer, Output
from lpmops.errors import UsageError

if TYPE_CHECKING:
    from lpmops.config import Config
    from lpmops.web.certificate import Certificate
    from lpmops.web.rules import Serving, Token

SCHEMA = "serve"
DEFAULT_PORT = 27480


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve)


def serve(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="Where it listens; 0 is any free port.")
    ] = DEFAULT_PORT,
    address: Annotated[
        str, typer.Option("--address", metavar="IP", help="Any but loopback needs a certificate and a token.")
    ] = "127.0.0.1",
    allow_actions: Annotated[
        bool,
        typer.Option(
            "--allow-actions", help="Let the browser change things, too. Needs a token; one is made if none is given."
        ),
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help="The file with the token that visitors must know."),
    ] = None,
    token_variable: Annotated[
        str | None, typer.Option("--token-env", metavar="NAME", help="The environment variable with that token.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", metavar="FILE", help="Serve over TLS with this certificate (PEM).")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="The key of the certificate (PEM).")] = None,
    visitors: Annotated[
        int, typer.Option("--visitors", min=1, max=50, help="How many windows at a time; each is a process of its own.")
    ] = 4,
    form: Annotated[
        Output, typer.Option("-o", "--output", help="The form of the line that says where it is.")
    ] = Output.TABLE,
) -> None:
    """Show the app in a browser, until ctrl+c. On this machine and read-only unless told otherwise."""
    from lpmops.web import rules

    here = world()
    with output.guarded(SCHEMA, form):
        if allow_actions and here.read_only:
            raise UsageError(
                "lpmops was told to be read-only, and to allow actions.",
                hint="Leave --read-only and LPMOPS_READ_ONLY, or --allow-actions, out.",
            )
        token = rules.given_token(token_file, token_variable, here.environ)
        checked = rules.checked_address(
            address, port=port, has_certificate=certificate is not None, has_token=token is not None
        )
        tls = _certificate(certificate, key)
        config = here.config()
        if allow_actions and token is None:
            token = _kept_token(config)
        serving = rules.Serving(checked, port, not allow_actions, visitors, token, tls)
        _serve(here, config, serving, token_variable, form)


def _certificate(certificate: Path | None, key: Path | None) -> Certificate | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UsageError("A certificate goes with its key.", hint="Give both: --certificate FILE --key FILE")
    from lpmops.web import certificate as certificates

    return certificates.read(certificate, key)


def _kept_token(config: Config) -> Token:
    from lpmops import paths
    from lpmops.errors import StoreError
    from lpmops.web import rules

    try:
        return rules.kept_token(paths.state_directory(config.state_directory))
    except OSError as error:
        raise StoreError(
            f"The state directory can't be made: {error}.", hint="Set LPMOPS_STATE_DIR, or give --token-file FILE."
        ) from None


def _serve(here: World, config: Config, serving: Serving, token_variable: str | None, form: Output) -> None:
    """Serve until a signal comes; the exit code is that signal's."""
    from lpmops import config_reader
    from lpmops.web.server import Voice
    from lpmops.web.server import serve as serve_until_stopped
    from lpmops.web.visitor import Command, app_environment

    place = config.path or config_reader.locate(here.config_path, here.environ)
    words = [sys.executable, "-m", "lpmops", "--config", str(place.absolute())]
    environ = app_environment(
        here.environ, read_only=serving.read_only, hidden=[token_variable] if token_variable else []
    )
    command = Command([*words, "--read-only"] if serving.read_only else words, environ)
    number = serve_until_stopped(command, serving, Voice(lambda url: _say(serving, place, url, form), output.narrate))
    raise typer.Exit(128 + number)


def _say(serving: Serving, place: Path, url: str, form: Output) -> None:
    data = {
        "url": url,
        "read_only": serving.read_only,
        "visitors": serving.visitors,
        "config": str(place),
        "token": serving.token.advice if serving.token else None,
    }
    lines = [
        f"lpmops is at {url}, {'read-only' if serving.read_only else 'and may change things'}.",
        f"  configuration  {place}",
        *([f"  its token      {serving.token.advice}"] if serving.token else []),
        "  end it         ctrl+c",
    ]
    warnings = serving.certificate.warnings if serving.certificate else []
    output.emit(Answer(SCHEMA, data, lines, [data], warnings), form)
