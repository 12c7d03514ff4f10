"""WebSocket frames: whole messages of the server made once, messages of clients taken apart.

Parsing, masking and checks are websockets' own (`websockets.frames`). What goes out is never masked or compressed, so
the same bytes serve every socket of a codec. No sockets, no event loop.
"""

from __future__ import annotations

from collections.abc import Generator

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Close, Frame, Opcode
from websockets.utils import apply_mask

from qserver.wire.codecs import CODECS, Codec
from qserver.wire.messages import MAX_CLIENT_FRAME, ServerMessage


class Framed:
    """One message of the server; its frame in each codec is made when first asked for, and once."""

    __slots__ = ("_frames", "message")

    def __init__(self, message: ServerMessage) -> None:
        self.message = message
        self._frames: list[bytes | None] = [None] * len(CODECS)

    def frame(self, codec: Codec) -> bytes:
        """The message as a whole frame."""
        made = self._frames[codec.index]
        if made is None:
            opcode = Opcode.BINARY if codec.binary else Opcode.TEXT
            made = Frame(opcode, codec.encode(self.message)).serialize(mask=False)
            self._frames[codec.index] = made
        return made


def close_frame(code: int) -> bytes:
    """A close frame with this code, or an empty one for the codes that must not be sent."""
    data = b"" if code in (1005, 1006) else Close(code, "").serialize()
    return Frame(Opcode.CLOSE, data).serialize(mask=False)


def pong_frame(data: bytes) -> bytes:
    """The answer to a ping."""
    return Frame(Opcode.PONG, data).serialize(mask=False)


NOTHING = (Opcode.CONT, b"")
"""Stands for a fragment of a message that goes on: it counts as a frame and says nothing yet."""


class TooBig(Exception):
    """A client's message is larger than the server takes."""


class Broken(Exception):
    """What the client sends are no frames."""


class _Incomplete(Exception):
    """The frame goes on in bytes that have not come yet."""


class Incoming:
    """Takes what a client sends apart into messages. Keeps what is incomplete, and what nobody has asked for yet."""

    __slots__ = ("_kind", "_parts", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._parts = b""  # of a fragmented message
        self._kind: Opcode | None = None

    def feed(self, data: bytes) -> Generator[tuple[Opcode, bytes], None, None]:
        """Whole messages: TEXT and BINARY, and the control frames PING, PONG, CLOSE. Raises TooBig and Broken.

        Closed early, it keeps the rest for the next time.
        """
        if not self._rest and self._kind is None and (message := _alone(data)) is not None:
            yield message
            return
        data = self._rest + data if self._rest else data
        at = 0
        try:
            while at < len(data):
                found = _parse(data, at)
                if found is None:
                    break
                frame, at = found
                if frame.opcode in (Opcode.PING, Opcode.PONG, Opcode.CLOSE):
                    yield frame.opcode, bytes(frame.data)
                    continue
                whole = self._assemble(frame)
                yield whole or NOTHING
        finally:
            self._rest = bytes(data[at:])

    def _assemble(self, frame: Frame) -> tuple[Opcode, bytes] | None:
        if (frame.opcode is Opcode.CONT) is (self._kind is None):
            raise Broken("a fragment out of place")
        if frame.fin and self._kind is None:
            return frame.opcode, bytes(frame.data)
        if self._kind is None:
            self._kind = frame.opcode
        self._parts += bytes(frame.data)
        if len(self._parts) > MAX_CLIENT_FRAME:
            raise TooBig
        if not frame.fin:
            return None
        whole = self._kind, self._parts
        self._kind, self._parts = None, b""
        return whole


def close_code(data: bytes) -> int:
    """The code in a client's close frame; 1005 when there is none. Raises Broken."""
    try:
        return int(Close.parse(data).code)
    except (ProtocolError, UnicodeDecodeError) as error:
        raise Broken(str(error)) from error


_WHOLE = {0x80 | opcode: opcode for opcode in (Opcode.TEXT, Opcode.BINARY)}


def _alone(data: bytes) -> tuple[Opcode, bytes] | None:
    """The one small message that these bytes are, and nothing else; None when they are anything else.

    Nearly all that devices say is an ack in a frame of its own: thousands of boards say one every few seconds.
    """
    if len(data) < 6 or not 0x80 <= data[1] < 0x80 + 126 or len(data) != data[1] - 0x80 + 6:
        return None
    opcode = _WHOLE.get(data[0])
    return None if opcode is None else (opcode, apply_mask(data[6:], data[2:6]))


def _parse(data: bytes, at: int) -> tuple[Frame, int] | None:
    """The frame at `at` and where the next one begins; None while it is incomplete.

    websockets' parser is a generator that asks for bytes; here it is given all there are and begun anew when they do
    not suffice. A frame is at most 4 KiB, so that costs less than a suspended parser per socket would.
    """

    def exact(n: int) -> Generator[None, None, bytes]:
        nonlocal at
        if at + n > len(data):
            raise _Incomplete
        at += n
        return data[at - n : at]
        yield

    try:
        next(Frame.parse(exact, mask=True, max_size=MAX_CLIENT_FRAME))
    except StopIteration as done:
        return done.value, at
    except _Incomplete:
        return None
    except PayloadTooBig as error:
        raise TooBig from error
    except ProtocolError as error:
        raise Broken(str(error)) from error
    raise Broken("a frame that does not end")
