"""How a pad signs a rating, so that its counter counts: what is signed, by which key. Pure; `evaluator/page/sign.js` is
the same for browsers.

The key is derived from the pad's token, so nothing more has to be brought to a pad. It therefore proves that whoever
signed holds the token and that nothing was changed on the way or mixed up on the pad; it does not tell the pad from a
thief of its token. The counter does that, see docs/evaluation.md.

A rating is signed when it is sent, not when it is given: one that was kept over a change of the token must still be
good, and its age is only known then.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Final

_LABEL: Final = b"qserver pad ratings 1"
RATING: Final = "rating"
SHOWN: Final = "shown"


def signing_key(token: str) -> bytes:
    """The key of the pad with this token."""
    return hmac.new(token.encode("utf-8", "replace"), _LABEL, hashlib.sha256).digest()


def signature(key: bytes, what: str, *fields: object) -> str:
    """HMAC-SHA256, hexadecimal, of a JSON array without blanks: no field can run into the next, whatever is in it.

    `what` is RATING with hall, window, device, n, rid, ticket, leg, score, age_ms, aspects, reasons, comment; or SHOWN
    with hall, window, device, ticket, leg, age_ms.
    """
    text = json.dumps([what, *fields], ensure_ascii=False, separators=(",", ":"))
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def is_signature(given: str, key: bytes, what: str, *fields: object) -> bool:
    """Whether it is the signature of these fields."""
    return hmac.compare_digest(given.encode(), signature(key, what, *fields).encode())
