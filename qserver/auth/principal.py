"""Who a request comes from, as far as the rest of the system needs to know. Only the shape lives here."""

from __future__ import annotations

from typing import NamedTuple

from qserver.domain.lifecycle import Role


class Principal(NamedTuple):
    """The holder of a token.

    `hall` and `window` are what the token is bound to ("" = to none); `expires_ms` by the data server's clock, ms since
    the Unix epoch, 0 = never. `role` is None for those who need no token: `NOBODY`, and holders of a ticket's link.
    """

    id: str
    role: Role | None
    hall: str = ""
    window: str = ""
    name: str = ""
    expires_ms: int = 0


NOBODY = Principal("anonymous", None)
"""Whoever asks an open route."""


def holder(hall: str, ticket: str) -> Principal:
    """The holder of a ticket's link; the id names the ticket, so that each holder has keys and limits of his own."""
    return Principal(f"holder:{hall}:{ticket}", None, hall)
