"""The function library: chapters of Lua joined in order, with the tables they look things up in.

The life cycles, the field numbers of the records and the flags are generated from their Python types, so that each
stands in one place. The library's name and its functions' names carry a digest of the text: servers of different
versions work beside each other on one data server, and a library that is loaded never changes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib import resources
from typing import Any, get_type_hints

import msgspec

from qserver.domain import lifecycle, reviews
from qserver.domain.events import Event
from qserver.domain.ticket import UNKNOWN_MEAN_MS

from . import answers, keys, records

CHAPTERS = (
    "clock", "dates", "prelude", "packing", "gathered", "emit", "ledger", "order", "signals", "reviews", "cases",
    "moves", "tickets", "windows", "calls", "pads", "ratings", "defaults", "time", "hall", "reads", "tokens", "control",
    "staff", "groups", "hooks", "batch",
)  # fmt: skip
"""In the order of their needs: a local of Lua must stand before its use."""
CLOSED = frozenset({"time", "hall", "reads", "control", "staff", "hooks", "batch"})
"""Chapters that give nothing to later ones. Their locals are their own: the whole text has room for 200."""


FIELDS: dict[str, type[msgspec.Struct]] = {
    "T": records.TicketRecord,
    "L": records.LegRecord,
    "W": records.WindowRecord,
    "R": records.ReviewRecord,
    "P": records.CaseRecord,
    "D": records.DayRecord,
    "C": records.Counters,
    "H": answers.HookRecord,
    "N": answers.LetterRecord,
    "K": answers.TokenRecord,
    "S": answers.StaffRecord,
}
"""`T.state` in a chapter stands for the number of the ticket record's field `state`, and so on."""
_FIELD = re.compile(r"\b([TLWRPDCHNKS])\.([a-z_]+)")
CONSTANTS: dict[str, int] = keys.NUMBERS | {
    "WAIT_WARNED": records.WAIT_WARNED,
    "WAIT_OVER": records.WAIT_OVER,
    "SERVICE_WARNED": records.SERVICE_WARNED,
    "SERVICE_OVER": records.SERVICE_OVER,
    "UNRELIABLE": records.UNRELIABLE,
    "SHOWN": records.SHOWN,
    "UNKNOWN_MEAN_MS": UNKNOWN_MEAN_MS,
}
"""Numbers that chapters name as Python does: the keys, the flags of a leg, the mean before anything is known."""
_CONSTANT = re.compile(rf"(?<!['\w])({'|'.join(CONSTANTS)})\b")


def numbered(chapter: str) -> str:
    """The chapter with field names replaced by their numbers: looking them up at run time was a fifth of a command.
    Constants likewise: the whole text has room for 200 locals.

    Raises ValueError for a field that the record does not have.
    """
    named = _FIELD.sub(lambda m: str(FIELDS[m[1]].__struct_fields__.index(m[2]) + 1), chapter)
    return _CONSTANT.sub(lambda m: str(CONSTANTS[m[1]]), named)


def _moves(name: str, moves: dict[str, lifecycle.Move]) -> str:
    rows = (
        f"['{command}'] = {{{', '.join(f'{source} = true' for source in sorted(move.sources))}}}"
        for command, move in moves.items()
    )
    return f"local {name} = {{{', '.join(rows)}}} -- command -> states it may be given in"


def _set(names: Iterable[str]) -> str:
    return "{" + ", ".join(f"['{name}'] = true" for name in sorted(names)) + "}"


def _map(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"['{name}'] = '{value}'" for name, value in values.items()) + "}"


def _follow_up() -> str:
    """The tables of the follow-up: step -> stages it may be taken in, result -> stage it leads to, its event."""
    rows = (
        f"['{name}'] = {{from = {_set(step.sources)}, to = {_map(step.targets)}, event = '{step.event}'}}"
        for name, step in reviews.STEPS.items()
    )
    return "\n".join((
        f"local REVIEW_STEPS = {{{', '.join(rows)}}}",
        f"local REVIEW_TERMS = {_map(reviews.TERMS)}",
        f"local REVIEW_ENDED = {_set(reviews.ENDED)}",
        f"local BACK = '{reviews.BACK}'",
    ))  # fmt: skip


def tables() -> str:
    """The generated Lua: MOVES and WINDOW_MOVES, LIVE, the follow-up, the signals, the counters."""
    return "\n".join((
        _moves("MOVES", lifecycle.MOVES),
        _moves("WINDOW_MOVES", lifecycle.WINDOW_MOVES),
        f"local LIVE = {{{', '.join(f'{state} = true' for state in sorted(lifecycle.LIVE))}}}",
        _follow_up(),
        f"local SIGNALS = {{{', '.join(f'{name} = {bit}' for name, bit in records.SIGNALS.items())}}}",
        f"local COUNTERS = {len(records.Counters.__struct_fields__)}",
        f"local COUNTERS_AS = '<{'d' * len(records.Counters.__struct_fields__)}' -- struct's form of them",
    ))  # fmt: skip


PACKED = {
    "ticket": records.TicketRecord,
    "window": records.WindowRecord,
    "event": Event,
    "board": records.BoardRecord,
}
"""What chapter `packing` has packers for: `pack_ticket(record)` and so on; events and frames are never records in Lua,
so theirs take the fields one by one."""
Slot = tuple[str, object]
"""A value of a short list by its name in the packer, and its type; bytes are packed already."""
LISTS: dict[str, tuple[str | int | Slot, ...]] = {
    "moved": (1, ("record", str)),
    "called": (1, ("record", str | bool), ("finished", str | bool)),
    "issued": (1, ("record", str), ("ahead", int), ("open_windows", int), ("mean_ms", int)),
    "rated": (1, ("results", bytes), ("now", int), ("seen", list[Any])),
    "result": (("rid", str), ("status", str), ("code", str)),
    "shown_call": (("s", int), ("no", str), ("window", str), ("service", str), ("n", int), ("at_ms", int)),
    "undo": (("what", str), ("ticket", str), ("at_ms", int), ("events", int), ("before", str)),
    "issue_told": ("priority", ("priority", str), "channel", ("channel", str)),
    "finish_told": ("outcome", ("outcome", str)),
    "prompt_told": ("until_ms", ("until_ms", int)),
}
"""Answers, kept values and what events tell besides, where their length is known: `pack_moved(record)` and so on. Texts
and numbers that stand for themselves are the same each time."""
VALUES: dict[str, tuple[str | Slot, ...]] = {
    "rating": (
        ("head", bytes), "score", ("score", int), "source", ("source", str), "rid", ("rid", str),
        "rated_ms", ("at_ms", int), ("said", bytes), "form", ("form", str), ("more", bytes),
    ),
    "proof": ("device", ("device", str), "number", ("own_number", int)),
}  # fmt: skip
"""Values of a list whose length is known only then (`list_head`); the packer gives them without a head of its own."""


def _piece(value: str, kind: object) -> str:
    """The expression for a value of a type in MessagePack."""
    if kind is str:
        return f"(TEXT[#{value}] or text(#{value})) .. {value}"
    if kind in (int, float):
        return f"(NUMBER[{value}] or number({value}))"
    if kind is bool:
        return f"({value} and '\\195' or '\\194')"
    if kind is bytes:
        return value
    if kind == str | bool:
        return f"({value} and {_piece(value, str)} or '\\194')"
    return f"{'texts' if kind == list[str] else 'listed' if kind == list[Any] else 'anything'}({value})"


def _literal(value: str | int) -> str:
    """A short text or a small number in MessagePack, as a string of Lua."""
    return f"'\\{160 + len(value)}{value}'" if isinstance(value, str) else f"'\\{value}'"


def _list_head(length: int) -> str:
    return f"\\220\\0\\{length}" if length > 15 else f"\\{144 + length}"


def _packer(name: str, arguments: Iterable[str], pieces: Iterable[str]) -> str:
    return "\n".join((
        f"function pack_{name}({', '.join(arguments)})",
        "  local TEXT, NUMBER = TEXT, NUMBER",
        f"  return {' .. '.join(pieces)}",
        "end",
    ))  # fmt: skip


def packers() -> str:
    """The generated Lua of `PACKED`, `LISTS` and `VALUES`."""
    made = []
    for name, record in PACKED.items():
        kinds, fields = get_type_hints(record), record.__struct_fields__
        whole = record in FIELDS.values()
        values = [f"r[{n}]" for n in range(1, len(fields) + 1)] if whole else fields
        pieces = [_piece(value, kinds[field]) for value, field in zip(values, fields, strict=True)]
        made.append(_packer(name, ["r"] if whole else fields, [f"'{_list_head(len(fields))}'", *pieces]))
    for name, slots in (*LISTS.items(), *VALUES.items()):
        head = [f"'{_list_head(len(slots))}'"] if name in LISTS else []
        pieces = [_piece(*slot) if isinstance(slot, tuple) else _literal(slot) for slot in slots]
        made.append(_packer(name, [slot[0] for slot in slots if isinstance(slot, tuple)], head + pieces))
    return "\n".join(made)


class Library:
    """The text to load and the names to call. `clock` stands in for the chapter of that name (tests set the time)."""

    def __init__(self, clock: str | None = None) -> None:
        folder = resources.files("qserver.store") / "lua"
        chapters = [numbered((folder / f"{name}.lua").read_text(encoding="utf-8")) for name in CHAPTERS]
        packing = CHAPTERS.index("packing")
        names = ", ".join(f"pack_{name}" for name in (*PACKED, *LISTS, *VALUES))
        chapters[packing] = chapters[packing].replace("PACKERS", packers()).replace("PACK_NAMES", names)
        chapters = [f"do\n{text}end" if name in CLOSED else text for name, text in zip(CHAPTERS, chapters, strict=True)]
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
