"""Who may do what: one table over every route of the HTTP interface and every topic of the sockets.

The table is all there is: code asks `allowed` and nothing else, and a route that stands not in the table is refused
when the server starts. `admin` may call every route that takes a token. A token that is bound to a hall is good for
that hall only, whatever its role. What a role sees *within* an answer stands in the other table, `domain.privacy`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from qserver.domain.lifecycle import MOVES, WINDOW_MOVES, Role
from qserver.domain.reviews import STEPS

from .principal import Principal


class Gatekeeping:
    """A route that asks for no token: see `OPEN` and `SECRET`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


OPEN: Final = Gatekeeping("OPEN")
"""Anyone may come."""
SECRET: Final = Gatekeeping("SECRET")
"""The path's secret is the key; no token is looked at."""


class Access(msgspec.Struct, frozen=True):
    """Who may use a route or a topic. `own`: roles that may only at the window their token is bound to."""

    roles: frozenset[Role] | Gatekeeping
    own: frozenset[Role] = frozenset()

    def permits(self, principal: Principal, hall: str = "", window: str = "") -> bool:
        """Whether the holder of a token may; `hall` and `window` are those asked for, "" when none are."""
        role, roles = principal.role, self.roles
        if isinstance(roles, Gatekeeping):
            return roles is OPEN
        if role not in roles or (hall and principal.hall and principal.hall != hall):
            return False
        return role not in self.own or (principal.window == window and window != "")


SPANNING = frozenset({Role.ADMIN, Role.ASSESSOR, Role.ANALYTICS})
"""Roles whose tokens may be bound to no hall."""
AT_WINDOW = frozenset({Role.CLERK, Role.PAD})
"""Roles whose tokens are always bound to a window."""
PEOPLE = frozenset({Role.ADMIN, Role.SUPERVISOR, Role.ASSESSOR, Role.GUIDE, Role.CLERK})
"""Roles of people, who log in; the others are devices' and systems'."""
LED_BY_SUPERVISOR = frozenset({Role.GUIDE, Role.CLERK})
"""Roles of the people a supervisor sees to, in its own hall."""
GIVEN_BY_SUPERVISOR = frozenset({Role.SUPERVISOR, Role.GUIDE, Role.KIOSK, Role.CLERK, Role.DISPLAY, Role.PAD})
"""Roles a supervisor may hand out, in its own hall."""

_EVERY = frozenset(Role)
_STAFF = frozenset({Role.SUPERVISOR, Role.ASSESSOR, Role.GUIDE, Role.CLERK})
_H = "/api/v1/halls/{hall}"
_T = "/api/v1/t/{secret}"


def _by(roles: str | frozenset[Role], own: str = "") -> Access:
    named = frozenset(Role(role) for role in roles.split()) if isinstance(roles, str) else roles
    return Access(named | {Role.ADMIN}, frozenset(Role(role) for role in own.split()))


def _moves(prefix: str, names: str, own: str = "") -> dict[str, Access]:
    """The roles of commands that the life cycle already names."""
    moves = MOVES | WINDOW_MOVES
    return {f"POST {prefix}/{name}": _by(moves[name].by, own) for name in names.split()}


ACCESS: dict[str, Access] = {
    f"PUT {_H}": _by(""),
    f"GET {_H}": _by(_EVERY),
    "GET /api/v1/halls": _by(_EVERY),
    f"POST {_H}/notices": _by("supervisor"),
    "POST /api/v1/tokens": _by(""),
    "GET /api/v1/tokens": _by(""),
    "DELETE /api/v1/tokens/{id}": _by(""),
    "POST /api/v1/pairings": _by("supervisor"),
    "POST /api/v1/pair": Access(OPEN),
    # Staff 人员
    "POST /api/v1/login": Access(OPEN),
    "POST /api/v1/logout": _by(_EVERY),
    "POST /api/v1/password": _by(_EVERY),
    f"GET {_H}/staff": _by("supervisor assessor"),
    f"POST {_H}/staff": _by("supervisor"),
    f"GET {_H}/staff/{{staff}}": _by("supervisor assessor"),
    f"POST {_H}/staff/{{staff}}/change": _by("supervisor"),
    f"POST {_H}/staff/{{staff}}/password": _by("supervisor"),
    f"POST {_H}/staff/{{staff}}/disable": _by("supervisor"),
    f"POST {_H}/staff/{{staff}}/enable": _by("supervisor"),
    f"GET {_H}/staff/{{staff}}/events": _by("assessor"),
    # Tickets 取号
    f"POST {_H}/tickets": _by("guide kiosk"),
    f"GET {_H}/tickets": _by("guide clerk supervisor assessor"),
    f"GET {_H}/tickets/{{no}}": _by("guide clerk supervisor assessor"),
    **_moves(_H + "/tickets/{no}", "cancel return reprioritise"),
    f"POST {_H}/tickets/{{no}}/reprint": _by("guide kiosk"),
    f"GET {_H}/queues": _by(_EVERY),
    f"POST {_H}/services/{{service}}/suspend": _by("supervisor guide"),
    f"POST {_H}/services/{{service}}/resume": _by("supervisor guide"),
    # The ticket's own link
    f"GET {_T}": Access(SECRET),
    f"POST {_T}/cancel": Access(SECRET),
    f"POST {_T}/postpone": Access(SECRET),
    f"POST {_T}/rating": Access(SECRET),
    # Windows 窗口
    f"GET {_H}/windows": _by(_STAFF | {Role.PAD, Role.DISPLAY}),
    f"GET {_H}/windows/{{window}}": _by(_STAFF | {Role.PAD, Role.DISPLAY}, own="pad display"),
    **_moves(_H + "/windows/{window}", "open close pause resume", own="clerk"),
    **_moves(_H + "/windows/{window}", "call recall start finish miss hold unhold transfer undo", own="clerk"),
    # Evaluation 好差评
    f"POST {_H}/ratings": _by("pad"),
    f"GET {_H}/reviews": _by("supervisor assessor clerk"),
    f"GET {_H}/reviews/{{id}}": _by("supervisor assessor clerk"),
    **{f"POST {_H}/reviews/{{id}}/{name}": _by(step.by) for name, step in STEPS.items()},
    f"GET {_H}/cases": _by("clerk supervisor"),
    f"GET {_H}/cases/{{case}}": _by("clerk supervisor"),
    f"POST {_H}/cases/{{case}}/complete": _by("clerk supervisor"),
    f"GET {_H}/workdays/{{month}}": _by(_EVERY),
    # Seen from above
    f"GET {_H}/board": _by(_EVERY),
    f"GET {_H}/pads": _by("supervisor assessor"),
    f"GET {_H}/stats": _by("supervisor assessor"),
    f"GET {_H}/reports/day/{{day}}": _by("supervisor assessor"),
    f"GET {_H}/reports/month/{{month}}": _by("supervisor assessor"),
    "PUT /api/v1/events/{group}": _by("analytics"),
    "GET /api/v1/events/{group}": _by("analytics"),
    "POST /api/v1/events/{group}/ack": _by("analytics"),
    "DELETE /api/v1/events/{group}": _by("analytics"),
    # Notices to other systems 事件通知: an admin decides what leaves the house
    "POST /api/v1/webhooks": _by(""),
    "GET /api/v1/webhooks": _by(""),
    "DELETE /api/v1/webhooks/{id}": _by(""),
    "POST /api/v1/webhooks/{id}/change": _by(""),
    "POST /api/v1/webhooks/{id}/rotate": _by(""),
    "POST /api/v1/webhooks/{id}/enable": _by(""),
    "POST /api/v1/webhooks/{id}/test": _by(""),
    "GET /api/v1/webhooks/{id}/dead": _by(""),
    "POST /api/v1/webhooks/{id}/redeliver": _by(""),
    # Open to all
    "GET /livez": Access(OPEN),
    "GET /readyz": Access(OPEN),
    "GET /metrics": Access(OPEN),
    "GET /openapi.json": Access(OPEN),
    "GET /asyncapi.json": Access(OPEN),
    "GET /docs": Access(OPEN),
    "GET /docs/docs.js": Access(OPEN),
    "GET /docs/docs.css": Access(OPEN),
    # Topics of the sockets
    "topic board": _by(_EVERY),
    "topic window": _by("supervisor clerk pad display", own="clerk pad display"),
    "topic stats": _by("supervisor assessor"),
    "topic ticket": Access(SECRET),
}
"""`METHOD PATH` or `topic NAME` -> who may. Anything not expressly allowed is forbidden."""


def allowed(principal: Principal, key: str, hall: str = "", window: str = "") -> bool:
    """Whether the holder of a token may use the route or topic `key`. KeyError when the table has no such row."""
    return ACCESS[key].permits(principal, hall, window)
