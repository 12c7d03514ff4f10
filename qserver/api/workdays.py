"""The working days 工作日 that a hall's terms count by, for whoever shows how many are left."""

from __future__ import annotations

import datetime as dt

import msgspec

from qserver.domain import calendar, holidays
from qserver.domain.errors import Refusal

from .routing import Call, H, Route


class Workdays(msgspec.Struct, frozen=True):
    """The days of a month on which people work, `YYYY-MM-DD`, holidays and make-up workdays counted in."""

    month: str
    workdays: list[str]


async def month(call: Call) -> Workdays:
    """The working days of a month, by the hall's calendar."""
    text = call.params["month"]
    try:
        first = dt.date.fromisoformat(f"{text}-01")
    except ValueError:
        first = None
    if first is None or first.isoformat()[:7] != text:
        raise Refusal("validation", "a month is written YYYY-MM", field="month")
    hall = (await call.store.hall(call.hall)).hall
    own = hall.calendar
    exceptions = holidays.exceptions(own.name, hall.time_zone, own.days)
    days = (first + dt.timedelta(days=number) for number in range(31))
    return Workdays(
        text, [day.isoformat() for day in days if day.month == first.month and calendar.is_workday(day, exceptions)]
    )


ROUTES = (
    Route(
        "GET",
        H + "/workdays/{month}",
        month,
        answer=Workdays,
        summary="The working days of a month 工作日",
        codes=("not_found",),
    ),
)
