"""Signatures, counters and deliveries of the pads over HTTP: what is refused, what is marked, what a thief can do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from qserver.domain.lifecycle import Role
from tests.api.doors import Client, Doors, serving_at
from tests.api.edge import Api
from tests.pads import Hand
from tests.servers import DataServer
from tests.store.follow import events

MINUTE = 60_000


@pytest.fixture
async def doors(valkey: DataServer) -> AsyncIterator[Doors]:
    async with serving_at(valkey.url) as doors:
        await doors.at("w1", "open", {"staff": "li"})
        yield doors


@pytest.fixture
def hand(doors: Doors) -> Hand:
    """The pad of w1."""
    return Hand(doors.pad["w1"].token)


async def send(doors: Doors, body: dict[str, Any], pad: Client | None = None) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = (await (pad or doors.pad["w1"]).post("ratings", body)).ok()["results"]
    return results


async def told(doors: Doors, *kinds: str) -> list[Any]:
    """The feed's events of these kinds."""
    return [event for event in await events(doors.time) if event.kind in kinds]


async def doubts(doors: Doors) -> list[str | None]:
    """Why each recorded rating's pad is doubted."""
    return [event.more().get("doubt") for event in await told(doors, "rating.recorded")]


async def served(doors: Doors, count: int) -> list[str]:
    """Tickets finished at w1, half an hour ago at most."""
    return [(await doors.serve(service="b"))["id"] for _ in range(count)]


async def test_a_signed_rating_is_recorded_with_its_device_and_number(doors: Doors, hand: Hand) -> None:
    (ticket,) = await served(doors, 1)
    item = hand.item(ticket, 1, reasons=["等太久"], aspects=["服务效率"], comment="太“慢”\n了 😤", n=7)
    assert await send(doors, hand.body(item)) == [{"rid": item["rid"], "status": "recorded"}]
    (event,) = await told(doors, "rating.recorded")
    said = event.more()
    assert said["number"] == 7 and len(said["device"]) == 16
    assert hand.device not in str(said | {"rid": ""}), "whoever reads the record cannot sign as this pad"
    assert "doubt" not in said and "signals" not in said


async def test_a_plain_rating_is_taken_as_ever(doors: Doors) -> None:
    (ticket,) = await served(doors, 1)
    item = {"rid": "r1", "ticket": ticket, "leg": 1, "score": 5, "age_ms": 0}
    assert await send(doors, {"items": [item]}) == [{"rid": "r1", "status": "recorded"}]
    assert await send(doors, {"items": [item | {"rid": "r2"}]}) == [{"rid": "r2", "status": "conflict"}]
    assert await doubts(doors) == [None]
    assert "device" not in (await told(doors, "rating.recorded"))[0].more()


@pytest.mark.parametrize(
    "change",
    [
        {"score": 1}, {"age_ms": 5}, {"rid": "other"}, {"n": 2}, {"leg": 2}, {"comment": "好"}, {"reasons": ["久"]},
        {"aspects": ["服务效率"]}, {"ticket": "B001"}, {"sig": "0" * 64},
    ],
)  # fmt: skip
async def test_whatever_was_changed_on_the_way_is_rejected_alone(
    doors: Doors, hand: Hand, change: dict[str, Any]
) -> None:
    first, second = await served(doors, 2)
    results = await send(doors, hand.body(hand.item(first) | change, hand.item(second)))
    assert [(result["status"], result.get("code")) for result in results] == [
        ("rejected", "bad_signature"),
        ("recorded", None),
    ]
    assert (await doors.store.ticket("h1", first)).rating is None


async def test_a_signature_is_good_for_one_token_window_and_device(doors: Doors, hand: Hand) -> None:
    (ticket,) = await served(doors, 1)
    for wrong in (
        Hand(doors.pad["w2"].token), Hand(hand.token, window="w2"), Hand(hand.token, hall="h2"),
        Hand(doors.clerk["w1"].token), Hand(""),
    ):  # fmt: skip
        (result,) = await send(doors, wrong.body(wrong.item(ticket)))
        assert result["code"] == "bad_signature"
    other = hand.body(hand.item(ticket)) | {"device": "pad-0000002"}
    assert (await send(doors, other))[0]["code"] == "bad_signature"
    assert await doubts(doors) == []


async def test_half_a_proof_is_none(doors: Doors, hand: Hand) -> None:
    (ticket,) = await served(doors, 1)
    item = hand.item(ticket)
    for body in (
        {"items": [item]},
        hand.body({name: value for name, value in item.items() if name != "n"}),
        hand.body({name: value for name, value in item.items() if name != "sig"}),
        hand.body(hand.sign(item | {"n": 0})),
        hand.body(hand.sign(item | {"n": -1})),
    ):
        (result,) = await send(doors, body)
        assert (result["status"], result["code"]) == ("rejected", "validation")
    assert (await send(doors, hand.body(item)))[0]["status"] == "recorded"


@pytest.mark.parametrize("device", ["short", "a b c d e f", "d" * 65, 12345678, ["pad-0000001"], {}])
async def test_a_device_of_the_wrong_form_signs_nothing_and_holds_up_nothing(
    doors: Doors, hand: Hand, device: Any
) -> None:
    one, two = await served(doors, 2)
    plain = {"rid": "plain", "ticket": two, "leg": 1, "score": 5, "age_ms": 0}
    results = await send(doors, hand.body(hand.item(one), plain) | {"device": device})
    assert [(result["status"], result.get("code")) for result in results] == [
        ("rejected", "validation"),
        ("recorded", None),
    ]


@pytest.mark.parametrize("bad", [5, None, {"ticket": "A001"}, {"sig": "00"}, {"colour": "red"}])
async def test_a_prompt_of_the_wrong_form_is_rejected_alone(doors: Doors, hand: Hand, bad: Any) -> None:
    one, two = await served(doors, 2)
    broken = hand.prompt(one) | bad if isinstance(bad, dict) and "ticket" not in bad else bad
    answer = await doors.pad["w1"].post("ratings", hand.body(shown=[broken, hand.prompt(two)]))
    assert answer.ok()["shown"] == ["rejected", "recorded"]


async def test_a_replay_changes_nothing_and_says_so(doors: Doors, hand: Hand) -> None:
    tickets = await served(doors, 3)
    body = hand.body(*(hand.item(ticket) for ticket in tickets))
    await send(doors, body)
    await doors.time.pass_ms(10 * MINUTE)
    assert {result["status"] for result in await send(doors, body)} == {"duplicate"}
    assert await doubts(doors) == [None] * 3


async def test_a_conflict_says_against_what(doors: Doors, hand: Hand) -> None:
    by_pad, by_link = await served(doors, 2)
    first = hand.item(by_pad, 5)
    at = doors.time.at
    await send(doors, hand.body(first))
    await doors.time.pass_ms(MINUTE)
    issued = (await doors.guide.post(f"tickets/{by_link[-4:]}/reprint")).ok()
    secret = issued["url"].rpartition("/")[2]
    (await doors.nobody.post(f"/api/v1/t/{secret}/rating", {"score": 3})).ok()
    results = await send(
        doors,
        hand.body(hand.sign(first | {"score": 4}), hand.item(by_pad, 1, rid="other"), hand.item(by_link, rid="late")),
    )
    assert results == [
        {"rid": first["rid"], "status": "conflict", "code": "other_score",
         "against": {"source": "active", "at_ms": at, "rid": first["rid"]}},
        {"rid": "other", "status": "conflict", "code": "already_rated",
         "against": {"source": "active", "at_ms": at, "rid": first["rid"]}},
        {"rid": "late", "status": "conflict", "code": "already_rated",
         "against": {"source": "active_late", "at_ms": at + MINUTE}},
    ]  # fmt: skip


async def test_numbers_may_come_in_any_order_each_once(doors: Doors, hand: Hand) -> None:
    tickets = await served(doors, 4)
    items = [hand.item(ticket) for ticket in tickets]
    for n in (1, 3, 0, 2):
        await send(doors, hand.body(items[n]))
    assert await doubts(doors) == [None] * 4
    assert await told(doors, "device.cloned", "device.changed") == []


async def test_a_number_that_stands_twice_shows_a_copied_pad_and_costs_no_citizen_the_rating(
    doors: Doors, hand: Hand
) -> None:
    tickets = await served(doors, 3)
    await send(doors, hand.body(hand.item(tickets[0])))
    copy = Hand(hand.token, hand.device, n=hand.n)
    await send(doors, hand.body(hand.item(tickets[1])))
    (result,) = await send(doors, copy.body(copy.item(tickets[2], rid="copied")))
    assert result["status"] == "recorded"
    assert await doubts(doors) == [None, None, "number_twice"]
    (event,) = await told(doors, "device.cloned")
    assert (event.window, event.more()["number"], event.more()["doubt"]) == ("w1", 2, "number_twice")
    ticket = await doors.store.ticket("h1", tickets[2])
    assert "doubtful_pad" in ticket.legs[0].signals
    report = (await doors.supervisor.get("reports/day/2026-11-24")).ok()
    assert report["totals"]["signals"]["doubtful_pad"] == 1
    stats = (await doors.supervisor.get("stats")).ok()["stats"]
    assert stats["services"]["b"]["doubtful"] == 1


async def test_a_counter_far_behind_is_a_copy_too(doors: Doors, hand: Hand) -> None:
    first, second = await served(doors, 2)
    await send(doors, hand.body(hand.item(first, n=1000)))
    await send(doors, hand.body(hand.item(second, n=3)))
    assert await doubts(doors) == [None, "number_back"]


async def test_a_wiped_pad_loses_nothing_and_is_seen_to_be_another(doors: Doors, hand: Hand) -> None:
    tickets = await served(doors, 3)
    await send(doors, hand.body(hand.item(tickets[0])))
    wiped = Hand(hand.token, "pad-0000002")
    results = await send(doors, wiped.body(*(wiped.item(ticket) for ticket in tickets[1:])))
    assert [result["status"] for result in results] == ["recorded", "recorded"]
    assert await doubts(doors) == [None] * 3, "a new pad is no offence"
    (event,) = await told(doors, "device.changed")
    before, after = [e.more()["device"] for e in await told(doors, "rating.recorded")][:2]
    assert (event.more()["device"], event.more()["from_device"]) == (after, before)


async def test_two_pads_that_rate_in_turn_with_one_token_are_marked(doors: Doors, hand: Hand) -> None:
    tickets = await served(doors, 4)
    thief = Hand(hand.token, "thief-00001")
    for who, ticket in zip((hand, thief, hand, thief), tickets, strict=True):
        await send(doors, who.body(who.item(ticket)))
    assert await doubts(doors) == [None, None, "two_pads", "two_pads"]
    assert len(await told(doors, "device.changed")) == 1


async def test_a_thief_who_does_not_sign_is_marked_where_the_pad_does(doors: Doors, hand: Hand) -> None:
    first, second = await served(doors, 2)
    await send(doors, hand.body(hand.item(first)))
    await send(doors, {"items": [{"rid": "r", "ticket": second, "leg": 1, "score": 5, "age_ms": 0}]})
    assert await doubts(doors) == [None, "unsigned"]


async def test_a_stolen_token_rates_no_more_than_the_services_of_its_window_in_their_time(
    doors: Doors, hand: Hand
) -> None:
    """Everything a thief can send: any window, leg, age, level and number, signed or not, again and again."""
    await doors.at("w2", "open", {"staff": "wu"})
    late = (await doors.serve())["id"]
    await doors.time.pass_ms(1_800_001)
    elsewhere = (await doors.serve(window="w2"))["id"]
    good = [(await doors.serve())["id"] for _ in range(3)]
    waiting = (await doors.issue())["ticket"]["id"]
    await doors.issue()
    await doors.at("w1", "call")
    await doors.at("w1", "start")
    await doors.at("w1", "transfer", {"service": "b"})
    tickets = [late, elsewhere, *good, waiting, "A006", "A999", "20201124-A001"]
    for device in ("thief-00001", "thief-00002", "thief-00003", "thief-00004", "thief-00005", "thief-00006"):
        thief = Hand(hand.token, device)
        for age in (0, -1, 1, MINUTE, 1_800_000, 1_800_001, 2**53, -(2**53)):
            for ticket in tickets:
                signed = [
                    thief.item(ticket, score, leg=leg, age_ms=age, rid=f"{device}{score}{leg}{age}")
                    for score in (1, 5, 6)
                    for leg in (-1, 0, 1, 2)
                ]
                plain = [{name: v for name, v in item.items() if name not in ("n", "sig")} for item in signed]
                await send(doors, thief.body(*signed, *plain))
    rated = await told(doors, "rating.recorded")
    assert sorted(event.ticket for event in rated) == sorted(good)
    for event in rated:
        finished = (await doors.store.ticket("h1", event.ticket)).finished_ms
        assert finished and finished <= event.more()["rated_ms"] <= min(finished + 1_800_000, event.at_ms)
    assert len(await told(doors, "device.cloned", "device.changed")) <= len(rated)


async def test_a_prompt_that_was_shown_is_on_record_once_and_before_its_rating(doors: Doors, hand: Hand) -> None:
    (ticket,) = await served(doors, 1)
    finished = doors.time.at
    await doors.time.pass_ms(5_000)
    shown = hand.prompt(ticket, age_ms=4_000)
    body = hand.body(hand.item(ticket), shown=[shown])
    answer = (await doors.pad["w1"].post("ratings", body)).ok()
    assert answer["shown"] == ["recorded"]
    assert (await doors.pad["w1"].post("ratings", body)).ok()["shown"] == ["duplicate"]
    found = await told(doors, "rating.prompted", "rating.shown", "rating.recorded")
    assert [event.kind for event in found] == ["rating.prompted", "rating.shown", "rating.recorded"]
    prompted, showed, recorded = found
    assert prompted.at_ms == finished and prompted.more()["until_ms"] == finished + 1_800_000
    assert showed.more() == {"shown_ms": finished + 1_000, "device": recorded.more()["device"]}
    assert (showed.ticket, showed.leg, showed.window, showed.staff) == (ticket, 1, "w1", "li")
    assert len({event.id for event in found}) == 3


async def test_a_prompt_with_a_wrong_signature_names_no_device(doors: Doors, hand: Hand) -> None:
    (ticket,) = await served(doors, 1)
    await doors.pad["w1"].post("ratings", hand.body(shown=[hand.prompt(ticket) | {"sig": "0" * 64}]))
    (event,) = await told(doors, "rating.shown")
    assert set(event.more()) == {"shown_ms"}


async def test_no_prompt_is_delivered_that_was_not_given(doors: Doors, hand: Hand) -> None:
    await doors.at("w2", "open", {"staff": "wu"})
    elsewhere = (await doors.serve(window="w2"))["id"]
    mine = (await doors.serve())["id"]
    waiting = (await doors.issue())["ticket"]["id"]
    shown = [
        hand.prompt(elsewhere),
        hand.prompt(waiting),
        hand.prompt("A999"),
        hand.prompt(mine, 2),
        hand.prompt(mine, -1),
    ]
    shown += [hand.prompt(mine, age_ms=age) for age in (-1, 60_000, 2**53)]
    assert (await doors.pad["w1"].post("ratings", hand.body(shown=shown))).ok()["shown"] == ["rejected"] * 8
    await doors.time.pass_ms(1_800_001)
    assert (await doors.pad["w1"].post("ratings", hand.body(shown=[hand.prompt(mine)]))).ok()["shown"] == ["rejected"]
    assert await told(doors, "rating.shown") == []


async def test_a_finish_by_mistake_is_undone_though_the_pad_has_shown_its_question(doors: Doors, hand: Hand) -> None:
    (ticket,) = await served(doors, 1)
    body = hand.body(shown=[hand.prompt(ticket)])
    await doors.pad["w1"].post("ratings", body)
    assert (await doors.at("w1", "undo"))["ticket"]["state"] == "serving"
    await doors.time.pass_ms(MINUTE)
    assert (await doors.pad["w1"].post("ratings", body)).ok()["shown"] == ["rejected"], "nothing is asked now"
    await doors.at("w1", "finish")
    assert (await doors.pad["w1"].post("ratings", body)).ok()["shown"] == ["recorded"]
    first, second = await told(doors, "rating.shown")
    assert first.id != second.id


async def test_silence_after_a_question_stays_unrated(doors: Doors, hand: Hand) -> None:
    (ticket,) = await served(doors, 1)
    await doors.pad["w1"].post("ratings", hand.body(shown=[hand.prompt(ticket)]))
    await doors.time.pass_ms(1_800_000)
    await doors.time.sweep_all()
    kinds = [event.kind for event in await events(doors.time) if event.kind.startswith("rating.")]
    assert kinds == ["rating.prompted", "rating.shown", "rating.unrated"]
    assert (await doors.store.ticket("h1", ticket)).rating is None
    totals = (await doors.supervisor.get("reports/day/2026-11-24")).ok()["totals"]["ratings"]
    assert (totals["rated"], totals["unrated"], totals["good"]) == (0, 1, 0)


async def test_a_signature_is_read_on_the_short_way_too(api: Api) -> None:
    hand = Hand(api.tokens[Role.PAD])
    body = hand.body(hand.item("A001"))
    answer = await api.ask("POST", "/api/v1/halls/h1/ratings", body, by=Role.PAD)
    assert answer.json["results"][0]["code"] == "not_found", "looked at, so the signature was good"


async def test_the_supervisor_sees_which_pads_rate_and_why_one_is_doubted(doors: Doors, hand: Hand) -> None:
    async def seen() -> list[dict[str, Any]]:
        pads: list[dict[str, Any]] = (await doors.supervisor.get("pads")).ok()["pads"]
        return pads

    async def rate(by: Hand = hand, **more: Any) -> None:
        (ticket,) = await served(doors, 1)
        assert (await send(doors, by.body(by.item(ticket, **more))))[0]["status"] == "recorded"

    nothing: dict[str, Any] = {"device": None, "known": [], "doubts": 0, "doubt": None}
    assert await seen() == [{"window": window} | nothing for window in ("w1", "w2", "w3")]
    await rate(n=7)
    one, *_ = await seen()
    device = one["device"]
    assert one == {
        "window": "w1",
        "device": device,
        "known": [{"device": device, "number": 7}],
        "doubts": 0,
        "doubt": None,
    }
    assert len(device) == 16 and device not in hand.device
    await rate(n=7)
    await doors.time.pass_ms(5)
    (ticket,) = await served(doors, 1)
    await send(doors, {"items": [{"rid": "plain", "ticket": ticket, "leg": 1, "score": 5, "age_ms": 0}]})
    one, other, _ = await seen()
    assert (one["doubts"], other["doubts"]) == (2, 0)
    assert one["doubt"] == {"why": "unsigned", "at_ms": doors.time.at, "device": None, "number": 0}
    new = Hand(hand.token, device="pad-0000002")
    await rate(new)
    await rate(n=8)
    one, *_ = await seen()
    assert [pad["number"] for pad in one["known"]] == [8, 1]
    assert (one["device"], one["doubt"]["why"], one["doubt"]["device"]) == (device, "two_pads", device)
    assert (await doors.guide.get("pads")).code == (403, "forbidden")


async def test_how_often_pads_have_asked_stands_in_the_live_figures(doors: Doors, hand: Hand) -> None:
    one, two, _ = await served(doors, 3)
    await doors.pad["w1"].post("ratings", hand.body(shown=[hand.prompt(one), hand.prompt(two), hand.prompt(one)]))
    stats = (await doors.supervisor.get("stats")).ok()["stats"]
    assert (stats["services"]["b"]["shown"], stats["services"]["a"]["shown"]) == (2, 0)
