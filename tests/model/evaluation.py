"""Evaluation in plain Python: what the functions must do with ratings, reviews, appeals and cases, said a second time.

Visits are simple here (issued, called and begun in one instant, then served for a while, some sent on to another
window); all that follows from their end is whole. It takes its tables and its calendar from the domain and nothing from
the store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from qserver.domain import calendar, holidays, reviews
from qserver.domain import hall as halls
from qserver.domain import ticket as public
from qserver.domain.errors import Refusal

UNDO_MS = 15_000
SKEW_MS = 5_000


@dataclass
class Pad:
    """A pad that signed ratings at a window."""

    highest: int
    used: set[int] = field(default_factory=set)


@dataclass
class Visit:
    """One leg of a ticket."""

    ticket: str
    service: str
    window: str
    started: int
    finished: int = 0
    over: bool = False
    silent: bool = False
    shown: bool = False
    rating: tuple[int, str, int, str] | None = None
    case: str = ""
    accepted: bool = False
    followed: bool = False  # something happened to the ticket since its finish
    iseq: int = 0
    leg: int = 1

    @property
    def staff(self) -> str:
        """Who worked there."""
        return f"staff-{self.window}"


@dataclass
class Review:
    """A negative review."""

    id: str
    source: str
    visit: Visit
    opened: int
    appeal_until: int
    history: list[dict[str, object]]
    stage: str = ""
    due: int = 0
    remind: int = 0
    overdue: bool = False
    late: bool = False
    appealed_from: str = ""
    upheld: bool = False
    assignee: str | None = None

    def shown(self) -> public.Review:
        """The public form."""
        may_appeal = self.stage not in ("appealed", "excluded") and not self.upheld
        return public.Review(
            id=self.id, state=self.stage.split(":")[0], source=self.source, window=self.visit.window,
            service=self.visit.service, staff=self.visit.staff, ticket=self.visit.ticket, leg=self.visit.leg,
            opened_ms=self.opened,
            due_ms=self.due or None, late=self.late, history=self.history, term=reviews.TERMS[self.stage] or None,
            result=self.stage.partition(":")[2] or None, assignee=self.assignee,
            appeal_until_ms=self.appeal_until if may_appeal else None,
        )  # fmt: skip


@dataclass
class Case:
    """A promised case."""

    id: str
    visit: Visit
    accepted: int
    due: int
    warn: int
    history: list[dict[str, object]]
    state: str = "accepted"
    completed: int = 0
    over: bool = False
    review: str | None = None

    def shown(self) -> public.Case:
        """The public form."""
        return public.Case(
            id=self.id, state=self.state, service=self.visit.service, window=self.visit.window, staff=self.visit.staff,
            ticket=self.visit.ticket, leg=self.visit.leg, accepted_ms=self.accepted, due_ms=self.due or None,
            completed_ms=self.completed or None, overtime=self.over, review=self.review, history=self.history,
        )  # fmt: skip


@dataclass
class Evaluation:
    """What is known of one hall's evaluation. Commands raise Refusal or answer with what they changed."""

    hall: halls.Hall
    now: int
    visits: list[Visit] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    cases: dict[str, Case] = field(default_factory=dict)
    kinds: list[str] = field(default_factory=list)
    defaults: dict[tuple[str, int], tuple[Visit, int]] = field(default_factory=dict)
    forget: dict[int, int] = field(default_factory=dict)  # first sequence number that stays -> when
    gone: int = 0
    day_end: int = 0
    issued: int = 0
    pads: dict[str, dict[str, Pad]] = field(default_factory=dict)  # window -> device -> pad, the latest last
    doubts: list[str | None] = field(default_factory=list)  # of the ratings from pads, in order

    def __post_init__(self) -> None:
        own = self.hall.calendar
        self.days = holidays.exceptions(own.name, self.hall.time_zone, own.days)
        self.day_end = calendar.business_day(self.now, self.hall.time_zone, self.hall.day_starts)[1]

    def after(self, start: int, term: str | None) -> int:
        """When a term ends."""
        return calendar.after_span(start, calendar.parse_span(term or "0s"), self.hall.time_zone, self.days)

    def tell(self, steps: list[dict[str, object]], kind: str, step: str, actor: str, **more: object) -> None:
        """A step in a history and in the feed."""
        steps.append({"at_ms": self.now, "step": step, "actor": actor} | more)
        self.kinds.append(kind)

    # Visits

    def begin(self, ticket: str, service: str, window: str, leg: int = 1) -> Visit:
        """A service has begun; what it follows can no longer be taken back."""
        self.issued += leg == 1
        visit = Visit(ticket, service, window, self.now, iseq=self.issued, leg=leg)
        self.visits.append(visit)
        self.follow(visit)
        return visit

    def follow(self, visit: Visit) -> None:
        """Something happens to a ticket."""
        for one in self.visits:
            one.followed = one.followed or one.ticket == visit.ticket

    def finish(self, visit: Visit, outcome: str, case: str, actor: str) -> None:
        """The service ends."""
        if outcome == "accepted" and case and case in self.cases and self.cases[case].state != "withdrawn":
            raise Refusal("wrong_state", what="case", state=self.cases[case].state)
        limit = halls.ms(next(s.service_limit_s for s in self.hall.services if s.id == visit.service))
        spent = self.now - visit.started
        if limit and spent > limit and not visit.over:
            visit.over = True
            self.kinds.append("overtime.service")
            self.open("overtime", visit, "system", spent_ms=spent, limit_ms=limit)
        visit.finished, visit.followed, visit.case, visit.accepted = self.now, False, case, False
        visit.shown = False
        self.kinds.append("rating.prompted")
        if outcome == "accepted" and case:
            visit.accepted = True
            term = next(s.case_limit for s in self.hall.services if s.id == visit.service)
            due = self.after(self.now, term) if term else 0
            warn = self.now + int((due - self.now) * self.hall.overtime.warn_at) if due else 0
            history = self.cases[case].history if case in self.cases else []
            self.cases[case] = Case(case, visit, self.now, due, warn, [*history])
            self.tell(self.cases[case].history, "case.accepted", "accepted", actor)

    def undo(self, visit: Visit | None, actor: str) -> None:
        """The finish is taken back."""
        if visit is None or self.now - visit.finished > UNDO_MS or visit.followed:
            raise Refusal("wrong_state", state="idle")
        if visit.accepted:
            case = self.cases[visit.case]
            if case.state != "accepted":
                raise Refusal("wrong_state", what="case", state=case.state)
            case.state = "withdrawn"
            self.tell(case.history, "case.withdrawn", "withdrawn", actor)
        visit.finished, visit.case, visit.accepted = 0, "", False

    def rate(
        self, visit: Visit, window: str, rid: str, score: int, age: int, actor: str, device: str = "", number: int = 0
    ) -> tuple[object, ...]:
        """A citizen rates; a pad may sign it as `device`."""
        if visit.iseq < self.gone:
            return "rejected", "not_found"
        if window and window != visit.window:
            return "rejected", "forbidden"
        if visit.rating:
            stands_score, source, stands_at, stands_rid = visit.rating
            if (stands_rid, stands_score) == (rid, score):
                return "duplicate", ""
            why = "other_score" if stands_rid == rid else "already_rated"
            return "conflict", why, stands_rid if source == "active" else "", source, stands_at
        at = self.now - age
        if at < visit.finished - SKEW_MS:
            return "rejected", "validation"
        at = max(at, visit.finished)
        in_time = at <= visit.finished + halls.ms(self.hall.rating.window_s)
        if (window and not in_time) or self.now > self.after(visit.finished, self.hall.rating.late_within):
            return "rejected", "wrong_state"
        visit.rating = (score, "active" if window else "active_late", at, rid)
        self.follow(visit)
        if window:
            self.doubts.append(self.doubt(window, device, number))
        self.kinds.append("rating.recorded")
        if score <= 2:
            self.open("rating", visit, actor, score=score, reasons=[], comment="")
        return "recorded", ""

    def doubt(self, window: str, device: str, number: int) -> str | None:
        """Whether a rating fits the pad that stands at the window."""
        pads = self.pads.setdefault(window, {})
        last = next(reversed(pads), "")
        if not device:
            return "unsigned" if last else None
        pad = pads.pop(device, None)
        known, pad = pad is not None, pad or Pad(number - 1)
        pads[device] = pad
        while len(pads) > 4:
            del pads[next(iter(pads))]
        why = None
        if number <= pad.highest - 512:
            why = "number_back"
        elif number in pad.used:
            why = "number_twice"
        pad.highest = max(pad.highest, number)
        if why != "number_back":
            pad.used.add(number)
        if why:
            self.kinds.append("device.cloned")
        elif last not in ("", device) and not known:
            self.kinds.append("device.changed")
        elif last not in ("", device):
            why = "two_pads"
        return why

    def show(self, visit: Visit, window: str, age: int) -> str:
        """The pad says that it asked."""
        at = max(self.now - age, visit.finished)
        late = at > visit.finished + halls.ms(self.hall.rating.window_s)
        if visit.iseq < self.gone or window != visit.window or self.now - age < visit.finished - SKEW_MS or late:
            return "rejected"
        if visit.shown:
            return "duplicate"
        visit.shown = True
        self.kinds.append("rating.shown")
        return "recorded"

    # Reviews

    def open(self, source: str, visit: Visit, actor: str, **more: object) -> Review:
        """A review is opened."""
        until = self.after(self.now, self.hall.reviews.appeal_within)
        review = Review(f"r{len(self.reviews) + 1:06d}", source, visit, self.now, until, [])
        self.reviews.append(review)
        self.tell(review.history, "review.opened", "opened", actor, source=source, **more)
        self.enter(review, "open")
        return review

    def enter(self, review: Review, stage: str) -> None:
        """A stage and its term."""
        term, before = reviews.TERMS[stage], reviews.TERMS.get(review.stage)
        review.stage = stage
        if term == before:
            return
        review.overdue, review.due, review.remind = False, 0, 0
        if term:
            review.due = self.after(self.now, getattr(self.hall.reviews, f"{term}_within"))
            review.remind = self.now + int((review.due - self.now) * self.hall.overtime.warn_at)

    def settle(self, review: Review) -> bool:
        """Lateness goes on record."""
        if not review.due or review.overdue or self.now <= review.due:
            return False
        review.overdue = review.late = True
        self.tell(review.history, "review.late", "late", "system", term=reviews.TERMS[review.stage])
        return True

    def step(self, review: Review, name: str, result: str, actor: str, **said: object) -> public.Review:
        """A step of the follow-up."""
        step = reviews.STEPS[name]
        state = review.stage.split(":")[0]
        if review.stage not in step.sources:
            raise Refusal("wrong_state", state=state)
        if result not in step.targets:
            raise Refusal("validation", field="result")
        if name == "appeal" and (review.upheld or self.now > review.appeal_until):
            raise Refusal("wrong_state", state=state, appeal_until_ms=review.appeal_until, upheld=review.upheld)
        self.settle(review)
        target = step.targets[result]
        if name == "appeal":
            review.appealed_from = review.stage
        if name == "uphold":
            review.upheld, target = True, review.appealed_from
        if name == "assign":
            review.assignee = str(said["to"])
        self.enter(review, target)
        more = {"result": result} if result else {}
        self.tell(review.history, f"review.{step.event}", step.event, actor, **more, **said)
        return review.shown()

    # Cases

    def settle_case(self, case: Case) -> bool:
        """A case over its limit is flagged and reviewed."""
        if case.state != "accepted" or not case.due or case.over or self.now <= case.due:
            return False
        case.over, case.warn = True, 0
        self.tell(case.history, "overtime.case", "overtime", "system")
        said: dict[str, Any] = {"case": case.id, "accepted_ms": case.accepted, "due_ms": case.due}
        case.review = self.open("case", case.visit, "system", **said).id
        return True

    def complete(self, name: str, actor: str) -> public.Case:
        """The business system is done."""
        case = self.cases.get(name)
        if not case:
            raise Refusal("not_found", what="case")
        if case.state != "accepted":
            raise Refusal("wrong_state", state=case.state)
        self.settle_case(case)
        case.state, case.completed = "completed", self.now
        self.tell(case.history, "case.completed", "completed", actor)
        return case.shown()

    # Time

    def sweep(self) -> None:
        """Everything time asks for at this instant, in the order of its deadlines where it matters."""
        rating = self.hall.rating
        if self.now >= self.day_end:
            self.day_end = calendar.business_day(self.now, self.hall.time_zone, self.hall.day_starts)[1]
            until = max(
                self.after(self.now, rating.late_within),
                self.after(self.now, rating.default_after) if rating.default_level else 0,
            )
            self.forget.setdefault(self.issued + 1, until + 2)
        for case in sorted(self.cases.values(), key=lambda case: (case.warn or case.due + 1, case.id)):
            if not self.settle_case(case) and case.state == "accepted" and case.warn and self.now >= case.warn:
                case.warn = 0
                self.kinds.append("overtime.warned")
        for visit in self.visits:
            over = visit.finished and self.now >= visit.finished + halls.ms(rating.window_s)
            if over and not visit.rating and not visit.silent and visit.iseq >= self.gone:
                visit.silent = True
                self.follow(visit)
                self.kinds.append("rating.unrated")
                if rating.default_level:
                    late = self.after(visit.finished, rating.late_within)
                    self.defaults[visit.ticket, visit.leg] = (
                        visit,
                        max(late, self.after(visit.finished, rating.default_after)) + 1,
                    )
        for key, (visit, at) in list(self.defaults.items()):
            if self.now >= at:
                del self.defaults[key]
                if not visit.rating and rating.default_level:
                    visit.rating = (rating.default_level, "default", self.now, "")
                    self.kinds.append("rating.recorded")
        for first, at in list(self.forget.items()):
            if self.now >= at:
                del self.forget[first]
                self.gone = max(self.gone, first)
        for review in self.reviews:
            if not self.settle(review) and not review.overdue and review.remind and self.now >= review.remind:
                review.remind = 0
                self.tell(review.history, "review.reminded", "reminded", "system", term=reviews.TERMS[review.stage])
