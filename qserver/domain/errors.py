"""The one tree of refusals. A refusal is an answer, not an accident: it has a stable code and carries data.

Only names and data live here; which HTTP status a code gets is decided in `qserver.api.problems` alone.

    QserverError
    ├── Refusal               the request was understood and refused; nothing changed
    │   (code: not_found, wrong_state, window_busy, ... see CODES)
    └── Unavailable           the data server cannot be asked right now; with `unknown=True` the
                              command was sent and its answer lost: repeat it with the same key
"""

from __future__ import annotations

CODES: dict[str, str] = {
    "validation": "the request does not have the form this route takes",
    "unauthorized": "no valid token came with the request",
    "forbidden": "this token may not do this",
    "not_found": "there is no such thing",
    "no_such_service": "the hall has no such service",
    "no_such_window": "the hall has no such window",
    "wrong_state": "the thing is in a state in which this may not happen",
    "window_busy": "the window has a ticket at it",
    "window_not_open": "the window is closed",
    "taken_over": "somebody else works at the window by now",
    "in_use": "something that is in use cannot be removed",
    "service_closed": "the service is outside its hours or suspended",
    "quota_reached": "the service's tickets of the day are used up",
    "already_waiting": "this person already holds a live ticket for the service",
    "idempotency_mismatch": "the key was used before with another body",
    "rate_limited": "too many requests",
    "unavailable": "the service cannot answer right now",
    "too_large": "the body is larger than this route takes",
    "method_not_allowed": "the route does not take this method",
    "unsupported_media_type": "the body is not of a type this route takes",
    "precondition_failed": "the thing has changed since it was read",
}
"""Every stable code with what it means, in the words that problem documents use as their title."""


class QserverError(Exception):
    """Base of everything qserver raises on purpose."""


class Refusal(QserverError):
    """A command was refused and nothing was changed.

    `code` is one of `CODES`; `detail` is a sentence for people; `data` goes into the problem document
    as it is (for example `state` beside `wrong_state`); `replayed` says that it is a kept answer given again.
    """

    def __init__(self, code: str, detail: str = "", **data: object) -> None:
        assert code in CODES, code
        super().__init__(detail or CODES[code])
        self.code = code
        self.detail = detail or CODES[code]
        self.data = data
        self.replayed = False


class Unavailable(QserverError):
    """The data server cannot answer now. `unknown`: the command may have run; repeat with the same key."""

    def __init__(self, detail: str, *, unknown: bool = False, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.unknown = unknown
        self.retry_after_s = retry_after_s
