"""Random evaluation: ratings, reviews, appeals and cases over days and holidays, model beside real functions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from msgspec.structs import astuple

from qserver.domain import hall
from qserver.domain.errors import Refusal
from qserver.domain.events import Event
from qserver.domain.reviews import ENDED, STEPS
from qserver.store.answers import SYSTEM, Op, RatingItem, ShownItem
from qserver.store.topology import Topology
from tests.model.evaluation import Evaluation, Visit
from tests.servers import DataServer
from tests.store.clocks import MORNING, TimedStore

HOUR = 3_600_000
DAY = 24 * HOUR
HALL = {
    "id": "h1",
    "services": [
        {"id": "a", "prefix": "A", "service_limit_s": 600, "case_limit": "6h"},
        {"id": "b", "prefix": "B", "case_limit": "3wd"},
        {"id": "c", "prefix": "C"},
    ],
    "windows": [{"id": "w1", "services": ["a", "b", "c"]}, {"id": "w2", "services": ["a", "b", "c"]}],
    "rating": {"window_s": 1800},
    "calendar": {"days": {"2026-11-25": False, "2026-11-28": True}},
}
SAID: dict[str, dict[str, str]] = {
    "assign": {"to": "li"}, "verify": {"note": "查看录像"}, "rectify": {"note": "已培训"}, "revisit": {}, "close": {},
    "appeal": {"reason": "误评"}, "uphold": {"reason": "属实"}, "exclude": {"reason": "误评属实"},
}  # fmt: skip
RESULTS = {"verify": ["valid", "valid", "invalid"], "revisit": ["satisfied", "satisfied", "reopened"]}
windows = st.sampled_from(["w1", "w2"])
cases = st.sampled_from(["C-1", "C 2", "第三号"])
devices = st.sampled_from(["", "d1", "d1", "d1", "d2", "d3", "d4", "d5"])
numbers = st.sampled_from([1, 2, 3, 4, 5, 300, 512, 513, 514, 2**53])


class Days(RuleBasedStateMachine):
    """One hall, one model of its evaluation."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.keys = 0
        self.last: dict[str, Visit] = {}

    def run(self, coroutine: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    @initialize(profile=st.sampled_from(["", "guangdong-2019", "xinjiang-2025"]))
    def begin(self, profile: str) -> None:
        definition = hall.parse(HALL | {"profile": profile})

        async def begin() -> None:
            topology = Topology.from_url(self.url)
            await topology.open()
            await topology.primaries()[0].call("FLUSHALL")
            self.store = TimedStore(topology)
            await self.store.start()
            await self.store.configure(SYSTEM, definition)

        self.run(begin())
        self.model = Evaluation(definition, MORNING)
        self.visit(window="w1", service="a", seconds=601, case="C-1", score=1)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.run(self.store.close())
        self.loop.close()

    def both(self, modelled: Callable[[], Any], real: Callable[[Op], Awaitable[Any]]) -> Any:
        """Gives a command to both, the second time under the same key; answers (model's, real) or None when refused."""
        self.keys += 1
        op = Op("t", b"key %d" % self.keys, b"b" * 16)
        try:
            expected = modelled()
        except Refusal as refusal:
            for replayed in (False, True):
                with pytest.raises(Refusal) as refused:
                    self.run(real(op))
                assert (refused.value.code, refused.value.data) == (refusal.code, refusal.data)
                assert refused.value.replayed is replayed
            return None
        answer, again = self.run(real(op)), self.run(real(op))
        assert (again.value, answer.replayed, again.replayed) == (answer.value, False, True)
        return expected, answer.value

    # What happens in the hall

    @rule(
        window=windows, service=st.sampled_from("aabc"), seconds=st.sampled_from([60, 599, 600, 601, 900]),
        case=st.one_of(st.just(""), cases), score=st.sampled_from([0, 0, 1, 2, 3, 5]),
    )  # fmt: skip
    def visit(self, window: str, service: str, seconds: int, case: str, score: int) -> None:
        """Somebody is served, leaves with or without a case, and may rate at once."""
        if self.model.now + seconds * 1000 >= self.model.day_end:
            self.time_passes(ms=self.model.day_end - self.model.now)

        async def serve() -> str:
            s = self.store
            if (await s.window("h1", window)).state == "closed":
                await s.open(SYSTEM, "h1", window, staff=f"staff-{window}")
            issued = (await s.issue(SYSTEM, "h1", service)).value.ticket
            await s.call(SYSTEM, "h1", window, ticket=issued.no)
            await s.begin_service(SYSTEM, "h1", window)
            await s.pass_ms(seconds * 1000)
            return issued.id

        visit = self.model.begin(self.run(serve()), service, window)
        self.model.now += seconds * 1000
        self.last[window] = visit
        if not self.finish(visit, "accepted" if case else "done", case):
            assert self.finish(visit, "done", case)
        self.time_passes(ms=0)
        if score:
            self.rate(n=len(self.model.visits) - 1, window=window, score=score, age=0, rid="x")

    def finish(self, visit: Visit, outcome: str, case: str, then: str = "", to: str = "") -> bool:
        return self.both(
            lambda: self.model.finish(visit, outcome, case, "t"),
            lambda op: self.store.finish(
                op, "h1", visit.window, outcome=outcome, case=case, then=then, then_window=to
            ),
        ) is not None  # fmt: skip

    @rule(
        window=windows, to=windows, service=st.sampled_from("abc"), seconds=st.sampled_from([60, 600, 601]),
        cases=st.tuples(st.one_of(st.just(""), cases), st.one_of(st.just(""), cases)), mistaken=st.booleans(),
    )  # fmt: skip
    def sent_on(self, window: str, to: str, service: str, seconds: int, cases: tuple[str, str], mistaken: bool) -> None:
        """Somebody is served, maybe as a case, and sent on to a window; a first try of that may be taken back."""
        if self.model.now + 3 * seconds * 1000 >= self.model.day_end:
            self.time_passes(ms=self.model.day_end - self.model.now)

        async def serve(window: str, ticket: str = "") -> str:
            s = self.store
            if (await s.window("h1", window)).state == "closed":
                await s.open(SYSTEM, "h1", window, staff=f"staff-{window}")
            if not ticket:
                ticket = (await s.issue(SYSTEM, "h1", "a")).value.ticket.id
            called = (await s.call(SYSTEM, "h1", window, ticket="" if ticket == begun else ticket)).value.ticket
            assert called and called.id == ticket, "whom the window calls by itself: it was sent there"
            await s.begin_service(SYSTEM, "h1", window)
            await s.pass_ms(seconds * 1000)
            return ticket

        def ended(visit: Visit, case: str, then: str = "", to: str = "") -> None:
            if not self.finish(visit, "accepted" if case else "done", case, then, to):
                assert self.finish(visit, "done", "", then, to)

        begun = ""
        begun = self.run(serve(window))
        visit = self.model.begin(begun, "a", window)
        self.model.now += seconds * 1000
        self.last[window] = visit
        if mistaken:
            ended(visit, "", "b", to)
            self.both(lambda: self.model.undo(visit, "t"), lambda op: self.store.undo(op, "h1", window))
            assert not visit.finished
        ended(visit, cases[0], service, to)
        self.run(serve(to, begun))
        visit = self.model.begin(begun, service, to, leg=2)
        self.model.now += seconds * 1000
        self.last[to] = visit
        ended(visit, cases[1])
        self.time_passes(ms=0)

    @rule(window=windows, wait=st.sampled_from([0, 5000, 15_001]))
    def undo(self, window: str, wait: int) -> None:
        """A finish is taken back, and the service goes on and ends again."""
        self.time_passes(ms=wait)
        visit = self.last.get(window)
        if visit is None or self.run(self.store.window("h1", window)).state == "closed":
            return
        self.both(lambda: self.model.undo(visit, "t"), lambda op: self.store.undo(op, "h1", window))
        if not visit.finished:
            assert self.finish(visit, "done", "")

    @rule(
        n=st.integers(0, 50), window=st.sampled_from(["", "", "w1", "w2"]), score=st.integers(1, 5),
        age=st.sampled_from([0, 1000, 6000, 2 * HOUR]), rid=st.sampled_from("xy"), device=devices, number=numbers,
    )  # fmt: skip
    def rate(self, n: int, window: str, score: int, age: int, rid: str, device: str = "", number: int = 0) -> None:
        """The pad or the ticket's link sends a rating, a late or doubled one among them, signed or not."""
        visit = self.model.visits[n % len(self.model.visits)]
        device, number = (device, number) if window and device else ("", 0)
        item = RatingItem(rid, visit.ticket, visit.leg, score, age, number=number)
        got = self.both(
            lambda: self.model.rate(visit, window, rid, score, age, "t", device, number),
            lambda op: self.store.rate(op, "h1", window, [item], device=device),
        )
        result = got[1].results[0]
        expected = (rid, *got[0])
        assert astuple(result) == expected + ("", "", 0)[len(expected) - 3 :]

    @rule(device=devices, numbers=st.lists(numbers, min_size=2, max_size=5), window=windows)
    def busy_pad(self, device: str, numbers: list[int], window: str) -> None:
        """Services that are rated at once, under these numbers."""
        for number in numbers:
            self.visit(window=window, service="c", seconds=60, case="", score=0)
            self.rate(len(self.model.visits) - 1, window, 5, 0, "x", device, number)

    @rule(n=st.integers(0, 50), window=windows, age=st.sampled_from([0, 0, 1000, 6000, 2 * HOUR]))
    def show(self, n: int, window: str, age: int) -> None:
        """The pad says that it asked."""
        visit = self.model.visits[n % len(self.model.visits)]
        said = ShownItem(visit.ticket, visit.leg, age, True)
        got = self.both(
            lambda: self.model.show(visit, window, age),
            lambda op: self.store.rate(op, "h1", window, [], device="d1", shown=[said]),
        )
        assert got[1].shown == [got[0]]

    # What is made of it

    def take(self, n: int, name: str, result: str) -> None:
        review = self.model.reviews[n % len(self.model.reviews)]
        said = dict(SAID[name])

        def real(op: Op) -> Awaitable[Any]:
            args = [said[key] for key in ("to", "reason") if key in said]
            args += [result] if name in RESULTS else []
            args += [said["note"]] if name in ("verify", "rectify") else []
            step: Awaitable[Any] = getattr(self.store, f"{name}_review")(op, "h1", review.id, *args)
            return step

        if got := self.both(lambda: self.model.step(review, name, result, "t", **said), real):
            assert got[1] == got[0]

    @rule(n=st.integers(0, 50), name=st.sampled_from(sorted(STEPS)), pick=st.integers(0, 2))
    def any_step(self, n: int, name: str, pick: int) -> None:
        """A step, mostly out of turn."""
        self.take(n, name, RESULTS[name][pick] if name in RESULTS else "")

    @rule(n=st.integers(0, 8), picks=st.lists(st.integers(0, 11), min_size=4, max_size=12))
    def go_on(self, n: int, picks: list[int]) -> None:
        """Steps that may be taken, one appeal among several, so that reviews get on."""
        for pick in picks:
            stage = self.model.reviews[n % len(self.model.reviews)].stage
            may = sorted(name for name, step in STEPS.items() if stage in step.sources and name != "appeal")
            name = may[-1 - pick % 3 % len(may)] if may and pick else "appeal"
            self.take(n, name, RESULTS[name][pick % 3] if name in RESULTS else "")

    @rule(name=cases)
    def complete(self, name: str) -> None:
        """The business system says that a case is done."""
        got = self.both(
            lambda: self.model.complete(name, "t"), lambda op: self.store.complete_case(op, "h1", name)
        )  # fmt: skip
        if got:
            assert got[1] == got[0]

    @rule(
        ms=st.sampled_from(
            [1, 1000, 30 * 60_000, HOUR, 5 * HOUR, 6 * HOUR, DAY, DAY, 2 * DAY, 5 * DAY, 9 * DAY, 40 * DAY]
        )
    )
    def time_passes(self, ms: int) -> None:
        self.run(self.store.pass_ms(ms))
        self.model.now += ms
        while self.run(self.store.sweep_all()):
            pass
        self.model.sweep()

    @rule(before=st.sampled_from([0, 0, 1]), times=st.integers(1, 4))
    def to_the_next_deadline(self, before: int, times: int) -> None:
        """Reminders, warnings and ends of terms at their very instants."""
        for _ in range(times):
            next_ms = self.run(self.store.due(self.store.partition("h1"))).next_ms
            self.time_passes(ms=max(0, next_ms - before - self.model.now))

    # What must be the same

    @invariant()
    def same_reviews_and_cases(self) -> None:
        if not hasattr(self, "store"):
            return
        assert self.run(self.store.reviews("h1", limit=1000))[0] == [one.shown() for one in self.model.reviews]
        pending = [one.id for one in self.model.reviews if one.stage not in ENDED]
        assert self.run(self.store.stats("h1")).open_reviews == len(pending)
        for latest in (False, True):
            found, after = [], ""
            while after is not None:
                page, after = self.run(self.store.reviews("h1", pending=True, latest=latest, limit=2, after=after))
                found += [one.id for one in page]
            assert found == (pending[::-1] if latest else pending)
        for name, case in self.model.cases.items():
            assert self.run(self.store.case("h1", name)) == case.shown()
        promised = {name for name, case in self.model.cases.items() if case.state == "accepted"}
        assert {one.id for one in self.run(self.store.open_cases("h1"))[0]} == promised

    @invariant()
    def same_record(self) -> None:
        if not hasattr(self, "store"):
            return
        found = self.run(self.store.read_events(self.store.partition("h1"), "-", 100_000))
        events = [msgspec.msgpack.decode(fields[b"e"], type=Event) for _, fields in found if b"e" in fields]
        kinds = [e.kind for e in events if e.kind.startswith(("rating.", "review.", "case.", "overtime.", "device."))]
        assert sorted(kinds) == sorted(self.model.kinds)
        assert [event.s for event in events] == list(range(1, len(events) + 1))
        assert len({event.id for event in events}) == len(events)
        rated = [e.more() for e in events if e.kind == "rating.recorded" and e.more()["source"] == "active"]
        assert [said.get("doubt") for said in rated] == self.model.doubts
        steps: dict[object, list[tuple[str, int, str]]] = {}
        for event in events:
            if event.kind.startswith("review."):
                told = (event.kind.removeprefix("review."), event.at_ms, event.actor)
                steps.setdefault(event.more()["review"], []).append(told)
        for review in self.model.reviews:
            assert steps[review.id] == [(one["step"], one["at_ms"], one["actor"]) for one in review.history]

    @invariant()
    def same_ratings(self) -> None:
        for visit in self.model.visits:
            if visit.iseq >= self.model.gone:
                rating = self.run(self.store.ticket("h1", visit.ticket)).legs[visit.leg - 1].rating
                assert (rating and (rating.score, rating.source, rating.at_ms)) == (visit.rating and visit.rating[:3])
            else:
                with pytest.raises(Refusal):
                    self.run(self.store.ticket("h1", visit.ticket))


@pytest.mark.timeout(180)
def test_random_evaluation_goes_as_the_model_says(data_server: DataServer) -> None:
    Days.url = data_server.url
    run_state_machine_as_test(
        Days,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            phases=[Phase.generate],
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
