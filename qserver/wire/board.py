"""The one fold of board events: server, displays and pages all come from a snapshot to the next state this way.

The rules are few, because an event says what it leads to: a call or recall heads the list of calls, a window takes
the event's state and shows a number only while called or serving, a service takes the event's waiting count.
`config` and `notice` change nothing here: a snapshot follows them. Whether an event may be applied at all (its `p`)
is the chain's business, not the fold's.
"""

from __future__ import annotations

from msgspec import UNSET

from .messages import BoardEvent, BoardView, CallView, NoticeView, Snapshot, WindowView

CALLS = 20
"""How many calls a board remembers."""
_AT_WINDOW = frozenset({"called", "serving"})


class Board:
    """The public state of a hall at (`ep`, `s`)."""

    __slots__ = ("calls", "ep", "hall", "notices", "s", "waiting", "windows")

    def __init__(self, snapshot: Snapshot) -> None:
        view = snapshot.board
        self.ep = snapshot.ep
        self.s = snapshot.s
        self.hall = view.hall
        self.calls: list[CallView] = list(view.calls)
        self.windows: dict[str, WindowView] = {window.id: window for window in view.windows}
        self.waiting: dict[str, int] = dict(view.waiting)
        self.notices: list[NoticeView] = list(view.notices)

    def apply(self, event: BoardEvent) -> None:
        """Takes the step to `event.s`."""
        self.s = event.s
        ticket = event.ticket if event.ticket is not UNSET else None
        if event.window is not UNSET and event.state is not UNSET:
            known = self.windows.get(event.window)
            self.windows[event.window] = WindowView(
                event.window,
                known.name if known is not None else event.window,
                event.state,
                ticket if event.state in _AT_WINDOW else None,
            )
        if event.service is not UNSET and event.waiting is not UNSET:
            self.waiting[event.service] = event.waiting
        if event.k in ("call", "recall") and ticket is not None and event.window is not UNSET:
            service = event.service if event.service is not UNSET else ""
            n = event.n if event.n is not UNSET else 1
            self.calls.insert(0, CallView(event.s, ticket, event.window, service, n, event.at_ms))
            del self.calls[CALLS:]

    def snapshot(self) -> Snapshot:
        """The whole board as a message."""
        view = BoardView(
            self.hall, list(self.calls), list(self.windows.values()), dict(self.waiting), list(self.notices)
        )
        return Snapshot(self.ep, self.s, view)
