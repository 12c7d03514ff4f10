"""From the press to the screen: a clerk's call over HTTP until its event is read from sockets, with 1 and 2,000 boards.

The pressing client and a few boards share one clock in this process; all other boards of the hall are in a process of
their own. The watched boards connect before and after those, so that the first and the last of a fan-out are among
them. The floor is the press itself: how long its own answer took.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from time import perf_counter_ns as clock

from .common import cores, figure, latencies, median, options, run
from .load import Pool, request
from .product import Product, hall
from .sinks import Sinks, board, held

HALL, WINDOWS, WATCHED = "press", 20, 10
EVENT = b"\xa5event"


class Watch:
    """The boards that are looked at: when each got the event of the press under way."""

    def __init__(self, *sinks: Sinks) -> None:
        self.all = [sink for some in sinks for sink in some.all]
        self.spent_ns: list[int] = []
        self._missing: set[int] = set()
        self._pressed = 0
        self._seen = asyncio.Event()
        for number, sink in enumerate(self.all):
            sink.heard = lambda data, number=number: self._heard(number, data)

    def press(self) -> None:
        """A press begins now."""
        self._missing = set(range(len(self.all)))
        self._seen.clear()
        self._pressed = clock()

    async def seen(self) -> None:
        """Every watched board has the event."""
        await self._seen.wait()

    def _heard(self, number: int, data: bytes) -> None:
        if number in self._missing and EVENT in data:
            self._missing.discard(number)
            self.spent_ns.append(clock() - self._pressed)
            if not self._missing:
                self._seen.set()


def _presses(token: str) -> Iterator[bytes]:
    """Calls and starts, window after window, for ever; each call ends the service before it."""
    while True:
        for what in (b'call {"finish":true}', b"start {}"):
            name, _, body = what.partition(b" ")
            for number in range(1, WINDOWS + 1):
                path = f"/api/v1/halls/{HALL}/windows/w{number}/{name.decode()}"
                yield request("POST", path, body, token)


async def measure(boards: int, presses: int, per_s: int) -> None:
    """So many presses, one at a time, in a hall with so many boards."""
    core = cores()
    async with Product(core.server) as product, contextlib.AsyncExitStack() as stack:
        pool = await Pool.open(product.port, 1)
        await product.ask(pool, "PUT", f"/api/v1/halls/{HALL}", hall(HALL, windows=WINDOWS))
        (token,) = await product.tokens(pool, [{"role": "display", "hall": HALL}])
        for number in range(1, WINDOWS + 1):
            await product.ask(pool, "POST", f"/api/v1/halls/{HALL}/windows/w{number}/open", {})
        tickets = request("POST", f"/api/v1/halls/{HALL}/tickets", b'{"service":"s1"}', product.token)
        (await pool.closed([tickets] * presses)).must_be_good()
        first = board(token, HALL)
        watched = min(WATCHED, boards)
        before = await stack.enter_async_context(Sinks(product.port, (watched + 1) // 2, first, b"snapshot"))
        if boards > watched:
            await stack.enter_async_context(held(core.load, product.port, boards - watched, token, HALL))
        after = await stack.enter_async_context(Sinks(product.port, watched // 2, first, b"snapshot"))
        watch, answers = Watch(before, after), []
        following = _presses(product.token)
        at = asyncio.get_running_loop().time()
        for _ in range(presses):
            watch.press()
            began = clock()
            (await pool.closed([next(following)])).must_be_good()
            answers.append(clock() - began)
            await watch.seen()
            at = max(at + 1 / per_s, asyncio.get_running_loop().time())
            await asyncio.sleep(at - asyncio.get_running_loop().time())
    spread = latencies(watch.spent_ns)
    figure(
        f"press_to_screen.{boards}", spread["p99_ms"], "ms", median(answers) / 1e6,
        presses=presses, per_s=per_s, floor_is="median answer to the press", **spread,
    )  # fmt: skip


def main() -> None:
    """`python -m benchmarks.press_to_screen`."""
    parser = options(__doc__)
    parser.add_argument("--boards", type=int, nargs="*", default=[1, 2000])
    given = parser.parse_args()
    for boards in [1, 300] if given.quick else given.boards:
        run(measure(boards, 100 if given.quick else 600, 20))


if __name__ == "__main__":
    main()
