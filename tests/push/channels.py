"""A hall, its server core and its screens over a bad channel, all in memory: what the chain test plays with.

`Truth` is the record: events, and epochs in which its tail is lost. `Server` is the real hall log and board topic,
writing to transports that only collect. `Screen` is the real client core behind a channel that loses, doubles and
reorders frames. After every step a screen takes, it must show exactly what the record showed at that number in that
epoch; that is checked against the record's own history, kept apart from the fold under test.

The channel is worse than any TCP connection, save for one thing that only a broken connection can do: what belongs to a
new epoch never overtakes what belongs to the old one, and the first frame of an epoch is not lost unless the
connection is.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

from displays.chain import Chain
from qserver.push.channel import Ask, Tools, Why
from qserver.push.clock import Clock
from qserver.push.config import PushConfig
from qserver.push.frames import Framed
from qserver.push.hall import HallLog
from qserver.push.metrics import Meter
from qserver.push.session import Session
from qserver.push.topics import BoardTopic
from qserver.wire.codecs import JSON
from qserver.wire.messages import (
    BoardEvent,
    BoardView,
    CallView,
    NoticeView,
    Resync,
    ServerMessage,
    Snapshot,
    WindowView,
)
from tests.push.clients import Frames

WINDOWS = ("w1", "w2")
SERVICES = ("a", "b")
SPAN = 1_000_000
"""Instants of one generation."""
Shown = tuple[tuple[str, ...], ...]


class Entry(NamedTuple):
    """One entry of the stream: an event, or the change to an epoch."""

    event: BoardEvent | None
    ep: str


class Truth:
    """The record of one hall."""

    def __init__(self, *, epochs: bool = True) -> None:
        self.epochs = epochs  # the mutation: a record that does not tell when it lost its tail
        self.generation = 1
        self.s = 0
        self.p = 0
        self.calls: list[CallView] = []
        self.windows = {window: WindowView(window, window, "idle", None) for window in WINDOWS}
        self.waiting = dict.fromkeys(SERVICES, 0)
        self.notices: list[NoticeView] = []
        self.stream: list[Entry] = []  # not read by the server yet
        self.history: dict[tuple[int, int], Shown] = {}
        self._past: list[dict[str, object]] = []
        self._keep()

    @property
    def ep(self) -> str:
        return f"{self.generation if self.epochs else 1}-run"

    def happen(self, kind: str, window: str, service: str) -> None:
        """Something happens, and the record tells it."""
        self.s += 1 if kind != "hidden" else 2  # events that screens do not see take numbers too
        if kind == "hidden":
            return
        number, state = f"A{self.s:03}", ""
        more: dict[str, object] = {}
        if kind in ("call", "recall"):
            self.waiting[service] = max(0, self.waiting[service] - 1)
            state = "called"
            self.calls.insert(0, CallView(self.s, number, window, service, 1, self._now()))
            del self.calls[20:]
            more = {"ticket": number, "service": service, "waiting": self.waiting[service], "n": 1}
        elif kind in ("start", "finish"):
            state = "serving" if kind == "start" else "idle"
            more = {"ticket": number, "service": service}
        elif kind == "issue":
            self.waiting[service] += 1
            more = {"ticket": number, "service": service, "waiting": self.waiting[service]}
        elif kind == "notice":
            self.notices = [NoticeView(str(self.s), f"notice {self.s}", self.s)]
        if state:
            ticket = number if state != "idle" else None
            self.windows[window] = WindowView(window, window, state, ticket)
            more |= {"window": window, "state": state}
        event = BoardEvent(s=self.s, p=self.p, k=kind, at_ms=self._now(), **more)  # type: ignore[arg-type]
        self.p = self.s
        self.stream.append(Entry(event, self.ep))
        self._keep()

    def rewind(self, events: int) -> None:
        """The data server comes back without its last events, and says so."""
        for _ in range(min(events, len(self._past) - 1)):
            lost = self._past.pop()
            self.stream = [one for one in self.stream if one.event is None or one.event.s != lost["s"]]
        self.__dict__.update(copy.deepcopy(self._past[-1]))
        self.generation += 1
        if self.epochs:
            self.stream.append(Entry(None, self.ep))
        self._past.pop()
        self._keep()

    def snapshot(self) -> Snapshot:
        """What the store answers when asked now: the last event screens may see."""
        view = BoardView(
            f"{self.generation}", list(self.calls), list(self.windows.values()), dict(self.waiting), list(self.notices)
        )
        return Snapshot(self.ep, self.p, view)

    def _now(self) -> int:
        """An instant that gives away the generation it lies in."""
        return self.generation * SPAN + self.s

    def _keep(self) -> None:
        names = ("s", "p", "calls", "windows", "waiting", "notices")
        self._past.append(copy.deepcopy({name: getattr(self, name) for name in names}))
        self.history[self.generation, self.p] = shown(self.snapshot().board)


def shown(view: BoardView) -> Shown:
    """What can be seen of a board that events tell of (notices come with snapshots only)."""
    return (
        tuple(f"{call.s} {call.ticket} {call.window} {call.service} {call.at_ms}" for call in view.calls),
        tuple(f"{window.id} {window.state} {window.ticket}" for window in view.windows),
        tuple(f"{service} {count}" for service, count in sorted(view.waiting.items())),
    )


class Parcel(NamedTuple):
    """A frame under way, and the generation of the record it belongs to."""

    message: ServerMessage
    generation: int


def _generation(message: ServerMessage) -> int:
    """What the frame itself gives away, whether or not epochs are told."""
    if isinstance(message, BoardEvent):
        return message.at_ms // SPAN
    if isinstance(message, Snapshot):
        return int(message.board.hall)
    return 0


class Wire:
    """A socket that only collects, and the session over it: what a topic knows of one."""

    def __init__(self) -> None:
        self.session = Session(JSON, 0.0)
        self.mark = -1
        self.subject = ""
        self.under_way: list[Parcel] = []
        self.arrived = {0}  # generations of which something was taken; 0 is a welcome's
        self._written = 0

    def write(self, data: bytes) -> None:
        frames = Frames(data)
        while (message := frames.next()) is not None:
            self._written = _generation(message) or self._written
            self.under_way.append(Parcel(message, self._written))

    def send(self, data: bytes) -> int:
        self.write(data)
        return len(data)


class Server:
    """The hall log and the board topic, fed from the record as slowly as the test wants."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        config = PushConfig(chunk=1, ring=6)
        self.log = HallLog(truth.ep, config.ring)
        self.topic = BoardTopic(Tools(config, Clock(), Meter()), self.log)
        self.read: Snapshot | None = None

    def feed(self, count: int) -> None:
        """Takes entries of the stream."""
        for _ in range(min(count, len(self.truth.stream))):
            entry = self.truth.stream.pop(0)
            if entry.event is None:
                self.topic.turn(entry.ep)
            else:
                self.topic.take(Framed(entry.event))
        self.topic.flush()

    def ask(self) -> None:
        """Asks the store for the board, when it is time to."""
        if self.topic.stale:
            self.topic.asking()
            self.read = self.truth.snapshot()

    def load(self) -> None:
        """The store's answer arrives."""
        if self.read is not None:
            snapshot, self.read = self.read, None
            self.topic.answered(snapshot)
            self.topic.flush()


class Screen:
    """One screen: the client core, its connection, and the checks on all it does."""

    def __init__(self, truth: Truth, server: Server, *, chain: Chain, resyncs: bool = True) -> None:
        self.truth = truth
        self.server = server
        self.chain = chain
        self.resyncs = resyncs  # the mutation: a screen that never asks for a repair
        self.wire: Wire | None = None
        self.said: list[Resync] = []
        self.now = 0.0
        self.generation = 0  # of what it shows
        self.applied = 0

    def connect(self) -> None:
        if self.wire is not None:
            self.drop()
        self.wire = Wire()
        self.chain.connected(self.now)
        self.server.topic.join(self.wire, Ask(Why.HELLO, *self.chain.position()))  # type: ignore[arg-type]
        self.server.topic.flush()

    def drop(self) -> None:
        if self.wire is not None:
            self.server.topic.leave(self.wire)  # type: ignore[arg-type]
        self.wire = None
        self.said.clear()

    def fill(self) -> None:
        """The socket's buffer is full."""
        if self.wire is not None and self.wire.session.filled(0.0):
            self.server.topic.filled(self.wire)  # type: ignore[arg-type]

    def drain(self) -> None:
        """The socket's buffer is empty again."""
        if self.wire is not None and self.wire.session.drained(0.0):
            self.server.topic.join(self.wire, Ask(Why.DRAINED))  # type: ignore[arg-type]
            self.server.topic.flush()

    def repair(self, *, lose: bool = False) -> None:
        """What the screen said reaches the server, or not."""
        if self.said and self.wire is not None:
            message = self.said.pop(0)
            if not lose and self.wire.session.phase.value == "live":
                self.server.topic.join(self.wire, Ask(Why.RESYNC, message.ep, message.s))  # type: ignore[arg-type]
                self.server.topic.flush()

    def deliver(self, place: int = 0, *, lose: bool = False, again: bool = False) -> None:
        """One of the next frames arrives: out of turn, not at all, or to come once more."""
        if self.wire is None or not self.wire.under_way:
            return
        line = self.wire.under_way
        oldest = [n for n, parcel in enumerate(line) if parcel.generation == line[0].generation]
        n = oldest[min(place, len(oldest) - 1)]
        parcel = line[n]
        if parcel.generation not in self.wire.arrived:
            n, parcel = 0, line[0]
            if lose:
                self.connect()
                return
            self.wire.arrived.add(parcel.generation)
        if not again:
            del line[n]
        if not lose:
            self.take(parcel)

    def take(self, parcel: Parcel) -> None:
        before = self.chain.s
        outcome = self.chain.take(parcel.message, self.now)
        if outcome.say is not None and self.resyncs:
            self.said.append(outcome.say)
        if outcome.applied is not None:
            self.applied += 1
            assert parcel.generation == self.generation, "an event of another epoch was applied"
            assert outcome.applied.s > before, "an event was applied twice"
            assert outcome.applied.p == before, "an event was applied out of order"
        if outcome.replaced:
            self.generation = parcel.generation
        if outcome.replaced or outcome.applied is not None:
            self.check()

    def check(self) -> None:
        assert self.chain.board is not None
        expected = self.truth.history[self.generation, self.chain.s]
        assert shown(self.chain.board.snapshot().board) == expected, "the board shows what never was"

    def wait(self) -> None:
        """A good second passes."""
        self.now += 1.1
        repair = self.chain.poll(self.now)
        if repair is not None and self.resyncs:
            self.said.append(repair)
