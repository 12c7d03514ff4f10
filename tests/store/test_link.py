"""The link against real servers: order, cancellation, deadlines, losses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from qserver.domain.errors import Unavailable
from qserver.store.address import Address
from qserver.store.link import Head, Link, ReplyError
from tests import servers
from tests.proxies import Proxy
from tests.servers import DataServer

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])


class Watched:
    """A link's comings and goings as events."""

    def __init__(self) -> None:
        self.opened, self.lost = asyncio.Event(), asyncio.Event()


@asynccontextmanager
async def linked(address: Address | DataServer, **options: Any) -> AsyncIterator[tuple[Link, Watched]]:
    if isinstance(address, DataServer):
        address = Address.from_url(address.url)
    seen = Watched()
    link = Link(address, on_open=seen.opened.set, on_lost=seen.lost.set, **options)
    try:
        yield link, seen
    finally:
        await link.close()


@pytest.fixture
async def link(data_server: DataServer) -> AsyncIterator[Link]:
    async with linked(data_server, on_connect=[("CLIENT", "SETNAME", "tests")]) as (one, _):
        yield one


async def test_every_kind_of_argument_and_answer(link: Link) -> None:
    assert await link.call("SET", b"k\x00\xff", "排队 \r\n") == b"OK"
    assert await link.call("GET", b"k\x00\xff") == "排队 \r\n".encode()
    assert await link.call("GET", "none") is None
    assert await link.call("INCRBY", "n", 7) == 7
    assert await link.call("INCRBYFLOAT", "n", 0.5) == b"7.5"
    assert await link.call("EVAL", "return {1, {'a', false}, redis.status_reply('fine')}", 0) == [
        1,
        [b"a", None],
        b"fine",
    ]
    big = b"x" * 5_000_000
    assert await link.call("SET", "big", big) == b"OK"
    assert await link.call("GET", "big") == big
    assert await link.call("CLIENT", "GETNAME") == b"tests"
    with pytest.raises(TypeError):
        link.call("SET", "a", None)  # type: ignore[arg-type]


async def test_a_head_is_packed_once(link: Link) -> None:
    head = Head("EVAL", "return {KEYS[1], #ARGV, ARGV[2] or 'none'}", 1, "k\r\n")
    assert await link.call(head) == [b"k\r\n", 0, b"none"]
    assert await link.call(head, "a", 2.5) == [b"k\r\n", 2, b"2.5"]
    assert await link.call(head, b"\n", b"\r\n$1\r\n") == [b"k\r\n", 2, b"\r\n$1\r\n"]


async def test_an_error_has_a_code_and_disturbs_nobody(link: Link) -> None:
    answers = await asyncio.gather(
        link.call("SET", "s", 1), link.call("LPUSH", "s", 1), link.call("GET", "s"), return_exceptions=True
    )
    assert answers[0] == b"OK" and answers[2] == b"1"
    error = answers[1]
    assert isinstance(error, ReplyError) and error.code == "WRONGTYPE" and error.message.startswith("Operation against")
    link.call("MULTI"), link.call("LPUSH", "s", 1)
    found = await link.call("EXEC")
    assert isinstance(found, list) and isinstance(found[0], ReplyError)


async def test_answers_come_to_who_asked(link: Link) -> None:
    async def one(n: int) -> None:
        for turn in range(20):
            assert await link.call("ECHO", f"{n}:{turn}") == f"{n}:{turn}".encode()

    await asyncio.gather(*(one(n) for n in range(200)))


async def test_one_pass_of_the_loop_is_one_read_for_the_server(link: Link) -> None:
    async def reads() -> int:
        info = await link.call("INFO", "stats")
        assert isinstance(info, bytes)
        return int(info.split(b"total_reads_processed:")[1].split()[0])

    before = await reads()
    await asyncio.gather(*(link.call("PING") for _ in range(300)))
    assert await reads() - before == 2  # the 300, and the question itself


async def test_the_cancelled_disturb_nobody(link: Link) -> None:
    await link.open()
    tasks = [asyncio.ensure_future(link.call("ECHO", n)) for n in range(100)]
    late = asyncio.ensure_future(asyncio.wait_for(link.call("BLPOP", "never", "0.05"), 10))
    await asyncio.sleep(0)
    for task in tasks[1::2]:
        task.cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert found[::2] == [str(n).encode() for n in range(0, 100, 2)]
    assert all(isinstance(one, asyncio.CancelledError) for one in found[1::2])
    assert await late is None
    assert link.unanswered == 0


async def test_cancelled_before_there_was_a_connection_it_is_never_sent(valkey: DataServer) -> None:
    valkey.kill9()
    async with linked(valkey, connect_wait_s=30) as (link, _):
        unwanted = asyncio.ensure_future(link.call("INCR", "unwanted"))
        wanted = asyncio.ensure_future(link.call("INCR", "wanted"))
        await asyncio.sleep(0)
        unwanted.cancel()
        await asyncio.to_thread(valkey.restart)
        try:
            assert await wanted == 1
        except ReplyError as error:
            assert error.code == "LOADING"  # it came first, while the file was being read
        assert await asyncio.to_thread(valkey.ask, "EXISTS", "unwanted") == 0


async def test_a_late_answer_is_unknown_and_dropped_in_its_turn(valkey: DataServer) -> None:
    async with linked(valkey) as (link, _):
        await link.open()
        valkey.pause()
        late = link.call("INCR", "n", timeout_s=0.1)
        patient = link.call("INCR", "n")
        with pytest.raises(Unavailable) as caught:
            await late
        assert caught.value.unknown
        valkey.resume()
        assert await patient == 2  # the late one did run


async def test_a_silent_server_is_given_up(valkey: DataServer) -> None:
    async with linked(valkey, timeout_s=0.3, connect_wait_s=0.1) as (link, seen):
        await link.open()
        seen.opened.clear()
        valkey.pause()
        with pytest.raises(Unavailable) as caught:
            await link.call("PING")
        assert caught.value.unknown
        await seen.lost.wait()
        with pytest.raises(Unavailable) as caught:  # the kernel connects us, but nobody greets
            await link.call("PING")
        assert not caught.value.unknown
        valkey.resume()
        await seen.opened.wait()
        assert await link.call("PING") == b"PONG"


async def test_a_blocking_read_may_be_longer_than_the_usual_patience(valkey: DataServer) -> None:
    async with linked(valkey, timeout_s=0.1) as (link, seen):
        await link.open()
        assert await link.call("BLPOP", "never", "0.5", timeout_s=30) is None
        assert not seen.lost.is_set()


async def test_killed_while_a_command_runs_then_started_again(data_server: DataServer) -> None:
    async with linked(data_server, connect_wait_s=0.05) as (link, seen):
        assert await link.call("INCR", "n") == 1
        running = link.call("BLPOP", "never", 0)
        seen.opened.clear()
        await asyncio.sleep(0)  # sent
        data_server.kill9()
        with pytest.raises(Unavailable) as caught:
            await running
        assert caught.value.unknown
        with pytest.raises(Unavailable) as caught:
            await link.call("INCR", "n")
        assert not caught.value.unknown
        assert not link.connected
        data_server.restart()  # returns when all is loaded
        await seen.opened.wait()
        assert await link.call("INCR", "n") == 2


async def test_a_lost_answer_is_unknown_and_the_command_ran_once(valkey: DataServer) -> None:
    async with Proxy(valkey.path) as proxy, linked(Address(port=proxy.port)) as (link, _):
        await link.open()
        proxy.deaf = True
        with pytest.raises(Unavailable) as caught:
            await link.call("INCR", "n")
        assert caught.value.unknown
        proxy.deaf = False
        assert await link.call("GET", "n") == b"1"


async def test_an_unasked_answer_ends_the_connection(valkey: DataServer) -> None:
    async with Proxy(valkey.path) as proxy, linked(Address(port=proxy.port)) as (link, seen):
        for noise in (b"+OK\r\n", b"\x00nonsense\r\n"):
            assert await link.call("ECHO", 1) == b"1"
            seen.lost.clear()
            proxy.inject(noise)
            await seen.lost.wait()
        assert await link.call("ECHO", 2) == b"2"


async def test_what_never_left_cannot_have_run(valkey: DataServer) -> None:
    """Far more than the sockets hold, to a server that does not read: each command's fate is told rightly."""
    async with linked(valkey, timeout_s=0.5) as (link, _):
        await link.open()
        valkey.pause()
        value = b"v" * 200_000
        fates = await asyncio.gather(
            *(turn(link, n, value) for n in range(40)),
        )
        valkey.resume()
        known = [n for n, unknown in enumerate(fates) if not unknown]
        assert known and len(known) < 40
        assert await link.call("EXISTS", *(f"k{n}" for n in known)) == 0


async def turn(link: Link, n: int, value: bytes) -> bool:
    for _ in range(n):  # each in a pass of its own, so that they leave in writes of their own
        await asyncio.sleep(0)
    try:
        await link.call("SET", f"k{n}", value)
    except Unavailable as error:
        return error.unknown
    raise AssertionError("answered by a stopped server")


async def test_too_many_in_flight_are_refused(valkey: DataServer) -> None:
    async with linked(valkey, in_flight=10) as (link, _):
        await link.open()
        taken = [link.call("BLPOP", "bell", 0), *(link.call("PING") for _ in range(9))]
        with pytest.raises(Unavailable) as caught:
            await link.call("PING")
        assert not caught.value.unknown
        valkey.ask("RPUSH", "bell", 1)
        assert (await asyncio.gather(*taken))[1:] == [b"PONG"] * 9
        assert await link.call("PING") == b"PONG"


async def test_log_in_and_database() -> None:
    server = servers.valkey("--requirepass", "wrong:pass/word")
    try:
        server.ask("PING")
        url = f"unix://:wrong%3Apass%2Fword@{server.path}?db=3"
        async with linked(Address.from_url(url)) as (link, _):
            await link.call("SET", "k", 1)
            await link.call("ACL", "SETUSER", "hall", "on", ">secret", "~*", "+@all")
        async with linked(Address.from_url(f"unix://hall:secret@{server.path}")) as (link, _):
            assert await link.call("ACL", "WHOAMI") == b"hall"
            assert await link.call("EXISTS", "k") == 0
        async with linked(Address.from_url(f"unix://hall:other@{server.path}"), connect_wait_s=0.2) as (link, _):
            with pytest.raises(Unavailable, match="WRONGPASS") as caught:
                await link.call("PING")
            assert not caught.value.unknown and "other" not in str(caught.value)
    finally:
        server.stop()


async def test_nobody_there(tmp_path: Any) -> None:
    async with linked(Address(path=str(tmp_path / "none")), connect_wait_s=0.05) as (link, _):
        with pytest.raises(Unavailable, match="none") as caught:
            await link.open()
        assert not caught.value.unknown


async def test_after_close_every_caller_has_been_told(valkey: DataServer) -> None:
    async with linked(valkey) as (link, seen):
        await link.open()
        running = link.call("BLPOP", "never", 0)
        await asyncio.sleep(0)
        never_left = link.call("PING")
        await link.close()
        with pytest.raises(Unavailable) as caught:
            await running
        assert caught.value.unknown
        assert isinstance(never_left.exception(), Unavailable)
        with pytest.raises(Unavailable, match="closed") as caught:
            await link.call("PING")
        assert not caught.value.unknown
        assert not seen.lost.is_set()
        await link.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert not others


async def test_close_may_wait_for_what_is_due(valkey: DataServer) -> None:
    async with linked(valkey) as (link, _):
        await link.open()
        due = link.call("BLPOP", "never", "0.1")
        await asyncio.sleep(0)
        await link.close(drain_s=10)
        assert await due is None


async def test_a_greeting_that_is_refused_is_told(valkey: DataServer) -> None:
    async with linked(valkey, on_connect=[("NO-SUCH",)], connect_wait_s=0.1) as (link, _):
        with pytest.raises(Unavailable, match="NO-SUCH"):
            await link.open()
