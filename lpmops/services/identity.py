"""Who lpmops is: tokens for one environment, cached in this process, never asking anybody anything.

A sign-in is shared by all environments of one tenant with the same settings, so that one `az` is started, not one for each client. Ways in:
azure-identity's credentials (DefaultAzureCredential honours AZURE_TOKEN_CREDENTIALS), or the App Service managed identity protocol at
`identity.endpoint`. Every failure is a SignInError with the command that helps.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from azure.core.credentials import AccessToken, AccessTokenInfo

from lpmops.config import Environment, Identity
from lpmops.errors import BadAnswerError, DeadlineError, ServiceError, SignInError
from lpmops.model import Credential
from lpmops.principals import Principal
from lpmops.services import bounded, failures
from lpmops.services.bounded import Deadline
from lpmops.services.failures import Advice
from lpmops.services.redact import clean
from lpmops.services.secrets import SecretReader
from lpmops.services.transport import Transport

_RENEW_BEFORE = 600.0
_USABLE_UNTIL = 30.0
_RENEW_EVERY = 60.0
_SECONDS = 15.0
_AADSTS = re.compile(r"AADSTS[0-9]{4,7}")
_LOGGED_OUT = ("az login", "azd auth login", "Connect-AzAccount")
_NETWORK = {"ServiceRequestError", "ConnectionError", "NewConnectionError", "NameResolutionError"}

Ask = Callable[[str, "str | None", Deadline], AccessToken]


class CachedCredential:
    """The identity of one environment. Usable where azure-core wants a TokenCredential too."""

    def __init__(self, environment: Environment, transport: Transport) -> None:
        self._identity = environment.identity
        self._tenant = environment.tenant_id
        self._tokens = _shared_tokens(environment, transport)
        self._lock = threading.Lock()
        self._failure: SignInError | None = None
        self._rejected: set[str] = set()

    @property
    def remedy(self) -> str:
        """The command that signs this identity in again."""
        return remedy(self._identity, self._tenant)

    def token(self, scope: str, *, claims: str | None = None, deadline: Deadline | None = None) -> AccessToken:
        """A token for `scope`, from the cache where it still has life in it. Raises SignInError, DeadlineError."""
        try:
            token = self._tokens.get(scope, claims, deadline or Deadline.after(_SECONDS))
        except SignInError as error:
            with self._lock:
                self._failure = error
            raise
        with self._lock:
            self._failure = None
        return token

    def get_token(self, *scopes: str, claims: str | None = None, **_: Any) -> AccessToken:
        """The same, as azure-core's TokenCredential asks for it."""
        return self.token(scopes[0], claims=claims)

    def get_token_info(self, *scopes: str, options: Mapping[str, Any] | None = None) -> AccessTokenInfo:
        """The same, as azure-core's SupportsTokenInfo asks for it."""
        token = self.token(scopes[0], claims=(options or {}).get("claims"))
        return AccessTokenInfo(token.token, token.expires_on)

    def reject(self, scope: str) -> None:
        """A service refused the token for `scope`: the next call asks for a new one, and until one works the state is expired."""
        self._tokens.drop(scope)
        with self._lock:
            self._rejected.add(scope)

    def subject(self, scope: str, deadline: Deadline) -> Principal:
        """Whom the token for `scope` is for: object id, name and kind (User or ServicePrincipal). Raises SignInError, DeadlineError."""
        return subject(self.token(scope, deadline=deadline).token)

    def accept(self, scope: str) -> None:
        """A service took the token for `scope`."""
        self._rejected.discard(scope)

    def advice(self, rights: str) -> Advice:
        """What hints of a service say when it refuses this identity; `rights` are those that its reads take."""
        return Advice(self.remedy, rights, self._tenant)

    def state(self) -> Credential:
        """What is known of the sign-in without asking anybody: ok, expiring (under 10 minutes), expired, missing or unknown."""
        held = self._tokens.held()
        with self._lock:
            failure, rejected = self._failure, bool(self._rejected)
        if failure is not None or rejected:
            known = bool(held) or rejected or (failure is not None and "expired" in failure.message)
            return Credential("expired" if known else "missing", self._name(held), _expiry(held), self.remedy)
        if not held:
            return Credential("unknown", self._name(held), None, "")
        left = min(token.expires_on for token in held) - time.time()
        state = "expired" if left <= 0 else "expiring" if left < _RENEW_BEFORE else "ok"
        return Credential(state, self._name(held), _expiry(held), "" if state == "ok" else self.remedy)

    def _name(self, held: list[AccessToken]) -> str:
        return next(
            (name for token in held if (name := principal(token.token))),
            self._identity.client_id or self._identity.credential,
        )


def _expiry(held: list[AccessToken]) -> datetime | None:
    try:
        return min((datetime.fromtimestamp(token.expires_on, UTC) for token in held), default=None)
    except (ValueError, OverflowError, OSError):
        return None


def principal(token: str) -> str:
    """Who a token is for, read without checking it; empty where it does not say."""
    return _first(_claims(token), "upn", "unique_name", "preferred_username", "app_displayname", "appid", "oid", "sub")


def subject(token: str) -> Principal:
    """Whom a token is for, read without checking it; what it does not say is empty."""
    claims = _claims(token)
    # Entra gives an application's token no name of a user, and marks it with idtyp where the tenant asks for that.
    is_person = bool(_first(claims, "upn", "unique_name", "preferred_username")) and claims.get("idtyp") != "app"
    return Principal(principal(token), _first(claims, "oid"), "User" if is_person else "ServicePrincipal")


def _claims(token: str) -> Mapping[str, Any]:
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, binascii.Error, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _first(claims: Mapping[str, Any], *keys: str) -> str:
    values = (claims.get(key) for key in keys)
    return next((clean(value) for value in values if isinstance(value, str) and value), "")


def remedy(identity: Identity, tenant: str) -> str:
    """The exact command that signs in again."""
    login = f"az login --tenant {tenant}"
    if identity.credential in {"default", "azure-cli"}:
        return login
    ways = {
        "environment": "renew AZURE_CLIENT_SECRET or the certificate it names",
        "managed-identity": "assign the managed identity to this host",
        "workload-identity": "check the federated credential and AZURE_FEDERATED_TOKEN_FILE",
        "token-endpoint": "check identity.endpoint and identity.header",
    }
    return f'{login}   (with identity.credential = "azure-cli"; or {ways[identity.credential]})'


# The shared cache --------------------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Slot:
    lock: threading.Lock = field(default_factory=threading.Lock)
    token: AccessToken | None = None
    tried_at: float = float("-inf")


class _Tokens:
    """The tokens of one sign-in by scope; for each scope one thread asks while the others wait for its answer."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._slots: dict[str, _Slot] = {}

    def get(self, scope: str, claims: str | None, deadline: Deadline) -> AccessToken:
        with self._lock:
            slot = self._slots.setdefault(scope, _Slot())
        if claims is None and (token := _fresh(slot)) is not None:
            return token
        if not slot.lock.acquire(timeout=max(0.05, deadline.left())):
            raise DeadlineError("The sign-in did not end in time.", service="identity", hint="Try again.")
        try:
            if claims is None and (token := _fresh(slot)) is not None:
                return token
            slot.tried_at = time.monotonic()
            try:
                slot.token = self._ask(scope, claims, deadline)
            except ServiceError:
                # An early renewal that fails is no failure while the old token still works.
                if claims is None and slot.token is not None and slot.token.expires_on - time.time() > _USABLE_UNTIL:
                    return slot.token
                raise
            return slot.token
        finally:
            slot.lock.release()

    def drop(self, scope: str) -> None:
        with self._lock:
            slot = self._slots.get(scope)
        if slot is not None:
            slot.token = None

    def held(self) -> list[AccessToken]:
        with self._lock:
            return [slot.token for slot in self._slots.values() if slot.token is not None]


def _fresh(slot: _Slot) -> AccessToken | None:
    token = slot.token
    if token is None:
        return None
    left = token.expires_on - time.time()
    if left > _RENEW_BEFORE or (left > _USABLE_UNTIL and time.monotonic() - slot.tried_at < _RENEW_EVERY):
        return token
    return None


_shared: dict[tuple[str, Identity], _Tokens] = {}
_shared_lock = threading.Lock()


def _shared_tokens(environment: Environment, transport: Transport) -> _Tokens:
    identity, tenant = environment.identity, environment.tenant_id
    with _shared_lock:
        key = (tenant, identity)
        if key not in _shared:
            ask: Ask
            if identity.credential == "token-endpoint":
                ask = partial(_ask_endpoint, transport, identity, tenant)
            else:
                ask = _AskAzureIdentity(identity, tenant)
            _shared[key] = _Tokens(partial(_ask_for_tenant, ask, identity, tenant))
        return _shared[key]


def forget() -> None:
    """Drop every token and sign-in of this process."""
    with _shared_lock:
        _shared.clear()


# Asking ------------------------------------------------------------------------------------------------------------------------------------------


def _ask_for_tenant(
    ask: Ask, identity: Identity, tenant: str, scope: str, claims: str | None, deadline: Deadline
) -> AccessToken:
    """A token that is of the configured tenant, or does not say of which. Raises SignInError.

    Whoever signed in elsewhere meanwhile gets another tenant's token at the next renewal: nothing may go out with it.
    """
    token = ask(scope, claims, deadline)
    found = _first(_claims(token.token), "tid")
    if found and found.lower() != tenant.lower():
        raise SignInError(
            f"The sign-in is of another tenant ({found}) than the environment's ({tenant}): nothing was sent with it.",
            service="identity",
            hint=f"Sign in to the environment's tenant: {remedy(identity, tenant)}",
        )
    return token


def _ask_endpoint(
    transport: Transport, identity: Identity, tenant: str, scope: str, _claims: str | None, deadline: Deadline
) -> AccessToken:
    """A token by the App Service managed identity protocol (learn.microsoft.com/azure/app-service/overview-managed-identity, REST reference)."""
    header = SecretReader().read(identity.header, deadline)
    params = {"resource": scope.removesuffix("/.default"), "api-version": "2019-08-01"}
    if identity.client_id:
        params["client_id"] = identity.client_id
    client = transport.client("identity", identity.endpoint, advice=Advice(remedy(identity, tenant)))
    try:
        answer = client.get(
            client.base, operation="token", deadline=deadline, params=params, headers={"X-IDENTITY-HEADER": header}
        )
    except ServiceError as error:
        if error.status in {400, 401, 403, 404}:
            raise _refused(identity, tenant, error.message, error.status, error.request_id) from error
        raise
    fields = answer.fields()
    return AccessToken(
        fields.text("access_token"), _expires_on(fields.values.get("expires_on"), fields.maybe_integer("expires_in"))
    )


def _expires_on(said: object, seconds: int | None) -> int:
    """The expiry as epoch seconds; the protocol writes them as digits in a string."""
    if isinstance(said, str) and re.fullmatch(r"[0-9]{9,11}", said):
        return int(said)
    if isinstance(said, int) and not isinstance(said, bool) and 10**8 <= said < 10**11:
        return said
    if said is None and seconds is not None and 0 < seconds < 10**7:
        return int(time.time()) + seconds
    raise BadAnswerError(
        "The sign-in service says no readable expiry for its token.",
        service="identity",
        hint="Check identity.endpoint.",
    )


class _AskAzureIdentity:
    """Asks a credential of azure-identity, which is imported and built by the first question."""

    def __init__(self, identity: Identity, tenant: str) -> None:
        self._identity = identity
        self._tenant = tenant
        self._credential: Any = None

    def __call__(self, scope: str, claims: str | None, deadline: Deadline) -> AccessToken:
        work = bounded.Work(
            run=partial(self._get, scope, claims),
            service="identity",
            lane=f"identity {self._tenant} {self._identity.credential}",
            what="The sign-in",
            explain=partial(explain_sign_in, self._identity, self._tenant),
        )
        return bounded.run(work, deadline)

    def _get(self, scope: str, claims: str | None) -> AccessToken:
        if self._credential is None:
            self._credential = build(self._identity, self._tenant)
        options: dict[str, Any] = {"tenant_id": self._tenant}
        if claims:
            options |= {"claims": claims, "enable_cae": True}
        token: AccessToken = self._credential.get_token(scope, **options)
        return token


def build(identity: Identity, tenant: str) -> Any:
    """The azure-identity credential that the configuration names. None of them opens a browser or asks on the terminal."""
    from azure import identity as library

    seconds = int(_SECONDS) - 1
    if identity.credential == "azure-cli":
        return library.AzureCliCredential(tenant_id=tenant, process_timeout=seconds)
    if identity.credential == "environment":
        return library.EnvironmentCredential(additionally_allowed_tenants=[tenant])
    if identity.credential == "managed-identity":
        return library.ManagedIdentityCredential(client_id=identity.client_id or None)
    if identity.credential == "workload-identity":
        return library.WorkloadIdentityCredential(
            tenant_id=tenant, **({"client_id": identity.client_id} if identity.client_id else {})
        )
    return library.DefaultAzureCredential(
        additionally_allowed_tenants=[tenant],
        process_timeout=seconds,
        exclude_interactive_browser_credential=True,
        **({"managed_identity_client_id": identity.client_id} if identity.client_id else {}),
    )


def explain_sign_in(identity: Identity, tenant: str, error: Exception) -> ServiceError:
    """The error behind what azure-identity raised: SignInError with the command that helps, or what keeps it from the network."""
    if any(type(cause).__name__ in _NETWORK for cause in failures.causes(error)):
        return failures.from_exception(error, "identity", "login.microsoftonline.com")
    return _refused(identity, tenant, str(error))


def _refused(
    identity: Identity, tenant: str, text: str, status: int | None = None, request_id: str | None = None
) -> SignInError:
    login = remedy(identity, tenant)
    first = text.strip().partition("\n")[0] or "no reason given"
    found = [(message, hint) for mark, message, hint in _reasons(login, tenant) if mark in text]
    message, hint = found[0] if found else (f"No sign-in works here: {clean(first)}", login)
    code = _AADSTS.search(text)
    return SignInError(
        message + (f" ({code.group()})" if code and code.group() not in message else ""),
        service="identity",
        hint=hint,
        status=status,
        request_id=request_id,
    )


def _reasons(login: str, tenant: str) -> list[tuple[str, str, str]]:
    """What azure-identity and Entra ID write, what it means and what helps; the first mark found counts."""
    return [
        ("claims-challenge", "A policy asks for a new sign-in.", login),
        ("AADSTS50076", "The sign-in needs a second factor.", login),
        ("AADSTS50079", "The sign-in needs a second factor to be set up.", login),
        ("AADSTS50158", "A policy asks for one more check at sign-in.", login),
        (
            "AADSTS53003",
            "A conditional access policy blocks the sign-in.",
            "Ask the tenant's administrator which policy applies.",
        ),
        ("AADSTS700082", "The sign-in has expired.", login),
        ("AADSTS70043", "The sign-in has expired.", login),
        ("AADSTS50173", "The sign-in was revoked.", login),
        ("AADSTS90072", f"This account does not belong to tenant {tenant}.", login),
        ("AADSTS50020", f"This account does not belong to tenant {tenant}.", login),
        ("AADSTS7000215", "The client secret is wrong.", 'az ad app credential reset --id "$AZURE_CLIENT_ID"'),
        ("AADSTS7000222", "The client secret has expired.", 'az ad app credential reset --id "$AZURE_CLIENT_ID"'),
        ("AADSTS700016", f"Tenant {tenant} does not know this application.", 'az ad sp create --id "$AZURE_CLIENT_ID"'),
        (
            "DefaultAzureCredential failed",
            "No sign-in works here: environment, managed identity and developer tools were tried.",
            login,
        ),
        (
            "Azure CLI not found",
            "The Azure CLI is not installed here.",
            f"Install it (https://aka.ms/azure-cli), then: {login}",
        ),
        (
            "EnvironmentCredential authentication unavailable",
            "AZURE_CLIENT_ID, AZURE_TENANT_ID and a secret are not set.",
            login,
        ),
        ("WorkloadIdentityCredential", "No workload identity is set up here.", login),
        ("ManagedIdentityCredential", "No managed identity answers here.", login),
        *((mark, "Nobody is signed in.", login) for mark in _LOGGED_OUT),
    ]
