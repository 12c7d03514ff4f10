"""The day report: what counts as what, exact figures, and words for all of them."""

import statistics
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qserver.domain import tally as reports
from qserver.domain.figures import COLUMNS, cells
from qserver.domain.lifecycle import State
from qserver.domain.report import DayReport, day_report
from qserver.domain.tally import Row, percentile, rate, spread
from qserver.domain.ticket import Leg, OvertimeFlags, Rating, Review, Ticket
from tests.halls import small_hall

DAY = "2026-11-23"
T0 = 1_795_000_000_000
MINUTE = 60_000


def leg(number: int = 1, **changes: Any) -> Leg:
    """A leg at w1: 10 minutes of wait, 1 of walk, 5 of service."""
    one = Leg(
        leg=number,
        service="a",
        window="w1",
        staff="zhang",
        queued_ms=T0,
        first_called_ms=T0 + 10 * MINUTE,
        called_ms=T0 + 10 * MINUTE,
        started_ms=T0 + 11 * MINUTE,
        finished_ms=T0 + 16 * MINUTE,
        calls=1,
        held_ms=0,
        wait_ms=10 * MINUTE,
        walk_ms=MINUTE,
        service_ms=5 * MINUTE,
        overtime=OvertimeFlags(wait=False, service=False),
        rating=None,
        outcome="done",
        unreliable=False,
    )
    return msgspec.structs.replace(one, **changes)


NEVER_CALLED: dict[str, Any] = {
    "window": None,
    "staff": None,
    "first_called_ms": None,
    "called_ms": None,
    "started_ms": None,
    "finished_ms": None,
    "wait_ms": None,
    "walk_ms": None,
    "service_ms": None,
    "outcome": None,
    "calls": 0,
}
NEVER_STARTED: dict[str, Any] = {
    "started_ms": None,
    "finished_ms": None,
    "walk_ms": None,
    "service_ms": None,
    "outcome": None,
}


def ticket(number: int = 1, *legs: Leg, state: State = State.FINISHED) -> Ticket:
    all_legs = list(legs) or [leg()]
    now = all_legs[-1]
    shared = {name: getattr(now, name) for name in Leg.__struct_fields__ if name in Ticket.__struct_fields__}
    return Ticket(
        **shared,
        id=f"20261123-A{number:03d}",
        no=f"A{number:03d}",
        hall="h1",
        day=DAY,
        services=[],
        priority="normal",
        channel="guide",
        state=state,
        issued_ms=T0,
        case=None,
        returns=0,
        legs=all_legs,
    )


def review(number: int = 1, **changes: Any) -> Review:
    one = Review(
        id=f"r{number:06d}",
        state="open",
        source="rating",
        window="w1",
        service="a",
        staff="zhang",
        ticket="20261123-A001",
        leg=1,
        opened_ms=T0,
        due_ms=T0,
        late=False,
        history=[],
    )
    return msgspec.structs.replace(one, **changes)


def report(*tickets: Ticket, by: reports.By = "window", reviews: tuple[Review, ...] = ()) -> DayReport:
    return day_report(small_hall(), DAY, by, tickets, reviews, T0)


def row(made: DayReport, key: str) -> Row:
    return next(row for row in made.rows if row.id == key)


def test_a_day_without_tickets_has_a_row_for_every_window_and_no_shares() -> None:
    made = report()
    assert [row.id for row in made.rows] == ["w1", "w2", "w3"]
    assert made.totals.issued == 0
    assert made.totals.wait == reports.Spread(0, None, None, None)
    assert made.totals.overtime == reports.OvertimeFigures(0, None, 0, None)
    assert made.totals.ratings.rated_share is None
    assert made.totals.ratings.active_good_rate is None


def test_a_served_ticket_counts_with_its_durations_at_its_window() -> None:
    made = report(ticket())
    for figures in (row(made, "w1"), made.totals):
        assert (figures.called, figures.served, figures.missed, figures.left, figures.expired) == (1, 1, 0, 0, 0)
        assert figures.wait == reports.Spread(1, 10 * MINUTE, 10 * MINUTE, 10 * MINUTE)
        assert figures.service == reports.Spread(1, 5 * MINUTE, 5 * MINUTE, 5 * MINUTE)
    assert row(made, "w2").served == 0


def test_a_ticket_is_issued_once_however_many_services_it_has() -> None:
    two = ticket(1, leg(1), leg(2, service="b", window="w2"))
    made = report(two, by="service")
    assert (made.totals.issued, row(made, "a").issued, row(made, "b").issued) == (1, 1, 0)
    assert (made.totals.served, row(made, "a").served, row(made, "b").served) == (2, 1, 1)


def test_windows_and_staff_issue_nothing() -> None:
    assert row(report(ticket()), "w1").issued is None
    assert row(report(ticket(), by="staff"), "zhang").issued is None


def test_a_leg_that_waits_after_a_finished_one_is_pending_and_the_first_is_served() -> None:
    made = report(ticket(1, leg(1), leg(2, service="b", **NEVER_CALLED), state=State.WAITING))
    assert (made.totals.served, made.totals.pending) == (1, 1)


def test_a_transfer_is_not_a_finish_and_is_in_no_service_time() -> None:
    moved = ticket(1, leg(1, outcome="transferred"), leg(2, window="w2", service="b"))
    made = report(moved)
    assert (row(made, "w1").served, row(made, "w1").transferred) == (0, 1)
    assert row(made, "w1").service.count == 0
    assert row(made, "w1").wait.count == 1
    assert row(made, "w2").served == 1
    assert made.totals.ratings.unrated == 1


@pytest.mark.parametrize("state", [State.MISSED, State.EXPIRED])
def test_who_was_called_and_never_came_is_missed_even_when_the_day_turned_after(state: State) -> None:
    made = report(ticket(1, leg(**NEVER_STARTED), state=state))
    assert made.totals.missed == 1
    assert made.totals.expired == (state is State.EXPIRED)
    assert made.totals.served == 0


@pytest.mark.parametrize("state", [State.CALLED, State.HELD, State.WAITING])
def test_who_may_still_come_is_not_missed(state: State) -> None:
    made = report(ticket(1, leg(**NEVER_STARTED), state=state))
    assert (made.totals.missed, made.totals.pending) == (0, 1)


def test_who_was_held_when_the_day_turned_had_come_and_is_not_missed() -> None:
    held = msgspec.structs.replace(ticket(1, leg(**NEVER_STARTED), state=State.EXPIRED), hold_since_ms=T0)
    made = report(held, ticket(2, leg(**NEVER_STARTED), state=State.EXPIRED))
    assert (made.totals.missed, made.totals.expired) == (1, 2)


def test_who_left_counts_at_the_window_that_had_called_or_at_none() -> None:
    made = report(
        ticket(1, leg(**NEVER_STARTED | {"outcome": "cancelled"}), state=State.CANCELLED),
        ticket(2, leg(**NEVER_CALLED | {"outcome": "cancelled"}), state=State.CANCELLED),
    )
    assert (row(made, "w1").left, row(made, "").left, made.totals.left) == (1, 1, 2)
    assert made.rows[-1].id == ""


def test_what_the_day_left_over_is_expired_and_never_served() -> None:
    over = leg(finished_ms=None, service_ms=None, outcome="expired", unreliable=True)
    made = report(ticket(1, over, state=State.EXPIRED), ticket(2, leg(**NEVER_CALLED), state=State.EXPIRED))
    assert (made.totals.expired, made.totals.served, made.totals.missed) == (2, 0, 0)


def test_unreliable_durations_are_counted_and_left_out() -> None:
    odd = leg(unreliable=True, wait_ms=9_999_999, service_ms=9_999_999, overtime=OvertimeFlags(wait=True, service=True))
    made = report(ticket(1), ticket(2, odd))
    assert (made.totals.served, made.totals.unreliable) == (2, 1)
    assert (made.totals.wait.count, made.totals.service.mean_ms) == (1, 5 * MINUTE)
    assert made.totals.overtime == reports.OvertimeFigures(0, 0.0, 0, 0.0)


def test_overtime_is_a_share_of_what_could_run_over() -> None:
    slow = leg(overtime=OvertimeFlags(wait=True, service=True))
    left = leg(**NEVER_CALLED, overtime=OvertimeFlags(wait=True, service=False))
    made = report(ticket(1, slow), ticket(2), ticket(3, left, state=State.CANCELLED), ticket(4))
    assert made.totals.overtime == reports.OvertimeFigures(2, 0.5, 1, 0.3333)


def test_silence_is_unrated_and_never_a_good_rating() -> None:
    made = report(ticket(1), ticket(2, leg(rating=Rating(5, "active", T0))), ticket(3), ticket(4))
    ratings = made.totals.ratings
    assert (ratings.rated, ratings.rated_share, ratings.unrated, ratings.unrated_rate) == (1, 0.25, 3, 0.75)
    assert (ratings.good, ratings.active_good_rate) == (1, 1.0)


def test_a_default_level_is_kept_apart_from_what_citizens_said() -> None:
    made = report(
        ticket(1, leg(rating=Rating(2, "active", T0))),
        ticket(2, leg(rating=Rating(4, "active_late", T0))),
        ticket(3, leg(rating=Rating(4, "default", T0))),
    )
    ratings = made.totals.ratings
    assert (ratings.rated, ratings.active, ratings.active_late, ratings.default) == (2, 1, 1, 1)
    assert (ratings.active_good_rate, ratings.unrated) == (0.5, 1)


@pytest.mark.parametrize(("score", "good"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 1)])
def test_levels_one_and_two_are_negative(score: int, good: int) -> None:
    assert report(ticket(1, leg(rating=Rating(score, "active", T0)))).totals.ratings.good == good


def test_negatives_are_counted_by_who_said_them() -> None:
    made = report(
        ticket(),
        reviews=(
            review(1),
            review(2, source="overtime"),
            review(3, source="overtime", window="w2"),
            review(4, source="wait", window=None, staff=None),
            review(5, state="excluded"),
        ),
    )
    none = {"upheld": 0, "rectified": 0}
    assert made.totals.negatives == reports.Negatives(rating=1, overtime=2, wait=1, case=0, excluded=1, **none)
    assert row(made, "w1").negatives == reports.Negatives(rating=1, overtime=1, wait=0, case=0, excluded=1, **none)
    assert row(made, "").negatives.wait == 1


def test_upheld_and_rectified_negatives_are_counted_and_an_excluded_one_is_neither() -> None:
    steps: list[dict[str, object]] = [
        {"step": step} for step in ("opened", "appealed", "upheld", "verified", "rectified")
    ]
    made = report(
        ticket(),
        reviews=(
            review(1, history=steps),
            review(2, history=steps[:3]),
            review(3, history=steps, state="excluded"),
        ),
    )
    found = made.totals.negatives
    assert (found.rating, found.upheld, found.rectified, found.excluded) == (2, 2, 1, 1)


def test_signals_are_counted_where_the_leg_was() -> None:
    made = report(
        ticket(1, leg(signals=["short_service", "rating_burst"])),
        ticket(2, leg(signals=["short_service"], window="w2")),
    )
    assert made.totals.signals == reports.SignalFigures(2, 0, 0, 0, 0, 1, 0)
    assert row(made, "w2").signals == reports.SignalFigures(1, 0, 0, 0, 0, 0, 0)
    assert (made.totals.served, made.totals.unreliable) == (2, 0), "a mark takes nothing out of any figure"


def test_a_review_of_another_days_ticket_belongs_to_that_day() -> None:
    made = report(ticket(), reviews=(review(1, ticket="20261122-A001"),))
    assert made.totals.negatives.rating == 0


def test_rows_of_staff_stand_by_id_and_nobody_last() -> None:
    made = report(
        ticket(1, leg(staff="wang")),
        ticket(2, leg(staff=None)),
        ticket(3, leg(staff="li")),
        by="staff",
    )
    assert [row.id for row in made.rows] == ["li", "wang", ""]


def test_a_window_that_left_the_definition_keeps_its_figures() -> None:
    made = report(ticket(1, leg(window="old")))
    assert [row.id for row in made.rows] == ["w1", "w2", "w3", "old"]
    assert row(made, "old").served == 1


def test_every_figure_is_explained_in_both_languages() -> None:
    made = report()
    assert {one.figure for one in made.definitions} == {column.path for column in COLUMNS} - {"id", "name"}
    assert all(one.zh and one.en for one in made.definitions)
    assert all(column.zh and column.en for column in COLUMNS)


def test_the_cells_of_a_row_follow_the_columns() -> None:
    found = dict(zip([column.path for column in COLUMNS], cells(row(report(ticket()), "w1")), strict=True))
    assert (found["id"], found["name"], found["served"], found["wait.p90_ms"]) == ("w1", "1 号窗口", 1, 600_000)


durations = st.lists(st.integers(0, 86_400_000), min_size=2, max_size=300)


@given(durations)
def test_percentiles_agree_with_the_statistics_module(values: list[int]) -> None:
    made = spread(values)
    cuts = statistics.quantiles(values, n=10, method="inclusive")
    assert made.count == len(values)
    assert made.mean_ms == pytest.approx(statistics.mean(values), abs=0.5)
    assert made.p50_ms == pytest.approx(statistics.median(values), abs=0.5)
    assert made.p90_ms == pytest.approx(cuts[8], abs=0.5 + 1e-6)


@given(st.lists(st.integers(0, 86_400_000), min_size=1, max_size=100), st.integers(0, 100))
def test_a_percentile_lies_between_the_least_and_the_greatest(values: list[int], share: int) -> None:
    ordered = sorted(values)
    assert ordered[0] <= percentile(ordered, share) <= ordered[-1]


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_a_rate_is_a_share_or_nothing(part: int, rest: int) -> None:
    share = rate(part, part + rest)
    assert share is None if part + rest == 0 else share is not None and 0 <= share <= 1


states = st.sampled_from(State)


@given(st.lists(st.tuples(states, st.sampled_from(["w1", "w2", None]), st.booleans()), max_size=30))
def test_the_rows_of_a_report_add_up_to_its_totals(made_of: list[tuple[State, str | None, bool]]) -> None:
    tickets = [
        ticket(number, leg(window=window, unreliable=odd), state=state)
        for number, (state, window, odd) in enumerate(made_of, 1)
    ]
    for by in ("window", "staff", "service"):
        made = report(*tickets, by=by)
        for figure in ("called", "served", "missed", "left", "transferred", "expired", "pending", "unreliable"):
            assert sum(getattr(row, figure) for row in made.rows) == getattr(made.totals, figure), (by, figure)
    ended = made.totals
    assert ended.served + ended.left + ended.expired + ended.pending == len(tickets)
