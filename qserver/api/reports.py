"""Reports of a business day and of a month, as JSON, CSV or a workbook. Files are written in a thread."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Final

from aiohttp import web

from qserver.archive.reports import Reports
from qserver.domain.errors import Refusal
from qserver.domain.hall import Hall
from qserver.domain.report import DayReport, MonthReport, Report

from .messages import ReportQuery
from .routing import Call, H, Reply, Route
from .sheets import as_csv, as_xlsx

REPORTS: Final = web.AppKey("reports", Reports)
_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def _day(text: str) -> str:
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise Refusal("validation", "a day is written YYYY-MM-DD", field="day")
    return text


def _month(text: str) -> str:
    try:
        first = dt.date.fromisoformat(text + "-01")
    except ValueError:
        first = None
    if first is None or first.isoformat() != text + "-01" or first.year < 2:
        raise Refusal("validation", "a month is written YYYY-MM", field="month")
    return text


async def _answer(report: Report, hall: Hall, of: str, form: str) -> Report | Reply:
    if form == "json":
        return report
    write, content_type = (as_csv, "text/csv; charset=utf-8") if form == "csv" else (as_xlsx, _XLSX)
    name = f"{hall.id}-{of}-{report.by}.{form}"
    return Reply(
        await asyncio.to_thread(write, report, hall.time_zone),
        content_type=content_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def day(call: Call) -> Report | Reply:
    """The performance report of a business day, of a running one as far as it has come."""
    query: ReportQuery = call.query
    wanted = _day(call.params["day"])
    hall, report = await call.request.app[REPORTS].day(call.hall, wanted, query.by)
    return await _answer(report, hall, wanted, query.format)


async def month(call: Call) -> Report | Reply:
    """The performance report of a month beside the month before and the same month a year ago."""
    query: ReportQuery = call.query
    wanted = _month(call.params["month"])
    hall, report = await call.request.app[REPORTS].month(call.hall, wanted, query.by)
    return await _answer(report, hall, wanted, query.format)


ROUTES = (
    Route(
        "GET",
        H + "/reports/day/{day}",
        day,
        query=ReportQuery,
        answer=DayReport,
        summary="Performance report of a business day 绩效日报",
        codes=("not_found",),
    ),
    Route(
        "GET",
        H + "/reports/month/{month}",
        month,
        query=ReportQuery,
        answer=MonthReport,
        summary="Performance report of a month 绩效月报",
        codes=("not_found",),
    ),
)
