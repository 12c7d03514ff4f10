"""The floor without a server: who is woken by what the board shows, when the day is over, whose slip is whose."""

import asyncio
from typing import cast

from qserver.domain import hall as halls
from qserver.simulate import habits
from qserver.simulate.clock import Clock
from qserver.simulate.doors import Doors
from qserver.simulate.people import Citizen, Floor
from qserver.simulate.record import Record
from qserver.simulate.trace import Arrival

HALL = halls.parse(
    {
        "id": "north",
        "services": [{"id": "a", "prefix": "A"}, {"id": "b", "prefix": "B"}],
        "windows": [{"id": "w1", "services": ["a", "b"]}, {"id": "w2", "services": ["a"]}],
    }
)
FAR_S = 1e6


def floor() -> Floor:
    clock = Clock(0, 60)
    clock.start()
    return Floor(clock, cast(Doors, None), Record(), HALL, [], FAR_S, seed=1)


async def test_one_arrival_wakes_one_clerk_the_one_with_fewest_services() -> None:
    it = floor()
    broad = asyncio.ensure_future(it.next_arrival("w1", ("a", "b"), FAR_S))
    narrow = asyncio.ensure_future(it.next_arrival("w2", ("a",), FAR_S))
    await asyncio.sleep(0)
    it.board_shows("a", 1, more=True)
    await narrow
    assert not broad.done()
    it.board_shows("a", 0, more=False)
    assert not broad.done()
    it.board_shows("b", 1, more=True)
    await broad
    assert (it.came(("a", "b")), it.came(("a",)), it.waiting) == (2, 1, {"a": 0, "b": 1})


async def test_somebody_who_joins_a_queue_nobody_idle_serves_is_still_counted() -> None:
    it = floor()
    before = it.came(("b",))
    it.board_shows("b", 1, more=True)
    assert it.came(("b",)) == before + 1, "a clerk whose call was under way sees that it must press again"


async def test_a_board_that_begins_anew_wakes_everybody() -> None:
    it = floor()
    clerks = [asyncio.ensure_future(it.next_arrival(window, ("a",), FAR_S)) for window in ("w1", "w2")]
    await asyncio.sleep(0)
    it.board_anew({"a": 3})
    await asyncio.gather(*clerks)
    assert it.waiting == {"a": 3}


async def test_the_end_of_all_that_was_to_come_wakes_everybody() -> None:
    it = floor()
    it.expect(2)
    clerk = asyncio.ensure_future(it.next_arrival("w1", ("a",), FAR_S))
    await asyncio.sleep(0)
    it.settled()
    assert not it.over and not clerk.done()
    it.settled()
    assert it.over
    await clerk


async def test_a_clerk_waits_no_longer_than_until_the_plan_says_otherwise() -> None:
    it = floor()
    await it.next_arrival("w1", ("a",), it.clock.now_s)
    it.board_shows("a", 1, more=True)
    assert it.came(("a",)) == 1


async def test_a_call_may_be_quicker_than_the_slip() -> None:
    it = floor()
    asked = asyncio.ensure_future(it.holder("20261123-A001"))
    await asyncio.sleep(0)
    citizen = Citizen(habits.person(Arrival(0, "north", "a", "normal", 60, None), 0, 1), "")
    it._slip("20261123-A001").set_result(citizen)
    assert await asked is citizen
    assert await it.holder("20261123-A001") is citizen
