"""A byte stream that is clear, or TLS begun inside PRELOGIN packets, or TLS for the login alone.

The handshake's records travel in packets of type PRELOGIN; after it, packets travel in TLS records, the other way
round (MS-TDS 3.2.5.1 and 3.3.5.1). Where only the login is encrypted, `clear` goes back to plain bytes. All calls are
made on the loop.
"""

from __future__ import annotations

import asyncio
import ssl

from lpmops.sandbox.sql.tds.fields import ProtocolError
from lpmops.sandbox.sql.tds.packets import DEFAULT, Outgoing, PacketType, read_packet

_CHUNK = 65_536


class Channel:
    """One connection's bytes, whatever lies between."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._tls: ssl.SSLObject | None = None
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._plain = bytearray()

    @property
    def encrypted(self) -> bool:
        """Whether bytes are encrypted now."""
        return self._tls is not None

    async def read(self, count: int) -> bytes:
        """Exactly so many bytes. Raises EOFError where the peer has gone, ProtocolError for broken TLS."""
        if self._tls is None:
            try:
                return await self._reader.readexactly(count)
            except asyncio.IncompleteReadError:
                raise EOFError from None
        while len(self._plain) < count:
            await self._decrypt(self._tls)
        found = bytes(self._plain[:count])
        del self._plain[:count]
        return found

    async def _decrypt(self, tls: ssl.SSLObject) -> None:
        try:
            data = tls.read(_CHUNK)
        except ssl.SSLWantReadError:
            received = await self._reader.read(_CHUNK)
            if not received:
                raise EOFError from None
            self._in.write(received)
            return
        except ssl.SSLError as error:
            raise ProtocolError(f"TLS: {error.reason}") from None
        if not data:
            raise EOFError
        self._plain += data

    def write(self, data: bytes) -> None:
        """Hand over bytes; see `drain`. Raises EOFError where TLS has ended."""
        if self._tls is None:
            self._writer.write(data)
            return
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            raise EOFError(error.reason) from None
        self._writer.write(self._out.read())

    async def drain(self) -> None:
        """Wait until the peer has taken most of what was written. Raises ConnectionError."""
        await self._writer.drain()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """The server's half of the handshake. Raises ProtocolError, EOFError."""
        tls = context.wrap_bio(self._in, self._out, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._answer()
                packet = await read_packet(self.read)
                if packet.type is not PacketType.PRELOGIN:
                    raise ProtocolError(f"a packet of type {packet.type.name} inside the TLS handshake") from None
                self._in.write(packet.payload)
            except ssl.SSLError as error:
                await self._answer()
                raise ProtocolError(f"TLS handshake: {error.reason}") from None
            else:
                await self._answer()
                self._tls = tls
                return

    async def _answer(self) -> None:
        if self._out.pending:
            message = Outgoing(PacketType.PRELOGIN, DEFAULT)
            message.add(self._out.read())
            self._writer.write(message.end())
            await self._writer.drain()

    def clear(self) -> None:
        """Plain bytes from here on, in both directions. Raises ProtocolError where the client has already sent
        more under TLS.
        """
        if self._plain or self._in.pending:
            raise ProtocolError("more than a login under login-only encryption")
        self._tls = None

    def close(self) -> None:
        """Close the socket at once."""
        self._writer.transport.abort()

    async def finish(self) -> None:
        """Send what is written, then close."""
        self._writer.close()
        await self._writer.wait_closed()
