"""The report's panel on the supervisor's and the assessor's page: shown, taken along, and never in the way."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import openpyxl
import pytest
from playwright.async_api import Page, expect

from tests.pages.stage import H, Hall, Screens
from tests.pages.test_reading import NOTHING, STAFF, both_sizes, wrong

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def served(hall: Hall) -> str:
    """One ticket served at window 3; answers its day."""
    number = await hall.issue("soc")
    await hall.ask("POST", f"{H}/windows/w3/open", {"staff": "<b>8</b>"})
    await hall.ask("POST", f"{H}/windows/w3/call", {"ticket": number})
    await hall.ask("POST", f"{H}/windows/w3/start")
    done = await hall.ask("POST", f"{H}/windows/w3/finish")
    day: str = done["ticket"]["day"]
    return day


async def show(page: Page, of: str, by: str) -> None:
    await page.locator(".report-form select[name=of]").select_option(of)
    await page.locator(".report-form select[name=by]").select_option(by)
    await page.locator(".report-form button[name=show]").click()


@pytest.mark.parametrize("name", ["supervisor", "assessor"])
async def test_a_report_is_shown_and_taken_along(screens: Screens, hall: Hall, name: str, tmp_path: Path) -> None:
    day = await served(hall)
    page = await screens.open(name, name, size=(1600, 1000))
    form = page.locator(".report-form")
    await form.locator("input[name=day]").fill(day)
    await show(page, "day", "window")
    table = page.locator(".report-out table")
    await expect(table.locator("tbody tr").nth(2)).to_contain_text("3号窗口")
    await expect(table.locator("tfoot")).to_contain_text("合计")
    await expect(form.locator("input[name=month]")).to_be_hidden()
    await form.locator("select[name=of]").select_option("month")
    await form.locator("input[name=month]").fill(day[:7])
    await show(page, "month", "staff")
    await expect(table.locator("tbody")).to_contain_text("<b>8</b>")
    assert await page.locator(".report-out .scroll").evaluate("node => node.scrollWidth <= node.clientWidth"), "not cut"
    await page.locator(".report-out summary").click()
    await expect(page.locator(".report-out dl")).to_contain_text("不是各日数值的平均")
    await both_sizes(page, STAFF)
    async with page.expect_download() as waited:
        await form.locator("button[name=xlsx]").click()
    download = await waited.value
    assert download.suggested_filename == f"h1-{day[:7]}-staff.xlsx"
    await download.save_as(tmp_path / "month.xlsx")
    assert openpyxl.load_workbook(tmp_path / "month.xlsx").sheetnames[0] == "月报 Month report"
    async with page.expect_download() as waited:
        await form.locator("button[name=csv]").click()
    await (await waited.value).save_as(tmp_path / "month.csv")
    text = (tmp_path / "month.csv").read_bytes().decode("utf-8-sig")
    assert any(row[:1] == ["<b>8</b>"] for row in csv.reader(io.StringIO(text)))
    assert screens.complaints() == []


async def test_a_day_without_anything_says_so_and_a_refusal_is_told(screens: Screens, hall: Hall) -> None:
    page = await screens.open("supervisor", "supervisor", size=(768, 1024))
    await page.locator(".report-form input[name=day]").fill("2020-02-29")
    await show(page, "day", "service")
    await expect(page.locator(".report-out")).to_contain_text("没有业务记录")
    assert await wrong(page, STAFF) == NOTHING
    await page.route("**/reports/**", lambda route: route.fulfill(status=503, json={"code": "unavailable"}))
    await show(page, "day", "window")
    await expect(page.locator("#toasts")).to_be_visible()
    await expect(page.locator(".report-out")).to_be_empty()
    await expect(page.locator(".report-form button[name=show]")).to_be_enabled()
