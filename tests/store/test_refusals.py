"""Every function x every refusal: the code, the data, and that nothing changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from qserver.domain import hall
from qserver.domain.errors import Refusal
from qserver.store.answers import SYSTEM, Op, RatingItem
from tests.store.clocks import TimedStore

Act = Callable[[TimedStore], Awaitable[Any]]
H = "h1"


async def nothing(s: TimedStore) -> None:
    """The hall as it is in the morning."""


async def idle(s: TimedStore) -> None:
    """w1 is open."""
    await s.open(SYSTEM, H, "w1", staff="li")


async def waiting(s: TimedStore) -> None:
    """A001 waits, w1 is idle."""
    await idle(s)
    await s.issue(SYSTEM, H, "a", person="p")


async def called(s: TimedStore) -> None:
    """A001 is called to w1."""
    await waiting(s)
    await s.call(SYSTEM, H, "w1")


async def serving(s: TimedStore) -> None:
    """A001 is served at w1."""
    await called(s)
    await s.begin_service(SYSTEM, H, "w1")


async def finished(s: TimedStore) -> None:
    """A001 is finished."""
    await serving(s)
    await s.finish(SYSTEM, H, "w1")


async def missed(s: TimedStore) -> None:
    """A001 is missed."""
    await called(s)
    await s.miss(SYSTEM, H, "w1")


async def held(s: TimedStore) -> None:
    """A001 is held."""
    await serving(s)
    await s.hold(SYSTEM, H, "w1", "papers")


async def cancelled(s: TimedStore) -> None:
    """A001 is cancelled."""
    await waiting(s)
    await s.cancel(SYSTEM, H, "A001")


async def paused(s: TimedStore) -> None:
    """w1 is paused."""
    await idle(s)
    await s.pause(SYSTEM, H, "w1", "lunch")


async def returned_and_missed_again(s: TimedStore) -> None:
    """A001 used its one return."""
    await missed(s)
    await s.return_(SYSTEM, H, "A001")
    await called_again(s)
    await s.miss(SYSTEM, H, "w1")


async def called_again(s: TimedStore) -> None:
    await s.call(SYSTEM, H, "w1")


async def recalled(s: TimedStore) -> None:
    """A001 was called as often as allowed."""
    await called(s)
    await s.recall(SYSTEM, H, "w1")


async def suspended(s: TimedStore) -> None:
    """Issuing for a is stopped."""
    await s.suspend(SYSTEM, H, "a", "printer")


async def quota_used(s: TimedStore) -> None:
    """The one ticket of `few` is out."""
    await s.issue(SYSTEM, H, "few")


async def keyed(s: TimedStore) -> None:
    """A key was used."""
    await s.issue(Op("t", b"key", b"1" * 16), H, "a")


async def late_undo(s: TimedStore) -> None:
    """A finish lies longer back than 15 s."""
    await finished(s)
    await s.pass_ms(15_001)


async def undone_then_rated(s: TimedStore) -> None:
    """After the finish the citizen rated."""
    await finished(s)
    await s.rate(SYSTEM, H, "w1", [RatingItem("r", "A001", 1, 5, 0)])


async def taken_over(s: TimedStore) -> None:
    """After the finish other staff took the window over."""
    await finished(s)
    await s.open(SYSTEM, H, "w1", staff="wang")


def without(table: str, gone: str) -> Act:
    """Configures h1 without one of its services or windows."""

    async def act(s: TimedStore) -> Any:
        now = (await s.hall(H)).hall
        data = {name: getattr(now, name) for name in now.__struct_fields__}
        data[table] = [one for one in data[table] if one.id != gone]
        if table == "services":
            data["windows"] = [
                hall.Window(id=w.id, services=[i for i in w.services if i != gone]) for w in data["windows"]
            ]
        return await s.configure(SYSTEM, hall.Hall(**data))

    return act


def at(command: str, window: str = "w1", *args: Any, **kw: Any) -> Act:
    """A window's command."""
    return lambda s: getattr(s, command)(SYSTEM, H, window, *args, **kw)


def about(command: str, *args: Any) -> Act:
    """A ticket's command."""
    return lambda s: getattr(s, command)(SYSTEM, H, *args)


AT_TICKET = {
    "recall": (),
    "begin_service": (),
    "finish": (),
    "miss": (),
    "hold": ("why",),
    "transfer": (),
}
KW: dict[str, dict[str, str]] = {"transfer": {"service": "b"}}
ALLOWED = {
    "recall": {"called"},
    "begin_service": {"called"},
    "finish": {"serving"},
    "miss": {"called"},
    "hold": {"called", "serving"},
    "transfer": {"called", "serving"},
}
BEFORE: dict[str, Act] = {"called": called, "serving": serving}

CASES: list[tuple[Act, Act, str, dict[str, Any]]] = [
    (nothing, lambda s: s.issue(SYSTEM, "nowhere", "a"), "not_found", {"what": "hall"}),
    (nothing, about("issue", "x"), "no_such_service", {}),
    (nothing, lambda s: s.issue(SYSTEM, H, "a", services=["x"]), "no_such_service", {}),
    (nothing, lambda s: s.issue(SYSTEM, H, "a", window="w9"), "no_such_window", {}),
    (nothing, lambda s: s.issue(SYSTEM, H, "a", priority="king"), "validation", {"field": "priority"}),
    (nothing, about("issue", "shut"), "service_closed", {"reason": "hours"}),
    (suspended, about("issue", "a"), "service_closed", {"reason": "suspended"}),
    (quota_used, about("issue", "few"), "quota_reached", {}),
    (waiting, lambda s: s.issue(SYSTEM, H, "a", person="p"), "already_waiting", {"ticket": "A001"}),
    (keyed, lambda s: s.issue(Op("t", b"key", b"2" * 16), H, "a"), "idempotency_mismatch", {}),
    (nothing, about("cancel", "A999"), "not_found", {"what": "ticket"}),
    (serving, about("cancel", "A001"), "wrong_state", {"state": "serving"}),
    (finished, about("cancel", "A001"), "wrong_state", {"state": "finished"}),
    (cancelled, about("cancel", "A001"), "wrong_state", {"state": "cancelled"}),
    (nothing, about("return_", "A999"), "not_found", {"what": "ticket"}),
    (waiting, about("return_", "A001"), "wrong_state", {"state": "waiting"}),
    (held, about("return_", "A001"), "wrong_state", {"state": "held"}),
    (returned_and_missed_again, about("return_", "A001"), "wrong_state", {"state": "missed", "returns": 1}),
    (nothing, about("postpone", "A999"), "not_found", {"what": "ticket"}),
    (called, about("postpone", "A001"), "wrong_state", {"state": "called"}),
    (nothing, about("reprioritise", "A999", "elder", "why"), "not_found", {"what": "ticket"}),
    (called, about("reprioritise", "A001", "elder", "why"), "wrong_state", {"state": "called"}),
    (waiting, about("reprioritise", "A001", "king", "why"), "validation", {"field": "priority"}),
    (nothing, about("suspend", "x", "why"), "no_such_service", {}),
    (suspended, about("suspend", "a", "why"), "wrong_state", {"state": "suspended"}),
    (nothing, about("resume_service", "x"), "no_such_service", {}),
    (nothing, about("resume_service", "a"), "wrong_state", {"state": "open"}),
    (nothing, at("open", "w9"), "no_such_window", {}),
    (nothing, lambda s: s.open(SYSTEM, H, "w1", services=["x"]), "no_such_service", {}),
    (nothing, at("close_window", "w9"), "no_such_window", {}),
    (nothing, at("close_window"), "window_not_open", {}),
    (called, at("close_window"), "window_busy", {}),
    (nothing, at("pause", "w9", "why"), "no_such_window", {}),
    (nothing, at("pause", "w1", "why"), "window_not_open", {}),
    (serving, at("pause", "w1", "why"), "window_busy", {}),
    (paused, at("pause", "w1", "why"), "wrong_state", {"state": "paused"}),
    (nothing, at("resume", "w9"), "no_such_window", {}),
    (nothing, at("resume"), "window_not_open", {}),
    (serving, at("resume"), "window_busy", {}),
    (idle, at("resume"), "wrong_state", {"state": "idle"}),
    (nothing, at("call", "w9"), "no_such_window", {}),
    (nothing, at("call"), "window_not_open", {}),
    (paused, at("call"), "wrong_state", {"state": "paused"}),
    (called, at("call"), "window_busy", {"ticket": "A001"}),
    (called, at("call", finish=True), "wrong_state", {"state": "called"}),
    (idle, at("call", ticket="A999"), "not_found", {"what": "ticket"}),
    (finished, at("call", ticket="A001"), "wrong_state", {"state": "finished"}),
    (held, at("call", ticket="A001"), "wrong_state", {"state": "held"}),
    (nothing, at("unhold", "w9", "A001"), "no_such_window", {}),
    (idle, at("unhold", "w1", "A999"), "not_found", {"what": "ticket"}),
    (missed, at("unhold", "w1", "A001"), "wrong_state", {"state": "missed"}),
    (held, at("unhold", "w2", "A001"), "window_not_open", {}),
    (serving, at("transfer"), "validation", {"field": "service"}),
    (serving, at("transfer", service="x"), "no_such_service", {}),
    (serving, at("transfer", to="w9"), "no_such_window", {}),
    (serving, at("finish", then="x"), "no_such_service", {}),
    (serving, at("finish", then="x", then_window="w2"), "no_such_service", {}),
    (serving, at("finish", then="b", then_window="w9"), "no_such_window", {}),
    (serving, at("finish", then_window="w9"), "no_such_window", {}),
    (serving, at("finish", outcome="accepted", case="C-1", then="x"), "no_such_service", {}),
    (nothing, at("undo", "w9"), "no_such_window", {}),
    (nothing, at("undo"), "window_not_open", {}),
    (idle, at("undo"), "wrong_state", {"state": "idle"}),
    (serving, at("undo"), "wrong_state", {"state": "serving"}),
    (taken_over, at("undo"), "wrong_state", {"state": "idle"}),
    (late_undo, at("undo"), "wrong_state", {"state": "idle"}),
    (undone_then_rated, at("undo"), "wrong_state", {"state": "idle"}),
    (waiting, without("services", "a"), "in_use", {"what": "service a"}),
    (held, without("services", "a"), "in_use", {"what": "service a"}),
    (idle, without("windows", "w1"), "in_use", {"what": "window w1"}),
    (nothing, lambda s: s.revoke_token(SYSTEM, "nobody"), "not_found", {"what": "token"}),
    (
        nothing,
        lambda s: s.redeem_pairing(SYSTEM, "d", token_id="t", token_digest="x"),
        "not_found",
        {"what": "pairing"},
    ),
    (nothing, lambda s: s.board("nowhere"), "not_found", {"what": "hall"}),
    (nothing, lambda s: s.hall("nowhere"), "not_found", {"what": "hall"}),
    (nothing, lambda s: s.window(H, "w9"), "no_such_window", {}),
    (nothing, lambda s: s.ticket(H, "A999"), "not_found", {"what": "ticket"}),
    (nothing, lambda s: s.review(H, "r9"), "not_found", {"what": "review"}),
    (nothing, lambda s: s.tickets(H, after="x"), "validation", {"field": "after"}),
    *[(nothing, at(c, "w9", *a, **KW.get(c, {})), "no_such_window", {}) for c, a in AT_TICKET.items()],
    *[(nothing, at(c, "w1", *a, **KW.get(c, {})), "window_not_open", {}) for c, a in AT_TICKET.items()],
    *[(idle, at(c, "w1", *a, **KW.get(c, {})), "wrong_state", {"state": "idle"}) for c, a in AT_TICKET.items()],
    *[
        (before, at(c, "w1", *a, **KW.get(c, {})), "wrong_state", {"state": state})
        for c, a in AT_TICKET.items()
        for state, before in BEFORE.items()
        if state not in ALLOWED[c]
    ],
    (recalled, at("recall"), "wrong_state", {"state": "called", "calls": 2}),
]


@pytest.mark.parametrize(
    ("before", "act", "code", "data"), CASES, ids=[f"{n}-{c[0].__name__}-{c[2]}" for n, c in enumerate(CASES)]
)
async def test_refused_with_its_code_and_nothing_changes(
    timed: TimedStore, before: Act, act: Act, code: str, data: dict[str, Any]
) -> None:
    await before(timed)
    partition = timed.partition(H)
    length, board = (await timed.stream_info(partition)).length, await timed.board(H)
    tickets, windows = await timed.day_tickets(H), await timed.windows(H)
    with pytest.raises(Refusal) as refused:
        await act(timed)
    assert (refused.value.code, refused.value.data | data) == (code, refused.value.data)
    assert (await timed.stream_info(partition)).length == length
    assert await timed.board(H) == board
    assert (await timed.day_tickets(H), await timed.windows(H)) == (tickets, windows)


async def test_unhold_is_refused_where_a_ticket_is_at_the_window(timed: TimedStore) -> None:
    await held(timed)
    await timed.issue(SYSTEM, H, "b")
    await timed.call(SYSTEM, H, "w1")
    with pytest.raises(Refusal, match="ticket at it") as refused:
        await timed.unhold(SYSTEM, H, "w1", "A001")
    assert (refused.value.code, refused.value.data) == ("window_busy", {"ticket": "B001"})


async def test_a_window_may_not_call_or_take_what_it_does_not_serve(timed: TimedStore) -> None:
    await held(timed)
    await timed.issue(SYSTEM, H, "a")
    await timed.open(SYSTEM, H, "w3")
    for act in (timed.call(SYSTEM, H, "w3", ticket="A002"), timed.unhold(SYSTEM, H, "w3", "A001")):
        with pytest.raises(Refusal) as refused:
            await act
        assert refused.value.code == "wrong_state"


async def test_a_kept_refusal_is_given_again(timed: TimedStore) -> None:
    op = Op("t", b"again", b"1" * 16)
    for replayed in (False, True):
        with pytest.raises(Refusal) as refused:
            await timed.call(op, H, "w1")
        assert (refused.value.code, refused.value.replayed) == ("window_not_open", replayed)
        await idle(timed)


async def test_a_definition_is_refused_when_it_was_changed_since_it_was_read(timed: TimedStore) -> None:
    now = await timed.hall(H)
    with pytest.raises(Refusal) as refused:
        await timed.configure(SYSTEM, now.hall, if_match="another")
    assert refused.value.code == "precondition_failed"


@pytest.mark.parametrize(
    ("item", "status", "code"),
    [
        (RatingItem("r", "A999", 1, 5, 0), "rejected", "not_found"),
        (RatingItem("r", "A001", 2, 5, 0), "rejected", "wrong_state"),
        (RatingItem("r", "A001", 0, 5, 0), "rejected", "wrong_state"),
        (RatingItem("r", "A001", 1, 6, 0), "rejected", "validation"),
        (RatingItem("r", "A001", 1, 0, 0), "rejected", "validation"),
        (RatingItem("r", "A001", 1, 5, -1), "rejected", "validation"),
        (RatingItem("r", "A001", 1, 5, 3_600_000), "rejected", "validation"),
    ],
)
async def test_a_rating_is_rejected_with_its_code(timed: TimedStore, item: RatingItem, status: str, code: str) -> None:
    await finished(timed)
    await timed.pass_ms(1000)
    results = (await timed.rate(SYSTEM, H, "w1", [item])).value.results
    assert [(r.status, r.code) for r in results] == [(status, code)]


@pytest.mark.parametrize(
    ("rid", "score", "status", "code"),
    [
        ("r", 5, "duplicate", ""),
        ("r", 4, "conflict", "other_score"),
        ("other", 5, "conflict", "already_rated"),
        ("r", 6, "rejected", "validation"),
        ("other", 0, "rejected", "validation"),
    ],
)
async def test_what_was_rated_already_is_a_duplicate_only_by_rid_and_score(
    timed: TimedStore, rid: str, score: int, status: str, code: str
) -> None:
    await undone_then_rated(timed)
    results = (await timed.rate(SYSTEM, H, "w1", [RatingItem(rid, "A001", 1, score, 0)])).value.results
    assert [(r.status, r.code) for r in results] == [(status, code)]


async def test_a_rating_is_rejected_at_another_window_before_the_finish_and_after_its_time(timed: TimedStore) -> None:
    await serving(timed)
    item = RatingItem("r", "A001", 1, 5, 0)

    async def rate(window: str) -> tuple[str, str]:
        result = (await timed.rate(SYSTEM, H, window, [item])).value.results[0]
        return result.status, result.code

    assert await rate("w1") == ("rejected", "wrong_state")
    await timed.finish(SYSTEM, H, "w1")
    assert await rate("w2") == ("rejected", "forbidden")
    await timed.pass_ms(1_800_001)
    assert await rate("w1") == ("rejected", "wrong_state")
