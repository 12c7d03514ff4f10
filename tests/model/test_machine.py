"""Random days: every command goes to the model and to the real functions, and both must say and be the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from qserver.domain import hall
from qserver.domain.errors import Refusal
from qserver.domain.events import Event
from qserver.store.answers import SYSTEM, Op, RatingItem
from qserver.store.topology import Topology
from tests.model.hall_model import HallModel
from tests.servers import DataServer
from tests.store.clocks import MORNING, TimedStore

HALL = {
    "id": "h1",
    "services": [
        {"id": "a", "prefix": "A", "service_limit_s": 600, "wait_limit_s": 900},
        {"id": "b", "prefix": "B", "service_limit_s": 60},
        {"id": "c", "prefix": "A", "daily_quota": 3},
    ],
    "windows": [
        {"id": "w1", "services": ["a", "b", "c"]},
        {"id": "w2", "services": ["b", "a"], "service_penalty_s": {"a": 120}},
        {"id": "w3", "services": ["c"]},
    ],
    "priorities": [{"id": "elder", "boost_s": 300}, {"id": "army", "boost_s": 86400}],
    "calls": {"max_calls": 2, "return_after": 2, "max_returns": 2, "miss_after_s": 240},
    "rating": {"window_s": 1200},
    "integrity": {"marks": False},
}
windows = st.sampled_from(["w1", "w1", "w2", "w3"])
services = st.sampled_from(["a", "a", "b", "c"])
numbers = st.sampled_from([f"{prefix}{n:03d}" for prefix in "AB" for n in range(1, 8)])
reasons = st.sampled_from(["吃饭", "why"])
SENT = [("b", ""), ("", "w2"), ("c", "w3")]  # service and window that a finish sends a visit on to


class Day(RuleBasedStateMachine):
    """One hall, one model of it."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.keys = 0

    def run(self, coroutine: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    async def _begin(self, definition: hall.Hall) -> None:
        topology = Topology.from_url(self.url)
        await topology.open()
        await topology.primaries()[0].call("FLUSHALL")
        self.store = TimedStore(topology)
        await self.store.start()
        await self.store.configure(SYSTEM, definition)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.run(self.store.close())
        self.loop.close()

    def both(self, modelled: Callable[[], Any], real: Callable[[Op], Awaitable[Any]]) -> Any:
        """Gives a command to both, here twice at once under one key: the second time it is the first answer again."""
        self.keys += 1
        op = Op("t", b"key %d" % self.keys, b"b" * 16)
        try:
            expected = modelled()
        except Refusal as refusal:
            expected = refusal
        answer, again = self.run(self._twice(real, op))
        if isinstance(expected, Refusal):
            for refused, replayed in ((answer, False), (again, True)):
                assert isinstance(refused, Refusal), refused
                assert (refused.code, refused.data, refused.replayed) == (expected.code, expected.data, replayed)
            return None
        assert not isinstance(answer, BaseException), answer
        assert (again.value, answer.replayed, again.replayed) == (answer.value, False, True)
        return expected, answer.value

    async def _twice(self, real: Callable[[Op], Awaitable[Any]], op: Op) -> list[Any]:
        return list(await asyncio.gather(real(op), real(op), return_exceptions=True))

    def ticket(self, modelled: Callable[[], Any], real: Callable[[Op], Awaitable[Any]]) -> None:
        """A command that answers with one ticket."""
        if got := self.both(modelled, real):
            assert got[1] == self.model.shown(got[0])

    @rule(
        service=services,
        more=st.lists(services, max_size=2),
        priority=st.sampled_from(["normal", "normal", "elder", "army"]),
        person=st.sampled_from(["", "", "p1", "p2"]),
        window=st.sampled_from(["", "", "", "w2"]),
    )
    def issue(self, service: str, more: list[str], priority: str, person: str, window: str) -> None:
        s, m = self.store, self.model
        got = self.both(
            lambda: m.issue(service, list(more), priority, person, window),
            lambda op: s.issue(op, "h1", service, services=more, priority=priority, person=person, window=window),
        )
        if got:
            assert (got[1].ticket, got[1].ahead) == (m.shown(got[0]), m.ahead(got[0]))

    @rule(name=numbers, command=st.sampled_from(["cancel", "return_", "return_", "postpone"]))
    def about(self, name: str, command: str) -> None:
        self.ticket(lambda: getattr(self.model, command)(name), lambda op: getattr(self.store, command)(op, "h1", name))

    @rule(name=numbers, priority=st.sampled_from(["normal", "elder", "army"]))
    def reprioritise(self, name: str, priority: str) -> None:
        self.ticket(
            lambda: self.model.reprioritise(name, priority),
            lambda op: self.store.reprioritise(op, "h1", name, priority, "why"),
        )

    @rule(
        window=windows,
        staff=st.sampled_from(["", "li", "wang"]),
        chosen=st.sampled_from([None, None, ["b"], ["c", "a"]]),
    )
    def open(self, window: str, staff: str, chosen: list[str] | None) -> None:
        self.both(
            lambda: self.model.open(window, staff, chosen),
            lambda op: self.store.open(op, "h1", window, staff=staff, services=chosen),
        )

    @rule(window=windows, command=st.sampled_from(["close", "pause", "resume"]), reason=reasons)
    def shift(self, window: str, command: str, reason: str) -> None:
        real = {"close": "close_window"}.get(command, command)
        args = (reason,) if command == "pause" else ()
        self.both(
            lambda: self.model.shift(window, command, *args),
            lambda op: getattr(self.store, real)(op, "h1", window, *args),
        )

    @rule(window=windows, name=st.one_of(st.just(""), st.just(""), numbers), finish=st.booleans())
    def call(self, window: str, name: str, finish: bool) -> None:
        got = self.both(
            lambda: self.model.call(window, name, finish),
            lambda op: self.store.call(op, "h1", window, ticket=name, finish=finish),
        )
        if got:
            (called, finished), answer = got
            assert answer.ticket == (self.model.shown(called) if called else None)
            if finished and finished is not called:
                assert answer.finished == self.model.shown(finished)

    @rule(window=windows, command=st.sampled_from(["recall", "begin_service", "begin_service", "miss", "undo"]))
    def at(self, window: str, command: str) -> None:
        self.ticket(
            lambda: getattr(self.model, command)(window), lambda op: getattr(self.store, command)(op, "h1", window)
        )

    @initialize(
        tickets=st.integers(0, 5),
        opened=st.sampled_from([["w1"], ["w1", "w2"], ["w1", "w2", "w3"]]),
        count_holds=st.booleans(),
    )
    def morning(self, tickets: int, opened: list[str], count_holds: bool) -> None:
        definition = hall.parse(HALL | {"overtime": {"count_holds": count_holds}})
        self.run(self._begin(definition))
        self.model = HallModel(definition, MORNING)
        for window in opened:
            self.open(window=window, staff="li", chosen=None)
        for n in range(tickets):
            self.issue(service="aab"[n % 3], more=["b"] * (n % 2), priority="normal", person="", window="")

    @rule(choices=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 7)), min_size=2, max_size=8))
    def go_on(self, choices: list[tuple[int, int]]) -> None:
        """Things that can be done, so that days get on: most commands drawn blindly are refused."""
        for n, choice in choices:
            self.something(n, choice)

    def something(self, n: int, choice: int) -> None:
        """What the window's state allows."""
        w = list(self.model.windows.values())[n]
        state, window = w.state, w.id
        if state == "closed":
            self.open(window=window, staff="li", chosen=None)
        elif state == "idle" and choice < 5:
            held = [t for t in self.model.tickets.values() if t.state == "held" and t.day == self.model.day]
            if held and choice == 4:
                self.unhold(window=window, name=held[0].no)
            else:
                self.call(window=window, name="", finish=True)
        elif state == "idle":
            self.at(window=window, command="undo")
        elif state == "called":
            self.at(
                window=window, command=["begin_service", "begin_service", "begin_service", "recall", "miss"][choice % 5]
            )
        elif state == "serving":
            if choice < 4:
                self.finish(window=window, outcome="done", case="", sent=("", "") if choice % 2 else SENT[n])
            elif choice == 4:
                self.hold(window=window, reason="why")
            elif choice == 5:
                self.transfer(window=window, where=("b", ""), position="first")
            else:
                self.call(window=window, name="", finish=True)
        else:
            self.shift(window=window, command="resume", reason="")

    @rule(n=st.integers(0, 20), score=st.integers(1, 5), age=st.sampled_from([0, 1000]), rid=st.sampled_from("xyz"))
    def rate_finished(self, n: int, score: int, age: int, rid: str) -> None:
        legs = [
            (t.no, number, leg.window)
            for t in self.model.tickets.values()
            for number, leg in enumerate(t.legs, 1)
            if leg.finished and t.day == self.model.day
        ]
        if legs:
            name, number, window = legs[n % len(legs)]
            self.rate(window=window, name=name, leg=number, score=score, rid=rid, age=age)

    @rule(n=st.integers(0, 20))
    def return_a_missed(self, n: int) -> None:
        missed = [t.no for t in self.model.tickets.values() if t.state == "missed" and t.day == self.model.day]
        if missed:
            self.about(name=missed[n % len(missed)], command="return_")

    @rule(
        window=windows,
        outcome=st.sampled_from(["done", "advised"]),
        case=st.sampled_from(["", "C-1"]),
        sent=st.sampled_from([("", ""), ("", ""), *SENT, ("x", ""), ("b", "w9")]),
    )
    def finish(self, window: str, outcome: str, case: str, sent: tuple[str, str]) -> None:
        self.ticket(
            lambda: self.model.finish(window, outcome, case, *sent),
            lambda op: self.store.finish(
                op, "h1", window, outcome=outcome, case=case, then=sent[0], then_window=sent[1]
            ),
        )

    @rule(window=windows, reason=reasons)
    def hold(self, window: str, reason: str) -> None:
        self.ticket(lambda: self.model.hold(window), lambda op: self.store.hold(op, "h1", window, reason))

    @rule(window=windows, name=numbers)
    def unhold(self, window: str, name: str) -> None:
        self.ticket(lambda: self.model.unhold(window, name), lambda op: self.store.unhold(op, "h1", window, name))

    @rule(
        window=windows,
        where=st.sampled_from([("b", ""), ("", "w2"), ("c", "w3"), ("a", "")]),
        position=st.sampled_from(["arrival", "first", "last"]),
    )
    def transfer(self, window: str, where: tuple[str, str], position: str) -> None:
        self.ticket(
            lambda: self.model.transfer(window, *where, position),
            lambda op: self.store.transfer(op, "h1", window, service=where[0], to=where[1], position=position),
        )

    @rule(
        window=windows,
        name=numbers,
        leg=st.sampled_from([1, 1, 2]),
        score=st.integers(0, 6),
        rid=st.sampled_from("xyz"),
        age=st.sampled_from([0, 1000, 600_000]),
    )
    def rate(self, window: str, name: str, leg: int, score: int, rid: str, age: int) -> None:
        got = self.both(
            lambda: self.model.rate(window, rid, name, leg, score, age),
            lambda op: self.store.rate(op, "h1", window, [RatingItem(rid, name, leg, score, age)]),
        )
        result = got[1].results[0]
        assert (result.status, result.code) == got[0]

    @rule(
        ms=st.sampled_from(
            [1, 10, 1000, 1000, 15_000, 15_001, 48_000, 60_001, 240_000, 600_001, 900_001, 1_200_000, 36_000_000]
        )
    )
    def time_passes(self, ms: int) -> None:
        self.run(self.store.pass_ms(ms))
        self.model.now += ms
        while self.run(self.store.sweep_all()):
            pass
        self.model.sweep()

    @invariant()
    def same_hall(self) -> None:
        s, m = self.store, self.model
        today = [t for t in m.tickets.values() if t.day == m.day]
        assert self.run(s.day_tickets("h1")) == [m.shown(t) for t in today]
        board = self.run(s.board("h1"))
        assert [(c["ticket"], c["window"], c["service"], c["n"], c["at_ms"]) for c in board.calls] == m.calls[:20]
        assert board.waiting == {service: len(m.queue(service)) for service in "abc"}
        for window, expected in zip(self.run(s.windows("h1")), m.sessions(), strict=True):
            assert {name: getattr(window, name) for name in expected} == expected
        waiting = [t for t in today if t.state == "waiting"]
        positions = self.run(s.positions("h1", [t.no for t in waiting])) if waiting else []
        assert [p.ahead for p in positions] == [m.ahead(t) for t in waiting]

    @invariant()
    def same_record(self) -> None:
        found = self.run(self.store.read_events(self.store.partition("h1"), "-", 100_000))
        kinds = [msgspec.msgpack.decode(f[b"e"], type=Event).kind for _, f in found if b"e" in f][1:]
        assert sorted(kinds) == sorted(self.model.kinds)
        reviews = self.run(self.store.reviews("h1", limit=1000))[0]
        mine = [(r.source, r.ticket, r.leg, r.window, r.staff or "") for r in reviews]
        assert sorted(mine) == sorted(self.model.reviews)


def test_random_days_go_as_the_model_says(data_server: DataServer) -> None:
    Day.url = data_server.url
    run_state_machine_as_test(
        Day,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            phases=[Phase.generate],
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
