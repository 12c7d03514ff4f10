"""Refusals as problem documents (RFC 9457). The one place where a code gets its HTTP status.

A problem says what was refused and nothing of how the server is made.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from qserver.domain.errors import CODES, Refusal, Unavailable

from .responses import PROBLEM, Written, answer

STATUS: Final[Mapping[str, int]] = {
    "validation": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "no_such_service": 404,
    "no_such_window": 404,
    "method_not_allowed": 405,
    "wrong_state": 409,
    "window_busy": 409,
    "window_not_open": 409,
    "taken_over": 409,
    "in_use": 409,
    "service_closed": 409,
    "quota_reached": 409,
    "already_waiting": 409,
    "precondition_failed": 412,
    "too_large": 413,
    "unsupported_media_type": 415,
    "idempotency_mismatch": 422,
    "rate_limited": 429,
    "internal": 500,
    "unavailable": 503,
}
"""Every code's status. `internal` is the server's own mistake: unknown whether anything happened, as with any 5xx."""

TITLES: Final[Mapping[str, str]] = {**CODES, "internal": "the server made a mistake"}
KEPT: Final = frozenset(STATUS) - {"unauthorized", "forbidden", "rate_limited", "internal", "unavailable"}
"""Refusals that are kept under an idempotency key; the rest may be otherwise a moment later."""

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class Problem(msgspec.Struct, kw_only=True):
    """A problem document; some codes carry more fields (`state`, `what`, `field`, `retry_after_s`)."""

    type: str
    title: str
    status: int
    detail: str
    code: str


def document(code: str, detail: str = "", data: Mapping[str, Any] | None = None) -> bytes:
    """A problem document of that code, encoded."""
    return _encode(
        {
            **(data or {}),
            "type": f"urn:qserver:problem:{code}",
            "title": TITLES[code],
            "status": STATUS[code],
            "detail": detail or TITLES[code],
            "code": code,
        }
    )


def problem(
    code: str,
    detail: str = "",
    data: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    close: bool = False,
) -> Written:
    """A problem as an answer; `retry_after_s` in the data also becomes the header."""
    more = dict(headers or {})
    if data and "retry_after_s" in data:
        more["Retry-After"] = str(data["retry_after_s"])
    if code == "unauthorized":
        more["WWW-Authenticate"] = "Bearer"
    return answer(STATUS[code], document(code, detail, data), PROBLEM, more, close=close)


def refused(refusal: Refusal) -> Written:
    """A refusal as an answer."""
    headers = {"Idempotency-Replayed": "true"} if refusal.replayed else None
    return problem(refusal.code, refusal.detail, refusal.data, headers)


def unavailable(error: Unavailable) -> Written:
    """The data server is away, or too much is asked at once."""
    return problem("unavailable", str(error), {"retry_after_s": error.retry_after_s})


def internal(where: str) -> Written:
    """Call within an `except`: logs what happened under an id, and says only the id."""
    number = secrets.token_hex(4)
    _log.exception("%s failed (error %s)", where, number)
    return problem("internal", f"error {number} is in the server's log", {"error": number})
