"""The load generator tells the truth: every answer is counted once, in order, from the instant it was meant for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter_ns as clock

import pytest

from benchmarks.load import Connection, Pool, instants, request


@asynccontextmanager
async def server(status: str = "200 OK", *, pieces: bool = False) -> AsyncIterator[int]:
    """Answers each request with its own body, whole or byte by byte."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b"":
            length = int(head.partition(b"Content-Length: ")[2].partition(b"\r")[0] or 0)
            body = await reader.readexactly(length)
            data = f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n".encode() + body
            for at in range(0, len(data), 1 if pieces else len(data)):
                writer.write(data[at : at + 1] if pieces else data)
                await writer.drain()
                await asyncio.sleep(0)

    async def serve_until_gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve_until_gone, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def test_answers_in_pieces_come_back_whole_and_in_the_order_of_the_requests() -> None:
    async with server(pieces=True) as port:
        pool = await Pool.open(port, 3)
        run = await pool.closed(request("POST", "/", str(number).encode()) for number in range(20))
        pool.close()
    assert run.good == 20
    assert run.bodies == [str(number).encode() for number in range(20)]


async def test_refusals_are_counted_apart_and_their_times_left_out() -> None:
    async with server("503 Service Unavailable") as port:
        pool = await Pool.open(port, 2)
        run = await pool.closed([request("POST", "/", b"why")] * 5)
        pool.close()
    assert (run.good, run.bad, run.first_refusal, run.spent_ns) == (0, {"503": 5}, b"why", [])


async def test_a_broken_connection_is_an_answer_of_status_0() -> None:
    listening = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with listening:
        pool = await Pool.open(listening.sockets[0].getsockname()[1], 1)
        run = await pool.closed([request("POST", "/")] * 3)
        pool.close()
    assert run.bad == {"0": 3}


async def test_in_the_open_model_the_time_spent_in_line_counts() -> None:
    asked, free = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await free.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    listening = await asyncio.start_server(slow, "127.0.0.1", 0)
    async with listening:
        pool = await Pool.open(listening.sockets[0].getsockname()[1], 1)
        running = asyncio.create_task(pool.open_model([request("GET", "/")] * 2, 1e9))
        await asked.wait()
        began = clock()
        for _ in range(100):
            await asyncio.sleep(0)
        stalled = clock() - began
        free.set()
        run = await running
        pool.close()
    assert len(run.spent_ns) == 2
    assert min(run.spent_ns) >= stalled  # the second waited for the first, and that is its time too


async def test_an_even_load_goes_on_until_the_first_refusal() -> None:
    asked: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for status in ("200 OK", "200 OK", "503 Service Unavailable"):
            asked.put_nowait(await reader.readuntil(b"\r\n\r\n"))
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        pool = await Pool.open(listening.sockets[0].getsockname()[1], 1)
        with pytest.raises(RuntimeError, match="503"):
            await pool.evenly(request("POST", "/"), 1e6)
    assert asked.qsize() == 3


async def test_an_answer_that_comes_just_when_an_even_load_is_stopped_is_no_error() -> None:
    asked, never = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await never.wait()
        writer.close()

    listening = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
        running = asyncio.create_task(Pool([connection]).evenly(request("POST", "/"), 1e6))
        await asked.wait()
        running.cancel()
        connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        with pytest.raises(asyncio.CancelledError):
            await running
        assert connection.transport.is_closing()
        never.set()


async def test_instants_are_the_same_for_the_same_seed_and_at_the_rate_asked_for() -> None:
    async def first(seed: int) -> list[int]:
        late: list[int] = []
        meant = [at async for number, at in _some(instants(1e6, late, seed=seed), 1000)]
        return [at - meant[0] for at in meant]

    one, same, other = await first(1), await first(1), await first(2)
    assert one == same != other
    assert 0.8e6 < one[-1] < 1.2e6  # 1,000 of them at one a microsecond


async def _some(found: AsyncIterator[tuple[int, int]], count: int) -> AsyncIterator[tuple[int, int]]:
    async for number, at in found:
        if number == count:
            return
        yield number, at
