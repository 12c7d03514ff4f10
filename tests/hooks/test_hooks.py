"""Webhooks as a process has them: made, noticed, delivered for beside each other, by one process at a time."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from qserver.auth.secrets import webhook_secret
from qserver.domain.errors import Refusal
from qserver.hooks import courier
from qserver.hooks.hooks import Hooks
from qserver.store.answers import SYSTEM
from qserver.store.store import Store
from qserver.store.topology import Topology
from tests import servers
from tests.hooks.desk import Desk
from tests.hooks.receivers import Came, Receiver, answering, receiving, taken
from tests.store.clocks import TimedStore

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

Run = Callable[[], Awaitable[Hooks]]


@pytest.fixture
async def run(valkey: servers.DataServer, desk: Desk) -> AsyncIterator[Run]:
    """Starts what a process has of webhooks, on a store of its own; all are stopped in the end."""
    async with AsyncExitStack() as stack:

        async def start() -> Hooks:
            topology = Topology.from_url(valkey.url)
            await topology.open()
            store = Store(topology)
            stack.push_async_callback(store.close)
            await store.start()
            hooks = Hooks(store, "any", every_s=0.05)
            stack.push_async_callback(hooks.stop)
            await hooks.start()
            return hooks

        yield start


async def test_what_happens_comes_by_itself_and_verifies(desk: Desk, run: Run, receiver: Receiver) -> None:
    await run()
    hook = await desk.hook(receiver.url)
    await desk.issue(3)
    for came in await receiver.until(3):
        event = Webhook(webhook_secret(desk.store.server_key, hook.id, 1)).verify(came.body, dict(came.headers))
        assert event["type"] == "qserver.ticket.issued"
    await desk.store.remove_hook(SYSTEM, hook.id)


async def test_who_is_slow_or_dead_keeps_nobody_waiting(desk: Desk, run: Run, receiver: Receiver) -> None:
    over = asyncio.Event()

    async def hang(_: Came) -> web.StreamResponse:
        await over.wait()
        return web.Response()

    async with receiving() as slow:
        slow.answer = hang
        await run()
        for _ in range(20):
            await desk.hook(slow.url)
            await desk.hook(f"http://127.0.0.1:{servers.free_port()}/")
        await desk.issue(20)
        await slow.until(20)  # every one of them hangs
        await desk.hook(receiver.url)
        await desk.issue(50)
        await receiver.until(50)
        assert not over.is_set() and len(slow.came) == 20
        over.set()
        await slow.until(20 * 70)
        assert len(receiver.came) == 50


async def test_two_processes_send_each_event_once(
    desk: Desk, run: Run, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "RENEW_MS", 100)  # how soon the other one looks again
    first, second = await run(), await run()
    await desk.hook(receiver.url)
    for n in range(20):
        await desk.issue(5)
        if n == 10:
            await first.stop()  # whoever has the lease by now gives it back in order
    await receiver.until(100)
    await second.stop()
    third = await run()
    await desk.issue(5)
    await receiver.until(105)
    await third.stop()
    assert len(set(receiver.ids)) == len(receiver.ids) == 105
    numbers = [int(one.event["sequence"]) for one in receiver.came]
    assert numbers == sorted(numbers)


async def test_one_that_is_removed_gets_nothing_more(desk: Desk, run: Run, receiver: Receiver) -> None:
    hooks = await run()
    hook, other = await desk.hook(receiver.url), await desk.hook(receiver.url + "/other")
    await desk.issue(1)
    await receiver.until(2)
    await desk.store.remove_hook(SYSTEM, hook.id)
    hooks.look()
    await desk.issue(3)
    await receiver.until(5)
    assert [one.path for one in receiver.came[2:]] == ["/hook/other"] * 3
    assert {row.split('webhook="')[1].split('"')[0] for row in hooks.metrics() if 'webhook="' in row} == {other.id}


async def test_dead_letters_go_out_at_once_when_somebody_asks(desk: Desk, run: Run, receiver: Receiver) -> None:
    hook = await desk.hook(receiver.url)
    receiver.answer = answering(410)
    hooks = await run()
    await desk.issue(1)
    await receiver.until(1)
    while not (await desk.store.hook(hook.id)).disabled_ms:
        await asyncio.sleep(0)
    receiver.answer = taken
    await desk.store.enable_hook(SYSTEM, hook.id, "")
    assert (await desk.store.redeliver(SYSTEM, hook.id)).value == 1
    hooks.look()
    assert (await receiver.until(2))[1].body == receiver.came[0].body


async def test_a_test_is_one_signed_attempt_that_leaves_nothing(desk: Desk, receiver: Receiver) -> None:
    hooks = Hooks(desk.store, "any")
    hook = await desk.hook(receiver.url, hall="h1")
    message_id, outcome = await hooks.try_out(hook)
    assert not outcome.error and receiver.ids == [message_id]
    came = receiver.came[0]
    event = Webhook(webhook_secret(desk.store.server_key, hook.id, 1)).verify(came.body, dict(came.headers))
    assert (event["type"], event["source"], event["id"]) == ("qserver.webhook.test", "/halls/h1", message_id)
    receiver.answer = answering(410)
    assert (await hooks.try_out(hook))[1].gone
    assert await desk.store.hook(hook.id) == hook
    await hooks.stop()


# Crashes


async def test_who_dies_between_attempt_and_record_is_followed_by_another_who_sends_the_same(
    clock: TimedStore, timed_desk: Desk, receiver: Receiver
) -> None:
    desk = timed_desk
    hook = await desk.hook(receiver.url)
    dying = asyncio.ensure_future(desk.courier(hook, "p1").round())

    async def die(_: Came) -> web.StreamResponse:
        dying.cancel()
        return web.Response(status=204)

    await desk.issue(3)
    receiver.answer = die
    with pytest.raises(asyncio.CancelledError):
        await dying
    assert len(receiver.came) == 1
    receiver.answer = taken
    heir = desk.courier(hook, "p2")
    assert (await heir.round()).deaf and len(receiver.came) == 1, "the lease holds"
    await clock.pass_ms(courier.LEASE_MS)
    await desk.deliver(heir)
    assert receiver.ids[1] == receiver.ids[0] and receiver.came[1].body == receiver.came[0].body
    assert len(receiver.came) == 4 and len(set(receiver.ids)) == 3


async def test_who_is_so_slow_that_another_took_over_changes_nothing_any_more(
    clock: TimedStore, timed_desk: Desk, receiver: Receiver
) -> None:
    desk = timed_desk
    hook = await desk.hook(receiver.url)
    go_on = asyncio.Event()

    async def slow(_: Came) -> web.StreamResponse:
        await go_on.wait()
        return web.Response(status=500)

    receiver.answer = slow
    await desk.issue(2)
    late = asyncio.ensure_future(desk.courier(hook, "p1").round())
    await receiver.until(1)
    receiver.answer = taken
    await clock.pass_ms(courier.LEASE_MS)
    await desk.deliver(desk.courier(hook, "p2"))
    before = await desk.store.hook(hook.id)
    go_on.set()
    with pytest.raises(Refusal) as refused:
        await late
    assert refused.value.data == {"state": "taken"}
    assert await desk.store.hook(hook.id) == before
    assert (before.sent, before.waiting) == (2, 0)


async def test_a_process_gives_up_what_another_has_taken(
    clock: TimedStore, timed_desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = timed_desk
    hook = await desk.hook(receiver.url)
    monkeypatch.setattr(courier, "RENEW_MS", 5)

    async def hang(_: Came) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    receiver.answer = hang
    await desk.issue(1)
    late = asyncio.ensure_future(desk.courier(hook, "p1").round())
    await receiver.until(1)
    # what it renews meanwhile is the other's by now
    while not (await desk.store.take_hook(SYSTEM, hook.id, "p2", courier.LEASE_MS, 1)).ours:
        await clock.pass_ms(courier.LEASE_MS)
    with pytest.raises(Refusal):
        await late


async def test_a_data_server_that_dies_after_the_attempt_costs_no_second_one(
    valkey: servers.DataServer, desk: Desk, receiver: Receiver
) -> None:
    hook = await desk.hook(receiver.url)
    await desk.issue(3)

    async def cut(came: Came) -> web.StreamResponse:
        if len(receiver.came) == 3:
            valkey.kill9()
        return await taken(came)

    receiver.answer = cut
    delivering = asyncio.ensure_future(desk.courier(hook).round())
    await receiver.until(3)
    valkey.restart()
    await delivering
    assert len(receiver.came) == 3
    after = await desk.store.hook(hook.id)
    assert (after.sent, after.failed, after.waiting) == (3, 0, 0)
    await desk.deliver(desk.courier(hook))
    assert len(receiver.came) == 3


# Secrets


def verifies(secret: str, came: Came) -> bool:
    """The specification in three lines, without a look at any clock."""
    signed = f"{came.id}.{came.headers['webhook-timestamp']}.".encode() + came.body
    wanted = b64encode(hmac.new(b64decode(secret[6:]), signed, hashlib.sha256).digest()).decode()
    return f"v1,{wanted}" in came.headers["webhook-signature"].split(" ")


async def test_both_secrets_sign_while_they_are_changed(
    clock: TimedStore, timed_desk: Desk, receiver: Receiver
) -> None:
    desk = timed_desk
    hook = await desk.hook(receiver.url)
    working = desk.courier(hook)
    secrets = [webhook_secret(clock.server_key, hook.id, version) for version in (1, 2, 3)]

    async def who_verifies() -> list[bool]:
        await desk.issue()
        await desk.deliver(working)
        return [verifies(secret, receiver.came[-1]) for secret in secrets]

    assert await who_verifies() == [True, False, False]
    assert (await desk.store.rotate_hook(SYSTEM, hook.id, 3_600_000)).value.secret == 2
    assert await who_verifies() == [True, True, False]
    await clock.pass_ms(3_600_000)
    assert await who_verifies() == [False, True, False]
    await desk.store.rotate_hook(SYSTEM, hook.id, 0)
    assert await who_verifies() == [False, False, True], "after a leak, at once"


async def test_secrets_and_what_is_in_urls_stand_in_no_log_and_secrets_in_no_file(
    valkey: servers.DataServer, desk: Desk, run: Run, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await run()
    hook = await desk.hook(receiver.url + "?key=abrakadabra")
    refused = await desk.hook(f"http://127.0.0.1:{servers.free_port()}/?key=abrakadabra")
    await desk.store.rotate_hook(SYSTEM, hook.id, 60_000)
    receiver.answer = answering(500)
    await desk.issue(12)
    await receiver.until(5)
    while (await desk.store.hook(refused.id)).failures < 5 or (await desk.store.hook(hook.id)).failures < 5:
        await asyncio.sleep(0)
    said = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert "a webhook's receiver is away" in said and "abrakadabra" not in said and "whsec_" not in said
    stored = b"".join(path.read_bytes() for path in valkey.directory.rglob("*") if path.is_file())
    assert hook.id.encode() in stored
    for version in (1, 2):
        secret = webhook_secret(desk.store.server_key, hook.id, version).removeprefix("whsec_")
        assert secret not in said and secret.encode() not in stored and b64decode(secret) not in stored


async def test_figures_of_each_webhook(desk: Desk, run: Run, receiver: Receiver) -> None:
    hooks = await run()
    hook = await desk.hook(receiver.url)
    await desk.issue(4)
    await receiver.until(4)
    while (await desk.store.hook(hook.id)).sent < 4:
        await asyncio.sleep(0)
    while f'qserver_webhook_sent_total{{webhook="{hook.id}"}} 4' not in (lines := list(hooks.metrics())):
        await asyncio.sleep(0)
    assert f'qserver_webhook_failed_total{{webhook="{hook.id}"}} 0' in lines
    assert f'qserver_webhook_dead_total{{webhook="{hook.id}"}} 0' in lines
    assert f'qserver_webhook_lag{{webhook="{hook.id}"}} 0' in lines
