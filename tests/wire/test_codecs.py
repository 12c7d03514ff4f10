"""Both codecs carry every message unchanged, and refuse what is none."""

from __future__ import annotations

import msgpack  # type: ignore[import-untyped]  # another implementation than ours
import msgspec
import pytest
from msgspec import UNSET

from qserver.wire.codecs import CODECS, JSON, MSGPACK, BadMessage, Codec, choose
from qserver.wire.messages import (
    Ack,
    BoardEvent,
    BoardView,
    Bye,
    CallView,
    ClientMessage,
    Close,
    Heartbeat,
    Hello,
    NoticeView,
    Resync,
    ServerMessage,
    Snapshot,
    State,
    StatsView,
    Welcome,
    WindowView,
)

SAID: list[ClientMessage] = [
    Hello("qs_a_b", "board", "h1"),
    Hello("secret", "ticket", ep="1-abc", s=0, device="north wall"),
    Ack(0),
    Resync("1-abc", 7),
]
TOLD: list[ServerMessage] = [
    Welcome("1-abc", 0, "snapshot", 5000, 1_790_000_000_000),
    Snapshot(
        "1-abc",
        7,
        BoardView(
            "h1",
            [CallView(7, "A001", "w1", "a", 1, 1_790_000_000_000)],
            [WindowView("w1", "1 号窗口", "called", "A001"), WindowView("w2", "2", "idle", None)],
            {"a": 3},
            [NoticeView("5", "今天下午停电", 1_790_000_000_000)],
        ),
    ),
    BoardEvent(s=8, p=7, k="call", at_ms=1, ticket="A001", window="w1", state="called", service="a", n=1, waiting=0),
    BoardEvent(s=9, p=8, k="window", at_ms=1, window="w1", state="idle", ticket=None),
    State(topic="stats", ep="1-abc", s=9, stats=StatsView("2026-11-22", 1, {"a": {"waiting": 1}}, [], 0)),
    Heartbeat("1-abc", 9, 1_790_000_000_000),
    Bye(4001, (500, 5000)),
]
each_codec = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)


@each_codec
@pytest.mark.parametrize("message", SAID, ids=lambda message: type(message).__name__)
def test_what_clients_say_arrives(codec: Codec, message: ClientMessage) -> None:
    assert codec.client_message(codec.encode(message)) == message


@each_codec
@pytest.mark.parametrize("message", TOLD, ids=lambda message: type(message).__name__)
def test_what_the_server_says_arrives(codec: Codec, message: ServerMessage) -> None:
    assert codec.server_message(codec.encode(message)) == message


@pytest.mark.parametrize("message", [*SAID, *TOLD], ids=lambda message: type(message).__name__)
def test_both_forms_are_the_same_document(message: ClientMessage | ServerMessage) -> None:
    plain = msgspec.json.decode(JSON.encode(message))
    assert msgpack.unpackb(MSGPACK.encode(message)) == plain
    assert "t" in plain


def test_fields_that_do_not_apply_are_absent_and_not_null() -> None:
    event = BoardEvent(s=1, p=0, k="issue", at_ms=5, ticket="A001", service="a", waiting=0)
    assert msgspec.json.decode(JSON.encode(event)) == {
        "t": "event",
        "s": 1,
        "p": 0,
        "k": "issue",
        "at_ms": 5,
        "ticket": "A001",
        "service": "a",
        "waiting": 0,
    }
    assert event.window is UNSET


@each_codec
@pytest.mark.parametrize("data", [b"", b"{", b"\xc1", b"[]", b"\x90", b'{"t":"ack"}', b"\xff\xfe"])
def test_what_is_no_message_is_refused(codec: Codec, data: bytes) -> None:
    with pytest.raises(BadMessage):
        codec.client_message(data)


def test_bounds_of_hello() -> None:
    for hello in (Hello("t" * 513, "board", "h1"), Hello("t", "b" * 65, "h1"), Hello("t", "board", "h" * 33)):
        with pytest.raises(BadMessage):
            JSON.client_message(JSON.encode(hello))


def test_a_subprotocol_is_chosen_in_the_client_s_order() -> None:
    assert choose([]) is None
    assert choose(["qserver.v2.json"]) is None
    assert choose(["x", "qserver.v1.msgpack", "qserver.v1.json"]) is MSGPACK
    assert choose(["qserver.v1.json", "qserver.v1.msgpack"]) is JSON


def test_which_codes_are_final() -> None:
    assert [int(code) for code in Close if code.final] == [4101, 4102, 4103]
