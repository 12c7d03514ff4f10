"""What the pads' routes take and give, as types: ratings, prompts that were shown, what is known of the pads.

Bounds on every text stand here and in `messages`; nothing here decides.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from .messages import LINE, Comment, Name, Said, text
from .routing import Body

Number = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""A whole number that every JSON reader keeps exactly."""
Device = Annotated[str, text(64, "the random id that the pad drew for itself", 8, r"^[A-Za-z0-9_-]+$(?!\n)")]
Signature = Annotated[str, text(64, "HMAC-SHA256, hexadecimal", 64, r"^[0-9a-f]+$(?!\n)")]


class Rated(Body, frozen=True, kw_only=True):
    """One rating a pad sends. `age_ms`: how long ago it was given, by the pad's own stopwatch.

    Whatever is wrong with one is its own failure alone, so that one broken rating does not block the others.
    `n` and `sig` stand together, or neither does: the pad's own count of its ratings, from 1, and the signature of the
    whole item (docs/evaluation.md), which makes a copied pad visible.
    """

    rid: Annotated[str, text(64, "the pad's own id of the rating", pattern=LINE)]
    ticket: Name
    leg: Number
    score: Number
    """5 very satisfied .. 1 very dissatisfied."""
    age_ms: Number
    aspects: Annotated[list[Said], msgspec.Meta(max_length=10)] = msgspec.field(default_factory=list)
    reasons: Annotated[list[Said], msgspec.Meta(max_length=10)] = msgspec.field(default_factory=list)
    comment: Comment = ""
    n: Number | None = None
    sig: Signature | None = None


class Shown(Body, frozen=True, kw_only=True):
    """A prompt that the pad showed, `age_ms` ago by its own stopwatch; `sig` as of a rating."""

    ticket: Name
    leg: Number
    age_ms: Number
    sig: Signature | None = None


class Ratings(Body, frozen=True, kw_only=True):
    """Ratings of a pad, those it had to keep for later among them, and prompts that it showed."""

    items: Annotated[list[Rated], msgspec.Meta(max_length=50)]
    device: Device | None = None
    """Who signed; needed where anything is signed."""
    shown: Annotated[list[Shown], msgspec.Meta(max_length=50)] = msgspec.field(default_factory=list)


class Batch(Body, frozen=True, kw_only=True):
    """`Ratings` before its parts are judged, each alone."""

    items: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=50)]
    device: msgspec.Raw = msgspec.Raw(b"null")
    shown: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=50)] = msgspec.field(default_factory=list)


class Against(msgspec.Struct, frozen=True):
    """The rating that stands: who it came from, when it was given, and a pad's own id of it."""

    source: str
    at_ms: int
    rid: str | UnsetType = UNSET


class Result(msgspec.Struct, frozen=True):
    """What became of one rating. `duplicate`: recorded before under this rid; `conflict`: another one stands, or
    another score."""

    rid: str
    status: Literal["recorded", "duplicate", "conflict", "rejected", "retry"]
    code: str | UnsetType = UNSET
    """Why it was rejected; of a signed one also why it is a conflict: `already_rated`, or `other_score` under this
    rid."""
    against: Against | UnsetType = UNSET
    """What a signed one is in conflict with."""
    field: str | UnsetType = UNSET
    """Where one has the wrong form. Its `rid` is empty if none could be read."""


class RatingsAnswer(msgspec.Struct, frozen=True):
    """One result per item, in their order, and the instant they were recorded. `shown`: likewise, if any were sent."""

    results: list[Result]
    now_ms: int
    shown: list[Literal["recorded", "duplicate", "rejected"]] | UnsetType = UNSET


class KnownPad(msgspec.Struct, frozen=True):
    """A pad that a window remembers, by a digest of its id, and the highest of its own numbers."""

    device: str
    number: int


class Doubt(msgspec.Struct, frozen=True):
    """The last rating whose pad was doubted: why (number_twice, number_back, two_pads, unsigned), by which device."""

    why: str
    at_ms: int
    device: str | None
    number: int


class Pad(msgspec.Struct, frozen=True):
    """The evaluator pad of a window 评价器. `device`: the one that rated last, if it signs; `known`: the last ones, the
    latest first; `doubts`: how many ratings were ever marked, and the last of them.
    """

    window: str
    device: str | None
    known: list[KnownPad]
    doubts: int
    doubt: Doubt | None


class PadsAnswer(msgspec.Struct, frozen=True):
    """The pads of all windows, in the definition's order."""

    pads: list[Pad]
