"""The day report over HTTP: the same figures as JSON, CSV and a workbook, and none of them a formula."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator

import msgspec
import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qserver.api.sheets import as_csv, as_xlsx, plain
from qserver.domain.figures import COLUMNS
from qserver.domain.hall import Hall
from qserver.domain.report import DayReport, MonthReport, day_report
from qserver.store.answers import SYSTEM
from tests.api.doors import DAY, Doors, Got, serving_at
from tests.halls import small_hall
from tests.servers import DataServer

ZONE = "Asia/Shanghai"


@pytest.fixture
async def doors(valkey: DataServer) -> AsyncIterator[Doors]:
    async with serving_at(valkey.url) as doors:
        yield doors


@pytest.fixture
async def worked(doors: Doors) -> Doors:
    """A day with two served (one rated badly, one over its limit), one who left, one missed, one waiting."""
    await doors.at("w1", "open", {"staff": "li"})
    await doors.at("w2", "open", {"staff": "=cmd|' /C calc'!A0"})
    await doors.serve("a", "w1")
    item = {"rid": "r1", "ticket": "A001", "leg": 1, "score": 2, "age_ms": 0}
    (await doors.pad["w1"].post("ratings", {"items": [item]})).ok()
    await doors.issue("a")
    await doors.at("w2", "call")
    await doors.at("w2", "start")
    await doors.time.pass_ms(601_000)
    await doors.at("w2", "finish")
    await doors.issue("b")
    (await doors.guide.post("tickets/B001/cancel")).ok()
    await doors.issue("a")
    await doors.at("w2", "call")
    await doors.at("w2", "miss")
    await doors.issue("b")
    return doors


async def report(doors: Doors, query: str = "", day: str = DAY) -> DayReport:
    answer = (await doors.supervisor.get(f"reports/day/{day}?{query}")).ok()
    return msgspec.convert(answer, DayReport)


async def test_who_was_called_and_put_on_hold_until_the_day_turned_is_expired_and_not_missed(doors: Doors) -> None:
    await doors.at("w1", "open")
    for number in (1, 2):
        await doors.issue("a")
        await doors.at("w1", "call")
        if number == 1:
            held = (await doors.at("w1", "hold", {"reason": "复印"}))["ticket"]
            assert held["hold_since_ms"] == doors.time.at
    day = held["day"]
    await doors.time.pass_ms(86_400_000)
    await doors.issue("b")  # the first one of the next day
    totals = (await report(doors, day=day)).totals
    assert (totals.called, totals.expired, totals.missed) == (2, 2, 1)


def rows_of(text: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.decode("utf-8-sig"))))


async def test_the_report_counts_the_day(worked: Doors) -> None:
    made = await report(worked)
    assert (made.hall, made.name, made.day, made.by) == ("h1", "政务大厅", DAY, "window")
    totals = made.totals
    assert (totals.issued, totals.served, totals.left, totals.missed, totals.pending) == (5, 2, 1, 1, 2)
    assert (totals.wait.count, totals.wait.mean_ms) == (3, 40_000)
    assert (totals.service.mean_ms, totals.service.p50_ms) == (450_500, 450_500)
    assert (totals.overtime.service, totals.overtime.service_rate) == (1, 0.5)
    assert (totals.ratings.rated, totals.ratings.active_good_rate, totals.ratings.unrated_rate) == (1, 0.0, 0.5)
    assert (totals.negatives.rating, totals.negatives.overtime) == (1, 1)
    assert made.definitions


async def test_rows_are_windows_staff_or_services(worked: Doors) -> None:
    assert [row.id for row in (await report(worked)).rows] == ["w1", "w2", "w3", ""]
    assert [row.id for row in (await report(worked, "by=staff")).rows] == ["=cmd|' /C calc'!A0", "li", ""]
    by_service = (await report(worked, "by=service&format=json")).rows
    assert [(row.id, row.name, row.issued) for row in by_service] == [
        ("a", "综合", 3),
        ("b", "社保", 2),
        ("few", "few", 0),
        ("shut", "shut", 0),
    ]


async def test_the_report_of_a_day_gone_by_stays_what_it_was_and_counts_what_was_left_over(worked: Doors) -> None:
    await worked.time.pass_ms(86_400_000)
    await worked.issue("a")
    made = await report(worked)
    assert (made.totals.issued, made.totals.served, made.totals.pending) == (5, 2, 0)
    assert (made.totals.expired, made.totals.missed, made.totals.unreliable) == (2, 1, 2)
    today = await report(worked, day="2026-11-25")
    assert (today.totals.issued, today.totals.negatives.rating) == (1, 0)


async def test_a_day_nobody_remembers_is_an_empty_report(doors: Doors) -> None:
    made = await report(doors, day="2020-02-29")
    assert made.totals.issued == 0
    assert [row.id for row in made.rows] == ["w1", "w2", "w3"]


async def test_a_long_day_is_counted_to_its_last_ticket(doors: Doors) -> None:
    await asyncio.gather(*(doors.store.issue(SYSTEM, "h1", "a") for _ in range(1005)))
    assert (await report(doors)).totals.issued == 1005


async def test_a_csv_has_a_byte_order_mark_both_headings_and_the_totals(worked: Doors) -> None:
    got = await worked.supervisor.get(f"reports/day/{DAY}?format=csv")
    assert got.status == 200
    assert got.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert got.headers["Content-Disposition"] == f'attachment; filename="h1-{DAY}-window.csv"'
    assert got.body.startswith(b"\xef\xbb\xbf")
    rows = rows_of(got.body)
    heading = rows[0]
    assert len(heading) == len(COLUMNS)
    assert heading[2:5] == ["取号 Issued", "叫号 Called", "办结 Served"]
    assert "平均等候 Wait mean (s 秒)" in heading
    first = dict(zip(heading, rows[1], strict=True))
    assert (first["编号 Id"], first["名称 Name"], first["办结 Served"]) == ("w1", "一号窗口", "1")
    assert first["平均办理 Service mean (s 秒)"] == "300.0"
    totals = next(row for row in rows if row and row[0] == "合计 Total")
    assert totals[heading.index("办结 Served")] == "2"
    meanings = {row[0]: row[1:] for row in rows[rows.index([]) + 1 :]}
    assert meanings["营业日 Business day"] == [DAY]
    assert len(meanings["办结 Served"]) == 2


async def test_a_workbook_has_the_figures_and_what_they_mean(worked: Doors) -> None:
    got = await worked.assessor.get(f"reports/day/{DAY}?by=service&format=xlsx")
    assert got.status == 200
    assert "spreadsheetml" in got.headers["Content-Type"]
    book = openpyxl.load_workbook(io.BytesIO(got.body))
    assert book.sheetnames == ["日报 Day report", "口径 Definitions"]
    rows = list(book.worksheets[0].iter_rows(values_only=True))
    assert rows[0][:3] == ("编号 Id", "名称 Name", "取号 Issued")
    assert rows[1][:3] == ("a", "综合", 3)
    assert rows[-1][:3] == ("合计 Total", "政务大厅", 5)
    words = list(book.worksheets[1].iter_rows(values_only=True))
    assert len(words) == 4 + len(COLUMNS) - 2


async def test_staff_have_the_names_they_log_in_with_in_the_order_of_their_ids(worked: Doors) -> None:
    await worked.store.add_staff(SYSTEM, "h1", "li", name="李敏", role="clerk", hashed="x")
    await worked.store.add_staff(SYSTEM, "h1", "idle", name="赵强", role="clerk", hashed="x")
    for path in (f"reports/day/{DAY}", f"reports/month/{DAY[:7]}"):
        rows = (await worked.supervisor.get(f"{path}?by=staff")).ok()["rows"]
        assert [(row["id"], row["name"]) for row in rows] == [
            ("=cmd|' /C calc'!A0", "=cmd|' /C calc'!A0"), ("li", "李敏"), ("", ""),
        ]  # fmt: skip
    text = (await worked.supervisor.get(f"reports/day/{DAY}?by=staff&format=csv")).ok()
    assert b"li,\xe6\x9d\x8e\xe6\x95\x8f," in text


async def test_a_staff_id_that_looks_like_a_formula_stays_text(worked: Doors) -> None:
    path = f"reports/day/{DAY}?by=staff&format="
    rows = rows_of((await worked.supervisor.get(path + "csv")).body)
    assert rows[1][0] == "'=cmd|' /C calc'!A0"
    book = openpyxl.load_workbook(io.BytesIO((await worked.supervisor.get(path + "xlsx")).body))
    cell = book.worksheets[0]["A2"]
    assert (cell.data_type, cell.value) == ("s", "'=cmd|' /C calc'!A0")


@given(st.text(max_size=30))
def test_no_text_begins_a_formula_in_any_file(text: str) -> None:
    hall: Hall = small_hall(name=text)
    made = day_report(hall, DAY, "window", [], [], 1_795_480_000_000)
    safe = plain(text)
    assert not safe.startswith(("=", "+", "-", "@", "\t", "\r"))
    rows = rows_of(as_csv(made, ZONE).replace(b"\r\n", b"\n"))
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)


def test_a_name_with_characters_no_file_can_hold_is_written_without_them() -> None:
    made = day_report(small_hall(name="a\x00\x08b"), DAY, "window", [], [], 1_795_480_000_000)
    book = openpyxl.load_workbook(io.BytesIO(as_xlsx(made, ZONE)))
    assert list(book.worksheets[0].iter_rows(values_only=True))[-1][1] == "ab"


@pytest.mark.parametrize("day", ["2026-13-01", "2026-02-30", "20261124", "today", "2026-11-24T00"])
async def test_what_is_no_day_is_refused(doors: Doors, day: str) -> None:
    refused = await doors.supervisor.get(f"reports/day/{day}")
    assert refused.code == (400, "validation")
    assert refused.body["field"] == "day"


@pytest.mark.parametrize("query", ["by=ticket", "format=pdf", "by=", "colour=red"])
async def test_a_wrong_question_about_a_report_is_refused(doors: Doors, query: str) -> None:
    assert (await doors.supervisor.get(f"reports/day/{DAY}?{query}")).code == (400, "validation")


async def month(doors: Doors, query: str = "", of: str = DAY[:7]) -> MonthReport:
    return msgspec.convert((await doors.supervisor.get(f"reports/month/{of}?{query}")).ok(), MonthReport)


async def test_a_month_is_counted_beside_its_days(worked: Doors) -> None:
    await worked.time.pass_ms(86_400_000)
    await worked.issue("a")
    made = await month(worked, "by=service")
    assert (made.hall, made.name, made.month, made.by) == ("h1", "政务大厅", "2026-11", "service")
    assert [(one.id, one.issued) for one in made.days] == [(DAY, 5), ("2026-11-25", 1)]
    assert (made.totals.issued, made.totals.served, made.totals.expired) == (6, 2, 2)
    assert [(row.id, row.issued) for row in made.rows] == [("a", 4), ("b", 2), ("few", 0), ("shut", 0)]
    assert (made.before, made.year_before) == (None, None)
    december = await month(worked, of="2026-12")
    assert (december.totals.issued, december.days) == (0, [])
    assert december.before is not None
    assert (december.before.month, december.before.days, december.before.totals) == ("2026-11", 2, made.totals)
    assert {row.id for row in december.before.rows} >= {"w1", "w2", "w3"}
    next_year = await month(worked, of="2027-11")
    assert next_year.year_before is not None and next_year.year_before.totals == made.totals


async def test_a_months_csv_has_its_days_its_comparison_and_its_definitions(worked: Doors) -> None:
    got = await worked.supervisor.get("reports/month/2026-12?format=csv")
    assert got.headers["Content-Disposition"] == 'attachment; filename="h1-2026-12-window.csv"'
    rows = rows_of(got.body)
    first = [row[0] if row else "" for row in rows]
    assert first.index("每日 Days") < first.index("比较 Comparison") < first.index("月份 Month")
    compared = rows[first.index("比较 Comparison") + 1 :]
    assert len(compared[0]) == len(COLUMNS) + 1
    total = next(row for row in compared if row[1] == "合计 Total")
    assert (total[0], total[compared[0].index("办结 Served")]) == ("2026-11 上月 before", "2")
    meanings = {row[0]: row[1:] for row in compared if row}
    assert "不是各日数值的平均" in meanings["全月 Month"][0]
    assert meanings["月份 Month"] == ["2026-12"]


async def test_a_months_workbook_has_a_sheet_for_each_table(worked: Doors) -> None:
    got = await worked.assessor.get("reports/month/2026-12?by=staff&format=xlsx")
    book = openpyxl.load_workbook(io.BytesIO(got.body))
    assert book.sheetnames == ["月报 Month report", "每日 Days", "比较 Comparison", "口径 Definitions"]
    compared = list(book["比较 Comparison"].iter_rows(values_only=True))
    assert compared[1][1] == "'=cmd|' /C calc'!A0", "a name stays text here too"
    assert [row[:2] for row in compared[1:]][-1] == ("2026-11 上月 before", "合计 Total")
    november = await worked.supervisor.get("reports/month/2026-11?format=xlsx")
    days = list(openpyxl.load_workbook(io.BytesIO(november.body))["每日 Days"].iter_rows(values_only=True))
    assert days[1][:3] == (DAY, DAY, 5)


@pytest.mark.parametrize("of", ["2026-13", "2026-1", "202611", "november", "2026-11-24", "0001-01"])
async def test_what_is_no_month_is_refused(doors: Doors, of: str) -> None:
    refused = await doors.supervisor.get(f"reports/month/{of}")
    assert refused.code == (400, "validation")
    assert refused.body["field"] == "month"


async def test_reports_are_for_supervisors_and_assessors(doors: Doors) -> None:
    for client in (doors.supervisor, doors.assessor, doors.admin):
        (await client.get(f"reports/day/{DAY}")).ok()
        (await client.get(f"reports/month/{DAY[:7]}")).ok()
    for client in (doors.guide, doors.clerk["w1"], doors.display, doors.pad["w1"], doors.kiosk):
        got: Got = await client.get(f"reports/day/{DAY}")
        assert got.code == (403, "forbidden")
        assert (await client.get(f"reports/month/{DAY[:7]}")).code == (403, "forbidden")
    assert (await doors.admin.get(f"/api/v1/halls/h9/reports/day/{DAY}")).code == (404, "not_found")
    assert (await doors.admin.get(f"/api/v1/halls/h9/reports/month/{DAY[:7]}")).code == (404, "not_found")
