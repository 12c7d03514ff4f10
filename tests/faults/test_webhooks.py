"""Webhooks through a power cut: a whole server, killed while its receiver holds the answer back."""

from __future__ import annotations

import asyncio

from aiohttp import web
from standardwebhooks import Webhook

from tests.halls import small_hall
from tests.hooks.receivers import Came, receiving, taken
from tests.whole import Whole


async def test_what_was_not_answered_before_the_power_cut_comes_again_after_it() -> None:
    async with receiving() as receiver, Whole(environment={"QSERVER_WEBHOOK_TARGETS": "any"}) as server:
        never = asyncio.Event()

        async def hold(_: Came) -> web.StreamResponse:
            await never.wait()
            return web.Response()

        await server.put_hall(small_hall())
        body = {"url": receiver.url, "kinds": ["ticket.*"], "hall": "h1"}
        made = await server.post("/webhooks", body)
        receiver.answer = hold
        for _ in range(3):
            await server.post("/halls/h1/tickets", {"service": "a"})
        await receiver.until(1)
        await server.kill9_tree()
        receiver.answer = taken
        await server.start()
        await server.post("/halls/h1/tickets", {"service": "b"})
        await receiver.until(5)
        assert receiver.ids[0] == receiver.ids[1] and receiver.came[0].body == receiver.came[1].body
        assert [one.event["data"]["ticket"][-4:] for one in receiver.came[1:]] == ["A001", "A002", "A003", "B001"]
        for came in receiver.came:
            Webhook(made["secret"]).verify(came.body, dict(came.headers))
        assert "whsec_" not in server.log


async def test_several_workers_send_each_event_once() -> None:
    environment = {"QSERVER_WEBHOOK_TARGETS": "any"}
    async with receiving() as receiver, Whole("--workers", "2", environment=environment) as server:
        await server.put_hall(small_hall())
        await server.post("/webhooks", {"url": receiver.url, "kinds": ["ticket.issued"]})
        for _ in range(40):
            await server.post("/halls/h1/tickets", {"service": "a"})
        await receiver.until(40)
        assert len(set(receiver.ids)) == len(receiver.ids) == 40
