"""One hall that is watched here: its topics, and how it is read again when events alone no longer do.

The board is read once and folded from events. A gap, a new definition or another epoch make it be read anew; then
everybody gets the whole state, and joiners wait until it is there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import msgspec

from qserver.domain.errors import QserverError, Refusal
from qserver.store import records
from qserver.store.store import Store
from qserver.wire.messages import BoardView, Close, Snapshot

from .channel import Channel, Tools
from .entries import seeds, window_record
from .frames import Framed
from .hall import HallLog
from .topics import BoardTopic, StatsTopic, TicketTopic, WindowTopic

log = logging.getLogger(__name__)
RETRY_S = 0.1


class WatchedHall:
    """One hall's topics."""

    def __init__(self, hall: str, ep: str, store: Store, tools: Tools) -> None:
        self.hall = hall
        self.log = HallLog(ep, tools.config.ring)
        self.board = BoardTopic(tools, self.log)
        self.windows: dict[str, WindowTopic] = {}
        self.stats = StatsTopic(tools, store, hall)
        self.tickets = TicketTopic(tools, store, hall, self.log)
        self.empty_since = asyncio.get_running_loop().time()
        self._tools = tools
        self._store = store
        self._loading: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._opened = False
        self._turned = 0
        self._names: dict[str, str] = {}  # of the windows

    def channels(self) -> Iterator[Channel]:
        """All topics that there are sockets for, or may be."""
        yield self.board
        yield from self.windows.values()
        yield self.stats
        yield self.tickets

    def window(self, window: str) -> WindowTopic | None:
        """The topic of a window; None when the hall has no such window."""
        known = self.windows.get(window)
        if known is None and window in self._names:
            known = self.windows[window] = WindowTopic(window, self._tools)
            task = asyncio.get_running_loop().create_task(self._load_window(known))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return known

    async def open(self, partition: int) -> None:
        """Reads what is needed to serve the first watcher. Raises Refusal (not_found) and Unavailable."""
        turned = self._turned
        older = await self._store.last_events(partition, self._tools.config.seed)
        if turned == self._turned:
            self.log.seed(seeds(older, self.hall))
        await self._load()
        self._opened = True
        if self.board.stale:
            self.reload()  # whoever comes waits for it

    # What happened

    def take(self, event: Framed | None, window: bytes | None, s: int) -> None:
        """One entry of the stream, in order."""
        if event is not None:
            self.board.take(event)
            if self.board.stale:
                self.reload()
        if window is not None and self.windows:
            record = window_record(window)
            topic = self.windows.get(record.id)
            if topic is not None:
                topic.fresh = True
                topic.show(records.window(record, self._names.get(record.id, record.id)), self.log.ep, s)
        self.stats.changed()
        self.tickets.changed()

    def turn(self, ep: str) -> None:
        """The record is another one now."""
        if ep != self.log.ep:
            self._turned += 1
            self.board.turn(ep)
            self.reload()
            self.stats.changed()
            self.tickets.changed()

    def flush(self) -> None:
        """Gives everybody what was taken."""
        self.board.flush()
        for topic in self.windows.values():
            topic.flush()

    def beat(self) -> None:
        """Says hb to everybody."""
        for channel in self.channels():
            channel.beat()
            channel.flush()

    def reload(self) -> None:
        """Reads the hall anew and gives everybody the whole state; joiners wait for it."""
        if self._opened and self._loading is None:
            self._loading = asyncio.get_running_loop().create_task(self._reload())

    def stop(self) -> None:
        """Ends what is under way."""
        for task in (self._loading, *self._tasks):
            if task is not None:
                task.cancel()
        for channel in self.channels():
            channel.stop()

    # Reading it

    async def _reload(self) -> None:
        try:
            while self.board.stale:
                try:
                    loaded = await self._load()
                except Refusal:
                    self._vanished()
                    return
                except QserverError as error:
                    log.info("the board of %s cannot be read: %s", self.hall, error)
                    self.board.stale = True
                    loaded = False
                if loaded:
                    self.flush()
                else:
                    await asyncio.sleep(RETRY_S)
        finally:
            self._loading = None

    async def _load(self) -> bool:
        """Reads board and windows. False: what was read does not fit what the stream has come to."""
        self.board.asking()
        for topic in self.windows.values():
            topic.fresh = False
        windows = await self._store.windows(self.hall) if self.windows else []
        state = await self._store.board(self.hall)
        view = msgspec.convert(
            {name: getattr(state, name) for name in ("hall", "calls", "windows", "waiting", "notices")}, BoardView
        )
        if not self.board.answered(Snapshot(state.ep, state.s, view)):
            return False
        self._names = {window.id: window.name for window in view.windows}
        known = {window.id: window for window in windows}
        for topic in self.windows.values():
            if topic.window not in known:
                _dismiss(topic)  # the new definition has it no longer
            elif not topic.fresh:
                topic.show(known[topic.window], self.log.ep, state.s)
        return True

    async def _load_window(self, topic: WindowTopic) -> None:
        """Reads a window that has got its first watcher."""
        while topic.state is None:
            try:
                window = await self._store.window(self.hall, topic.window)
            except Refusal:
                _dismiss(topic)
                del self.windows[topic.window]
                return
            except QserverError as error:
                log.info("window %s of %s cannot be read: %s", topic.window, self.hall, error)
                await asyncio.sleep(RETRY_S)
                continue
            if not topic.fresh:  # else the record has already brought a later state
                topic.show(window, self.log.ep, self.log.s)
            topic.flush()

    def _vanished(self) -> None:
        """The hall is no more: whoever watches it may come and ask again."""
        for channel in self.channels():
            _dismiss(channel)


def _dismiss(channel: Channel) -> None:
    for socket in [*channel.members(), *channel.joining]:
        socket.bye(Close.NOT_ALLOWED)
