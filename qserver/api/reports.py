"""The day report: gathered from the store, counted by `domain.report`, written as JSON, CSV or a workbook.

Spreadsheets run what looks like a formula, and staff ids and names are people's own texts: such cells are written so
that they stay text. Counting and writing run in a thread, for a workbook of a large hall takes its time.
"""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import io
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font

from qserver.domain.errors import Refusal
from qserver.domain.figures import COLUMNS, Column, cells
from qserver.domain.hall import Hall
from qserver.domain.report import DayReport, day_report
from qserver.domain.ticket import Review
from qserver.store.store import Store

from .messages import ReportQuery
from .routing import Call, H, Reply, Route

_MS_PER_DAY = 86_400_000
_DANGEROUS = tuple("=+-@\t\r\n＝＋－＠")
_FORMATS = {"duration": "[h]:mm:ss", "rate": "0.0%", "count": "0", "text": "@"}
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

Cell = str | int | float | None


def plain(text: str) -> str:
    """The text so that no spreadsheet takes it for a formula, and without characters that files cannot hold."""
    text = ILLEGAL_CHARACTERS_RE.sub("", text)
    return "'" + text if text.startswith(_DANGEROUS) else text


def _heading(column: Column) -> str:
    unit = " (s 秒)" if column.kind == "duration" else ""
    return f"{column.zh} {column.en}{unit}"


def _rows(report: DayReport) -> Iterable[tuple[bool, list[Cell]]]:
    """The rows and the totals behind them, each with whether it is the totals."""
    for row in report.rows:
        first, second, *figures = cells(row)
        yield False, [first or "—", second or "未到窗 none", *figures]
    _, name, *figures = cells(report.totals)
    yield True, ["合计 Total", name, *figures]


def _about(report: DayReport, zone: str) -> list[list[Cell]]:
    as_of = dt.datetime.fromtimestamp(report.as_of_ms / 1000, ZoneInfo(zone)).isoformat(" ", "seconds")
    by = {"window": "窗口 window", "staff": "人员 staff", "service": "业务 service"}[report.by]
    return [
        ["大厅 Hall", f"{report.name} ({report.hall})"],
        ["营业日 Business day", report.day],
        ["分组 By", by],
        ["截至 As of", as_of],
    ]


def as_csv(report: DayReport, zone: str) -> bytes:
    """The report as UTF-8 with a byte order mark: rows, totals, then what the figures mean. Durations in seconds."""
    text = io.StringIO()
    writer = csv.writer(text)

    def write(row: Iterable[Cell]) -> None:
        writer.writerow([plain(cell) if isinstance(cell, str) else cell for cell in row])

    write(_heading(column) for column in COLUMNS)
    for _, row in _rows(report):
        write(
            round(cell / 1000, 3) if column.kind == "duration" and isinstance(cell, int) else cell
            for column, cell in zip(COLUMNS, row, strict=True)
        )
    writer.writerow([])
    for line in _about(report, zone):
        write(line)
    meanings = {column.path: column for column in COLUMNS}
    for one in report.definitions:
        column = meanings[one.figure]
        write([f"{column.zh} {column.en}", one.zh, one.en])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def _put(sheet: Any, row: Iterable[Cell], kinds: Iterable[str], *, bold: bool = False) -> None:
    written = []
    for value, kind in zip(row, kinds, strict=True):
        cell = WriteOnlyCell(sheet, value=plain(value) if isinstance(value, str) else value)
        if isinstance(value, str):
            cell.data_type = "s"
        elif value is not None:
            cell.number_format = _FORMATS[kind]
        if bold:
            cell.font = Font(bold=True)
        written.append(cell)
    sheet.append(written)


def as_xlsx(report: DayReport, zone: str) -> bytes:
    """The report as a workbook: a sheet of figures and a sheet of what they mean. Durations as h:mm:ss."""
    book = Workbook(write_only=True)
    kinds = [column.kind for column in COLUMNS]
    sheet = book.create_sheet("日报 Day report")
    sheet.freeze_panes = "C2"
    sheet.column_dimensions["B"].width = 24
    texts = ["text"] * len(COLUMNS)
    _put(sheet, [f"{column.zh} {column.en}" for column in COLUMNS], texts, bold=True)
    for total, row in _rows(report):
        days = [
            cell / _MS_PER_DAY if column.kind == "duration" and isinstance(cell, int) else cell
            for column, cell in zip(COLUMNS, row, strict=True)
        ]
        _put(sheet, days, kinds, bold=total)
    words = book.create_sheet("口径 Definitions")
    for letter, width in zip("ABC", (30, 48, 72), strict=True):
        words.column_dimensions[letter].width = width
    for line in _about(report, zone):
        _put(words, line, texts[:2])
    meanings = {column.path: column for column in COLUMNS}
    for one in report.definitions:
        column = meanings[one.figure]
        _put(words, [f"{column.zh} {column.en}", one.zh, one.en], texts[:3])
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def _day(text: str) -> str:
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise Refusal("validation", "a day is written YYYY-MM-DD", field="day")
    return text


async def _all_reviews(store: Store, hall: str) -> list[Review]:
    found: list[Review] = []
    after: str | None = ""
    while after is not None:
        page, after = await store.reviews(hall, limit=1000, after=after)
        found += page
    return found


async def day(call: Call) -> DayReport | Reply:
    """The performance report of a business day, of a running one as far as it has come."""
    query: ReportQuery = call.query
    wanted = _day(call.params["day"])
    configured, tickets, reviews, now_ms = await asyncio.gather(
        call.store.hall(call.hall),
        call.store.day_tickets(call.hall, wanted),
        _all_reviews(call.store, call.hall),
        call.store.now(),
    )
    hall: Hall = configured.hall
    report = await asyncio.to_thread(day_report, hall, wanted, query.by, tickets, reviews, now_ms)
    if query.format == "json":
        return report
    write, content_type = (as_csv, "text/csv; charset=utf-8") if query.format == "csv" else (as_xlsx, _XLSX)
    name = f"{hall.id}-{wanted}-{query.by}.{query.format}"
    return Reply(
        await asyncio.to_thread(write, report, hall.time_zone),
        content_type=content_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


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
)
