"""Reads the secret behind a reference of the configuration, at the step that needs it: `env:NAME`, `file:/path`, `keyvault:https://VAULT/secrets/NAME`.

The value goes to the caller and nowhere else: no cache, no log, no error message holds it. A file that others on the machine can read is refused.
Key Vault is read over the shared pipeline, REST version 7.4 (learn.microsoft.com/rest/api/keyvault/secrets/get-secret).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lpmops.errors import ConfigError
from lpmops.services.bounded import Deadline

if TYPE_CHECKING:
    from lpmops.services.identity import CachedCredential
    from lpmops.services.transport import Transport

_LARGEST = 65_536
# The vault's host names the cloud, and the cloud the token: a token is only ever sent to a vault of Azure.
_VAULTS = {
    ".vault.azure.net": "https://vault.azure.net/.default",
    ".vault.usgovcloudapi.net": "https://vault.usgovcloudapi.net/.default",
    ".vault.azure.cn": "https://vault.azure.cn/.default",
}


class SecretReader:
    """Reads references. `transport` and `credential` are asked only for a Key Vault; without them such a reference is refused."""

    def __init__(self, transport: Transport | None = None, credential: CachedCredential | None = None) -> None:
        self._transport = transport
        self._credential = credential

    def read(self, reference: str, deadline: Deadline, environ: Mapping[str, str] = os.environ) -> str:
        """The secret, without a line end. Raises ConfigError naming the reference, or the errors of Key Vault."""
        kind, _, rest = reference.partition(":")
        if kind == "env" and rest:
            return _from_environment(rest, environ)
        if kind == "file" and rest:
            return _from_file(Path(rest))
        if kind == "keyvault" and rest:
            return self._from_key_vault(rest, deadline)
        raise ConfigError(
            "A secret is named in a way that can't be read.",
            hint="Use env:NAME, file:/path or keyvault:https://VAULT.vault.azure.net/secrets/NAME.",
        )

    def _from_key_vault(self, url: str, deadline: Deadline) -> str:
        parts = urlsplit(url)
        host = parts.hostname or ""
        scope = next((scope for suffix, scope in _VAULTS.items() if host.endswith(suffix)), None)
        if parts.scheme != "https" or scope is None or self._transport is None or self._credential is None:
            raise ConfigError(
                f"{host or 'That'} is no Key Vault that can be read here.",
                hint="Use keyvault:https://VAULT.vault.azure.net/secrets/NAME, and not for the sign-in itself.",
            )
        advice = self._credential.advice("Key Vault Secrets User on the vault")
        client = self._transport.client(
            "keyvault", f"https://{parts.netloc}", credential=self._credential, scope=scope, advice=advice
        )
        answer = client.get(parts.path, operation="secret", deadline=deadline, params={"api-version": "7.4"})
        return answer.fields().text("value")


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name, "")
    if not value:
        raise ConfigError(f"The environment variable {name} holds no secret.", hint=f"Set it: export {name}=...")
    return value


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if os.name == "posix" and mode & 0o007:
                raise ConfigError(
                    f"The secret in {path} is open to everybody on this machine (mode {mode:04o}).",
                    hint=f"chmod 600 {path}",
                )
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigError(
            f"The secret in {path} can't be read: {error.strerror}.", hint="Check the path and who may read it."
        ) from None
    return _decoded(content, path)


def _decoded(content: bytes, path: Path) -> str:
    try:
        value = content.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        value = ""
    if not value or len(content) > _LARGEST or "\0" in value:
        raise ConfigError(
            f"{path} holds no secret: it is empty, too large or no text.", hint="Write the secret alone into it."
        )
    return value
