"""What each role sees within an answer, as one table: words, ratings, signals, reviews.

Who may ask at all stands in `auth/roles.py`; what is shown to whoever may, here and nowhere else. Everything that
leaves for somebody - over HTTP, a socket or the feed - passes one of the functions below. Whoever took a ticket is
known by a keyed hash and perhaps a telephone number, and both stay in the store: there is no form here that has them.

Pure. Names of people cannot be found in free text; numbers and addresses that point at one person can, and are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from .lifecycle import Role
from .ticket import Case, Leg, Review, Ticket

MASK: Final = "***"
"""Stands where something was said that the reader may not read."""


class Words(StrEnum):
    """How much of a text is read."""

    HIDDEN = "hidden"  # 仅知有无: that there are some words, not which
    NUMBERLESS = "numberless"  # 去号码: without telephones, papers and addresses that could name somebody
    WHOLE = "whole"  # 全文


class Reach(StrEnum):
    """Of whom something is seen."""

    NONE = "none"
    OWN = "own"  # 本人/本窗口: of the ticket one holds, of one's own work, of the window a device stands at
    ALL = "all"


class Sight(NamedTuple):
    """What a role sees. `comments`: citizens' own words; `notes`: what staff wrote down, reasons among it."""

    comments: Words
    notes: Words
    ratings: Reach
    signals: Reach
    reviews: Reach


def _sight(comments: str, notes: str, ratings: str, signals: str, reviews: str) -> Sight:
    return Sight(Words(comments), Words(notes), Reach(ratings), Reach(signals), Reach(reviews))


HOLDER: Final = None
"""Stands for the citizen, who has no role: whoever holds the ticket's link."""

SIGHT: Final[dict[Role | None, Sight]] = {
    #                       comments      notes         ratings signals reviews
    HOLDER:          _sight("hidden",     "hidden",     "own",  "none", "none"),
    Role.CLERK:      _sight("hidden",     "numberless", "own",  "own",  "own"),
    Role.SUPERVISOR: _sight("numberless", "numberless", "all",  "all",  "all"),
    Role.ASSESSOR:   _sight("whole",      "whole",      "all",  "all",  "all"),
    Role.ADMIN:      _sight("whole",      "whole",      "all",  "all",  "all"),
    # The feed counts and times; what a citizen wrote is no figure.
    Role.ANALYTICS:  _sight("hidden",     "numberless", "all",  "all",  "all"),
    # These see who waits and where, never how it was judged.
    Role.GUIDE:      _sight("hidden",     "hidden",     "none", "none", "none"),
    Role.KIOSK:      _sight("hidden",     "hidden",     "none", "none", "none"),
    Role.PAD:        _sight("hidden",     "hidden",     "none", "none", "none"),
    Role.DISPLAY:    _sight("hidden",     "hidden",     "none", "none", "none"),
}  # fmt: skip
"""Role -> what it sees within the answers it may ask for."""

_NAMING: Final = re.compile(
    r"\d(?:[\s.\-\u00b7\u2010-\u2015\uff0d()\uff08\uff09]{0,2}\d){4,}[Xx]?"  # telephones, papers; also full-width
    r"|(?<![\w.+-])[\w.+-]++@[\w-]+(?:\.[\w-]+)+"  # mail; possessive, so that no text takes long
)


def numberless(text: str) -> str:
    """The text without what could name somebody: numbers of five digits and more, mail addresses."""
    return _NAMING.sub(MASK, text)


def _as(words: Words, text: str) -> str:
    if words is Words.WHOLE or not text:
        return text
    return MASK if words is Words.HIDDEN else numberless(text)


def said(record: Mapping[str, Any], role: Role | None) -> dict[str, Any]:
    """A step of a history, or an event's fields, with its words as that role reads them."""
    sight, found = SIGHT[role], dict(record)
    if "comment" in found:
        found["comment"] = _as(sight.comments, str(found["comment"] or ""))
    for name in ("note", "reason"):
        if name in found:
            found[name] = _as(sight.notes, str(found[name] or ""))
    if sight.comments is not Words.WHOLE:
        for name in ("reasons", "aspects"):  # from the hall's list, but a device may send any
            if found.get(name):
                found[name] = [numberless(str(one)) for one in found[name]]
    return found


def review(found: Review, role: Role | None) -> Review:
    """The review as that role reads it."""
    return msgspec.structs.replace(found, history=[said(step, role) for step in found.history])


def case(found: Case, role: Role | None) -> Case:
    """The promised case as that role reads it."""
    return msgspec.structs.replace(found, history=[said(step, role) for step in found.history])


def ticket(found: Ticket, role: Role | None, window: str = "", staff: str = "") -> Ticket:
    """The ticket as that role sees it; `staff`: who logged in, else `window`: where the device's token is bound. The
    holder's ticket is all its own.
    """
    sight = SIGHT[role]
    if sight.ratings is Reach.ALL and sight.signals is Reach.ALL:
        return found
    for leg in found.legs:
        if leg.rating is not None or leg.signals:
            break
    else:
        return found  # nearly always: there is nothing to keep from anybody

    def is_own(leg: Leg) -> bool:
        return role is HOLDER or (leg.staff == staff if staff else window != "" and leg.window == window)

    legs = [_leg(leg, sight, is_own(leg)) for leg in found.legs]
    if all(seen is leg for seen, leg in zip(legs, found.legs, strict=True)):
        return found
    return msgspec.structs.replace(found, rating=legs[-1].rating, legs=legs)


def _leg(leg: Leg, sight: Sight, own: bool) -> Leg:
    def within(reach: Reach) -> bool:
        return reach is Reach.ALL or (reach is Reach.OWN and own)

    rating = leg.rating if within(sight.ratings) else None
    signals = leg.signals if within(sight.signals) else []
    if rating is leg.rating and signals == leg.signals:
        return leg
    return msgspec.structs.replace(leg, rating=rating, signals=signals)


def table() -> str:
    """The table in Markdown, as the documents show it."""
    lines = ["| role | citizens' words | staff's notes | ratings | signals | reviews |", "|---|---|---|---|---|---|"]
    lines += [f"| {role or 'citizen'} | {' | '.join(sight)} |" for role, sight in SIGHT.items()]
    return "\n".join(lines)
