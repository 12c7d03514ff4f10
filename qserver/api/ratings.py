"""Ratings 好差评 from the evaluator pads. The window is the token's: a pad speaks for the window it stands at."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final

import msgspec
from msgspec import UNSET

from qserver.domain.errors import Refusal
from qserver.store.answers import PadRecord, RatingItem, RatingResult, ShownItem
from qserver.wire import signing

from . import intake
from .rating_messages import (
    Against,
    Batch,
    Device,
    Doubt,
    KnownPad,
    Pad,
    PadsAnswer,
    Rated,
    Ratings,
    RatingsAnswer,
    Result,
    Shown,
)
from .routing import Call, H, Reply, Route


class _Named(msgspec.Struct):
    """As much of a broken rating as its sender needs to know it again."""

    rid: str = ""


_rated: Final = intake.decoder(Rated)
_shown: Final = intake.decoder(Shown)
_device: Final = intake.decoder(Device | None)
_named: Final = msgspec.json.Decoder(_Named).decode


class _Signer:
    """Who sent a batch, for telling what is signed from what is not, and from what says that it is and lies."""

    def __init__(self, call: Call, device: msgspec.Raw) -> None:
        self._call = call
        self._place = call.hall, call.principal.window
        self._device: str | None = None if bytes(device) == b"null" else _right(_device, device)

    @cached_property
    def _key(self) -> bytes:
        return signing.signing_key(self._call.request.headers.get("authorization", "").partition(" ")[2].strip())

    @property
    def device(self) -> str:
        """What the record calls the device: a digest, so that nobody who reads the record can sign as it; "" = none."""
        return hashlib.sha256(self._device.encode()).hexdigest()[:16] if self._device else ""

    def rejection(self, item: Rated) -> str:
        """Why a rating is not even looked at: `validation` for half of a proof, `bad_signature`; "" when it may be."""
        if item.n is None and item.sig is None:
            return ""
        if item.n is None or item.sig is None or self._device is None or item.n < 1:
            return "validation"
        said = (
            self._device, item.n, item.rid, item.ticket, item.leg, item.score, item.age_ms, item.aspects, item.reasons,
            item.comment,
        )  # fmt: skip
        good = signing.is_signature(item.sig, self._key, signing.RATING, *self._place, *said)
        return "" if good else "bad_signature"

    def signed(self, shown: Shown) -> bool:
        """Whether the device proved that it showed a prompt."""
        said = (self._device, shown.ticket, shown.leg, shown.age_ms)
        return shown.sig is not None and signing.is_signature(shown.sig, self._key, signing.SHOWN, *self._place, *said)


def _read(raw: msgspec.Raw) -> Rated | Result:
    """A rating, or what is said of one that has the wrong form."""
    try:
        rated: Rated = _rated(bytes(raw))
    except Refusal as error:
        return Result(_rid(raw), "rejected", error.code, field=str(error.data.get("field", "")) or UNSET)
    return rated


def _rid(raw: msgspec.Raw) -> str:
    try:
        return _named(raw).rid
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def _right(read: Callable[[bytes], Any], raw: msgspec.Raw) -> Any:
    """What stands there; None when it has another form."""
    try:
        return read(bytes(raw))
    except Refusal:
        return None


async def rate(call: Call) -> Reply:
    """Records a batch; every item has a result of its own, so a batch is never refused for one item's sake."""
    body: Batch = call.body
    signer = _Signer(call, body.device)
    judged: list[Rated | Result] = []
    ratings: list[RatingItem] = []
    for raw in body.items:
        item = _read(raw)
        if isinstance(item, Rated):
            if rejection := signer.rejection(item):
                item = Result(item.rid, "rejected", rejection)
            else:
                ratings.append(_rating(item))
        judged.append(item)
    prompts: list[Shown | None] = [_right(_shown, raw) for raw in body.shown]
    shown = [ShownItem(s.ticket, s.leg, s.age_ms, signer.signed(s)) for s in prompts if s is not None]
    answer = await call.store.rate(
        call.op, call.hall, call.principal.window, ratings, device=signer.device, shown=shown
    )
    found, seen = iter(answer.value.results), iter(answer.value.shown)
    results = [
        item if isinstance(item, Result) else _result(next(found), signed=item.sig is not None) for item in judged
    ]
    told: Any = ["rejected" if prompt is None else next(seen) for prompt in prompts] or UNSET
    return Reply(RatingsAnswer(results, answer.value.now_ms, told), replayed=answer.replayed)


def _rating(item: Rated) -> RatingItem:
    return RatingItem(
        item.rid, item.ticket, item.leg, item.score, item.age_ms, item.aspects, item.reasons, item.comment, item.n or 0
    )


def _result(found: RatingResult, *, signed: bool) -> Result:
    """A conflict is explained to a device that proved which it is; others learn that there is one."""
    if found.status != "conflict":
        return Result(found.rid, found.status, found.code or UNSET)  # type: ignore[arg-type]
    if not signed:
        return Result(found.rid, "conflict")
    against = Against(found.against_source, found.against_ms, found.against_rid or UNSET)
    return Result(found.rid, "conflict", found.code, against)


def _pad(found: PadRecord) -> Pad:
    known = [KnownPad(device, number) for device, number in found.known]
    if isinstance(found.doubt, bool):
        return Pad(found.window, found.device or None, known, 0, None)
    count, why, at_ms, device, number = found.doubt
    return Pad(found.window, found.device or None, known, count, Doubt(why, at_ms, device or None, number))


async def pads(call: Call) -> PadsAnswer:
    """Which pads rate at which window, how far each has counted, and whether there is reason to look."""
    return PadsAnswer([_pad(one) for one in await call.store.pads(call.hall)])


ROUTES = (
    Route("GET", H + "/pads", pads, answer=PadsAnswer, summary="The evaluator pads 评价器", codes=("not_found",)),
    Route(
        "POST",
        H + "/ratings",
        rate,
        body=Ratings,
        reads=Batch,
        answer=RatingsAnswer,
        summary="Ratings from a pad, those kept for later among them 评价",
        codes=("not_found",),
        bound=2 * 1024 * 1024,
    ),
)
