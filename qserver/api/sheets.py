"""Reports as files: CSV and workbooks, each with what the figures mean.

Spreadsheets run what looks like a formula, and staff ids and names are people's own texts: such cells are written so
that they stay text. Nothing is counted here.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font

from qserver.domain.figures import COLUMNS, MONTH, Column, cells
from qserver.domain.report import MonthReport, Report
from qserver.domain.tally import Row

_MS_PER_DAY = 86_400_000
_DANGEROUS = tuple("=+-@\t\r\n＝＋－＠")
_FORMATS = {"duration": "[h]:mm:ss", "rate": "0.0%", "count": "0", "text": "@"}
_MEANINGS = {column.path: column for column in (*COLUMNS, *MONTH)}
_PERIOD = Column("period", "月份", "Month", "text")

Cell = str | int | float | None


class Table(NamedTuple):
    """One table of a report: its title, its columns, its rows, each with whether it is a total."""

    title: str
    columns: tuple[Column, ...]
    rows: list[tuple[bool, list[Cell]]]


def plain(text: str) -> str:
    """The text so that no spreadsheet takes it for a formula, and without characters that files cannot hold."""
    text = ILLEGAL_CHARACTERS_RE.sub("", text)
    return "'" + text if text.startswith(_DANGEROUS) else text


def _heading(column: Column) -> str:
    unit = " (s 秒)" if column.kind == "duration" else ""
    return f"{column.zh} {column.en}{unit}"


def _rows(rows: Iterable[Row], totals: Row) -> Iterator[tuple[bool, list[Cell]]]:
    """The rows and the totals behind them, each with whether it is the totals."""
    for row in rows:
        first, second, *figures = cells(row)
        yield False, [first or "—", second or "未到窗 none", *figures]
    _, name, *figures = cells(totals)
    yield True, ["合计 Total", name, *figures]


def tables(report: Report) -> list[Table]:
    """The report's own table; of a month also the totals of its days, and what it is compared with."""
    title = "月报 Month report" if isinstance(report, MonthReport) else "日报 Day report"
    found = [Table(title, COLUMNS, list(_rows(report.rows, report.totals)))]
    if isinstance(report, MonthReport):
        found.append(Table("每日 Days", COLUMNS, [(False, cells(day)) for day in report.days]))
        compared = [
            (total, [f"{other.month} {words}", *row])
            for other, words in ((report.before, "上月 before"), (report.year_before, "去年同月 year before"))
            if other is not None
            for total, row in _rows(other.rows, other.totals)
        ]
        found.append(Table("比较 Comparison", (_PERIOD, *COLUMNS), compared))
    return found


def _about(report: Report, zone: str) -> list[list[Cell]]:
    as_of = dt.datetime.fromtimestamp(report.as_of_ms / 1000, ZoneInfo(zone)).isoformat(" ", "seconds")
    by = {"window": "窗口 window", "staff": "人员 staff", "service": "业务 service"}[report.by]
    when: list[Cell] = (
        ["月份 Month", report.month] if isinstance(report, MonthReport) else ["营业日 Business day", report.day]
    )
    return [
        ["大厅 Hall", f"{report.name} ({report.hall})"],
        when,
        ["分组 By", by],
        ["截至 As of", as_of],
    ]


def as_csv(report: Report, zone: str) -> bytes:
    """The report as UTF-8 with a byte order mark: its tables, then what the figures mean. Durations in seconds."""
    text = io.StringIO()
    writer = csv.writer(text)

    def write(row: Iterable[Cell]) -> None:
        writer.writerow([plain(cell) if isinstance(cell, str) else cell for cell in row])

    for number, table in enumerate(tables(report)):
        if number:
            writer.writerow([])
            write([table.title])
        write(_heading(column) for column in table.columns)
        for _, row in table.rows:
            write(
                round(cell / 1000, 3) if column.kind == "duration" and isinstance(cell, int) else cell
                for column, cell in zip(table.columns, row, strict=True)
            )
    writer.writerow([])
    for line in _about(report, zone):
        write(line)
    for one in report.definitions:
        column = _MEANINGS[one.figure]
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


def as_xlsx(report: Report, zone: str) -> bytes:
    """The report as a workbook: a sheet per table and one of what the figures mean. Durations as h:mm:ss."""
    book = Workbook(write_only=True)
    for table in tables(report):
        kinds = [column.kind for column in table.columns]
        sheet = book.create_sheet(table.title)
        sheet.freeze_panes = "C2"
        sheet.column_dimensions["B"].width = 24
        _put(sheet, [f"{column.zh} {column.en}" for column in table.columns], ["text"] * len(kinds), bold=True)
        for total, row in table.rows:
            days = [
                cell / _MS_PER_DAY if column.kind == "duration" and isinstance(cell, int) else cell
                for column, cell in zip(table.columns, row, strict=True)
            ]
            _put(sheet, days, kinds, bold=total)
    words = book.create_sheet("口径 Definitions")
    for letter, width in zip("ABC", (30, 48, 72), strict=True):
        words.column_dimensions[letter].width = width
    for line in _about(report, zone):
        _put(words, line, ["text"] * 2)
    for one in report.definitions:
        column = _MEANINGS[one.figure]
        _put(words, [f"{column.zh} {column.en}", one.zh, one.en], ["text"] * 3)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()
