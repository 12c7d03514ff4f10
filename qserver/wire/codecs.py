"""The two forms the messages travel in: JSON in text frames, MessagePack in binary frames.

A codec turns a message into bytes and back and validates on the way; framing and sockets are not its business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from .messages import JSON_PROTOCOL, MSGPACK_PROTOCOL, ClientMessage, ServerMessage


class BadMessage(ValueError):
    """Bytes that are no message of this protocol."""


class Codec:
    """One form: `name` is its subprotocol, `binary` the kind of frame it travels in, `index` its place in CODECS."""

    __slots__ = ("_client", "_encode", "_server", "binary", "index", "name")

    def __init__(self, index: int, name: str, binary: bool) -> None:
        self.index = index
        self.name = name
        self.binary = binary
        package = msgspec.msgpack if binary else msgspec.json
        self._encode: Callable[[ClientMessage | ServerMessage], bytes] = package.Encoder().encode
        self._client: Callable[[bytes], ClientMessage] = package.Decoder(ClientMessage).decode
        self._server: Callable[[bytes], ServerMessage] = package.Decoder(ServerMessage).decode

    def encode(self, message: ClientMessage | ServerMessage) -> bytes:
        """The message's bytes."""
        return self._encode(message)

    def client_message(self, data: bytes) -> ClientMessage:
        """What a client says. Raises BadMessage."""
        try:
            return self._client(data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadMessage(str(error)) from error

    def server_message(self, data: bytes) -> ServerMessage:
        """What the server says. Raises BadMessage."""
        try:
            return self._server(data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadMessage(str(error)) from error


JSON = Codec(0, JSON_PROTOCOL, binary=False)
MSGPACK = Codec(1, MSGPACK_PROTOCOL, binary=True)
CODECS = (JSON, MSGPACK)


def choose(offered: Iterable[str]) -> Codec | None:
    """The first subprotocol a client offers that we speak, None if there is none."""
    known = {codec.name: codec for codec in CODECS}
    return next((known[name] for name in offered if name in known), None)
