"""Many guides and clerks at once, every request sent twice: no number twice, no double call, first come first."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from qserver.domain.events import Event
from qserver.domain.hall import parse
from qserver.store.answers import SYSTEM
from qserver.store.store import Store
from tests.api.doors import Client, Doors, serving

GUIDES = 32
EACH = 8
CLERKS = 8
WINDOWS = [f"w{number}" for number in range(1, CLERKS + 1)]


@pytest.fixture
async def doors(store: Store) -> AsyncIterator[Doors]:
    """The hall with a window for each of eight clerks, all open."""
    async with serving(store) as doors:
        hall = {
            "id": "h1",
            "services": [{"id": "a", "prefix": "A"}, {"id": "b", "prefix": "B"}],
            "windows": [{"id": window, "services": ["a", "b"]} for window in WINDOWS],
            "priorities": [{"id": "elder", "boost_s": 100_000}],
        }
        await store.configure(SYSTEM, parse(hall))
        doors.clerk = {window: await doors.enter("clerk", window) for window in WINDOWS}
        yield doors


async def twice(client: Client, path: str, body: object, key: str, status: int = 200) -> Any:
    """The same request sent twice at once; both get the same answer, one of them as a replay."""
    first, second = await asyncio.gather(client.post(path, body, key), client.post(path, body, key))
    assert first.ok(status) == second.ok(status)
    assert first.replayed is not second.replayed
    return first.body


async def issue_all(doors: Doors, service: str = "a", priorities: tuple[str, ...] = ("normal",)) -> list[Any]:
    guides = [await doors.enter("guide") for _ in range(GUIDES)]

    async def work(number: int, guide: Client) -> list[Any]:
        taken = []
        for step in range(EACH):
            body = {"service": service, "priority": priorities[(number + step) % len(priorities)]}
            taken.append((await twice(guide, "tickets", body, f"k{step}", 201))["ticket"])
        return taken

    done = await asyncio.gather(*(work(number, guide) for number, guide in enumerate(guides)))
    return [ticket for taken in done for ticket in taken]


async def open_all(doors: Doors) -> None:
    for window in WINDOWS:
        await doors.at(window, "open")


async def events(doors: Doors) -> list[Event]:
    entries = await doors.store.read_events(doors.store.partition("h1"), count=100_000)
    found = [msgspec.msgpack.decode(fields[b"e"], type=Event) for _, fields in entries if b"e" in fields]
    return [event for event in found if event.hall == "h1"]


async def test_no_number_is_issued_twice_and_none_is_left_out(doors: Doors) -> None:
    tickets = await issue_all(doors)
    assert sorted(ticket["no"] for ticket in tickets) == [f"A{n:03d}" for n in range(1, GUIDES * EACH + 1)]
    issued = [event for event in await events(doors) if event.kind == "ticket.issued"]
    assert len(issued) == GUIDES * EACH


async def test_no_ticket_is_called_twice_and_nobody_is_forgotten(doors: Doors) -> None:
    tickets = await issue_all(doors)
    await open_all(doors)

    async def work(window: str) -> list[str]:
        called: list[str] = []
        for step in range(10_000):
            answer = await twice(doors.clerk[window], f"windows/{window}/call", {"finish": True}, f"c{step}")
            if answer["ticket"] is None:
                return called
            called.append(answer["ticket"]["no"])
            await twice(doors.clerk[window], f"windows/{window}/start", {}, f"s{step}")
        raise AssertionError("the queue never ended")

    at_windows = await asyncio.gather(*(work(window) for window in WINDOWS))
    counted = Counter(no for called in at_windows for no in called)
    assert counted == Counter(ticket["no"] for ticket in tickets)
    happened = Counter((event.kind, event.ticket) for event in await events(doors))
    assert all(
        happened[kind, ticket["id"]] == 1
        for ticket in tickets
        for kind in ("ticket.issued", "ticket.called", "ticket.started", "ticket.finished")
    )


async def test_first_come_is_first_served_within_a_priority(doors: Doors) -> None:
    tickets = await issue_all(doors, priorities=("normal", "normal", "elder"))
    await open_all(doors)

    async def work(window: str) -> None:
        for step in range(10_000):
            answer = await twice(doors.clerk[window], f"windows/{window}/call", {}, f"c{step}")
            if answer["ticket"] is None:
                return
            await twice(doors.clerk[window], f"windows/{window}/miss", {}, f"m{step}")

    await asyncio.gather(*(work(window) for window in WINDOWS))
    priority = {ticket["id"]: ticket["priority"] for ticket in tickets}
    order = [event.ticket for event in await events(doors) if event.kind == "ticket.called"]
    assert len(order) == len(tickets)
    elder = [ticket for ticket in order if priority[ticket] == "elder"]
    normal = [ticket for ticket in order if priority[ticket] == "normal"]
    assert order == elder + normal
    for group in (elder, normal):
        assert group == sorted(group)


async def test_guides_and_clerks_at_work_together_leave_an_unbroken_record(doors: Doors) -> None:
    await open_all(doors)
    issuing = asyncio.create_task(issue_all(doors, "b"))

    async def work(window: str) -> int:
        served = 0
        for step in range(10_000):
            answer = await twice(doors.clerk[window], f"windows/{window}/call", {"finish": True}, f"c{step}")
            if answer["ticket"] is not None:
                served += 1
                await twice(doors.clerk[window], f"windows/{window}/start", {}, f"s{step}")
            elif issuing.done():
                return served
        raise AssertionError("the queue never ended")

    served = sum(await asyncio.gather(*(work(window) for window in WINDOWS)))
    assert served == len(await issuing) == GUIDES * EACH
    numbers = [event.s for event in await events(doors)]
    assert numbers == list(range(1, len(numbers) + 1))
    states = {window["state"] for window in (await doors.supervisor.get("windows")).ok()["windows"]}
    assert states == {"idle"}
    assert Counter(q["waiting"] for q in (await doors.guide.get("queues")).ok()["queues"]) == {0: 2}


async def test_eight_clerks_who_want_the_same_ticket_get_it_once(doors: Doors) -> None:
    await open_all(doors)
    await doors.issue("a")
    answers = await asyncio.gather(
        *(doors.clerk[window].post(f"windows/{window}/call", {"ticket": "A001"}) for window in WINDOWS)
    )
    assert sorted(answer.status for answer in answers) == [200] + [409] * (CLERKS - 1)
    assert {answer.code for answer in answers if answer.status != 200} == {(409, "wrong_state")}


async def test_a_person_at_two_guides_at_once_gets_one_ticket(doors: Doors) -> None:
    guides = [await doors.enter("guide") for _ in range(8)]
    answers = await asyncio.gather(*(guide.post("tickets", {"service": "a", "person": "p"}) for guide in guides))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7


async def test_a_rating_from_the_pad_and_one_by_the_link_at_once_is_one_rating(doors: Doors) -> None:
    await open_all(doors)
    issued = await doors.issue("a")
    pad = await doors.enter("pad", "w1")
    for command in ("call", "start", "finish"):
        await doors.at("w1", command)
    item = {"rid": "r1", "ticket": "A001", "leg": 1, "score": 5, "age_ms": 0}
    secret = issued["url"].rpartition("/")[2]
    by_pad, by_link = await asyncio.gather(
        pad.post("ratings", {"items": [item]}), doors.nobody.post(f"/api/v1/t/{secret}/rating", {"score": 4})
    )
    outcomes = {by_pad.ok()["results"][0]["status"], by_link.status}
    assert outcomes in ({"recorded", 409}, {"conflict", 200})
    recorded = [event for event in await events(doors) if event.kind == "rating.recorded"]
    assert len(recorded) == 1
