"""A visit from the slip to the report, on a whole server over real sockets, each person with a token of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from evaluator.client import Pad
from qserver.domain.hall import Hall, parse
from tests.acceptance.conftest import Screens
from tests.whole import Whole

LIMIT_MS = 300


def hall() -> Hall:
    return parse(
        {
            "id": "h1",
            "name": "示范大厅",
            "services": [
                {"id": "a", "prefix": "A", "name": "综合", "service_limit_s": LIMIT_MS / 1000},
                {"id": "b", "prefix": "B", "name": "社保"},
            ],
            "windows": [{"id": "w1", "services": ["a", "b"]}, {"id": "w2", "services": ["b"]}],
        }
    )


async def feed_until(server: Whole, token: str, kind: str) -> list[dict[str, Any]]:
    """Everything the group `day` gives up to the first event of a kind, acknowledged batch by batch."""
    found: list[dict[str, Any]] = []
    while not any(event["type"] == f"qserver.{kind}" for event in found):
        batch = await server.get("/events/day?max=1000&wait_ms=10000", token=token)
        found += batch["events"]
        await server.post("/events/day/ack", {"cursor": batch["cursor"]}, token=token)
    return found


async def test_a_visit_from_the_slip_to_the_report(server: Whole, screens: Screens) -> None:
    await server.put_hall(hall())
    guide, supervisor, shown, analytics, assessor = [
        await server.token(role, hall="h1") for role in ("guide", "supervisor", "display", "analytics", "assessor")
    ]
    clerk, pad = [await server.token(role, hall="h1", window="w1") for role in ("clerk", "pad")]
    await server.put("/events/day", {}, token=analytics)
    board = await screens.open(shown, "h1")
    asks = await screens.open(pad, "h1", "window:w1")

    # The citizen takes a ticket and may look at it by its link.
    issued = await server.post("/halls/h1/tickets", {"service": "a"}, token=guide, key="slip-1")
    ticket = issued["ticket"]
    assert (ticket["no"], ticket["state"], issued["ahead"]) == ("A001", "waiting", 0)
    secret = issued["url"].rpartition("/t/")[2]
    assert (await server.get(f"/t/{secret}", token=""))["ticket"]["no"] == "A001"
    phone = await screens.open(secret, "h1", "ticket")
    await screens.see(board, lambda: board.board and board.board.waiting["a"] == 1)

    # The clerk calls; board, phone and pad follow.
    at_window = "/halls/h1/windows/w1"
    await server.post(f"{at_window}/open", {"staff": "s-7"}, token=clerk)
    called = await server.post(f"{at_window}/call", {}, token=clerk, key="call-1")
    assert called["ticket"]["no"] == "A001"
    await screens.see(board, lambda: [(c.ticket, c.window, c.n) for c in board.calls] == [("A001", "w1", 1)])
    await screens.see(phone, lambda: phone.state and phone.state.ticket and phone.state.ticket.state == "called")
    await server.post(f"{at_window}/recall", {}, token=clerk)
    await screens.see(board, lambda: board.calls[0].n == 2)
    await server.post(f"{at_window}/start", {}, token=clerk)
    await screens.see(board, lambda: board.board and board.board.windows["w1"].state == "serving")
    assert board.board is not None and board.board.waiting["a"] == 0

    # It takes longer than the limit allows, and the system says so by itself.
    events = await feed_until(server, analytics, "review.opened")
    over = next(event for event in events if event["type"] == "qserver.overtime.service")
    assert over["data"]["due_ms"] <= over["data"]["at_ms"]
    reviews = (await server.get("/halls/h1/reviews", token=supervisor))["reviews"]
    assert [(r["source"], r["window"], r["ticket"], r["state"]) for r in reviews] == [
        ("overtime", "w1", ticket["id"], "open")
    ]

    # The service ends; the pad asks once, the citizen answers once.
    finished = (await server.post(f"{at_window}/finish", {}, token=clerk))["ticket"]
    assert finished["state"] == "finished" and finished["overtime"]["service"]
    assert finished["service_ms"] == finished["finished_ms"] - finished["started_ms"] >= LIMIT_MS
    await screens.see(asks, lambda: asks.state and asks.state.window and asks.state.window.rate)
    item = {"rid": "r1", "ticket": ticket["id"], "leg": 1, "score": 5, "age_ms": 1200}
    assert (await server.post("/halls/h1/ratings", {"items": [item]}, token=pad))["results"][0]["status"] == "recorded"
    again = await server.post("/halls/h1/ratings", {"items": [item, {**item, "rid": "r2", "score": 1}]}, token=pad)
    assert [one["status"] for one in again["results"]] == ["duplicate", "conflict"]
    await screens.see(asks, lambda: asks.state and asks.state.window and asks.state.window.rate is None)

    # The review stays as the system wrote it, for those who may see it.
    review = f"/halls/h1/reviews/{reviews[0]['id']}"
    assert (await server.get(review, token=assessor))["review"]["history"]
    assert (await server.request("GET", review, token=guide)).code == "forbidden"

    # The record holds every step once, in order, and the report says what the record says.
    events += await feed_until(server, analytics, "rating.recorded")
    own = [event for event in events if event["data"].get("ticket") == ticket["id"]]
    kinds = [event["type"].removeprefix("qserver.") for event in own if "ticket." in event["type"]]
    assert kinds == [f"ticket.{kind}" for kind in ("issued", "called", "recalled", "started", "finished")]
    numbers = [int(event["sequence"]) for event in events if event["partitionkey"] == "h1"]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len({event["id"] for event in events}) == len(events)
    report = await server.get(f"/halls/h1/reports/day/{ticket['day']}", token=supervisor)
    row = next(row for row in report["rows"] if row["id"] == "w1")
    assert (row["served"], row["ratings"]["active"], row["overtime"]["service"]) == (1, 1, 1)
    assert (row["negatives"]["rating"], row["negatives"]["overtime"]) == (0, 1)
    assert row["service"]["p50_ms"] == finished["service_ms"]


async def test_a_bad_rating_given_in_an_outage_is_followed_up_and_decided(
    server: Whole, screens: Screens, tmp_path: Path
) -> None:
    await server.put_hall(hall())
    supervisor, assessor, analytics = [
        await server.token(role, hall="h1") for role in ("supervisor", "assessor", "analytics")
    ]
    clerk, token = [await server.token(role, hall="h1", window="w1") for role in ("clerk", "pad")]
    await server.put("/events/day", {}, token=analytics)
    changed = asyncio.Event()
    pad = Pad(server.url, token, "h1", "w1", tmp_path / "spool", on_change=lambda _: changed.set())
    working = asyncio.create_task(pad.run())
    try:
        ticket = (await server.post("/halls/h1/tickets", {"service": "b"}))["ticket"]
        at_window = "/halls/h1/windows/w1"
        await server.post(f"{at_window}/open", {"staff": "s-7"}, token=clerk)
        for command in ("call", "start", "finish"):
            await server.post(f"{at_window}/{command}", {}, token=clerk)
        while pad.prompt.asked is None:
            changed.clear()
            await changed.wait()

        # The power goes while the citizen presses; what was pressed arrives once it is back, once.
        await server.kill9_tree()
        pad.press(1)
        pad.submit(["等候时间过长"], "排队太久")
        await server.start()
        events = await feed_until(server, analytics, "review.opened")
        rated = [event for event in events if event["type"] == "qserver.rating.recorded"]
        assert [(one["data"]["ticket"], one["data"]["leg"]) for one in rated] == [(ticket["id"], 1)]
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        pad.close()
    shown = (await server.get(f"/halls/h1/tickets/{ticket['id']}"))["ticket"]["rating"]
    assert (shown["score"], shown["source"]) == (1, "active")

    # The hall follows up, the clerk appeals, and nobody but the assessor decides.
    review = (await server.get("/halls/h1/reviews?source=rating", token=supervisor))["reviews"][0]
    path = f"/halls/h1/reviews/{review['id']}"
    steps: list[tuple[str, dict[str, str], str]] = [
        ("assign", {"to": "s-9"}, "assigned"),
        ("verify", {"result": "valid", "note": "属实"}, "verified"),
        ("rectify", {"note": "增开窗口"}, "rectified"),
        ("revisit", {"result": "satisfied"}, "revisited"),
        ("close", {}, "closed"),
    ]
    for step, body, state in steps:
        assert (await server.post(f"{path}/{step}", body, token=supervisor))["review"]["state"] == state
    assert (await server.post(f"{path}/appeal", {"reason": "非本窗口原因"}, token=clerk))["review"][
        "state"
    ] == "appealed"
    refused = await server.request("POST", f"{path}/exclude", {"reason": "属实"}, token=supervisor)
    assert refused.code == "forbidden"
    decided = (await server.post(f"{path}/exclude", {"reason": "系统故障所致"}, token=assessor))["review"]
    assert decided["state"] == "excluded"
    assert len(decided["history"]) == len(steps) + 3
    report = await server.get(f"/halls/h1/reports/day/{ticket['day']}", token=assessor)
    negatives = report["totals"]["negatives"]
    assert (negatives["rating"], negatives["excluded"]) == (0, 1)
    events = await feed_until(server, analytics, "review.excluded")
    kinds = [event["type"].removeprefix("qserver.review.") for event in events if ".review." in event["type"]]
    assert kinds == ["assigned", "verified", "rectified", "revisited", "closed", "appealed", "excluded"]


async def test_a_transfer_and_a_second_leg_keep_the_place_in_time(server: Whole, screens: Screens) -> None:
    await server.put_hall(hall())
    board = await screens.open(await server.token("display", hall="h1"), "h1")
    first = (await server.post("/halls/h1/tickets", {"service": "a", "services": ["b"]}))["ticket"]
    later = (await server.post("/halls/h1/tickets", {"service": "b"}))["ticket"]
    for window in ("w1", "w2"):
        await server.post(f"/halls/h1/windows/{window}/open", {})
    assert (await server.post("/halls/h1/windows/w1/call", {}))["ticket"]["no"] == first["no"]
    await server.post("/halls/h1/windows/w1/start", {})
    finished = (await server.post("/halls/h1/windows/w1/call", {"finish": True}))["finished"]
    assert (finished["state"], finished["service"], finished["leg"]) == ("waiting", "b", 2)
    # `later` waited for b before the second leg began, and was called with the finish.
    assert (await server.get("/halls/h1/windows/w1"))["window"]["ticket"] == later["no"]
    await server.post("/halls/h1/windows/w1/transfer", {"window": "w2", "position": "first"})
    assert (await server.post("/halls/h1/windows/w2/call", {}))["ticket"]["no"] == later["no"]
    await screens.see(board, lambda: [call.ticket for call in board.calls] == ["B001", "B001", "A001"])


async def test_a_visit_sent_on_is_followed_by_every_screen_and_survives_a_power_cut(
    server: Whole, screens: Screens
) -> None:
    await server.put_hall(hall())
    board = await screens.open(await server.token("display", hall="h1"), "h1")
    pads = {window: await server.token("pad", hall="h1", window=window) for window in ("w1", "w2")}
    issued = await server.post("/halls/h1/tickets", {"service": "a"})
    phone = await screens.open(issued["url"].rpartition("/t/")[2], "h1", "ticket")
    for window in ("w1", "w2"):
        await server.post(f"/halls/h1/windows/{window}/open", {"staff": f"s-{window}"})
    for command in ("call", "start"):
        await server.post(f"/halls/h1/windows/w1/{command}", {})

    # Accepted at w1; what is decided is handed out at w2. The power goes with the answer.
    body = {"outcome": "accepted", "case": "C-1", "then": "b", "then_window": "w2"}
    sent = await server.post("/halls/h1/windows/w1/finish", body, key="f1")
    await screens.see(board, lambda: board.board and board.board.waiting == {"a": 0, "b": 1})
    await screens.see(phone, lambda: phone.state and phone.state.ticket and phone.state.ticket.to_window == "w2")
    await server.kill9_tree()
    await server.start()
    again = await server.surely("POST", "/halls/h1/windows/w1/finish", body, key="f1")
    assert (again.body, again.headers["Idempotency-Replayed"]) == (sent, "true")
    ticket = (await server.get("/halls/h1/tickets/A001"))["ticket"]
    assert [leg["service"] for leg in ticket["legs"]] == ["a", "b"], "once"
    assert (await server.get("/halls/h1/cases/C-1"))["case"]["leg"] == 1

    # Both legs are rated, each at its own window, and each is its own clerk's.
    assert (await server.post("/halls/h1/windows/w2/call", {}))["ticket"]["no"] == "A001"
    for command in ("start", "finish"):
        await server.post(f"/halls/h1/windows/w2/{command}", {})
    for window, leg in (("w2", 1), ("w1", 2), ("w1", 1), ("w2", 2)):
        item = {"rid": f"{window}-{leg}", "ticket": ticket["id"], "leg": leg, "score": leg, "age_ms": 0}
        answer = await server.post("/halls/h1/ratings", {"items": [item]}, token=pads[window])
        assert (answer["results"][0]["status"] == "recorded") == (window == f"w{leg}")
    reviews = (await server.get("/halls/h1/reviews?source=rating"))["reviews"]
    assert [(one["leg"], one["window"], one["staff"]) for one in reviews] == [(1, "w1", "s-w1"), (2, "w2", "s-w2")]
    await screens.see(board, lambda: board.board and board.board.waiting == {"a": 0, "b": 0})


async def test_a_revoked_token_ends_its_screen_at_once(server: Whole, screens: Screens) -> None:
    await server.put_hall(hall())
    made = await server.post("/tokens", {"role": "display", "hall": "h1"})
    board = await screens.open(made["token"], "h1")
    await server.request("DELETE", f"/tokens/{made['id']}")
    await screens.see(board, lambda: not board.live)
    assert (await server.request("GET", "/halls/h1/board", token=made["token"])).status == 401
