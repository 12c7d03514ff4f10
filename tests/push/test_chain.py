"""Whatever the channel does, a screen ends at the truth and never shows a step that was none.

The same property is then shown to fail when epochs, the chain rule or resync is taken away: so it tests them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from displays.chain import NOTHING, Chain, Outcome
from qserver.wire.messages import BoardEvent
from tests.push.channels import SERVICES, WINDOWS, Screen, Server, Truth, shown

KINDS = ("issue", "call", "recall", "start", "finish", "hidden") * 3 + ("notice",)
WEIGHTS = {
    "happen": 16, "unread": 4, "rewind": 1, "feed": 2, "ask": 1, "load": 1, "reload": 3, "tick": 1, "beat": 1,
    "deliver": 6, "read": 3, "lose": 3, "again": 2, "say": 3, "mute": 1,
    "connect": 1, "drop": 1, "fill": 1, "drain": 2, "wait": 2,
}  # fmt: skip
NAMES = [name for name, weight in WEIGHTS.items() for _ in range(weight)]
Step = tuple[str, str, int, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(KINDS), st.integers(0, 2), st.integers(0, 3)),
    min_size=20,
    max_size=120,
)


class Reckless(Chain):
    """The mutation: a screen that applies whatever comes."""

    __slots__ = ()

    def _event(self, event: BoardEvent, now: float) -> Outcome:
        if self.board is None:
            return NOTHING
        self.board.apply(event)
        self.s = event.s
        return Outcome(applied=event)


async def play(steps: list[Step], *, epochs: bool, resyncs: bool, chain: Callable[[], Chain]) -> None:
    """Plays the steps, lets the channel recover, and compares every screen with the truth."""
    truth = Truth(epochs=epochs)
    server = Server(truth)
    screens = [Screen(truth, server, chain=chain(), resyncs=resyncs) for _ in range(3)]
    for screen in screens:
        screen.connect()
    server.ask()
    server.load()
    for screen in screens:
        _read_all(screen)
    for name, kind, first, second in steps:
        if name in ("happen", "unread"):
            truth.happen(kind, WINDOWS[second % 2], SERVICES[second // 2])
            if name == "happen":
                server.feed(len(truth.stream))
        elif name == "rewind":
            truth.rewind(first)
        elif name == "tick":
            for _ in range(first):
                await asyncio.sleep(0)
        elif name in ("feed", "ask", "load", "reload", "beat"):
            _server_step(server, name, first + 1)
        else:
            _screen_step(screens[first], name, second)
        if second != 3:  # else the next step comes while a round of several chunks is under way
            await asyncio.sleep(0)
    await _recover(truth, server, screens)
    for screen in screens:
        board = screen.chain.board
        assert board is not None
        ended, expected = board.snapshot(), truth.snapshot()
        assert (ended.ep, ended.s) == (expected.ep, expected.s), "a screen does not end at the truth"
        assert shown(ended.board) == shown(expected.board), "a screen does not end at the truth"
        assert ended.board.notices == expected.board.notices, "a screen does not end at the truth"


def _server_step(server: Server, name: str, count: int) -> None:
    if name == "feed":
        server.feed(count)
    elif name == "ask":
        server.ask()
    elif name == "load":
        server.load()
    elif name == "reload":
        server.ask()
        server.load()
    else:
        server.topic.beat()
        server.topic.flush()


def _screen_step(screen: Screen, name: str, place: int) -> None:
    if name == "read":
        _read_all(screen)
    elif name == "deliver":
        screen.deliver(place)
    elif name == "lose":
        screen.deliver(place, lose=True)
    elif name == "again":
        screen.deliver(place, again=True)
    elif name == "say":
        screen.repair()
    elif name == "mute":
        screen.repair(lose=True)
    else:
        getattr(screen, name)()


def _read_all(screen: Screen) -> None:
    while screen.wire is not None and screen.wire.under_way:
        screen.deliver()


async def _recover(truth: Truth, server: Server, screens: list[Screen]) -> None:
    """From here on nothing is lost: the server reads all, and heartbeats come."""
    for _ in range(6):
        server.feed(len(truth.stream))
        server.ask()
        server.load()
        for screen in screens:
            if screen.wire is None:
                screen.connect()
            screen.drain()
        for _ in range(8):  # rounds of several chunks
            await asyncio.sleep(0)
        server.topic.beat()
        server.topic.flush()
        for _ in range(8):
            await asyncio.sleep(0)
        for screen in screens:
            _read_all(screen)
            screen.wait()
            while screen.said:
                screen.repair()


def run(steps: list[Step], *, epochs: bool = True, resyncs: bool = True, chain: Callable[[], Chain] = Chain) -> None:
    asyncio.run(play(steps, epochs=epochs, resyncs=resyncs, chain=chain))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(STEPS)
def test_every_screen_ends_at_the_truth_and_never_shows_what_was_not(steps: list[Step]) -> None:
    run(steps)


@pytest.mark.parametrize(
    "mutation",
    [{"epochs": False}, {"resyncs": False}, {"chain": Reckless}],
    ids=["without epochs", "without resync", "without the chain"],
)
def test_the_property_fails_when_a_part_of_the_rule_is_taken_away(mutation: dict[str, object]) -> None:
    @settings(max_examples=2000, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    @given(STEPS)
    def property_holds(steps: list[Step]) -> None:
        run(steps, **mutation)  # type: ignore[arg-type]

    with pytest.raises((AssertionError, KeyError)):  # KeyError: it shows a number that this epoch never had
        property_holds()
