"""Fifty pads whose network was away for a day: what they kept arrives in any order, twice and at once, and is right."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession

from evaluator.clocks import Clocks
from evaluator.prompt import Rating
from evaluator.sender import Sender
from evaluator.spool import BATCH, Result, Spool
from qserver.domain import hall
from qserver.domain.events import Event
from qserver.store.answers import SYSTEM
from tests.api.doors import Doors, serving_at
from tests.servers import DataServer
from tests.store.clocks import TimedStore

PADS, ROUNDS, RIVALS = 50, 200, 10
SECOND, HOUR = 1000, 3_600_000
H = "far"
WINDOWS = [f"w{n}" for n in range(1, PADS + 1)]
HALL = {
    "id": H,
    "services": [{"id": "a", "prefix": "A"}],
    "windows": [{"id": window, "services": ["a"]} for window in WINDOWS],
    "integrity": {"burst": 0},
}


class Box:
    """A pad's machine: its clocks are off by hours and are set at times, its stopwatch is a little fast or slow and
    begins anew at every start; it hears the server's time when it starts, and now and then."""

    def __init__(self, chance: random.Random, window: str, folder: Path, now_ms: int) -> None:
        self.chance = chance
        self.window = window
        self.path = folder / f"{window}.spool"
        self.now_ms = now_ms
        self._pace = 1 + chance.uniform(-20e-6, 20e-6)  # what quartz does
        self._wall_off = chance.randint(-12 * HOUR, 12 * HOUR)
        self.spool = Spool(self.path)
        self.given: dict[str, int] = {}  # ticket -> the true instant
        self.start()
        self.clocks.heard(now_ms)

    def start(self) -> None:
        """The power comes back."""
        since = self.now_ms
        self._boot = f"{self.window}-{since}-{self.chance.random()}"
        self._shows = lambda: 7_000 + int((self.now_ms - since) * self._pace)
        self.clocks = Clocks((self._boot, self._shows), lambda: self.now_ms + self._wall_off)

    def round(self, now_ms: int) -> None:
        """What may happen to a box between two citizens."""
        self.now_ms = now_ms
        if self.chance.random() < 0.05:
            self._wall_off += self.chance.randint(-5 * HOUR, 5 * HOUR)
        if self.chance.random() < 0.03:
            self.start()
            self.clocks.heard(now_ms)
        elif self.chance.random() < 0.1:
            self.clocks.heard(now_ms)

    def press(self, ticket: str, at_ms: int) -> None:
        """A citizen rates."""
        self.now_ms = at_ms
        self.given[ticket] = at_ms
        self.spool.add(Rating(ticket, 1, self.chance.randint(1, 5)), self.clocks.read())

    def wake(self, now_ms: int) -> None:
        """The next morning: another start, a clock that stands anywhere, and no time heard yet."""
        self.now_ms = now_ms
        self._wall_off = self.chance.choice([-now_ms, -3 * HOUR, 9 * HOUR])
        self.start()

    def everything(self) -> list[dict[str, Any]]:
        """All that was kept, as the server takes it, out of a copy."""
        self.spool.close()
        copied = shutil.copy(self.path, self.path.with_suffix(".copy"))
        self.spool, copy = Spool(self.path), Spool(Path(copied))
        knowing = Clocks((self._boot, self._shows), lambda: 0)
        knowing.heard(self.now_ms)
        items: list[dict[str, Any]] = []
        while batch := copy.batch(knowing.read()):
            items += batch
            copy.settle(Result(item["rid"], "recorded") for item in batch)
        copy.close()
        return items


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where there is such a place: each rating is synced, and disks are not what is tried here."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


async def a_day(store: TimedStore, boxes: list[Box], chance: random.Random) -> None:
    """Each window serves somebody in each round, and whoever was served rates within a minute."""

    async def begun(window: str) -> str:
        ticket = (await store.issue(SYSTEM, H, "a", window=window)).value.ticket
        await store.call(SYSTEM, H, window, ticket=ticket.no)
        await store.begin_service(SYSTEM, H, window)
        return ticket.id

    for _ in range(ROUNDS):
        for box in boxes:
            box.round(store.at)
        tickets = await asyncio.gather(*map(begun, WINDOWS))
        await store.pass_ms(40 * SECOND)
        await asyncio.gather(*(store.finish(SYSTEM, H, window) for window in WINDOWS))
        for box, ticket in zip(boxes, tickets, strict=True):
            box.press(ticket, store.at + chance.randint(0, 55 * SECOND))
        await store.pass_ms(60 * SECOND)


async def recorded(store: TimedStore) -> dict[str, Event]:
    """The ratings on record by ticket; no ticket has two, and no pad is doubted."""
    found: dict[str, Event] = {}
    last = "-"
    while page := await store.read_events(store.partition(H), last, 5000):
        for event in (msgspec.msgpack.decode(fields[b"e"], type=Event) for _, fields in page if b"e" in fields):
            assert not event.kind.startswith("device.")
            if event.kind == "rating.recorded":
                assert event.ticket not in found
                assert "doubt" not in event.more()
                found[event.ticket] = event
        last = page[-1][0].decode()
    return found


@pytest.mark.timeout(180)
async def test_ten_thousand_ratings_kept_offline_shuffled_and_doubled_are_recorded_once_each_at_their_instants(
    valkey: DataServer, folder: Path
) -> None:
    chance = random.Random(50)
    async with serving_at(valkey.url) as doors, ClientSession() as session:
        store = doors.time
        await store.configure(SYSTEM, hall.parse(HALL))
        await asyncio.gather(*(store.open(SYSTEM, H, window, staff=f"s-{window}") for window in WINDOWS))
        boxes = [Box(random.Random(window), window, folder, store.at) for window in WINDOWS]
        await a_day(store, boxes, chance)
        await store.pass_ms(20 * HOUR)
        while await store.sweep_all():
            pass  # all are unrated by now, and the day has turned
        for box in boxes:
            box.wake(store.at)
        kept = {box.window: box.everything() for box in boxes}
        senders = {box.window: await sender(doors, box) for box in boxes}

        # Everything twice, with another rating of some services among it, in any order and all pads at once.
        batches = []
        for box in boxes:
            items = kept[box.window]
            rivals = [
                item | {"rid": f"rival-{item['rid']}", "n": ROUNDS + n, "score": 6 - item["score"]}
                for n, item in enumerate(chance.sample(items, RIVALS), 1)
            ]
            sent = 2 * (items + rivals)
            chance.shuffle(sent)
            batches += [(box.window, sent[at : at + BATCH]) for at in range(0, len(sent), BATCH)]
        chance.shuffle(batches)
        given = {ticket: at_ms for box in boxes for ticket, at_ms in box.given.items()}
        assert len(given) == PADS * ROUNDS == 10_000

        async def deliver(window: str, items: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
            pad = senders[window]
            url, headers = f"{doors.base}/api/v1/halls/{H}/ratings", {"Authorization": f"Bearer {pad._token}"}
            async with session.post(url, json=pad.signed(items, []), headers=headers) as answer:
                assert answer.status == 200
                return list(zip(items, (await answer.json())["results"], strict=True))

        answers = [pair for pairs in await asyncio.gather(*(deliver(*batch) for batch in batches)) for pair in pairs]

        # Then the pads come back by themselves and send what they hold, for the third time.
        for box in boxes:
            pad = senders[box.window]
            while len(box.spool):
                assert await pad.once(session) == 0
            assert box.spool.rejected() == []
            box.spool.close()

        on_record = await recorded(store)
        assert on_record.keys() == given.keys()
        for ticket, event in on_record.items():
            assert abs(event.more()["rated_ms"] - given[ticket]) <= SECOND

        said = Counter(result["status"] for _, result in answers)
        assert said == {"recorded": 10_000, "duplicate": 10_000, "conflict": 2 * PADS * RIVALS}
        for item, result in answers:
            stands = on_record[item["ticket"]].more()
            if result["status"] == "conflict":
                against = {"source": "active", "at_ms": stands["rated_ms"], "rid": stands["rid"]}
                assert (result["code"], result["against"]) == ("already_rated", against)
                assert stands["rid"] != item["rid"]
            else:
                assert (stands["rid"], stands["score"], stands["number"]) == (item["rid"], item["score"], item["n"])


async def sender(doors: Doors, box: Box) -> Sender:
    """The pad's own sender, on its own spool and clocks."""
    token = (await doors.enter("pad", box.window, H)).token
    return Sender(doors.base, token, H, box.window, box.spool, box.clocks)
