"""A request carried out by the engine, in a worker's thread.

Batches, procedure calls and transaction steps run here; their results go to the Response. Prepared statements are
kept with the connection, as texts: the engine keeps translations by itself. Server cursors are refused by name.
Rules: MS-TDS 2.2.6.6 and Microsoft's pages on sp_prepare, sp_execute, sp_prepexec and sp_unprepare.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lpmops.sandbox.sql import errors, procedures
from lpmops.sandbox.sql.batch import run_batch
from lpmops.sandbox.sql.conversion import Stored
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.metadata import split_name
from lpmops.sandbox.sql.results import Parameter
from lpmops.sandbox.sql.session import Session
from lpmops.sandbox.sql.tds import requests, tokens
from lpmops.sandbox.sql.tds.fields import ProtocolError
from lpmops.sandbox.sql.tds.packets import Message, PacketType
from lpmops.sandbox.sql.tds.requests import Call, Step
from lpmops.sandbox.sql.tds.response import Response
from lpmops.sandbox.sql.types import INT

_MOST_PREPARED = 10_000
_LARGE_OBJECTS = {"ntext": "nvarchar(max)", "text": "varchar(max)", "image": "varbinary(max)"}
_LARGE_OBJECT = re.compile(r"(@[\w@$#]+\s+(?:AS\s+)?)(ntext|text|image)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement with the declarations of its parameters."""

    text: str
    declarations: str


class Executor:
    """Carries out the requests of one session, one at a time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._prepared: dict[int, Prepared] = {}
        self._last_handle = 0

    def run(self, message: Message, response: Response) -> None:
        """Carry out one request; its failures go to the response. Raises ProtocolError, and Disconnected from the
        response.
        """
        session = self._session
        session.ready()
        try:
            if message.reset:
                self._reset(message, response)
            session.database.hold(session)
            session.check()
            match message.type:
                case PacketType.SQL_BATCH:
                    run_batch(session, requests.batch_text(message.payload), (), response)
                case PacketType.RPC:
                    for call in requests.calls(message.payload):
                        self._call(call, response)
                case PacketType.TRANSACTION:
                    self._transaction(requests.transaction(message.payload))
                case PacketType.BULK_LOAD:
                    raise errors.unsupported_feature("bulk load over TDS")
                case _:
                    raise ProtocolError(f"a message of type {message.type.name} after login")
        except SqlError as error:
            response.error(error)

    def _reset(self, message: Message, response: Response) -> None:
        if message.keep_transaction:
            raise errors.unsupported_feature("connection reset that keeps its transaction")
        self._session.reset()
        self._prepared.clear()
        response.add(tokens.environment_text(tokens.Environment.RESET, "", ""))

    def _transaction(self, wish: requests.TransactionRequest) -> None:
        session = self._session
        match wish.step:
            case Step.BEGIN:
                self._begin(wish.isolation)
            case Step.COMMIT:
                session.commit()
            case Step.ROLLBACK:
                session.rollback()
        if wish.begin_again:
            self._begin(wish.isolation)

    def _begin(self, isolation: str) -> None:
        if isolation == "SNAPSHOT":
            raise errors.unsupported_option("SNAPSHOT")
        if isolation:
            self._session.settings.isolation = isolation
        self._session.begin()

    # --- procedures ----------------------------------------------------------------------------------------------------------------------------

    def _call(self, call: Call, response: Response) -> None:
        response.begin_call()
        status = 0
        returned: list[bytes] = []
        try:
            status, returned = self._dispatch(call, response)
        except SqlError as error:
            response.error(error)
            status = -6
        response.end_call(status, returned)

    def _dispatch(self, call: Call, response: Response) -> tuple[int, list[bytes]]:
        shown = ".".join(split_name(call.procedure))
        name = shown.lower().removeprefix("sys.")
        given = call.parameters
        match name:
            case "sp_prepare":
                handle = self._prepare(_text(given, 2, name), _text(given, 1, name))
                return 0, [_handle(given, handle)]
            case "sp_prepexec":
                return self._prepare_and_execute(given, response)
            case "sp_execute":
                prepared = self._find(given)
                return self._execute(prepared, given, 1, response)
            case "sp_unprepare":
                self._find(given)
                del self._prepared[_number(given)]
                return 0, []
            case _ if name.startswith("sp_cursor") or name == "sp_prepexecrpc":
                raise errors.unsupported_feature(name)
        if name == "sp_executesql" and len(given) > 1 and isinstance(given[1].value, str):
            given = (given[0], replace(given[1], value=_without_large_objects(given[1].value)), *given[2:])
        status, values = procedures.call(self._session, shown, given, response)
        return status, _returned(given, values, 0)

    def _prepare(self, text: str, declarations: str) -> int:
        if len(self._prepared) >= _MOST_PREPARED:
            raise SqlError(
                8176,
                "Resync procedure expects value of key, which was not supplied: too many prepared statements.",
                16,
                1,
            )
        self._last_handle += 1
        self._prepared[self._last_handle] = Prepared(text, _without_large_objects(declarations))
        return self._last_handle

    def _prepare_and_execute(self, given: Sequence[Parameter], response: Response) -> tuple[int, list[bytes]]:
        old = given[0].value if given else None
        if isinstance(old, int):
            self._prepared.pop(old, None)
        handle = self._prepare(_text(given, 2, "sp_prepexec"), _text(given, 1, "sp_prepexec"))
        status, returned = self._execute(self._prepared[handle], given, 3, response)
        return status, [_handle(given, handle), *returned]

    def _execute(
        self, prepared: Prepared, given: Sequence[Parameter], skip: int, response: Response
    ) -> tuple[int, list[bytes]]:
        values = given[skip:]
        status, found = procedures.run_declared(self._session, prepared.text, prepared.declarations, values, response)
        return status, _returned(values, {_shifted(key): value for key, value in found.items()}, skip)

    def _find(self, given: Sequence[Parameter]) -> Prepared:
        handle = _number(given)
        try:
            return self._prepared[handle]
        except KeyError:
            raise SqlError(8179, f"Could not find prepared statement with handle {handle}.", 16, 2) from None


def _without_large_objects(declarations: str) -> str:
    """Declarations in which the types of old are those that replaced them.

    Microsoft's driver declares a value that it streams as ntext, text or image, whatever the column is. SQL Server then
    refuses to compare or measure it; here it is an nvarchar(max), varchar(max) or varbinary(max) like any other.
    """
    return _LARGE_OBJECT.sub(lambda found: found[1] + _LARGE_OBJECTS[found[2].lower()], declarations)


def _shifted(key: str) -> str:
    # run_declared counts places as sp_executesql does, after the text and the declarations.
    return str(int(key) - 2) if key.isdecimal() else key


def _text(given: Sequence[Parameter], place: int, procedure: str) -> str:
    if place >= len(given):
        raise SqlError(
            201, f"Procedure or function '{procedure}' expects parameter '@{place}', which was not supplied.", 16, 4
        )
    value = given[place].value
    if value is not None and not isinstance(value, str):
        raise SqlError(214, f"Procedure expects parameter '@{place}' of type 'ntext/nchar/nvarchar'.", 16, 3)
    return value or ""


def _number(given: Sequence[Parameter]) -> int:
    value = given[0].value if given else None
    if not isinstance(value, int):
        raise SqlError(214, "Procedure expects parameter '@handle' of type 'int'.", 16, 2)
    return value


def _handle(given: Sequence[Parameter], handle: int) -> bytes:
    return tokens.return_value(0, given[0].name, INT, handle)


def _returned(given: Sequence[Parameter], values: Mapping[str, Stored], first: int) -> list[bytes]:
    """RETURNVALUE of each OUTPUT parameter, in the type it was sent with."""
    found = []
    for place, parameter in enumerate(given):
        key = parameter.name.casefold() or str(place)
        if parameter.output and key in values:
            found.append(tokens.return_value(first + place, parameter.name, parameter.type, values[key]))
    return found
