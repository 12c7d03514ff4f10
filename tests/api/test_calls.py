"""What clerks do with tickets at their windows over HTTP: calling, serving, putting aside, passing on, taking back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.api.doors import Doors, serving_at
from tests.servers import DataServer


@pytest.fixture
async def doors(valkey: DataServer) -> AsyncIterator[Doors]:
    async with serving_at(valkey.url) as doors:
        yield doors


async def refused(doors: Doors, command: str, body: object = None, window: str = "w1") -> tuple[int, str]:
    return (await doors.clerk[window].post(f"windows/{window}/{command}", body)).code


async def called(doors: Doors, service: str = "a", window: str = "w1") -> Any:
    """A ticket called at the window, which is opened for it."""
    await doors.at(window, "open")
    await doors.issue(service)
    return (await doors.at(window, "call"))["ticket"]


# Calling


async def test_calling_takes_whoever_came_first(doors: Doors) -> None:
    await doors.at("w1", "open")
    for service in ("b", "a", "b"):
        await doors.issue(service)
        await doors.time.pass_ms(1000)
    order = []
    for _ in range(3):
        order.append((await doors.at("w1", "call"))["ticket"]["no"])
        await doors.at("w1", "miss")
    assert order == ["B001", "A001", "B002"]


async def test_a_call_answers_the_ticket_as_called_there(doors: Doors) -> None:
    await doors.at("w1", "open", {"staff": "li"})
    await doors.issue("a")
    await doors.time.pass_ms(90_000)
    ticket = (await doors.at("w1", "call"))["ticket"]
    assert (ticket["state"], ticket["window"], ticket["staff"], ticket["calls"]) == ("called", "w1", "li", 1)
    assert (ticket["wait_ms"], ticket["first_called_ms"], ticket["called_ms"]) == (
        90_000,
        doors.time.at,
        doors.time.at,
    )


async def test_nobody_waiting_is_an_answer_and_kept_like_any(doors: Doors) -> None:
    await doors.at("w1", "open")
    nobody = {"ticket": None, "finished": None}
    assert (await doors.clerk["w1"].post("windows/w1/call", {}, key="k1")).ok() == nobody
    await doors.issue("a")
    again = await doors.clerk["w1"].post("windows/w1/call", {}, key="k1")
    assert again.ok() == nobody
    assert again.replayed


async def test_the_same_key_calls_once(doors: Doors) -> None:
    await doors.at("w1", "open")
    await doors.issue("a")
    await doors.issue("a")
    first = await doors.clerk["w1"].post("windows/w1/call", {}, key="k1")
    again = await doors.clerk["w1"].post("windows/w1/call", {}, key="k1")
    assert first.ok()["ticket"]["no"] == again.ok()["ticket"]["no"] == "A001"
    assert (first.replayed, again.replayed) == (False, True)
    assert (await doors.guide.get("tickets/A002")).ok()["ticket"]["state"] == "waiting"


async def test_a_window_with_a_ticket_calls_nobody_else(doors: Doors) -> None:
    await called(doors)
    await doors.issue("a")
    answer = await doors.clerk["w1"].post("windows/w1/call")
    assert answer.code == (409, "window_busy")
    assert answer.body["ticket"] == "A001"


async def test_next_finishes_the_one_in_service_in_the_same_step(doors: Doors) -> None:
    await called(doors)
    await doors.at("w1", "start")
    await doors.issue("a")
    answer = await doors.at("w1", "call", {"finish": True})
    assert (answer["finished"]["no"], answer["finished"]["state"]) == ("A001", "finished")
    assert (answer["ticket"]["no"], answer["ticket"]["state"]) == ("A002", "called")


async def test_next_finishes_also_when_nobody_waits(doors: Doors) -> None:
    await called(doors)
    await doors.at("w1", "start")
    answer = await doors.at("w1", "call", {"finish": True})
    assert answer["finished"]["state"] == "finished"
    assert answer["ticket"] is None


async def test_next_never_finishes_a_ticket_that_was_only_called(doors: Doors) -> None:
    await called(doors)
    await doors.issue("a")
    answer = await doors.clerk["w1"].post("windows/w1/call", {"finish": True})
    assert answer.code == (409, "wrong_state")
    assert answer.body["state"] == "called"


async def test_next_on_an_idle_window_just_calls(doors: Doors) -> None:
    await doors.at("w1", "open")
    await doors.issue("a")
    answer = await doors.at("w1", "call", {"finish": True})
    assert (answer["ticket"]["no"], answer["finished"]) == ("A001", None)


async def test_a_named_ticket_is_called_out_of_order(doors: Doors) -> None:
    await doors.at("w1", "open")
    await doors.issue("a")
    await doors.issue("a")
    assert (await doors.at("w1", "call", {"ticket": "A002"}))["ticket"]["no"] == "A002"


async def test_a_missed_ticket_may_be_called_by_name(doors: Doors) -> None:
    ticket = await called(doors)
    await doors.at("w1", "miss")
    assert (await doors.at("w1", "call", {"ticket": ticket["id"]}))["ticket"]["calls"] == 2


async def test_a_named_ticket_must_exist_wait_and_be_of_the_windows_services(doors: Doors) -> None:
    await doors.at("w1", "open")
    await doors.at("w2", "open")
    assert await refused(doors, "call", {"ticket": "A009"}) == (404, "not_found")
    await doors.issue("b")
    assert await refused(doors, "call", {"ticket": "B001"}, "w2") == (409, "wrong_state")
    await doors.at("w1", "call")
    assert await refused(doors, "call", {"ticket": "B001"}, "w1") == (409, "window_busy")


async def test_recall_counts_and_has_an_end(doors: Doors) -> None:
    await called(doors)
    await doors.time.pass_ms(20_000)
    ticket = (await doors.at("w1", "recall"))["ticket"]
    assert (ticket["calls"], ticket["called_ms"]) == (2, doors.time.at)
    assert ticket["first_called_ms"] == doors.time.at - 20_000
    assert await refused(doors, "recall") == (409, "wrong_state")


# Serving


async def test_a_service_is_timed_from_start_to_finish_without_holds(doors: Doors) -> None:
    await doors.at("w1", "open", {"staff": "li"})
    await doors.issue("a")
    await doors.time.pass_ms(60_000)
    await doors.at("w1", "call")
    await doors.time.pass_ms(15_000)
    await doors.at("w1", "start")
    await doors.time.pass_ms(100_000)
    held = (await doors.at("w1", "hold", {"reason": "复印"}))["ticket"]
    assert held["state"] == "held"
    await doors.time.pass_ms(40_000)
    back = (await doors.at("w1", "unhold", {"ticket": "A001"}))["ticket"]
    assert (back["state"], back["held_ms"]) == ("serving", 40_000)
    await doors.time.pass_ms(50_000)
    done = (await doors.at("w1", "finish", {"outcome": "accepted", "case": "ZW-2026-1"}))["ticket"]
    assert (done["state"], done["outcome"], done["case"]) == ("finished", "accepted", "ZW-2026-1")
    assert (done["wait_ms"], done["walk_ms"], done["service_ms"], done["held_ms"]) == (60_000, 15_000, 150_000, 40_000)


async def test_finish_without_words_is_done(doors: Doors) -> None:
    await doors.at("w1", "open")
    ticket = await doors.serve()
    assert (ticket["state"], ticket["outcome"], ticket["case"]) == ("finished", "done", None)


async def test_a_finish_has_a_case_number_exactly_when_it_accepts_a_case(doors: Doors) -> None:
    await doors.at("w1", "open")
    await doors.issue()
    await doors.at("w1", "call")
    await doors.at("w1", "start")
    for body in ({"case": "K-1"}, {"outcome": "done", "case": "K-1"}, {"outcome": "accepted"}):
        answer = await doors.clerk["w1"].post("windows/w1/finish", body)
        assert (answer.code, answer.body["field"]) == ((400, "validation"), "case")
    assert (await doors.guide.get("tickets/A001")).ok()["ticket"]["state"] == "serving"
    done = (await doors.at("w1", "finish", {"outcome": "accepted", "case": "K-1"}))["ticket"]
    assert (done["outcome"], done["case"]) == ("accepted", "K-1")


async def test_only_a_called_ticket_is_started_missed_or_recalled(doors: Doors) -> None:
    await called(doors)
    await doors.at("w1", "start")
    for command in ("start", "miss", "recall"):
        answer = await doors.clerk["w1"].post(f"windows/w1/{command}")
        assert answer.code == (409, "wrong_state"), command
        assert answer.body["state"] == "serving"


async def test_a_called_ticket_is_not_finished(doors: Doors) -> None:
    await called(doors)
    assert await refused(doors, "finish") == (409, "wrong_state")


async def test_the_next_leg_waits_in_its_own_queue_when_the_first_is_finished(doors: Doors) -> None:
    await doors.at("w1", "open")
    await doors.at("w3", "open")
    ticket = await doors.serve("a", services=["b"])
    assert (ticket["state"], ticket["service"], ticket["leg"], ticket["services"]) == ("waiting", "b", 2, [])
    assert [leg["outcome"] for leg in ticket["legs"]] == ["done", None]
    assert (await doors.at("w3", "call"))["ticket"]["no"] == "A001"


async def test_held_tickets_do_not_block_the_window_and_come_back_anywhere_of_their_service(doors: Doors) -> None:
    await called(doors)
    await doors.at("w1", "hold", {"reason": "x"})
    await doors.issue("a")
    assert (await doors.at("w1", "call"))["ticket"]["no"] == "A002"
    answer = await doors.clerk["w1"].post("windows/w1/unhold", {"ticket": "A001"})
    assert answer.code == (409, "window_busy")
    await doors.at("w2", "open")
    assert (await doors.at("w2", "unhold", {"ticket": "A001"}))["ticket"]["window"] == "w2"


async def test_only_a_held_ticket_of_the_windows_service_is_taken_back(doors: Doors) -> None:
    await doors.at("w1", "open")
    await doors.at("w3", "open")
    assert await refused(doors, "unhold", {"ticket": "A009"}) == (404, "not_found")
    await doors.issue("a")
    assert await refused(doors, "unhold", {"ticket": "A001"}) == (409, "wrong_state")
    await doors.at("w1", "call")
    await doors.at("w1", "hold", {"reason": "x"})
    assert await refused(doors, "unhold", {"ticket": "A001"}, "w3") == (409, "wrong_state")


# Transferring and taking back


async def test_a_transfer_to_a_service_starts_another_leg_in_its_queue(doors: Doors) -> None:
    await called(doors)
    ticket = (await doors.at("w1", "transfer", {"service": "b"}))["ticket"]
    assert (ticket["state"], ticket["service"], ticket["leg"]) == ("waiting", "b", 2)
    assert ticket["legs"][0]["outcome"] == "transferred"
    await doors.at("w3", "open")
    assert (await doors.at("w3", "call"))["ticket"]["no"] == "A001"


async def test_a_transfer_to_a_window_waits_for_that_window(doors: Doors) -> None:
    await called(doors)
    await doors.at("w2", "open")
    await doors.at("w1", "transfer", {"window": "w2"})
    assert (await doors.at("w1", "call"))["ticket"] is None
    assert (await doors.at("w2", "call"))["ticket"]["no"] == "A001"


@pytest.mark.parametrize(("position", "order"), [("first", ["A003", "A001"]), ("last", ["A001", "A003"])])
async def test_a_transferred_ticket_takes_the_place_that_was_given_to_it(
    doors: Doors, position: str, order: list[str]
) -> None:
    await doors.at("w1", "open")
    for _ in range(3):
        await doors.issue("a")
        await doors.time.pass_ms(1000)
    await doors.at("w1", "call", {"ticket": "A003"})
    await doors.at("w1", "transfer", {"service": "a", "position": position})
    seen = []
    for _ in range(3):
        seen.append((await doors.at("w1", "call"))["ticket"]["no"])
        await doors.at("w1", "miss")
    assert [no for no in seen if no != "A002"] == order


async def test_a_transfer_needs_somewhere_to_go(doors: Doors) -> None:
    await called(doors)
    answer = await doors.clerk["w1"].post("windows/w1/transfer", {})
    assert answer.code == (400, "validation")
    assert answer.body["field"] == "service"
    assert await refused(doors, "transfer", {"service": "none"}) == (404, "no_such_service")
    assert await refused(doors, "transfer", {"window": "w9"}) == (404, "no_such_window")


async def test_a_finish_is_taken_back_within_fifteen_seconds(doors: Doors) -> None:
    await doors.at("w1", "open")
    await doors.serve()
    await doors.time.pass_ms(14_000)
    ticket = (await doors.at("w1", "undo"))["ticket"]
    assert (ticket["state"], ticket["outcome"], ticket["finished_ms"]) == ("serving", None, None)


async def test_a_finish_is_not_taken_back_later_or_after_the_next_call(doors: Doors) -> None:
    await doors.at("w1", "open")
    await doors.serve()
    await doors.time.pass_ms(15_001)
    assert await refused(doors, "undo") == (409, "wrong_state")
    await doors.serve()
    await doors.issue("a")
    await doors.at("w1", "call")
    assert await refused(doors, "undo") == (409, "wrong_state")


async def test_a_miss_is_taken_back(doors: Doors) -> None:
    await called(doors)
    await doors.at("w1", "miss")
    ticket = (await doors.at("w1", "undo"))["ticket"]
    assert (ticket["state"], ticket["window"]) == ("called", "w1")


async def test_every_command_of_a_window_is_repeated_under_its_key_without_another_effect(doors: Doors) -> None:
    await doors.issue("a")
    steps: list[tuple[str, object]] = [
        ("open", {"staff": "li"}),
        ("call", {}),
        ("recall", {}),
        ("start", {}),
        ("hold", {"reason": "x"}),
        ("unhold", {"ticket": "A001"}),
        ("finish", {}),
        ("undo", {}),
        ("transfer", {"service": "a"}),
        ("call", {}),
        ("miss", {}),
        ("pause", {"reason": "x"}),
        ("resume", {}),
        ("close", {}),
    ]
    for number, (command, body) in enumerate(steps):
        first = await doors.clerk["w1"].post(f"windows/w1/{command}", body, key=f"k{number}")
        again = await doors.clerk["w1"].post(f"windows/w1/{command}", body, key=f"k{number}")
        assert first.status == 200, (command, first)
        assert again.body == first.body, command
        assert (first.replayed, again.replayed) == (False, True), command
