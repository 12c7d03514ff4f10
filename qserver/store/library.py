"""The function library: chapters of Lua joined in order, with the tables they look things up in.

The life cycles, the field numbers of the records and the flags are generated from their Python types, so that each
stands in one place. The library's name and its functions' names carry a digest of the text: servers of different
versions work beside each other on one data server, and a library that is loaded never changes.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from importlib import resources

import msgspec

from qserver.domain import lifecycle

from . import records

CHAPTERS = (
    "clock", "dates", "prelude", "emit", "order", "moves", "tickets", "windows", "calls", "ratings", "time", "hall",
    "reads", "control", "groups",
)  # fmt: skip
"""In the order of their needs: a local of Lua must stand before its use."""


def _numbers(name: str, struct: type[msgspec.Struct]) -> str:
    fields = ", ".join(f"{field} = {n}" for n, field in enumerate(struct.__struct_fields__, 1))
    return f"local {name} = {{{fields}}}"


def _moves(name: str, moves: dict[str, lifecycle.Move]) -> str:
    rows = (
        f"['{command}'] = {{{', '.join(f'{source} = true' for source in sorted(move.sources))}}}"
        for command, move in moves.items()
    )
    return f"local {name} = {{{', '.join(rows)}}} -- command -> states it may be given in"


def tables() -> str:
    """The generated Lua: MOVES and WINDOW_MOVES, LIVE, the records' field numbers, the flags."""
    flags = ("WAIT_WARNED", "WAIT_OVER", "SERVICE_WARNED", "SERVICE_OVER", "UNRELIABLE")
    return "\n".join((
        _moves("MOVES", lifecycle.MOVES),
        _moves("WINDOW_MOVES", lifecycle.WINDOW_MOVES),
        f"local LIVE = {{{', '.join(f'{state} = true' for state in sorted(lifecycle.LIVE))}}}",
        _numbers("T", records.TicketRecord),
        _numbers("L", records.LegRecord),
        _numbers("W", records.WindowRecord),
        _numbers("R", records.ReviewRecord),
        _numbers("C", records.Counters),
        f"local COUNTERS = {len(records.Counters.__struct_fields__)}",
        *(f"local {flag} = {getattr(records, flag)}" for flag in flags),
    ))  # fmt: skip


class Library:
    """The text to load and the names to call. `clock` stands in for the chapter of that name (tests set the time)."""

    def __init__(self, clock: str | None = None) -> None:
        folder = resources.files("qserver.store") / "lua"
        chapters = [(folder / f"{name}.lua").read_text(encoding="utf-8") for name in CHAPTERS]
        if clock is not None:
            chapters[0] = clock
        self._body = "\n".join((tables(), *chapters))

    @cached_property
    def version(self) -> str:
        """Identifies the text."""
        return hashlib.sha256(self._body.encode()).hexdigest()[:10]

    @cached_property
    def text(self) -> str:
        """What FUNCTION LOAD takes."""
        return f"#!lua name=qserver_{self.version}\nlocal PREFIX = 'q{self.version}_'\n{self._body}"

    def name(self, function: str) -> str:
        """The name under which the function is registered."""
        return f"q{self.version}_{function}"
