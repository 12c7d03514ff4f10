"""A hall seen from above: its public board and its live figures, the same state the sockets send."""

from __future__ import annotations

from qserver.wire.messages import BoardView, StatsView

from .messages import BoardAnswer, StatsAnswer
from .routing import Call, H, Route


async def board(call: Call) -> BoardAnswer:
    """The public state as of the hall's last public event."""
    ep, s, hall, calls, windows, waiting, notices = await call.store.board(call.hall)
    return BoardAnswer(ep, s, BoardView(hall, calls, windows, waiting, notices))  # type: ignore[arg-type]


async def stats(call: Call) -> StatsAnswer:
    """Live figures of the present day."""
    ep, s, day, now_ms, services, windows, open_reviews = await call.store.stats(call.hall)
    return StatsAnswer(ep, s, StatsView(day, now_ms, services, windows, open_reviews))


ROUTES = (
    Route("GET", H + "/board", board, answer=BoardAnswer, summary="The hall board 综合屏", codes=("not_found",)),
    Route("GET", H + "/stats", stats, answer=StatsAnswer, summary="Live figures", codes=("not_found",)),
)
