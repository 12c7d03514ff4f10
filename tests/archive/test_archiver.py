"""What leaves Redis is archived before, once more when it changed, and kept no longer than its time."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import msgspec
import pytest

from qserver.archive.archiver import Archiver
from qserver.archive.shelf import Line, Shelf
from qserver.domain.errors import Refusal
from qserver.domain.ticket import Ticket
from qserver.store import keys
from qserver.store.answers import SYSTEM, RatingItem
from tests.archive.days import DAY_MS, H, day, furnish, settle
from tests.store.clocks import MORNING, TimedStore
from tests.store.follow import complaint, events, serve, take

TUESDAY, WEDNESDAY = "2026-11-24", "2026-11-25"
LEFT = MORNING + 9 * DAY_MS
"""Tuesday's tickets are needed for five working days from its turn on Wednesday: this is the Thursday of next week."""


async def archiver(store: TimedStore, shelf: Shelf, again_s: float = 0.0) -> Archiver:
    """A registered archiver that works when it is told to."""
    await store.register_archive(shelf.id)
    return Archiver(store, shelf, again_s=again_s)


def tickets(shelf: Shelf, of: str = TUESDAY) -> dict[str, Ticket]:
    return {line.ticket.id: line.ticket for line in shelf.lines(H, of) if line.ticket}


async def turn(store: TimedStore, to_ms: int = LEFT) -> None:
    """Lets the day turn, and time go on to an instant."""
    await store.pass_ms(DAY_MS)
    await settle(store)
    await store.set(to_ms)
    await settle(store)


async def left(store: TimedStore, of: str = TUESDAY) -> bool:
    return not await store.day_tickets(H, of)


async def test_without_an_archive_tickets_leave_once_past_their_rating_time(timed: TimedStore) -> None:
    await serve(timed)
    await turn(timed)
    assert await left(timed)
    assert (await timed.ledger(H)).days == {}


async def test_a_running_day_is_not_archived_and_a_day_gone_by_is(timed: TimedStore, shelf: Shelf) -> None:
    one = await archiver(timed, shelf)
    ticket = await serve(timed)
    assert await one.once() == 0
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    assert await one.once() == 1
    assert tickets(shelf) == {ticket: await timed.ticket(H, ticket)}
    assert await one.once() == 0, "nothing changed since"


async def test_tickets_never_leave_before_they_are_archived_and_then_at_once(timed: TimedStore, shelf: Shelf) -> None:
    one = await archiver(timed, shelf)
    ticket = await serve(timed)
    await turn(timed)
    await timed.pass_ms(20 * DAY_MS)
    await timed.register_archive(shelf.id)  # it lives, but it did not come to it
    await settle(timed)
    assert not await left(timed)
    assert await one.once() == 1
    await settle(timed)
    assert await left(timed)
    assert list(tickets(shelf)) == [ticket]
    assert (await timed.ledger(H)).days == {}


async def test_tickets_that_are_archived_stay_until_their_rating_time_is_over(timed: TimedStore, shelf: Shelf) -> None:
    one = await archiver(timed, shelf)
    await serve(timed)
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    await one.once()
    await timed.set(LEFT - 2 * DAY_MS)
    await settle(timed)
    assert not await left(timed)
    await timed.set(LEFT)
    await settle(timed)
    assert await left(timed)


async def test_a_hall_may_keep_its_tickets_longer(timed: TimedStore) -> None:
    await furnish(timed, retention={"live_days": 30})
    await serve(timed)
    await turn(timed)
    await timed.pass_ms(20 * DAY_MS)
    await settle(timed)
    assert not await left(timed)
    await timed.pass_ms(3 * DAY_MS)
    await settle(timed)
    assert await left(timed)


async def test_a_late_rating_and_a_step_of_a_review_are_taken_up(timed: TimedStore, shelf: Shelf) -> None:
    one = await archiver(timed, shelf)
    ticket = await serve(timed)
    review = await complaint(timed)
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    await one.once()
    await timed.rate(SYSTEM, H, "", [RatingItem("late", ticket, 1, 4, 0)])
    assert await one.once() == 1
    rating = tickets(shelf)[ticket].rating
    assert rating is not None and (rating.score, rating.source) == (4, "active_late")
    await take(timed, review, "assign", "verify")
    assert await one.once() == 1
    [kept] = [line.review for line in shelf.lines(H, TUESDAY) if line.review]
    assert kept == await timed.review(H, review)
    assert kept.state == "verified"


async def test_what_changes_again_and_again_is_written_now_and_then_until_it_waits_to_leave(
    timed: TimedStore, shelf: Shelf
) -> None:
    one = await archiver(timed, shelf, again_s=3600.0)
    ticket = await serve(timed)
    review = await complaint(timed)
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    assert await one.once() == 1
    await timed.rate(SYSTEM, H, "", [RatingItem("late", ticket, 1, 4, 0)])
    assert await one.once() == 0
    await timed.set(LEFT)
    await settle(timed)
    assert not await left(timed), "what was written is not the last word"
    assert await one.once() == 1
    await settle(timed)
    assert await left(timed)
    await take(timed, review, "assign")
    assert await one.once() == 1, "what has left is written at once"


async def test_a_review_goes_on_after_its_ticket_has_left(timed: TimedStore, shelf: Shelf) -> None:
    one = await archiver(timed, shelf)
    await furnish(timed)
    await day(timed, random.Random(3), 0)
    review = await complaint(timed)
    await turn(timed)
    await one.once()
    await settle(timed)
    assert await left(timed)
    before = list(shelf.lines(H, TUESDAY))
    await take(timed, review, "assign")
    assert await one.once() == 1
    after = list(shelf.lines(H, TUESDAY))
    assert sorted(map(msgspec.json.encode, (one for one in before if one.ticket))) == sorted(
        map(msgspec.json.encode, (one for one in after if one.ticket))
    )
    kept = {line.review.id: line.review for line in after if line.review}
    assert (
        len(kept) == sum(line.review is not None for line in after) == sum(line.review is not None for line in before)
    )
    assert kept[review] == await timed.review(H, review)
    cases = [line.case for line in after if line.case]
    assert cases and len(cases) == sum(line.case is not None for line in before)
    assert await timed.ledger(H) and not (await timed.ledger(H)).days, "it is written and forgotten again"


async def test_archiving_twice_and_by_two_processes_changes_nothing(timed: TimedStore, shelf: Shelf) -> None:
    one, two = await archiver(timed, shelf), await archiver(timed, Shelf(shelf.directory))
    await serve(timed)
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    await one.once()
    path = shelf.directory / H / f"{TUESDAY}.jsonl.gz"
    once = path.read_bytes()
    two._shelf.open()
    assert await two.once() == 0
    tag = timed.tag(timed.partition(H))
    await timed._topology.call(tag, "HDEL", keys.hall_keys(tag, H)[6], "nothing")
    [record] = (await timed.ledger(H)).days.values()
    await timed.archived(H, shelf.id, TUESDAY, -1)  # as if the confirmation had been lost
    assert await two.once() == 1
    assert path.read_bytes() == once
    await timed.archived(H, shelf.id, TUESDAY, record.changed)
    await timed.archived(H, shelf.id, TUESDAY, record.changed)
    assert list((await timed.ledger(H)).days[TUESDAY].held) == [(shelf.id, record.changed)]


async def test_who_does_not_hold_the_lock_does_nothing(timed: TimedStore, shelf: Shelf) -> None:
    one = await archiver(timed, shelf)
    await serve(timed)
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    with shelf.lock() as mine:
        assert mine
        assert await one.once() == 0
    assert await one.once() == 1


async def test_tickets_wait_for_every_archive_but_not_for_one_that_is_gone_for_good(
    timed: TimedStore, shelf: Shelf, tmp_path: Path
) -> None:
    other = Shelf(tmp_path / "other")
    other.open()
    one, two = await archiver(timed, shelf), await archiver(timed, other)
    await serve(timed)
    await turn(timed)
    await one.once()
    await settle(timed)
    assert not await left(timed)
    await two.once()
    await settle(timed)
    assert await left(timed)
    await serve(timed)
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    await timed.pass_ms(32 * DAY_MS)  # the other one is not heard of any more
    fresh = await archiver(timed, shelf)
    await settle(timed)
    assert not await left(timed, "2026-12-03")
    await fresh.once()
    await settle(timed)
    assert await left(timed, "2026-12-03")
    assert not other.holds(H, "2026-12-03") and shelf.holds(H, "2026-12-03")


async def test_days_that_turned_before_there_was_a_ledger_are_archived_too(timed: TimedStore, shelf: Shelf) -> None:
    one = await archiver(timed, shelf)
    first = [await serve(timed) for _ in range(3)]
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    second = await serve(timed)
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    tag = timed.tag(timed.partition(H))
    await timed._topology.call(tag, "HDEL", keys.hall_keys(tag, H)[6], "days")
    today = await serve(timed)
    await timed.set(LEFT + 3 * DAY_MS)
    await settle(timed)
    assert not await left(timed) and not await left(timed, WEDNESDAY)
    assert await one.once() == 3
    await settle(timed)
    assert (sorted(tickets(shelf)), list(tickets(shelf, WEDNESDAY))) == (first, [second])
    assert await left(timed) and await left(timed, WEDNESDAY)
    assert [one.id for one in await timed.day_tickets(H, "2026-11-26")] == [today]


async def test_a_file_that_is_gone_is_written_again_while_its_day_is_here(timed: TimedStore, shelf: Shelf) -> None:
    one = await archiver(timed, shelf)
    await serve(timed)
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    await one.once()
    (shelf.directory / H / f"{TUESDAY}.jsonl.gz").unlink()
    assert await Archiver(timed, shelf).once() == 1
    assert shelf.holds(H, TUESDAY)


async def test_one_day_that_cannot_be_written_stands_in_no_other_days_way(timed: TimedStore, shelf: Shelf) -> None:
    one = await archiver(timed, shelf)
    await serve(timed)
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    await serve(timed)
    await turn(timed, LEFT + 2 * DAY_MS)
    (shelf.directory / H).mkdir(mode=0o700)
    (shelf.directory / H / f"{TUESDAY}.jsonl.gz").mkdir()  # nothing can be put in its place
    assert await one.once() == 1
    assert (one.errors, one.waiting) == (1, 1)
    await settle(timed)
    assert not await left(timed) and not await left(timed, WEDNESDAY), "days leave in order"
    (shelf.directory / H / f"{TUESDAY}.jsonl.gz").rmdir()
    assert await one.once() == 1
    await settle(timed)
    assert await left(timed) and await left(timed, WEDNESDAY)


# Times that are over


def raw(shelf: Shelf, of: str = TUESDAY) -> bytes:
    return gzip.decompress((shelf.directory / H / f"{of}.jsonl.gz").read_bytes())


async def phones(store: TimedStore) -> bool:
    tag = store.tag(store.partition(H))
    return b"13812345678" in b"".join(await store._topology.call(tag, "HVALS", keys.hall_keys(tag, H)[7]))  # type: ignore[arg-type]


async def test_a_telephone_number_goes_when_its_day_turns_and_never_reaches_the_archive(
    timed: TimedStore, shelf: Shelf
) -> None:
    one = await archiver(timed, shelf)
    await furnish(timed)
    await day(timed, random.Random(1), 0)
    assert await phones(timed)
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    assert not await phones(timed)
    await one.once()
    assert b"13812345678" not in raw(shelf)
    erased = await events(timed, "ticket.erased")
    assert len(erased) == 12 and {event.more()["what"] for event in erased} == {"phone"}
    assert {event.actor for event in erased} == {"system"}
    ids = [event.id for event in await events(timed)]
    assert len(set(ids)) == len(ids)


async def test_persons_leave_the_archive_and_their_words_the_reviews_when_their_time_is_over(
    timed: TimedStore, shelf: Shelf
) -> None:
    one = await archiver(timed, shelf)
    await furnish(timed, retention={"personal_days": 30})
    await day(timed, random.Random(1), 0)
    review = await complaint(timed)
    opened = (await timed.review(H, review)).history[0]
    assert opened["comment"] == "慢"
    await turn(timed)
    await one.once()
    await settle(timed)
    await take(timed, review, "assign", "verify", "rectify", "revisit", "close")
    await one.once()
    assert raw(shelf).count(b"hash-") == 12 and "慢".encode() in raw(shelf)
    kept = tickets(shelf)
    await timed.set(MORNING + 31 * DAY_MS)
    await Archiver(timed, shelf).once()
    assert b"hash-" not in raw(shelf) and tickets(shelf) == kept
    assert "慢".encode() in raw(shelf), "its follow-up ended later"
    await timed.set(LEFT + 30 * DAY_MS)
    await settle(timed)
    [erased] = await events(timed, "review.erased")
    assert (erased.actor, erased.more()["what"]) == ("system", "comment")
    after = await timed.review(H, review)
    assert after.history[0] == opened | {"comment": ""}
    assert [step["step"] for step in after.history][-2:] == ["closed", "erased"]
    await one.once()
    assert "慢".encode() not in raw(shelf)
    assert [line.review for line in shelf.lines(H, TUESDAY) if line.review and line.review.id == review] == [after]


async def test_a_review_that_goes_on_keeps_the_words_it_is_about(timed: TimedStore) -> None:
    await furnish(timed, retention={"personal_days": 1})
    review = await complaint(timed)
    await take(timed, review, "assign", "verify", "rectify", "revisit", "close", "appeal")
    await timed.pass_ms(2 * DAY_MS)
    await settle(timed)
    assert (await timed.review(H, review)).history[0]["comment"] == "慢"
    await take(timed, review, "uphold")
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    assert (await timed.review(H, review)).history[0]["comment"] == ""


async def test_the_record_of_a_day_goes_when_its_time_is_over_and_no_day_before(
    timed: TimedStore, shelf: Shelf
) -> None:
    one = await archiver(timed, shelf)
    await furnish(timed, retention={"personal_days": 30, "record_days": 60})
    await complaint(timed)
    await serve(timed, outcome="accepted", case="C 1")
    [review] = (await timed.reviews(H))[0]
    await take(timed, review.id, "assign", "verify", "rectify", "revisit", "close")
    await turn(timed)
    await one.once()
    await settle(timed)
    await timed.complete_case(SYSTEM, H, "C 1")
    late = (await timed.reviews(H))[0][-1]
    assert late.source == "case"
    await timed.set(MORNING + 60 * DAY_MS - 1)
    await settle(timed)
    await Archiver(timed, shelf).once()
    assert shelf.days(H) == [TUESDAY] and (await timed.reviews(H))[0] and await timed.case(H, "C 1")
    await timed.set(MORNING + 61 * DAY_MS)
    await settle(timed)
    await Archiver(timed, shelf).once()
    assert shelf.days(H) == []
    assert [one.id for one in (await timed.reviews(H))[0]] == [late.id], "what goes on stays"
    [removed] = await events(timed, "review.removed")
    assert (removed.actor, removed.more()["review"]) == ("system", review.id)
    [gone] = await events(timed, "case.removed")
    assert (gone.actor, gone.more()["case"]) == ("system", "C 1")
    with pytest.raises(Refusal):
        await timed.case(H, "C 1")
    assert (await timed.stats(H)).open_reviews == 1


async def test_a_file_says_itself_what_it_is(timed: TimedStore, shelf: Shelf) -> None:
    one = await archiver(timed, shelf)
    await complaint(timed)
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    await complaint(timed)
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    await one.once()
    first: Line
    for of, before in ((TUESDAY, 0), (WEDNESDAY, 1)):
        first = next(iter(shelf.lines(H, of)))
        head = first.archive
        assert head is not None
        assert (head.hall, head.day, head.as_of_ms, head.reviews_before) == (H, of, timed.at, before)
