"""Texts that give access, all derived from the server's key: a repeated command can give the same secret again without
anybody having stored it. Pure functions of their arguments; stored are only digests.
"""

from __future__ import annotations

import binascii
import functools
import hashlib
import hmac
import re

_TICKET_SECRET = re.compile(r"([a-z0-9][a-z0-9-]{0,31})\.(\d{8}-[A-Z]{1,2}\d{3,9})\.([A-Za-z0-9_-]{24})")
_TOKEN = re.compile(r"qs_([a-z0-9-]{1,64})_([A-Za-z0-9_-]{32})")


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


@functools.lru_cache(maxsize=16)
def _keyed(key: bytes, size: int) -> hashlib.blake2b:
    # Keyed BLAKE2 is a MAC by itself (RFC 7693). HMAC over SHA-256 takes five times as long, and each ticket needs one.
    return hashlib.blake2b(key=key, digest_size=size)


def _raw_mac(key: bytes, text: str, size: int) -> bytes:
    begun = _keyed(key, size).copy()  # the key is half of the work
    begun.update(text.encode())
    return begun.digest()


def _mac(key: bytes, text: str, size: int) -> str:
    found = binascii.b2a_base64(_raw_mac(key, text, size), newline=False)
    return found.translate(_URL_SAFE, b"=").decode()


def digest(text: str) -> str:
    """What is stored instead of a secret: its sha256, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def token_text(key: bytes, token_id: str) -> str:
    """The token of that id, `qs_ID_MAC`."""
    return f"qs_{token_id}_{_mac(key, f'token:{token_id}', 24)}"


def is_own_token(key: bytes, text: str) -> bool:
    """Whether this server made the text as a token (it may have been revoked since). Needs no look-up."""
    match = _TOKEN.fullmatch(text)
    return match is not None and hmac.compare_digest(_mac(key, f"token:{match[1]}", 24), match[2])


def ticket_secret(key: bytes, hall: str, ticket_id: str) -> str:
    """The secret of a ticket's link, `HALL.TICKET.MAC`; safe in a URL as it is."""
    return f"{hall}.{ticket_id}.{_mac(key, f'ticket:{hall}:{ticket_id}', 18)}"


def read_ticket_secret(key: bytes, secret: str) -> tuple[str, str] | None:
    """`(hall, ticket id)` of a ticket's secret; None when it is none of ours."""
    match = _TICKET_SECRET.fullmatch(secret)
    if match is None or not hmac.compare_digest(_mac(key, f"ticket:{match[1]}:{match[2]}", 18), match[3]):
        return None
    return match[1], match[2]


def pairing_code(key: bytes, pairing_id: str) -> str:
    """The one-time code of that pairing, `ID.MAC`."""
    return f"{pairing_id}.{_mac(key, f'pairing:{pairing_id}', 18)}"


def person_hash(key: bytes, hall: str, person: str) -> str:
    """What is kept of a person's opaque id: a keyed digest, other in every hall. "" stays ""."""
    return _mac(key, f"person:{hall}:{person}", 18) if person else ""


def webhook_secret(key: bytes, hook: str, version: int) -> str:
    """A webhook's secret as its receiver keeps it: `whsec_` and 32 bytes in base64 (standardwebhooks.com)."""
    found = binascii.b2a_base64(_raw_mac(key, f"webhook:{hook}:{version}", 32), newline=False)
    return "whsec_" + found.decode()
