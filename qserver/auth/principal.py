"""Who a request comes from, as far as the rest of the system needs to know. Only the shape lives here."""

from __future__ import annotations

import msgspec

from qserver.domain.lifecycle import Role


class Principal(msgspec.Struct, frozen=True):
    """The holder of a token.

    `hall` and `window` are what the token is bound to ("" = to none); `expires_ms` by the data server's clock, ms since
    the Unix epoch, 0 = never. `role` is None for those who need no token: `NOBODY`, and holders of a ticket's link.
    `staff`: who logged in, "" when the token is a device's or a system's.
    """

    id: str
    role: Role | None
    hall: str = ""
    window: str = ""
    name: str = ""
    expires_ms: int = 0
    staff: str = ""

    @property
    def actor(self) -> str:
        """Who stands on record for what is done: the person, else the token."""
        return self.staff or self.id

    @property
    def account(self) -> str:
        """Whose idempotency keys they are. A person's are the same after another log-in: what was pressed before a
        session ended is not done twice when it is asked for again in the next one.
        """
        return f"staff:{self.hall}:{self.staff}" if self.staff else self.id

    @property
    def seated(self) -> bool:
        """Whether it is a clerk who logged in for a window."""
        return bool(self.staff) and self.role is Role.CLERK


NOBODY = Principal("anonymous", None)
"""Whoever asks an open route."""


def holder(hall: str, ticket: str) -> Principal:
    """The holder of a ticket's link; the id names the ticket, so that each holder has keys and limits of his own."""
    return Principal(f"holder:{hall}:{ticket}", None, hall)
