"""The life of a ticket and of a window, as two tables.

Code only looks the tables up: the function library gets them as generated Lua, the role table takes `by`
from them, the README's picture is drawn from them. Only states, commands and who may give them live here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """Where a ticket is in its life."""

    WAITING = "waiting"  # 等候
    CALLED = "called"  # 已叫号
    SERVING = "serving"  # 办理中
    HELD = "held"  # 挂起
    MISSED = "missed"  # 过号
    FINISHED = "finished"  # 办结
    CANCELLED = "cancelled"  # 已取消
    EXPIRED = "expired"  # 过期: the day turned before it ended


class WindowState(StrEnum):
    """What a window is doing."""

    CLOSED = "closed"
    IDLE = "idle"
    CALLED = "called"
    SERVING = "serving"
    PAUSED = "paused"


class Role(StrEnum):
    """Who a token speaks for."""

    ADMIN = "admin"
    SUPERVISOR = "supervisor"
    ASSESSOR = "assessor"
    GUIDE = "guide"
    KIOSK = "kiosk"
    CLERK = "clerk"
    DISPLAY = "display"
    PAD = "pad"
    ANALYTICS = "analytics"


class Move(NamedTuple):
    """One command: from which states, to which, the event it leaves, and which roles may give it."""

    sources: frozenset[str]
    target: str
    event: str
    by: frozenset[Role]


def _move(sources: str, target: str, event: str, by: str) -> Move:
    return Move(frozenset(sources.split()), target, event, frozenset(Role(r) for r in by.split()))


MOVES: dict[str, Move] = {
    # command: sources, target, event kind, roles. The holder of the ticket's link may cancel and postpone too;
    # `expire` and an automatic `miss` are given by time. Finish of a leg with another one after it leads back
    # to waiting (the target names the last leg's); undo restores what was before.
    "call": _move("waiting missed", "called", "called", "clerk"),
    "recall": _move("called", "called", "recalled", "clerk"),
    "start": _move("called", "serving", "started", "clerk"),
    "finish": _move("serving", "finished", "finished", "clerk"),
    "miss": _move("called", "missed", "missed", "clerk"),
    "return": _move("missed", "waiting", "returned", "guide kiosk clerk supervisor"),
    "hold": _move("called serving", "held", "held", "clerk"),
    "unhold": _move("held", "serving", "unheld", "clerk"),
    "transfer": _move("called serving", "waiting", "transferred", "clerk"),
    "cancel": _move("waiting called missed held", "cancelled", "cancelled", "guide kiosk supervisor"),
    "reprioritise": _move("waiting", "waiting", "reprioritised", "guide supervisor"),
    "postpone": _move("waiting", "waiting", "postponed", ""),
    "undo": _move("finished waiting missed", "serving", "undone", "clerk"),
    "expire": _move("waiting called serving held missed", "expired", "expired", ""),
}
"""Every change of a ticket's state after `issue`."""

WINDOW_MOVES: dict[str, Move] = {
    # `open` of an open window by other staff is a take-over: the state stays, the staff changes.
    "open": _move("closed idle called serving paused", "idle", "opened", "clerk supervisor"),
    "close": _move("idle paused", "closed", "closed", "clerk supervisor"),
    "pause": _move("idle", "paused", "paused", "clerk supervisor"),
    "resume": _move("paused", "idle", "resumed", "clerk supervisor"),
}
"""Every change of a window that is not a ticket's."""

LIVE = frozenset({State.WAITING, State.CALLED, State.SERVING, State.HELD, State.MISSED})
"""States a ticket can still move on from; the day's turn expires what is left in them."""


def picture() -> str:
    """The life cycle of a ticket as a Mermaid state diagram, drawn from `MOVES`."""
    lines = ["stateDiagram-v2", "    [*] --> waiting: issue"]
    for command, move in MOVES.items():
        if command in ("undo", "expire"):
            continue
        for source in (s for s in State if s in move.sources):
            lines.append(f"    {source} --> {move.target}: {command}")
    lines.append("    serving --> waiting: finish (next leg)")
    lines.append("    finished --> serving: undo")
    lines.append("    missed --> called: undo")
    lines.extend(f"    {state} --> expired: day turn" for state in State if state in LIVE)
    lines.extend(f"    {state} --> [*]" for state in (State.FINISHED, State.CANCELLED, State.EXPIRED))
    return "\n".join(lines)
