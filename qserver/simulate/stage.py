"""Sets the stage and clears it again: which hall a day is played in, with which definition, and whose tokens.

A hall at work is never touched: if one of the day's halls is busy on the server, the day is played in a fresh one
beside it. A quiet hall is borrowed and gets its own definition back.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from typing import Any

import msgspec

from qserver.domain import calendar
from qserver.domain.errors import QserverError
from qserver.domain.hall import Hall, scaled

from .checks import FIGURES
from .doors import Tokens
from .trace import Day
from .world import Answered, World

MARGIN_MS = 30 * 60_000
"""How far behind the run's expected end the turn of the business day must stay."""


def applied(hall: Hall, speed: float, now_ms: int, lasts_ms: int) -> tuple[Hall, list[str]]:
    """The definition a day is played with, and notes on what differs from the hall's own.

    Limits are divided by the speed. Opening hours are left out, because a played day happens now, whatever the hour.
    When the hall's day would turn during the run, it is made to turn twelve hours away from now.
    """
    notes = []
    copy = scaled(hall, speed)
    if any(s.opens or s.closes for s in copy.services):
        copy = msgspec.structs.replace(
            copy, services=[msgspec.structs.replace(s, opens=None, closes=None) for s in copy.services]
        )
        notes.append(f"{hall.id}: opening hours left out")
    _, ends_ms = calendar.business_day(now_ms, hall.time_zone, hall.day_starts)
    if now_ms + lasts_ms + MARGIN_MS >= ends_ms:
        away = dt.datetime.fromtimestamp(now_ms / 1000, calendar.zone(hall.time_zone)) + dt.timedelta(hours=12)
        copy = msgspec.structs.replace(copy, day_starts=f"{away:%H:%M}")
        notes.append(f"{hall.id}: day turns at {copy.day_starts} instead of {hall.day_starts}, outside the run")
    return copy, notes


def renamed(day: Day, names: dict[str, str]) -> Day:
    """The same day with other hall ids."""
    return Day(
        tuple(msgspec.structs.replace(hall, id=names[hall.id]) for hall in day.halls),
        tuple(one._replace(hall=names[one.hall]) for one in day.arrivals),
        tuple(one._replace(hall=names[one.hall]) for one in day.changes),
        day.source,
    )


class Stage:
    """The halls and tokens of one run. `set_up` makes them, `clear` takes back what can be taken back."""

    def __init__(self, world: World, admin: str) -> None:
        self._world = world
        self._admin = admin
        self._before: dict[str, dict[str, Any]] = {}
        self._counted: dict[str, dict[str, int]] = {}
        self._token_ids: list[str] = []
        self.tokens: dict[str, Tokens] = {}
        self.analytics = ""
        self.notes: list[str] = []

    async def set_up(self, day: Day, speed: float) -> Day:
        """Creates or borrows the halls and makes the tokens; answers the day as it is going to be played.

        Raises world.Answered, world.Silent.
        """
        names = {hall.id: await self._free(hall.id) for hall in day.halls}
        self.notes += [f"{old} is at work on this server: played as {new}" for old, new in names.items() if old != new]
        day = renamed(day, names)
        lasts_ms = int((day.ends_s - day.begins_s) / speed * 1000) + 600_000
        halls = []
        for hall in day.halls:
            copy, notes = applied(hall, speed, time.time_ns() // 1_000_000, lasts_ms)
            await self._world.put(self._admin, f"/api/v1/halls/{hall.id}", copy, msgspec.Raw)
            halls.append(copy)
            self.notes += notes
        made = await asyncio.gather(*(self._tokens(hall) for hall in halls))
        self.tokens = {hall.id: tokens for hall, tokens in zip(halls, made, strict=True)}
        self.analytics = await self._token("analytics")
        self._counted = {hall: await self._report(hall) for hall in self._before}
        return day._replace(halls=tuple(halls))

    async def _free(self, hall: str) -> str:
        """The hall's id, or the first free one like it when it is at work."""
        for number in range(1, 1000):
            name = hall if number == 1 else f"{hall[:28]}-{number}"
            try:
                own = await self._world.get(self._admin, f"/api/v1/halls/{name}", dict[str, Any])
            except Answered as error:
                if error.status == 404:
                    return name
                raise
            if await self._quiet(name):
                self._before[name] = own.get("hall", own)
                self.notes.append(f"{name} existed and gets its own definition back")
                return name
        raise QserverError(f"every hall named like {hall} is at work")

    async def _quiet(self, hall: str) -> bool:
        """Whether nothing goes on there: no window open, nobody waiting or held."""
        base = f"/api/v1/halls/{hall}"
        windows = await self._world.get(self._admin, f"{base}/windows", dict[str, Any])
        if any(window["state"] != "closed" for window in windows["windows"]):
            return False
        for state in ("waiting", "held"):
            page = await self._world.get(self._admin, f"{base}/tickets?state={state}&limit=1", dict[str, Any])
            if page["tickets"]:
                return False
        return True

    async def _tokens(self, hall: Hall) -> Tokens:
        return Tokens(
            guide=await self._token("guide", hall.id),
            supervisor=await self._token("supervisor", hall.id),
            display=await self._token("display", hall.id),
            clerks={window.id: await self._token("clerk", hall.id, window.id) for window in hall.windows},
            pads={window.id: await self._token("pad", hall.id, window.id) for window in hall.windows},
        )

    async def _token(self, role: str, hall: str = "", window: str = "") -> str:
        body = {"role": role, "name": f"simulate {self._world.run}"}
        body |= {name: value for name, value in (("hall", hall), ("window", window)) if value}
        made = await self._world.tell(self._admin, "/api/v1/tokens", body, dict[str, Any])
        self._token_ids.append(made["id"])
        return str(made["token"])

    async def added(self, hall: str) -> dict[str, int]:
        """What the run added to the figures of the hall's day report. Raises world.Answered, world.Silent."""
        before = self._counted.get(hall, {})
        return {name: value - before.get(name, 0) for name, value in (await self._report(hall)).items()}

    async def _report(self, hall: str) -> dict[str, int]:
        token, base = self.tokens[hall].supervisor, f"/api/v1/halls/{hall}"
        stats = (await self._world.get(token, f"{base}/stats", dict[str, Any]))["stats"]
        report = await self._world.get(token, f"{base}/reports/day/{stats['day']}", dict[str, Any])
        found = {}
        for path in FIGURES:
            value = report["totals"]
            for name in path.split("."):
                value = value[name]
            found[path] = int(value)
        return found

    async def clear(self) -> None:
        """Revokes the tokens and gives borrowed halls their definitions back."""
        for token_id in self._token_ids:
            await self._world.delete(self._admin, f"/api/v1/tokens/{token_id}")
        for hall, own in self._before.items():
            await self._world.put(self._admin, f"/api/v1/halls/{hall}", own, msgspec.Raw)
