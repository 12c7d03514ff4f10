"""The topic `board` on real sockets: snapshot, chain, resume, resync, epochs."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import UNSET

from qserver.push import PushConfig
from qserver.store.answers import SYSTEM
from qserver.store.store import Store
from qserver.wire.board import Board
from qserver.wire.codecs import JSON, MSGPACK, Codec
from qserver.wire.messages import Hello, Resync, Snapshot
from tests.halls import small_hall
from tests.push.clients import Client, Stand
from tests.servers import DataServer

CODECS = pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=lambda codec: codec.name)


async def settled(client: Client, board: Board, s: int) -> Board:
    """Follows the chain by the book until `s`."""
    while board.s < s:
        message = await client.next()
        if isinstance(message, Snapshot):
            board = Board(message)
        else:
            assert message.p == board.s  # type: ignore[union-attr]
            board.apply(message)  # type: ignore[arg-type]
    return board


async def truth(stand: Stand) -> tuple[str, int, object]:
    state = await stand.store.board("h1")
    return state.ep, state.s, (state.calls, state.windows, state.waiting, state.notices)


def seen(board: Board) -> tuple[str, int, object]:
    shot = board.snapshot()
    calls, windows, waiting, notices = (
        [{name: getattr(one, name) for name in one.__struct_fields__} for one in shot.board.calls],
        [{name: getattr(one, name) for name in one.__struct_fields__} for one in shot.board.windows],
        dict(shot.board.waiting),
        [{name: getattr(one, name) for name in one.__struct_fields__} for one in shot.board.notices],
    )
    return shot.ep, shot.s, (calls, windows, waiting, notices)


@CODECS
async def test_a_board_gets_a_snapshot_and_then_every_event(stand: Stand, codec: Codec) -> None:
    await stand.issue()
    client = await stand.hello(codec=codec)
    welcome = await client.welcome()
    snapshot = await client.snapshot()
    assert (welcome.mode, welcome.ep, welcome.s) == ("snapshot", snapshot.ep, snapshot.s)
    assert welcome.hb_ms == stand.push.config.hb_ms
    assert snapshot.board.waiting["a"] == 1
    await stand.open("w1")
    opened = await client.event()
    assert (opened.k, opened.p, opened.window, opened.state, opened.ticket) == (
        "window",
        snapshot.s,
        "w1",
        "idle",
        None,
    )
    await stand.store.call(SYSTEM, "h1", "w1")
    called = await client.event()
    assert (called.k, called.p, called.ticket, called.window, called.state) == (
        "call",
        opened.s,
        "A001",
        "w1",
        "called",
    )
    assert (called.service, called.n, called.waiting) == ("a", 1, 0)


async def test_following_the_chain_ends_at_what_the_store_says(stand: Stand) -> None:
    client, snapshot = await stand.watch()
    board = Board(snapshot)
    store = stand.store
    await stand.open("w1")
    await stand.open("w2")
    for _ in range(3):
        await stand.issue("a")
        await stand.issue("b")
    await store.call(SYSTEM, "h1", "w1")
    await store.recall(SYSTEM, "h1", "w1")
    await store.begin_service(SYSTEM, "h1", "w1")
    await store.call(SYSTEM, "h1", "w2")
    await store.miss(SYSTEM, "h1", "w2")
    await store.call(SYSTEM, "h1", "w1", finish=True)
    await store.hold(SYSTEM, "h1", "w1", "lunch")
    await store.cancel(SYSTEM, "h1", "A002")
    ep, s, parts = await truth(stand)
    board = await settled(client, board, s)
    assert seen(board) == (ep, s, parts)


async def test_events_carry_public_fields_only(stand: Stand) -> None:
    client, _ = await stand.watch(JSON)
    await stand.store.issue(SYSTEM, "h1", "a", person="secret-person", phone="13800000000")
    data = await client.connection.recv()
    assert isinstance(data, str)
    assert "secret" not in data
    assert "138" not in data
    assert '"person"' not in data


async def test_a_screen_that_was_away_is_given_what_it_missed(stand: Stand) -> None:
    client, snapshot = await stand.watch()
    await client.close()
    await stand.issue()
    await stand.issue()
    client = await stand.hello(ep=snapshot.ep, s=snapshot.s)
    welcome = await client.welcome()
    assert welcome.mode == "resume"
    first, second = await client.event(), await client.event()
    assert (first.p, second.p) == (snapshot.s, first.s)
    assert snapshot.s <= welcome.s <= second.s  # what the stream has brought by then


async def test_a_screen_that_missed_nothing_resumes_with_nothing(stand: Stand) -> None:
    client, snapshot = await stand.watch()
    again = await stand.hello(ep=snapshot.ep, s=snapshot.s)
    assert (await again.welcome()).mode == "resume"
    await stand.issue()
    assert (await again.event()).p == snapshot.s
    assert (await client.event()).p == snapshot.s


async def test_the_ring_is_filled_from_the_stream_when_a_process_starts(stand: Stand) -> None:
    before = await stand.store.board("h1")
    for _ in range(5):
        await stand.issue()
    client = await stand.hello(ep=before.ep, s=before.s)
    assert (await client.welcome()).mode == "resume"
    events = [await client.event() for _ in range(5)]
    assert events[0].p == before.s
    assert [event.p for event in events[1:]] == [event.s for event in events[:-1]]


@pytest.mark.parametrize("push_config", [PushConfig(ring=4)])
async def test_a_screen_away_for_too_long_gets_a_snapshot(stand: Stand) -> None:
    other, snapshot = await stand.watch()
    for _ in range(6):
        await stand.issue()
        await other.event()
    client = await stand.hello(ep=snapshot.ep, s=snapshot.s)
    assert (await client.welcome()).mode == "snapshot"
    assert (await client.snapshot()).board.waiting["a"] == 6


@pytest.mark.parametrize(("ep", "s"), [("other", 0), ("", 3), ("same", 9999), ("same", None)])
async def test_a_position_that_is_none_gets_a_snapshot(stand: Stand, ep: str, s: int | None) -> None:
    state = await stand.store.board("h1")
    client = await stand.hello(ep=state.ep if ep == "same" else ep, s=s)
    assert (await client.welcome()).mode == "snapshot"
    assert (await client.snapshot()).s == state.s


async def test_resync_repairs_in_band(stand: Stand) -> None:
    client, snapshot = await stand.watch()
    await stand.issue()
    first = await client.event()
    await client.say(Resync(snapshot.ep, snapshot.s))
    again = await client.event()
    assert again == first
    await client.say(Resync("another", snapshot.s))
    whole = await client.snapshot()
    assert whole.s == first.s
    await client.say(Resync(whole.ep, whole.s))  # it says it has all and still asks: the whole state
    assert (await client.snapshot()).s == whole.s
    await stand.issue()
    assert (await client.event()).p == whole.s


@pytest.mark.parametrize("push_config", [PushConfig(hb_ms=100)])
async def test_however_many_come_the_store_is_asked_for_the_board_once(stand: Stand) -> None:
    await stand.issue()
    clients = await asyncio.gather(*(stand.hello() for _ in range(30)))
    for client in clients:
        await client.welcome()
        await client.snapshot()
    await stand.issue()
    meter = stand.push.meter
    assert (meter.boards_read, meter.snapshots) == (1, 30)
    assert "qserver_push_boards_read_total 1" in list(meter.lines())


@CODECS
async def test_heartbeats_say_the_last_event(stand: Stand, codec: Codec) -> None:
    client, snapshot = await stand.watch(codec)
    assert ((beat := await client.beat()).ep, beat.s) == (snapshot.ep, snapshot.s)
    await stand.issue()
    event = await client.event()
    later = await client.beat()
    while later.s != event.s:  # one may have been on its way
        assert later.s == snapshot.s
        later = await client.beat()
    assert later.now_ms >= event.at_ms - 5


async def test_a_new_definition_and_a_notice_bring_a_snapshot(stand: Stand) -> None:
    client, snapshot = await stand.watch()
    hall = small_hall(name="新厅")
    await stand.store.configure(SYSTEM, hall)
    config = await client.event()
    assert (config.k, config.p) == ("config", snapshot.s)
    assert (await client.snapshot()).s == config.s
    await stand.store.post_notice(SYSTEM, "h1", "今天下午停电")
    notice = await client.event()
    assert (notice.k, notice.p) == ("notice", config.s)
    whole = await client.snapshot()
    assert [one.text for one in whole.board.notices] == ["今天下午停电"]
    again = await stand.hello(ep=whole.ep, s=config.s)
    assert (await again.welcome()).mode == "snapshot"  # events alone would not tell it the notice


async def test_joiners_while_events_rush_in_lose_none(stand: Stand) -> None:
    await stand.open("w1")

    async def rush() -> None:
        for _ in range(60):
            await stand.issue()

    async def one(delay: int) -> tuple[str, int, object]:
        for _ in range(delay):
            await asyncio.sleep(0)
        client = await stand.hello()
        await client.welcome()
        board = Board(await client.snapshot())
        return seen(await settled(client, board, target))

    before = (await stand.store.board("h1")).s
    target = before + 60
    results = await asyncio.gather(rush(), *(one(n * 20) for n in range(8)))
    expected = await truth(stand)
    assert all(result == expected for result in results[1:])


async def test_kill_nine_of_the_data_server_is_another_epoch(stand: Stand, valkey: DataServer) -> None:
    client, snapshot = await stand.watch()
    await stand.issue()
    event = await client.event()
    valkey.kill9()
    valkey.start()
    whole = await client.snapshot()
    assert whole.ep != snapshot.ep
    assert whole.s == event.s
    assert whole.board.waiting["a"] == 1
    ticket = await patient_issue(stand)
    following = await client.event()
    assert (following.p, following.ticket) == (whole.s, ticket)
    again = await stand.hello(ep=snapshot.ep, s=event.s)
    assert (await again.welcome()).mode == "snapshot"


async def patient_issue(stand: Stand) -> str:
    from qserver.domain.errors import Unavailable

    while True:
        try:
            return (await stand.issue()).no
        except Unavailable:
            await asyncio.sleep(0.05)


async def test_halls_do_not_hear_of_one_another(stand: Stand, valkey_store: Store) -> None:
    await valkey_store.configure(SYSTEM, small_hall("h2"))
    client, snapshot = await stand.watch()
    await valkey_store.issue(SYSTEM, "h2", "a")
    await stand.issue()
    assert (await client.event()).p == snapshot.s
    other = await stand.connect()
    await other.say(Hello(await stand.token("display"), "board", "h2"))
    assert await other.end() == ([4101], 4101)


async def test_a_board_event_leaves_out_what_does_not_apply(stand: Stand) -> None:
    client, _ = await stand.watch()
    await stand.issue()
    event = await client.event()
    assert (event.k, event.ticket, event.service, event.waiting) == ("issue", "A001", "a", 1)
    assert event.window is UNSET
    assert event.n is UNSET
