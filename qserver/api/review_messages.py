"""What the routes of the follow-up and of promised cases take and give, as types.

A decision about somebody's work is given with its reason; what was found and what was done is said. Nothing here
decides.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from qserver.domain.ticket import Case
from qserver.store.answers import Actor

from .messages import After, Comment, Limit, Next, Staff
from .routing import Body

_MANY_LINES = r"^[^\x00-\x08\x0b-\x1f\x7f]*$(?!\n)"
"""Words with line breaks and tabs; no other control characters. The look-ahead as in `messages`."""

Said = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=1000, pattern=_MANY_LINES, description="in words; it stands on record"),
]
Note = Annotated[str, msgspec.Meta(max_length=1000, pattern=_MANY_LINES, description="in words, or nothing")]


class Assign(Body, frozen=True, kw_only=True):
    """Gives the review to somebody 分派. `to`: staff id of whoever is to find out what happened."""

    to: Staff
    note: Note = ""


class Verify(Body, frozen=True, kw_only=True):
    """What was found 核实. `invalid` still counts: only an appeal can exclude a review."""

    result: Literal["valid", "invalid"]
    note: Said


class Rectify(Body, frozen=True, kw_only=True):
    """What was put right 整改."""

    note: Said


class Revisit(Body, frozen=True, kw_only=True):
    """The citizen was asked again 回访; who is not satisfied reopens the review. `comment`: the citizen's words."""

    result: Literal["satisfied", "reopened"]
    note: Note = ""
    comment: Comment = ""


class Close(Body, frozen=True, kw_only=True):
    """Ends the follow-up 办结."""

    note: Note = ""


class Grounds(Body, frozen=True, kw_only=True):
    """An appeal 申诉, or its decision 复核: never without its reason."""

    reason: Said


class Complete(Body, frozen=True, kw_only=True):
    """The business system has finished the case."""

    note: Note = ""


class CasesQuery(Body, frozen=True, kw_only=True):
    """Cases that have not ended, in the order they were accepted."""

    limit: Limit = 100
    after: After = ""


class CasesAnswer(msgspec.Struct, frozen=True):
    """Cases that have not ended."""

    cases: list[Case]
    next: Next


class CaseAnswer(msgspec.Struct, frozen=True):
    """A promised case with its history. `actors`: who they are now that it names by their ids, where one is looked
    at."""

    case: Case
    actors: dict[str, Actor] | UnsetType = UNSET
