"""Logging in at the pages: by keyboard, with what goes wrong, and back to where one was when a session ends."""

from __future__ import annotations

import itertools
import json
import re

import pytest
from playwright.async_api import Page, expect

from tests.pages.stage import HALL, H, Hall, Screens
from tests.pages.test_faults import lose_answers, waiting
from tests.pages.test_followup import complaint, open_row
from tests.pages.test_reading import STAFF, both_sizes
from tests.pages.test_screens import EMPTY, key, press

pytestmark = pytest.mark.asyncio(loop_scope="session")

PASSWORD = "correct horse 正确"
_numbers = itertools.count(2001)


async def hire(hall: Hall, role: str = "clerk", name: str = "李敏") -> str:
    """A staff id nobody else uses."""
    staff = str(next(_numbers))
    await hall.ask("POST", f"{H}/staff", {"id": staff, "role": role, "name": name, "password": PASSWORD})
    return staff


async def log_in(page: Page, staff: str, password: str = PASSWORD) -> None:
    """By keyboard alone; hall and window stand in the address."""
    await expect(page.locator("#login-staff")).to_be_visible()
    if not await page.locator("#login-staff").input_value():
        await expect(page.locator("#login-staff")).to_be_focused()
        await page.keyboard.type(staff)
        await page.keyboard.press("Tab")
    await expect(page.locator("#login-password")).to_be_focused()
    await page.keyboard.type(password)
    await page.keyboard.press("Enter")


async def enter(screens: Screens, staff: str, window: str = "w1") -> Page:
    """A clerk's page with a session."""
    page = await screens.page()
    await page.goto(f"/clerk?hall={HALL}&window={window}")
    await log_in(page, staff)
    await expect(page.locator("#signed-in")).to_contain_text(staff)
    return page


async def test_a_clerk_logs_in_and_serves_by_keyboard_in_the_own_name(screens: Screens, hall: Hall) -> None:
    staff, number = await hire(hall), await hall.issue("reg")
    page = await enter(screens, staff)
    assert "password" not in page.url and staff not in page.url
    await expect(page.locator("#signed-in")).to_contain_text("李敏")
    await key(page, "o")  # asks for no staff number
    await press(page, "n", "called")
    await expect(page.locator("#staff")).to_be_empty()  # who one is stands beside the way out
    await press(page, "s", "serving")
    await press(page, "f", "idle")
    ticket = (await hall.ask("GET", f"{H}/tickets/{number}"))["ticket"]
    assert (ticket["staff"], ticket["state"]) == (staff, "finished")
    events = (await hall.ask("GET", f"{H}/staff/{staff}/events?limit=1000"))["events"]
    assert {"qserver.staff.logged_in", "qserver.ticket.called"} <= {event["type"] for event in events}
    assert screens.complaints() == EMPTY


async def test_the_form_can_be_read_and_pressed(screens: Screens, hall: Hall) -> None:
    page = await screens.page()
    await page.goto("/clerk")
    await expect(page.locator("#login-hall")).to_be_focused()
    await both_sizes(page, STAFF)
    await page.locator("#entry summary").click()
    await expect(page.locator("#pair-code")).to_be_visible()
    for label, name in (("大厅", "hall"), ("窗口", "window"), ("工号", "staff"), ("密码", "password")):
        await expect(page.get_by_label(label, exact=False).and_(page.locator(f"#login-{name}"))).to_have_count(1)
    assert screens.complaints() == EMPTY


async def test_what_is_wrong_is_said_and_the_form_stays(screens: Screens, hall: Hall) -> None:
    staff, other = await hire(hall), await hire(hall, "guide")
    page = await screens.page()
    await page.goto(f"/clerk?hall={HALL}&window=w1")
    trouble = page.locator("#login-trouble")
    await log_in(page, staff, "wrong password")
    await expect(trouble).to_contain_text("大厅、工号或密码不对")
    await expect(page.locator("#login-password")).to_be_focused()
    await expect(page.locator("#login-password")).to_have_value("")
    await page.locator("#login-staff").fill(other)  # a guide works at no window
    await page.locator("#login-password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(trouble).to_contain_text("填写内容有误")
    await page.locator("#login-hall").fill("nowhere")
    await page.locator("#login-password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(trouble).to_contain_text("没有这个大厅")
    await page.goto(f"/supervisor?hall={HALL}")
    await log_in(page, other)
    await expect(trouble).to_contain_text("此工号不使用本页面")
    assert not [one for one in (await hall.ask("GET", "/api/v1/tokens"))["tokens"] if one["staff"] == other]
    assert await page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('qserver:token'))") == []
    assert screens.complaints(network=True) == EMPTY


async def test_a_lock_is_told_and_the_supervisor_sees_it(screens: Screens, hall: Hall) -> None:
    staff, boss = await hire(hall), await hire(hall, "supervisor", "王芳")
    page = await screens.page()
    await page.goto(f"/clerk?hall={HALL}&window=w1")
    await log_in(page, staff, "wrong password")
    for _ in range(5):
        await expect(page.locator("#log-in")).to_be_enabled()
        await page.locator("#login-password").fill("wrong password")
        await page.keyboard.press("Enter")
    await expect(page.locator("#login-trouble")).to_contain_text(re.compile(r"请 1[45] 分钟后再试"))
    supervisor = await screens.page()
    await supervisor.goto(f"/supervisor?hall={HALL}")
    await log_in(supervisor, boss)
    await expect(supervisor.locator("#alerts")).to_contain_text(f"工号 {staff} 多次输错密码")
    await hall.ask("POST", f"{H}/staff/{staff}/enable")
    await page.locator("#login-password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.locator("#signed-in")).to_contain_text(staff)
    assert screens.complaints(network=True) == EMPTY


async def test_a_session_that_ends_leads_back_to_the_form_and_to_the_same_ticket(screens: Screens, hall: Hall) -> None:
    staff, number = await hire(hall), await hall.issue("reg")
    page = await enter(screens, staff)
    await key(page, "o")
    await press(page, "n", "called")
    await press(page, "s", "serving")
    (mine,) = [one["id"] for one in (await hall.ask("GET", "/api/v1/tokens"))["tokens"] if one["staff"] == staff]
    await hall.ask("DELETE", f"/api/v1/tokens/{mine}")
    await expect(page.locator("#denied #login-trouble")).to_contain_text("登录已被管理员终止")
    async with page.expect_navigation():
        await log_in(page, staff)
    await expect(page.locator("#current")).to_have_text(number)
    await expect(page.locator("#state.serving")).to_be_visible()
    await expect(page.locator("#other")).to_be_hidden()
    await press(page, "f", "idle")
    assert (await hall.ask("GET", f"{H}/tickets/{number}"))["ticket"]["staff"] == staff
    assert screens.complaints(network=True) == EMPTY


async def test_a_press_without_an_answer_survives_the_session_and_is_done_once(screens: Screens, hall: Hall) -> None:
    staff = await hire(hall)
    first, second = [await hall.issue("reg") for _ in range(2)]
    page = await enter(screens, staff)
    await key(page, "o")
    await expect(page.locator("#do-next")).to_be_enabled()
    keys = await lose_answers(page, "**/call", 1)
    (mine,) = [one["id"] for one in (await hall.ask("GET", "/api/v1/tokens"))["tokens"] if one["staff"] == staff]

    async with page.expect_event("requestfailed", lambda request: request.url.endswith("/call")):
        await page.keyboard.press("n")
    await hall.ask("DELETE", f"/api/v1/tokens/{mine}")  # between the lost answer and the next try
    async with page.expect_navigation():
        await log_in(page, staff)
    await expect(page.locator("#current")).to_have_text(first)
    if await page.locator("#unsure button").is_visible():
        await page.locator("#unsure button").click()
        await expect(page.locator("#unsure")).to_be_hidden()
    await expect(page.locator("#current")).to_have_text(first)
    assert await waiting(hall) == [second]
    assert len(set(keys)) == 1
    assert screens.complaints(network=True) == EMPTY


async def test_a_session_renewed_beside_the_page_is_taken_up(screens: Screens, hall: Hall) -> None:
    staff = await hire(hall)
    page = await enter(screens, staff)
    await expect(page.locator("body")).to_have_attribute("data-live", "1")
    renewed = json.dumps({"token": hall.server.admin, "hall": HALL, "window": "w1", "role": "clerk"})
    (name,) = await page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('qserver:token'))")
    await page.evaluate("([name, renewed]) => localStorage.setItem(name, renewed)", [name, renewed])  # by another tab
    (mine,) = [one["id"] for one in (await hall.ask("GET", "/api/v1/tokens"))["tokens"] if one["staff"] == staff]
    async with page.expect_navigation():
        await hall.ask("DELETE", f"/api/v1/tokens/{mine}")
    await expect(page.locator("body")).to_have_attribute("data-live", "1")
    await expect(page.locator("#denied")).to_have_count(0)
    assert screens.complaints(network=True) == EMPTY


async def test_an_appeal_outlives_its_session_and_is_nobody_elses(screens: Screens, hall: Hall) -> None:
    one, two = await hire(hall), await hire(hall, name="赵强")
    page = await enter(screens, one)
    await key(page, "o")
    await expect(page.locator("#do-next")).to_be_enabled()
    review = await complaint(hall)
    others = await complaint(hall, "w2")
    await page.get_by_text("含已办结").click()
    await open_row(page, review)
    await expect(page.locator(f"[data-review={others}]")).to_have_count(0)
    await page.locator("#review [name=reason]").fill("群众误按")
    (mine,) = [token["id"] for token in (await hall.ask("GET", "/api/v1/tokens"))["tokens"] if token["staff"] == one]
    await hall.ask("DELETE", f"/api/v1/tokens/{mine}")
    await expect(page.locator("#review")).to_have_count(0)  # it would lie over the form
    async with page.expect_navigation():
        await log_in(page, one)
    await open_row(page, review)
    await expect(page.locator("#review [name=reason]")).to_have_value("群众误按")
    await page.keyboard.press("Escape")
    await page.locator("#log-out").click()
    await log_in(page, two)
    await expect(page.locator("#signed-in")).to_contain_text(two)
    await expect(page.locator("#reviews li")).to_contain_text("暂无")
    kept = await page.evaluate("Object.keys(sessionStorage).filter(name => name.startsWith('qserver:kept'))")
    assert kept == [f"qserver:kept:{one}:review:{HALL}:{review}"]
    assert screens.complaints(network=True) == EMPTY


async def test_the_second_clerk_takes_over_and_the_first_is_told_by_whom(screens: Screens, hall: Hall) -> None:
    one, two, number = await hire(hall), await hire(hall, name="赵强"), await hall.issue("reg")
    first = await enter(screens, one)
    await key(first, "o")
    await press(first, "n", "called")
    second = await enter(screens, two)
    await expect(first.locator("#denied #login-trouble")).to_contain_text(f"本窗口已由工号 {two} 登录接管")
    await expect(second.locator("#current")).to_have_text(number)
    await expect(second.locator("#other")).to_be_hidden()
    await press(second, "s", "serving")
    assert (await hall.ask("GET", f"{H}/tickets/{number}"))["ticket"]["staff"] == two
    # The window is opened by a device in a third name: the page says so, and takes it back by hand.
    await hall.ask("POST", f"{H}/windows/w1/open", {"staff": "9999"})
    await expect(second.locator("#other")).to_contain_text("9999")
    await second.keyboard.press("f")
    await expect(second.locator("#toasts")).to_contain_text("本窗口已由 9999 接管")
    await second.locator("#take-over").click()
    await expect(second.locator("#other")).to_be_hidden()
    await press(second, "f", "idle")
    assert screens.complaints(network=True) == EMPTY


async def test_logging_out_leads_to_the_form_and_forgets_the_token(screens: Screens, hall: Hall) -> None:
    staff = await hire(hall, "supervisor", "王芳")
    page = await screens.page()
    await page.goto(f"/supervisor?hall={HALL}")
    await log_in(page, staff)
    await expect(page.locator("#hall")).to_contain_text("阳光市政务服务中心")
    await page.reload()
    await expect(page.locator("#signed-in")).to_contain_text(staff)
    await page.locator("#log-out").click()
    await expect(page.locator("#login-staff")).to_be_focused()
    assert not [one for one in (await hall.ask("GET", "/api/v1/tokens"))["tokens"] if one["staff"] == staff]
    assert screens.complaints(network=True) == EMPTY
