"""Reviews and promised cases: one method, one FCALL; what the follow-up's steps are stands in `domain/reviews.py`.

Readings go past the functions where one field is all there is to read.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from qserver.domain import ticket as public
from qserver.domain.errors import Refusal

from . import keys, records
from .answers import Answer, Op
from .gate import Gate

_review = msgspec.msgpack.Decoder(records.ReviewRecord)
_case = msgspec.msgpack.Decoder(records.CaseRecord)
_reviewed = msgspec.msgpack.Decoder(tuple[int, records.ReviewRecord])
_completed = msgspec.msgpack.Decoder(tuple[int, records.CaseRecord])
_cases = msgspec.msgpack.Decoder(tuple[int, int, bool])
_listed = msgspec.msgpack.Decoder(tuple[int, int, bool, int])
_REVIEW_ID: Final = re.compile(r"r\d{6,15}")
_CALLS: Final = 20
"""A page of reviews is looked for in so many calls at most, 1000 reviews each."""
_EVALUATION: Final = 11  # of a hall's keys: reviews and cases by id


class ReviewStore(Gate):
    """The follow-up of negative reviews 差评, and promised cases 承诺件."""

    async def reviews(
        self, hall: str, *, state: str = "", source: str = "", window: str = "", staff: str = "", limit: int = 100,
        after: str = "", pending: bool = False, latest: bool = False,
    ) -> tuple[list[public.Review], str | None]:  # fmt: skip
        """Reviews in order of opening, or the `latest` first, and where to go on (None at the end).

        `pending`: only those whose follow-up has not ended. A long past is looked through in short calls, so that the
        hall goes on meanwhile; after so many a page ends, however short it is. Refused: validation (`after`).
        """
        wanted = (state, source, window, staff, "1" if pending else "", "1" if latest else "")
        after, left, found = cursor(after), "", list[public.Review]()
        for _ in range(_CALLS):
            packed, some = await self._read(hall, "list_reviews", after, limit - len(found), *wanted, left)
            _, last, more, to_meet = _listed.decode(packed)
            found += [records.review(_review.decode(one)) for one in some]
            after, left = str(last), str(to_meet)
            if not more:
                return found, None
            if len(found) == limit:
                break
        return found, after

    async def review(self, hall: str, review: str) -> public.Review:
        """A review by its id. Refused: not_found."""
        packed = await self._evaluation(hall, review) if _REVIEW_ID.fullmatch(review) else None
        if packed is None:
            raise Refusal("not_found", what="review")
        return records.review(_review.decode(packed))

    async def assign_review(self, op: Op, hall: str, review: str, to: str, *, note: str = "") -> Answer[public.Review]:
        """Gives a review to somebody, or to somebody else 分派. Refused: not_found, wrong_state."""
        return await self._step(op, hall, review, "assign", assignee=to, to=to, note=note)

    async def verify_review(self, op: Op, hall: str, review: str, result: str, note: str) -> Answer[public.Review]:
        """Puts on record what was found, `valid` or `invalid` 核实. Refused: not_found, wrong_state, validation."""
        return await self._step(op, hall, review, "verify", result, note=note)

    async def rectify_review(self, op: Op, hall: str, review: str, note: str) -> Answer[public.Review]:
        """Puts on record what was put right 整改. Refused: not_found, wrong_state."""
        return await self._step(op, hall, review, "rectify", note=note)

    async def revisit_review(
        self, op: Op, hall: str, review: str, result: str, *, note: str = "", comment: str = ""
    ) -> Answer[public.Review]:
        """The citizen was asked again 回访: `satisfied`, or `reopened`. `comment`: the citizen's words.

        Refused: not_found, wrong_state, validation.
        """
        return await self._step(op, hall, review, "revisit", result, note=note, comment=comment)

    async def close_review(self, op: Op, hall: str, review: str, *, note: str = "") -> Answer[public.Review]:
        """Ends the follow-up 办结. Refused: not_found, wrong_state."""
        return await self._step(op, hall, review, "close", note=note)

    async def appeal_review(self, op: Op, hall: str, review: str, reason: str) -> Answer[public.Review]:
        """Appeals 申诉: once, within its term. Refused: not_found, wrong_state (also `appeal_until_ms`, `upheld`)."""
        return await self._step(op, hall, review, "appeal", reason=reason)

    async def uphold_review(self, op: Op, hall: str, review: str, reason: str) -> Answer[public.Review]:
        """Decides an appeal: the review stands, and goes on from where it was. Refused: not_found, wrong_state."""
        return await self._step(op, hall, review, "uphold", reason=reason)

    async def exclude_review(self, op: Op, hall: str, review: str, reason: str) -> Answer[public.Review]:
        """Decides an appeal: the review counts no more 剔除. Refused: not_found, wrong_state."""
        return await self._step(op, hall, review, "exclude", reason=reason)

    async def _step(
        self, op: Op, hall: str, review: str, step: str, result: str = "", *, assignee: str = "", **said: str
    ) -> Answer[public.Review]:
        record = [part for name, value in said.items() if value for part in (name, value)]
        packed, replayed = await self._command(hall, "follow_up", op, review, step, result, assignee, *record)
        return Answer(records.review(_reviewed.decode(packed)[1]), replayed)

    async def case(self, hall: str, case: str) -> public.Case:
        """A promised case by the business system's number. Refused: not_found."""
        packed = await self._evaluation(hall, "c:" + case)
        if packed is None:
            raise Refusal("not_found", what="case")
        return records.case(_case.decode(packed))

    async def open_cases(
        self, hall: str, *, window: str = "", staff: str = "", limit: int = 100, after: str = ""
    ) -> tuple[list[public.Case], str | None]:
        """Cases that have not ended, in the order they were accepted, and where to go on (None at the end). Refused:
        validation (`after`).
        """
        packed, found = await self._read(hall, "list_cases", cursor(after), limit, window, staff)
        _, last, more = _cases.decode(packed)
        return [records.case(_case.decode(one)) for one in found], str(last) if more else None

    async def complete_case(self, op: Op, hall: str, case: str, *, note: str = "") -> Answer[public.Case]:
        """The business system has finished the case 办结. Refused: not_found, wrong_state."""
        said = ("note", note) if note else ()
        packed, replayed = await self._command(hall, "complete_case", op, case, *said)
        return Answer(records.case(_completed.decode(packed)[1]), replayed)

    async def _evaluation(self, hall: str, field: str) -> Any:
        tag = self.tag(self.partition(hall))
        return await self._topology.call(tag, "HGET", keys.hall_keys(tag, hall)[_EVALUATION], field)


def cursor(after: str) -> str:
    """Where a list goes on, "0" at its beginning. Refused: validation when it is none of ours."""
    if after and not (after.isascii() and after.isdigit() and len(after) < 16):
        raise Refusal("validation", "after is not a value of `next`", field="after")
    return after or "0"
