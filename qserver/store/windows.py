"""Commands of windows and of the tickets at them: one method, one FCALL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from qserver.domain import ticket as public

from . import records
from .answers import Answer, Called, Op, PadRecord
from .gate import Gate

_ticket = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw])
_called = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw, msgspec.Raw])
_pads = msgspec.msgpack.Decoder(tuple[int, list[PadRecord]])
_window = msgspec.msgpack.Decoder(tuple[int, records.WindowRecord, str])
_windows = msgspec.msgpack.Decoder(tuple[int, list[tuple[records.WindowRecord, str]]])


class WindowStore(Gate):
    """Windows, and what their clerks do with tickets."""

    async def _moved(self, hall: str, function: str, op: Op, *args: Any) -> Answer[public.Ticket]:
        packed, replayed = await self._command(hall, function, op, *args)
        return Answer(records.ticket(hall, records.packed_ticket(_ticket.decode(packed)[1])), replayed)

    async def _session(self, hall: str, function: str, op: Op, *args: Any) -> Answer[public.Window]:
        packed, replayed = await self._command(hall, function, op, *args)
        _, record, name = _window.decode(packed)
        return Answer(records.window(record, name), replayed)

    async def open(
        self, op: Op, hall: str, window: str, *, staff: str = "", services: Sequence[str] | None = None
    ) -> Answer[public.Window]:
        """Opens a window, or takes over an open one. Refused: no_such_window, no_such_service."""
        given = "0" if services is None else "1"
        return await self._session(hall, "open", op, window, staff, given, *(services or ()))

    async def close_window(self, op: Op, hall: str, window: str) -> Answer[public.Window]:
        """Closes a window without a ticket. Refused: no_such_window, window_not_open, window_busy."""
        return await self._session(hall, "close", op, window)

    async def pause(self, op: Op, hall: str, window: str, reason: str) -> Answer[public.Window]:
        """Pauses an idle window 暂停服务. Refused: no_such_window, window_not_open, window_busy, wrong_state."""
        return await self._session(hall, "pause", op, window, reason)

    async def resume(self, op: Op, hall: str, window: str) -> Answer[public.Window]:
        """Resumes a paused window. Refused: no_such_window, window_not_open, window_busy, wrong_state."""
        return await self._session(hall, "resume", op, window)

    async def window(self, hall: str, window: str) -> public.Window:
        """A window as it is. Refused: no_such_window."""
        packed, _ = await self._read(hall, "windows", window)
        record, name = _windows.decode(packed)[1][0]
        return records.window(record, name)

    async def pads(self, hall: str) -> list[PadRecord]:
        """The evaluator pads of all windows, in the definition's order."""
        packed, _ = await self._read(hall, "pads")
        return _pads.decode(packed)[1]

    async def windows(self, hall: str) -> list[public.Window]:
        """All windows of a hall, in the definition's order."""
        packed, _ = await self._read(hall, "windows")
        return [records.window(record, name) for record, name in _windows.decode(packed)[1]]

    async def call(self, op: Op, hall: str, window: str, *, ticket: str = "", finish: bool = False) -> Answer[Called]:
        """Calls a ticket 叫号: a named one or whoever is next; with `finish` the one in service is finished first.

        Refused: no_such_window, window_not_open, window_busy, not_found, wrong_state.
        """
        packed, replayed = await self._command(hall, "call", op, window, ticket, "1" if finish else "0")
        _, called, finished = _called.decode(packed)
        return Answer(Called(_maybe(hall, called), _maybe(hall, finished)), replayed)

    async def recall(self, op: Op, hall: str, window: str) -> Answer[public.Ticket]:
        """Calls the called ticket again 重呼. Refused: no_such_window, window_not_open, wrong_state."""
        return await self._moved(hall, "recall", op, window)

    async def begin_service(self, op: Op, hall: str, window: str) -> Answer[public.Ticket]:
        """The called citizen is here: service starts. Refused: no_such_window, window_not_open, wrong_state."""
        return await self._moved(hall, "start", op, window)

    async def miss(self, op: Op, hall: str, window: str) -> Answer[public.Ticket]:
        """The called citizen did not come 过号. Refused: no_such_window, window_not_open, wrong_state."""
        return await self._moved(hall, "miss", op, window)

    async def undo(self, op: Op, hall: str, window: str) -> Answer[public.Ticket]:
        """Takes the last finish or miss back, within 15 s. Refused: no_such_window, window_not_open, wrong_state."""
        return await self._moved(hall, "undo", op, window)

    async def hold(self, op: Op, hall: str, window: str, reason: str) -> Answer[public.Ticket]:
        """Puts the ticket at the window aside 挂起. Refused: no_such_window, window_not_open, wrong_state."""
        return await self._moved(hall, "hold", op, window, reason)

    async def unhold(self, op: Op, hall: str, window: str, ticket: str) -> Answer[public.Ticket]:
        """Takes a held ticket back into service here. Refused: as hold, and not_found, window_busy."""
        return await self._moved(hall, "unhold", op, window, ticket)

    async def finish(
        self,
        op: Op,
        hall: str,
        window: str,
        *,
        outcome: str = "done",
        case: str = "",
        then: str = "",
        then_window: str = "",
    ) -> Answer[public.Ticket]:
        """Ends the leg in service 办结. `then`, `then_window`: sends the visit on 受审分离 to a leg it was not issued
        with, before those still to come; the window alone = the same service there.

        Refused: no_such_window, no_such_service, window_not_open, wrong_state.
        """
        return await self._moved(hall, "finish", op, window, outcome, case, then, then_window)

    async def transfer(
        self, op: Op, hall: str, window: str, *, service: str = "", to: str = "", position: str = "arrival"
    ) -> Answer[public.Ticket]:
        """Ends the leg and lets the ticket wait elsewhere 转窗口; `position`: arrival, first or last.

        Refused: no_such_window, no_such_service, window_not_open, wrong_state, validation.
        """
        return await self._moved(hall, "transfer", op, window, service, to, position)


def _maybe(hall: str, raw: msgspec.Raw) -> public.Ticket | None:
    return None if memoryview(raw)[0] == 0xC2 else records.ticket(hall, records.packed_ticket(raw))  # 0xC2: false
