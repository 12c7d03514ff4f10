"""`qserver report`: the performance report of a day or a month, as a table, CSV, JSON or a workbook."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import Any

from qserver.domain import figures

from .client import Client, CommandError, add_options, part

WIDTH = 220
SHOWN = (
    "name", "issued", "called", "served", "missed", "left", "expired", "wait.p50_ms", "wait.p90_ms", "service.p50_ms",
    "service.p90_ms", "overtime.service", "ratings.rated_share", "ratings.active_good_rate", "negatives.rating",
)  # fmt: skip
"""The figures that a terminal has room for; the other formats hold all."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its options."""
    found = commands.add_parser("report", help="绩效报表 performance report")
    found.add_argument("--hall", required=True, metavar="H")
    of = found.add_mutually_exclusive_group(required=True)
    of.add_argument("--day", metavar="D", help="营业日 YYYY-MM-DD")
    of.add_argument("--month", metavar="M", help="月份 YYYY-MM")
    found.add_argument(
        "--by", choices=("window", "staff", "service"), default="window", help="按 rows (default window)"
    )
    found.add_argument("--format", choices=("table", "csv", "json", "xlsx"), default="table", help="(default table)")
    found.add_argument("-o", "--output", type=Path, metavar="FILE", help="写入文件 write to a file")
    found.set_defaults(run=run)
    add_options(found)


def run(options: argparse.Namespace) -> int:
    """Fetch and write the report. Raises CommandError."""
    if options.format == "xlsx" and options.output is None and sys.stdout.isatty():
        raise CommandError("a workbook is not for a terminal: name a file with -o FILE.xlsx", 2)
    form = "json" if options.format == "table" else options.format
    of = f"month/{part(options.month)}" if options.month else f"day/{part(options.day)}"
    path = f"/halls/{part(options.hall)}/reports/{of}"
    answer = Client(options).request("GET", path, query={"by": options.by, "format": form}, accept="*/*")
    if options.format == "table":
        _print(answer.json(), options.output)
        return 0
    try:
        if options.output:
            options.output.write_bytes(answer.body)
        else:
            sys.stdout.buffer.write(answer.body)
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"{options.output}: {error}") from error
    return 0


def _print(report: dict[str, Any], output: Path | None) -> None:
    from rich import box  # only a table needs it
    from rich.console import Console
    from rich.table import Table

    known = {column.path: column for column in figures.COLUMNS}
    columns = [known[path] for path in SHOWN]
    table = Table(title=f"{report['name']} {report.get('day') or report['month']}", box=box.SIMPLE)
    for column in columns:
        text = column.kind == "text"
        table.add_column(f"{column.zh}\n{column.en}", justify="left" if text else "right", no_wrap=text)
    rows = [
        *(row | {"name": _called(row, report["by"])} for row in report["rows"]),
        report["totals"] | {"name": "合计 total"},
    ]
    for name, words in (("before", "上月 before"), ("year_before", "去年同月 year before")):
        if other := report.get(name):
            rows.append(other["totals"] | {"name": f"{other['month']} {words}"})
    for row in rows:
        table.add_row(*(_cell(row, column) for column in columns))
    try:
        with output.open("w", encoding="utf-8") if output else contextlib.nullcontext(sys.stdout) as file:
            # In a file or a pipe nobody sees the edge, so the figures are never wrapped there.
            Console(file=file, width=None if file.isatty() else WIDTH).print(table)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"{output}: {error}") from error


def _called(row: dict[str, Any], by: str) -> str:
    """Of staff also the number, since names repeat."""
    return f"{row['id']} {row['name']}" if by == "staff" and row["name"] != row["id"] else str(row["name"])


def _cell(row: dict[str, Any], column: figures.Column) -> str:
    value: Any = row
    for name in column.path.split("."):
        value = value[name]
    if value is None:
        return "-"
    if column.kind == "duration":
        return f"{value // 60_000}:{value // 1000 % 60:02d}"
    return f"{value:.0%}" if column.kind == "rate" else str(value) or "-"
