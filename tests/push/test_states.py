"""The topics that are one small state each: a window, the figures, a ticket."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from qserver.domain import ticket as public
from qserver.domain.lifecycle import WindowState
from qserver.push import PushConfig
from qserver.store.answers import SYSTEM, RatingItem
from qserver.wire.codecs import JSON, MSGPACK, Codec
from qserver.wire.messages import Resync, State
from tests.halls import small_hall
from tests.push.clients import Client, Stand
from tests.servers import DataServer
from tests.waiting import until

CODECS = pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=lambda codec: codec.name)


def window_of(state: State) -> public.Window:
    assert isinstance(state.window, public.Window)
    return state.window


def ticket_of(state: State) -> public.Ticket:
    assert isinstance(state.ticket, public.Ticket)
    return state.ticket


# window:ID


@CODECS
async def test_a_window_gets_its_whole_state_and_then_every_change(stand: Stand, codec: Codec) -> None:
    client = await stand.hello("window:w1", role="pad", window="w1", codec=codec)
    welcome = await client.welcome()
    first = await client.state()
    assert (welcome.mode, welcome.s, welcome.ep) == ("snapshot", first.s, first.ep)
    assert (first.topic, window_of(first).state, window_of(first).name) == ("window:w1", "closed", "1 号窗口")
    await stand.open("w1")
    opened = await client.state()
    assert window_of(opened).state == "idle"
    assert opened.s > first.s
    ticket = await stand.issue()
    await stand.store.call(SYSTEM, "h1", "w1")
    called = await client.state()
    assert (window_of(called).state, window_of(called).ticket) == ("called", ticket.no)
    await stand.store.begin_service(SYSTEM, "h1", "w1")
    assert window_of(await client.state()).state == "serving"
    await stand.store.finish(SYSTEM, "h1", "w1")
    finished = window_of(await client.state())
    assert finished == await stand.store.window("h1", "w1")
    assert finished.rate is not None
    assert finished.rate.ticket == ticket.id
    item = RatingItem("r1", ticket.id, 1, 5, 0)
    await stand.store.rate(SYSTEM, "h1", "w1", [item])
    rated = window_of(await client.state())
    assert rated.rate is None


async def test_windows_do_not_hear_of_one_another(stand: Stand) -> None:
    one = await stand.hello("window:w1", role="clerk", window="w1")
    await one.welcome()
    assert window_of(await one.state()).id == "w1"
    await stand.open("w2")
    await stand.open("w1")
    assert window_of(await one.state()) == await stand.store.window("h1", "w1")


async def test_a_window_resyncs_and_comes_back(stand: Stand) -> None:
    client = await stand.hello("window:w1", role="pad", window="w1")
    await client.welcome()
    first = await client.state()
    await client.say(Resync(first.ep, first.s))
    assert await client.state() == first
    again = await stand.hello("window:w1", role="pad", window="w1", ep=first.ep, s=first.s)
    await again.welcome()
    assert await again.state() == first


@pytest.mark.parametrize("push_config", [PushConfig(hb_ms=100)])
async def test_heartbeats_of_a_window_say_its_last_state(stand: Stand) -> None:
    client = await stand.hello("window:w1", role="pad", window="w1")
    await client.welcome()
    first = await client.state()
    for _ in range(3):
        await stand.issue()  # events of the hall, none of the window
    beat = await client.beat()
    beat = await client.beat()
    assert (beat.ep, beat.s) == (first.ep, first.s)


async def test_a_window_keeps_up_with_a_new_definition(stand: Stand) -> None:
    client = await stand.hello("window:w1", role="pad", window="w1")
    await client.welcome()
    await client.state()
    gone = await stand.hello("window:w3", role="supervisor")
    await gone.welcome()
    await gone.state()
    base = small_hall()
    windows = [msgspec.structs.replace(window, name="一号") for window in base.windows if window.id != "w3"]
    await stand.store.configure(SYSTEM, small_hall(windows=windows))
    assert window_of(await client.state()).name == "一号"
    assert await gone.end() == ([4101], 4101)


async def test_a_window_hears_of_another_epoch(stand: Stand, valkey: DataServer) -> None:
    await stand.open("w1")
    client = await stand.hello("window:w1", role="pad", window="w1")
    await client.welcome()
    first = await client.state()
    valkey.kill9()
    valkey.start()
    second = await client.state()
    assert second.ep != first.ep
    assert second.window == first.window


# stats


@CODECS
async def test_figures_come_whole_and_again_when_something_happens(stand: Stand, codec: Codec) -> None:
    client = await stand.hello("stats", role="supervisor", codec=codec)
    await client.welcome()
    first = await client.state()
    assert first.stats != msgspec.UNSET
    await stand.issue()
    state = await client.state()
    while not _waiting(state):  # an earlier event may have led to a state too
        state = await client.state()
    assert _waiting(state) == 1
    assert state.s > first.s


def _waiting(state: State) -> int:
    assert not isinstance(state.stats, msgspec.UnsetType)
    return state.stats.services["a"]["waiting"]


async def test_figures_are_the_same_as_asked_for(stand: Stand) -> None:
    await stand.issue()
    client = await stand.hello("stats", role="supervisor")
    await client.welcome()
    state = await client.state()
    stats = await stand.store.stats("h1")
    assert not isinstance(state.stats, msgspec.UnsetType)
    assert (state.ep, state.s) == (stats.ep, stats.s)
    assert state.stats.day == stats.day
    assert state.stats.windows == stats.windows
    assert _waiting(state) == stats.services["a"]["waiting"]


async def test_figures_are_made_at_most_once_per_term_and_for_all_together(stand: Stand) -> None:
    clients = [await stand.hello("stats", role="supervisor") for _ in range(3)]
    for client in clients:
        await client.welcome()
        await client.state()
    asked = 0
    real = stand.store.stats

    async def counting(hall: str) -> object:
        nonlocal asked
        asked += 1
        return await real(hall)

    stand.store.stats = counting  # type: ignore[method-assign, assignment]
    for _ in range(30):
        await stand.issue()
    states = [await client.state() for client in clients]
    while any(_waiting(state) < 30 for state in states):
        states = [await client.state() for client in clients]
    assert asked <= 3


# ticket


@CODECS
async def test_a_holder_sees_its_place_move_up(stand: Stand, codec: Codec) -> None:
    await stand.open("w1")
    await stand.issue()
    mine = await stand.issue()
    client = await stand.hello("ticket", token=stand.secret(mine), hall="", codec=codec)
    await client.welcome()
    first = await client.state()
    assert (first.topic, ticket_of(first).id, first.ahead) == ("ticket", mine.id, 1)
    assert not isinstance(first.wait_estimate_ms, msgspec.UnsetType)
    await stand.store.call(SYSTEM, "h1", "w1")
    assert (await client.state()).ahead == 0
    await stand.store.miss(SYSTEM, "h1", "w1")
    await stand.store.call(SYSTEM, "h1", "w1")
    state = await client.state()
    while ticket_of(state).state != "called":
        state = await client.state()
    assert ticket_of(state).window == "w1"


async def test_holders_are_asked_for_together_and_told_only_of_changes(stand: Stand) -> None:
    tickets = [await stand.issue() for _ in range(5)]
    other = await stand.issue("b")
    clients: list[Client] = []
    for ticket in [*tickets, other]:
        client = await stand.hello("ticket", token=stand.secret(ticket), hall="h1")
        await client.welcome()
        await client.state()
        clients.append(client)
    asked: list[int] = []
    real = stand.store.positions

    async def counting(hall: str, names: list[str]) -> object:
        asked.append(len(names))
        return await real(hall, names)

    stand.store.positions = counting  # type: ignore[method-assign, assignment]
    await stand.store.cancel(SYSTEM, "h1", tickets[0].no)
    states = [await client.state() for client in clients[:5]]
    assert [ticket_of(state).state for state in states] == ["cancelled", *["waiting"] * 4]
    assert [state.ahead for state in states[1:]] == [0, 1, 2, 3]
    assert asked[0] == 6
    await stand.store.cancel(SYSTEM, "h1", other.no)
    assert ticket_of(await clients[5].state()).state == "cancelled"  # its first news


async def test_two_phones_with_one_ticket_both_hear(stand: Stand) -> None:
    ticket = await stand.issue()
    one = await stand.hello("ticket", token=stand.secret(ticket))
    await one.welcome()
    await one.state()
    two = await stand.hello("ticket", token=stand.secret(ticket))
    await two.welcome()
    await two.state()
    await stand.store.cancel(SYSTEM, "h1", ticket.no)
    for client in (one, two):
        state = await client.state()
        while ticket_of(state).state != "cancelled":
            state = await client.state()


@pytest.mark.parametrize("push_config", [PushConfig(hb_ms=100)])
async def test_heartbeats_of_a_ticket_say_its_last_state(stand: Stand) -> None:
    ticket = await stand.issue()
    client = await stand.hello("ticket", token=stand.secret(ticket))
    await client.welcome()
    state = await client.state()
    await stand.issue("b")  # moves the hall on, but not this ticket
    await client.beat()
    beat = await client.beat()
    assert (beat.ep, beat.s) == (state.ep, state.s)


async def test_a_ticket_of_another_hall_is_not_allowed(stand: Stand) -> None:
    ticket = await stand.issue()
    client = await stand.hello("ticket", token=stand.secret(ticket), hall="h2")
    assert await client.end() == ([4101], 4101)
    unknown = msgspec.structs.replace(ticket, id="20200101-A001")
    client = await stand.hello("ticket", token=stand.secret(unknown))
    assert await client.end() == ([4101], 4101)


async def test_halls_nobody_watches_are_forgotten_and_found_again(stand: Stand) -> None:
    client, snapshot = await stand.watch()
    hub = stand.push._hub
    await client.close()
    await until(lambda: not stand.push._roster.sockets)
    now = asyncio.get_running_loop().time()
    hub.tidy(now)
    assert hub.halls
    hub.tidy(now + 61)
    assert not hub.halls
    assert not hub.feed.partitions()
    await stand.issue()
    again = await stand.hello(ep=snapshot.ep, s=snapshot.s)
    assert (await again.welcome()).mode == "resume"
    assert (await again.event()).p == snapshot.s
    await stand.open("w1")
    assert (await again.event()).window == "w1"


def test_window_states_are_words_of_the_wire() -> None:
    assert msgspec.json.encode(WindowState.IDLE) == b'"idle"'
