"""Whether people can read and press what the pages show: sizes, contrast, 长辈版, motion."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.pages.stage import H, Hall, Screens
from tests.pages.test_followup import complaint

pytestmark = pytest.mark.asyncio(loop_scope="session")

MEASURE = (Path(__file__).parent / "measure.js").read_text(encoding="utf-8")
STAFF, CITIZEN = 44, 60
NOTHING: list[str] = []


async def wrong(page: Page, target: int, text: int = 18) -> list[str]:
    found: list[str] = await page.evaluate(MEASURE, {"text": text, "target": target})
    return found


async def both_sizes(page: Page, target: int) -> None:
    assert await wrong(page, target) == NOTHING
    await page.get_by_text("长辈版").click()
    assert await wrong(page, target, 30) == NOTHING
    await page.get_by_text("中 / EN").click()
    assert await wrong(page, target, 30) == NOTHING


async def test_the_guides_page(screens: Screens, hall: Hall) -> None:
    await hall.ask("POST", f"{H}/services/soc/suspend", {"reason": "维护"})
    page = await screens.open("guide", "guide")
    await expect(page.locator("#tile-soc")).to_be_disabled()
    await page.locator("#tile-reg").click()
    await both_sizes(page, CITIZEN)
    await page.locator("#confirm").click()
    await expect(page.locator("#slip")).to_be_visible()
    assert await wrong(page, CITIZEN, 30) == NOTHING
    await hall.ask("POST", f"{H}/services/soc/resume")


async def test_the_phone(screens: Screens, hall: Hall) -> None:
    issued = await hall.ask("POST", f"{H}/tickets", {"service": "reg", "services": ["tax"]})
    page = await screens.page((390, 844))
    await page.goto("/t/" + issued["url"].rpartition("/t/")[2])
    await expect(page.locator("#ahead")).to_be_visible()
    await both_sizes(page, CITIZEN)


async def test_the_pad(screens: Screens, hall: Hall) -> None:
    await hall.issue("reg")
    await hall.ask("POST", f"{H}/windows/w1/open", {"staff": "1024"})
    page = await screens.open("pad", "pad", "w1")
    for command in ("call", "start", "finish"):
        await hall.ask("POST", f"{H}/windows/w1/{command}")
    await expect(page.locator(".face")).to_have_count(5)
    await both_sizes(page, CITIZEN)
    await page.locator(".face[data-score='1']").click()
    await expect(page.locator("form")).to_be_visible()
    assert await wrong(page, CITIZEN, 30) == NOTHING


async def test_the_staffs_pages(screens: Screens, hall: Hall) -> None:
    for _ in range(3):
        await hall.issue("reg")
    await hall.ask("POST", f"{H}/windows/w1/open", {"staff": "1024"})
    await hall.ask("POST", f"{H}/windows/w1/call")
    await hall.ask("POST", f"{H}/windows/w1/start")
    clerk = await screens.open("clerk", "clerk", "w1")
    await expect(clerk.locator("#waiting li")).to_have_count(2)
    await both_sizes(clerk, STAFF)
    supervisor = await screens.open("supervisor", "supervisor", size=(1600, 1000))
    await expect(supervisor.locator("#windows tr")).to_have_count(3)
    await both_sizes(supervisor, STAFF)
    index = await screens.page()
    await index.goto("/")
    await expect(index.locator("#screens a")).to_have_count(7)
    await both_sizes(index, STAFF)


@pytest.mark.parametrize("size", [(1366, 768), (768, 1024), (390, 844)])
async def test_the_reviews_and_one_of_them(screens: Screens, hall: Hall, size: tuple[int, int]) -> None:
    review = await complaint(hall, comment="等了很久，" * 60, reasons=["等候时间长"])
    for step, body in (("assign", {"to": "li", "note": "x" * 300}), ("verify", {"result": "valid", "note": "属实"})):
        await hall.ask("POST", f"{H}/reviews/{review}/{step}", body)
    for name, role in (("assessor", "assessor"), ("supervisor", "supervisor")):
        page = await screens.open(name, role, size=size)
        if role == "assessor":
            await page.locator("select[name=state]").select_option("")
        await expect(page.locator(f"[data-review={review}]")).to_contain_text("个工作日")
        await both_sizes(page, STAFF)
        await page.locator(f"[data-review={review}] button").click()
        await expect(page.locator("#review-send")).to_be_visible()
        assert await wrong(page, STAFF, 30) == NOTHING
        await page.locator("#review-send").click()
        await expect(page.locator("#review [role=alert]")).to_be_visible()
        assert await wrong(page, STAFF, 30) == NOTHING
        await page.keyboard.press("Escape")
        await page.get_by_text("长辈版").click()
        await page.locator(f"[data-review={review}] button").click()
        await expect(page.locator("#review-send")).to_be_visible()
        assert await wrong(page, STAFF) == NOTHING


@pytest.mark.parametrize("size", [(1366, 768), (768, 1024), (390, 844)])
async def test_the_clerks_reviews_and_cases(screens: Screens, hall: Hall, size: tuple[int, int]) -> None:
    review = await complaint(hall)
    await hall.issue("reg")
    for command, body in (("call", {}), ("start", {}), ("finish", {"outcome": "accepted", "case": f"C-{review}"})):
        await hall.ask("POST", f"{H}/windows/w1/{command}", body)
    page = await screens.open("clerk", "clerk", "w1", size=size)
    await expect(page.locator(f"[data-review={review}]")).to_be_visible()
    await page.locator("#cases-today summary").click()
    await page.locator("#case-number").fill(f"C-{review}")
    await page.locator("#case-find button").click()
    await expect(page.locator("#case-complete")).to_be_visible()
    await both_sizes(page, STAFF)
    await page.locator(f"[data-review={review}] button").click()
    await expect(page.locator("#review-send")).to_be_visible()
    assert await wrong(page, STAFF, 30) == NOTHING


@pytest.mark.parametrize("width", [1280, 1366, 1600])
async def test_the_supervisors_tables_are_not_cut(screens: Screens, hall: Hall, width: int) -> None:
    issued = await hall.ask("POST", f"{H}/tickets", {"service": "reg"})
    await hall.ask("POST", f"{H}/windows/w1/open", {"staff": "1024"})
    for command in ("call", "start", "finish"):
        await hall.ask("POST", f"{H}/windows/w1/{command}")
    link = "/api/v1/t/" + issued["url"].rpartition("/t/")[2]
    await hall.ask("POST", f"{link}/rating", {"score": 1})
    page = await screens.open("supervisor", "supervisor", size=(width, 800))
    await expect(page.locator("#reviews button").first).to_be_visible()
    await expect(page.locator("#windows tr")).to_have_count(3)
    cut = "[...document.querySelectorAll('.scroll')].filter(n => n.scrollWidth > n.clientWidth).map(n => n.innerText)"
    assert await page.evaluate(cut) == NOTHING


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080)])
async def test_the_screens(screens: Screens, hall: Hall, size: tuple[int, int]) -> None:
    for service in ("reg", "tax", "tax"):
        await hall.issue(service)
    for of in ("w1", "w2"):
        await hall.ask("POST", f"{H}/windows/{of}/open", {"staff": "1024"})
        await hall.ask("POST", f"{H}/windows/{of}/call")
    await hall.ask("POST", f"{H}/windows/w3/open", {"staff": "1024"})
    await hall.ask("POST", f"{H}/windows/w3/pause", {"reason": "午休"})
    board = await screens.open("board", "display", size=size, reduced_motion="no-preference")
    await expect(board.locator("#newest .fresh")).to_be_visible()
    await expect(board.locator("#windows .paused")).to_be_visible()
    assert await wrong(board, STAFF) == NOTHING
    pulse = "getComputedStyle(document.querySelector('.fresh')).animationDuration"
    assert await board.evaluate(pulse) == "2s"  # far below three times a second
    window = await screens.open("window", "display", "w1", size=size, reduced_motion="reduce")
    await expect(window.locator("#state .no")).to_be_visible()
    assert await wrong(window, STAFF) == NOTHING
    assert await window.evaluate("getComputedStyle(document.querySelector('.no')).animationName") == "none"
