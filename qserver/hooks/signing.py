"""Signatures as the Standard Webhooks specification has them (version 1.0.0, symmetric scheme `v1`). Pure.

What is signed is `{webhook-id}.{webhook-timestamp}.{body}`. Our ids hold full stops, in the event's kind; the
specification allows that where no user has a say in them, and nobody has: they are made of the hall's id, numbers and
names of kinds.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"


def signature(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    """One signature, `v1,BASE64`, by a secret of the form `whsec_BASE64`."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers(secrets: Sequence[str], message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The three headers; each secret signs, so that a receiver may have either while they are changed."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(signature(secret, message_id, timestamp_s, body) for secret in secrets),
    }
