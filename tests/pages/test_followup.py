"""The follow-up of negative reviews and promised cases, through the pages alone: supervisor, clerk, assessor."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from tests.pages.stage import H, Hall, Screens
from tests.pages.test_faults import lose_answers
from tests.pages.test_screens import EMPTY, key, open_window, press

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def complaint(hall: Hall, window: str = "w1", **said: Any) -> str:
    """A service rated badly by the ticket's link; the id of the review it opened."""
    if (await hall.ask("GET", f"{H}/windows/{window}"))["window"]["state"] == "closed":
        await hall.ask("POST", f"{H}/windows/{window}/open", {"staff": "1024"})
    issued = await hall.ask("POST", f"{H}/tickets", {"service": "reg"})
    for command in ("call", "start", "finish"):
        await hall.ask("POST", f"{H}/windows/{window}/{command}")
    link = "/api/v1/t/" + issued["url"].rpartition("/t/")[2]
    await hall.ask("POST", f"{link}/rating", {"score": 1, **said})
    (newest,) = (await hall.ask("GET", f"{H}/reviews?latest=true&limit=1"))["reviews"]
    review: str = newest["id"]
    return review


async def review_of(hall: Hall, review: str) -> Any:
    return (await hall.ask("GET", f"{H}/reviews/{review}"))["review"]


async def open_row(page: Page, review: str) -> None:
    """Opens a review from its row, by keyboard."""
    row = page.locator(f"[data-review={review}] button")
    await row.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#review .history")).to_be_visible()


async def take(page: Page, step: str, **fields: str) -> None:
    """Chooses a step, fills its form in and sends it, by keyboard where people type."""
    await page.locator(f"#review input[name=step][value={step}]").check()
    if result := fields.pop("result", ""):
        await page.locator(f"#review input[name=result][value={result}]").check()
    for name, text in fields.items():
        await page.locator(f"#review [name={name}]").fill(text)
    await page.keyboard.press("Control+Enter")


async def state(page: Page, words: str) -> None:
    """The state the dialog's heading says."""
    await expect(page.locator("#review-title")).to_contain_text(words)


async def test_a_bad_rating_on_the_pad_ends_closed_through_the_pages_alone(screens: Screens, hall: Hall) -> None:
    number = await hall.issue("reg")
    clerk = await screens.open("clerk", "clerk", "w1", size=(1366, 768))
    pad = await screens.open("pad", "pad", "w1")
    supervisor = await screens.open("supervisor", "supervisor", size=(1600, 1000))
    await open_window(clerk)
    await press(clerk, "n", "called")
    await press(clerk, "s", "serving")
    await press(clerk, "f", "idle")
    await pad.locator(".face[data-score='1']").click()
    await pad.locator("#comment").fill("推来推去，电话 13800001234")
    await pad.locator("button[type=submit]").click()
    row = supervisor.locator("#reviews tr", has_text=number)
    await expect(row).to_contain_text("待分派")
    await expect(row).to_contain_text("个工作日")
    review = str(await row.get_attribute("data-review"))
    await open_row(supervisor, review)
    await expect(supervisor.locator("#review .history")).to_contain_text("推来推去，电话 ***")
    await expect(supervisor.locator("#review .history .step").first).to_contain_text("评价器")
    await take(supervisor, "assign", to="2048", note="两日内答复")
    await state(supervisor, "已分派")
    await expect(supervisor.locator("#review .history .step").nth(1)).to_contain_text("值班长")
    await take(supervisor, "verify", result="valid", note="录像属实")
    await state(supervisor, "已核实")
    await take(supervisor, "rectify", note="已致歉并补办")
    await state(supervisor, "已整改")
    await take(supervisor, "revisit", result="reopened", comment="还是慢")
    await state(supervisor, "待分派")
    for step, fields, words in (
        ("assign", {"to": "2048"}, "已分派"),
        ("verify", {"result": "valid", "note": "再次核实"}, "已核实"),
        ("rectify", {"note": "已办结"}, "已整改"),
        ("revisit", {"result": "satisfied"}, "已回访"),
        ("close", {}, "已办结"),
    ):
        await take(supervisor, step, **fields)
        await state(supervisor, words)
    await supervisor.keyboard.press("Escape")
    await expect(row).to_have_count(0)
    found = await review_of(hall, review)
    assert [one["step"] for one in found["history"]] == [
        "opened", "assigned", "verified", "rectified", "revisited",
        "assigned", "verified", "rectified", "revisited", "closed",
    ]  # fmt: skip
    assert (found["state"], found["assignee"], found["history"][1]["note"]) == ("closed", "2048", "两日内答复")
    await supervisor.locator("select[name=state]").select_option("closed")
    await expect(supervisor.locator(f"[data-review={review}]")).to_contain_text("查看")
    assert screens.complaints() == EMPTY


async def test_a_key_pressed_before_a_review_has_come_waits_for_it(screens: Screens, hall: Hall) -> None:
    review = await complaint(hall)
    supervisor = await screens.open("supervisor", "supervisor")
    held: list[Route] = []
    asked = asyncio.Event()

    async def hold(route: Route) -> None:
        held.append(route)
        asked.set()

    await supervisor.route(f"**/reviews/{review}", hold)
    await supervisor.locator(f"[data-review={review}] button").click()
    await asked.wait()
    await supervisor.keyboard.press("Control+Enter")
    await held[0].continue_()
    await expect(supervisor.locator("#review-title")).to_contain_text("待分派")
    assert screens.complaints() == EMPTY


async def test_an_appeal_of_the_clerk_is_upheld_and_another_excluded(screens: Screens, hall: Hall) -> None:
    stays, goes = await complaint(hall, comment="慢"), await complaint(hall)
    other = await complaint(hall, "w2")
    clerk = await screens.open("clerk", "clerk", "w1", size=(1366, 768))
    assessor = await screens.open("assessor", "assessor", size=(1366, 768))
    await expect(assessor.locator("#reviews")).to_contain_text("暂无")
    await expect(clerk.locator(f"[data-review={other}]")).to_have_count(0)
    for review in (stays, goes):
        await open_row(clerk, review)
        await expect(clerk.locator("#review input[name=step]")).to_have_count(1)
        await take(clerk, "appeal", reason="群众误按，当场已说明")
        await state(clerk, "申诉中")
        await expect(clerk.locator("#review")).to_contain_text("没有您可以办理的步骤")
        await clerk.keyboard.press("Escape")
        await expect(clerk.locator(f"[data-review={review}]")).to_contain_text("申诉中")
    await open_row(clerk, stays)
    await expect(clerk.locator("#review .history q")).to_have_text("***")
    await clerk.keyboard.press("Escape")
    await assessor.get_by_text("刷新").click()
    await open_row(assessor, stays)
    await expect(assessor.locator("#review .history q")).to_have_text("慢")
    await assessor.locator("#review-send").click()  # nothing goes without its reason
    await expect(assessor.locator("#review [role=alert]")).to_contain_text("请填写：理由")
    await take(assessor, "uphold", reason="录像中未见说明")
    await state(assessor, "待分派")
    await assessor.keyboard.press("Escape")
    await open_row(assessor, goes)
    await take(assessor, "exclude", reason="确系误评")
    await state(assessor, "已剔除")
    await expect(assessor.locator("#review")).to_contain_text("没有您可以办理的步骤")
    await assessor.keyboard.press("Escape")
    await expect(assessor.locator("#reviews")).to_contain_text("暂无")
    assert [(await review_of(hall, one))["state"] for one in (stays, goes)] == ["open", "excluded"]
    await clerk.locator("#reviews-all").check()
    await expect(clerk.locator(f"[data-review={goes}]")).to_contain_text("已剔除")
    await expect(clerk.locator(f"[data-review={stays}]")).to_contain_text("不可再申诉")
    assert screens.complaints() == EMPTY


async def test_who_comes_second_sees_what_the_first_did_and_loses_no_word(screens: Screens, hall: Hall) -> None:
    review = await complaint(hall)
    page = await screens.open("supervisor", "supervisor")
    await open_row(page, review)
    await page.locator("#review [name=to]").fill("li")
    await page.locator("#review [name=note]").fill("请尽快")
    await hall.ask("POST", f"{H}/reviews/{review}/appeal", {"reason": "误评"})
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#review [role=alert]")).to_contain_text("其他人已先处理，现为“申诉中”")
    await state(page, "申诉中")
    await expect(page.locator("#review .history")).to_contain_text("误评")
    await hall.ask("POST", f"{H}/reviews/{review}/uphold", {"reason": "属实"})
    await page.get_by_text("重新读取").click()
    await state(page, "待分派")
    await expect(page.locator("#review [name=note]")).to_have_value("请尽快")
    await page.locator("#review-send").click()
    await state(page, "已分派")
    await expect(page.locator("#review [name=note]")).to_have_value("")
    assert (await review_of(hall, review))["history"][-1]["note"] == "请尽快"
    assert screens.complaints(network=True) == EMPTY


async def test_a_step_whose_answer_was_lost_is_on_record_once(screens: Screens, hall: Hall) -> None:
    review = await complaint(hall)
    page = await screens.open("supervisor", "supervisor")
    await open_row(page, review)
    keys = await lose_answers(page, "**/assign", 6)  # more often than one press tries
    await take(page, "assign", to="li", note="请尽快")
    await expect(page.locator("#review [role=alert]")).to_contain_text("再试一次不会重复记录")
    await page.reload()
    await open_row(page, review)
    await expect(page.locator("#review [role=alert]")).to_contain_text("再试一次不会重复记录")
    await expect(page.locator("#review [name=note]")).to_have_value("请尽快")
    await expect(page.locator("#review-send")).to_contain_text("再试一次")
    await page.locator("#review-send").click()
    await state(page, "已分派")
    assert len(set(keys)) == 1
    assert [one["step"] for one in (await review_of(hall, review))["history"]] == ["opened", "assigned"]
    assert screens.complaints(network=True) == EMPTY


async def test_a_closed_dialog_keeps_what_was_typed(screens: Screens, hall: Hall) -> None:
    review = await complaint(hall)
    page = await screens.open("supervisor", "supervisor")
    await open_row(page, review)
    await page.locator("#review input[value=appeal]").check()
    await page.locator("#review [name=reason]").fill("半句话")
    await page.keyboard.press("Escape")
    await expect(page.locator("#review")).to_have_count(0)
    await open_row(page, review)
    await expect(page.locator("#review input[value=appeal]")).to_be_checked()
    await expect(page.locator("#review [name=reason]")).to_have_value("半句话")
    assert (await review_of(hall, review))["state"] == "open"


async def test_a_token_that_ends_in_the_middle_of_a_step_loses_no_word(screens: Screens, hall: Hall) -> None:
    review = await complaint(hall)
    page = await screens.open("supervisor", "supervisor")
    await open_row(page, review)
    await page.locator("#review [name=to]").fill("li")
    for one in (await hall.ask("GET", "/api/v1/tokens"))["tokens"]:
        if one["role"] == "supervisor" and one["revoked_ms"] is None:
            await hall.ask("DELETE", f"/api/v1/tokens/{one['id']}")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#denied")).to_be_visible()
    await expect(page.locator("#review")).to_have_count(0)
    await page.goto(f"/supervisor?hall=h1#pair={await hall.code('supervisor')}")
    await page.reload()
    await open_row(page, review)
    await expect(page.locator("#review [name=to]")).to_have_value("li")
    await page.locator("#review-send").click()
    await state(page, "已分派")
    assert screens.complaints(network=True) == EMPTY


async def test_the_focus_stays_on_its_row_whatever_is_painted_anew(screens: Screens, hall: Hall) -> None:
    review = await complaint(hall)
    page = await screens.open("supervisor", "supervisor")
    await open_row(page, review)
    await take(page, "assign", to="li")
    await state(page, "已分派")
    await expect(page.locator(f"[data-review={review}]")).to_contain_text("已分派")
    await page.keyboard.press("Escape")
    button = page.locator(f"[data-review={review}] button")
    await expect(button).to_be_focused()
    await hall.ask("POST", f"{H}/reviews/{review}/appeal", {"reason": "误评"})
    other = await complaint(hall)
    await expect(page.locator(f"[data-review={other}]")).to_be_visible()
    await expect(page.locator(f"[data-review={review}]")).to_contain_text("申诉中")
    await expect(button).to_be_focused()
    assert screens.complaints() == EMPTY


async def test_an_overdue_review_stands_first_and_in_the_alerts(screens: Screens, hall: Hall) -> None:
    """In a hall of its own whose terms are over at once."""
    definition = (await hall.ask("GET", H)) | {"id": "h2"}
    definition["reviews"] = definition["reviews"] | {"verify_within": "0s"}
    await hall.ask("PUT", "/api/v1/halls/h2", definition)
    there = "/api/v1/halls/h2"
    await hall.ask("POST", f"{there}/windows/w1/open", {"staff": "1024"})
    for _ in range(2):
        issued = await hall.ask("POST", f"{there}/tickets", {"service": "reg"})
        for command in ("call", "start", "finish"):
            await hall.ask("POST", f"{there}/windows/w1/{command}")
        await hall.ask("POST", "/api/v1/t/" + issued["url"].rpartition("/t/")[2] + "/rating", {"score": 2})
    for step, body in (("assign", {"to": "li"}), ("verify", {"result": "valid", "note": "属实"})):
        await hall.ask("POST", f"{there}/reviews/r000001/{step}", body)
    made = await hall.ask("POST", "/api/v1/pairings", {"role": "supervisor", "hall": "h2"})
    page = await screens.page()
    await page.goto(f"/supervisor?hall=h2#pair={made['code']}")
    alert = page.locator("#alerts li.bad")
    await expect(alert).to_contain_text("1 条差评已逾期，最早 r000002")
    rows = page.locator("#reviews tr")
    await expect(rows.first).to_contain_text("r000002")
    await expect(rows.first).to_contain_text("已逾期")
    await expect(rows.last).to_contain_text("曾逾期")
    await page.locator("input[name=late]").check()
    await expect(rows).to_have_count(1)
    await page.locator("input[name=late]").uncheck()
    await page.locator("select[name=source]").select_option("overtime")
    await expect(rows).to_contain_text("暂无")
    await page.locator("select[name=source]").select_option("rating")
    await page.locator("select[name=state]").select_option("verified")
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("r000001")
    assert screens.complaints() == EMPTY


async def test_a_promised_case_is_accepted_found_and_completed(screens: Screens, hall: Hall) -> None:
    for _ in range(2):
        await hall.issue("reg")
    clerk = await screens.open("clerk", "clerk", "w1", size=(1366, 768))
    await open_window(clerk)
    case = f"2026-BJ-{(await hall.issue('reg'))}"
    await press(clerk, "n", "called")
    await press(clerk, "s", "serving")
    await key(clerk, "a")
    await clerk.locator("dialog input[name=case]").fill(case)
    await clerk.keyboard.press("Enter")
    await expect(clerk.locator("#state.idle")).to_be_visible()
    await clerk.locator("#cases-today summary").click()
    await expect(clerk.locator("#cases")).to_contain_text(case)
    await press(clerk, "n", "called")
    await press(clerk, "s", "serving")
    await key(clerk, "a")  # a number begins one promise only
    await clerk.locator("dialog input[name=case]").fill(case)
    await clerk.keyboard.press("Enter")
    await expect(clerk.locator("#toasts")).to_contain_text("该办件编号已被使用")
    await clerk.locator("#cases button").first.click()
    await expect(clerk.locator("#case-state")).to_contain_text("已受理")
    await clerk.locator("#case [name=note]").fill("证照已寄出 13800001234")
    keys = await lose_answers(clerk, "**/complete", 1)
    await clerk.locator("#case-complete").click()
    await expect(clerk.locator("#case-state")).to_contain_text("已办结")
    await expect(clerk.locator("#case .history")).to_contain_text("证照已寄出 ***")
    assert len(keys) == 2
    assert len(set(keys)) == 1
    await clerk.locator("#case-number").fill("no such")
    await clerk.locator("#case-find button").click()
    await expect(clerk.locator("#case-trouble")).to_contain_text("没有这个办件编号")
    kept = (await hall.ask("GET", f"{H}/cases/{case}"))["case"]
    assert (kept["state"], [one["step"] for one in kept["history"]]) == ("completed", ["accepted", "completed"])
    assert screens.complaints(network=True) == EMPTY


async def test_open_cases_stand_on_the_supervisors_page_until_they_are_completed(screens: Screens, hall: Hall) -> None:
    supervisor = await screens.open("supervisor", "supervisor", size=(1600, 1000))
    await expect(supervisor.locator("#cases-open")).to_be_visible()
    await hall.ask("POST", f"{H}/windows/w1/open", {"staff": "1024"})
    for case in ("BJ-1", "<i>BJ-2</i>"):
        await hall.issue("reg")
        for command in ("call", "start"):
            await hall.ask("POST", f"{H}/windows/w1/{command}")
        await hall.ask("POST", f"{H}/windows/w1/finish", {"outcome": "accepted", "case": case})
    await supervisor.reload()
    rows = supervisor.locator("#cases-open li")
    await expect(rows.filter(has_text="BJ-1")).to_contain_text("未设时限")
    await expect(rows.filter(has_text="BJ-2")).to_contain_text("<i>BJ-2</i>")
    clerk = await screens.open("clerk", "clerk", "w1", size=(1366, 768))
    await clerk.locator("details", has=clerk.locator("#cases-open")).locator("summary").click()
    await expect(clerk.locator("#cases-open li")).to_have_count(2)
    other = await screens.open("clerk", "clerk", "w2", size=(1366, 768))
    await other.locator("details", has=other.locator("#cases-open")).locator("summary").click()
    await expect(other.locator("#cases-open")).to_contain_text("暂无")
    await rows.filter(has_text="BJ-1").locator("button").click()
    await supervisor.locator("#case-complete").click()
    await expect(supervisor.locator("#case-state")).to_contain_text("已办结")
    await expect(rows.filter(has_text="BJ-1")).to_have_count(0)
    await hall.ask("POST", f"{H}/cases/%3Ci%3EBJ-2%3C%2Fi%3E/complete")
    assert screens.complaints() == EMPTY


async def test_a_case_that_somebody_else_completed_is_shown_as_it_is(screens: Screens, hall: Hall) -> None:
    await hall.issue("reg")
    await hall.ask("POST", f"{H}/windows/w1/open", {"staff": "1024"})
    for command in ("call", "start"):
        await hall.ask("POST", f"{H}/windows/w1/{command}")
    await hall.ask("POST", f"{H}/windows/w1/finish", {"outcome": "accepted", "case": "C/1 ?"})
    clerk = await screens.open("clerk", "clerk", "w1", size=(1366, 768))
    await expect(clerk.locator("#state.idle")).to_be_visible()
    await clerk.locator("#case-number").fill("C/1 ?")
    await clerk.keyboard.press("Enter")
    await expect(clerk.locator("#case-complete")).to_be_visible()
    await hall.ask("POST", f"{H}/cases/C%2F1%20%3F/complete")
    await clerk.locator("#case-complete").click()
    await expect(clerk.locator("#case-state")).to_contain_text("已办结")
    await expect(clerk.locator("#case-trouble")).to_contain_text("当前状态下不能这样操作")
    assert screens.complaints(network=True) == EMPTY


async def test_an_assessor_of_all_halls_chooses_one(screens: Screens, hall: Hall) -> None:
    await hall.ask("PUT", "/api/v1/halls/h3", (await hall.ask("GET", H)) | {"id": "h3", "name": "另一大厅"})
    made = await hall.ask("POST", "/api/v1/pairings", {"role": "assessor"})
    page = await screens.page()
    await page.goto(f"/assessor#pair={made['code']}")
    await expect(page.locator("#halls select option")).not_to_have_count(0)
    await page.locator("#halls select").select_option("h3")
    await expect(page.locator("#hall")).to_contain_text("另一大厅")
    await page.reload()
    await expect(page.locator("#hall")).to_contain_text("另一大厅")
    await expect(page.locator("#lost")).to_be_hidden()
    assert screens.complaints() == EMPTY


async def test_an_assessor_may_come_before_there_is_a_hall(screens: Screens, hall: Hall) -> None:
    made = await hall.ask("POST", "/api/v1/pairings", {"role": "assessor"})
    page = await screens.page()
    asked: list[str] = []

    async def none_yet(route: Route) -> None:
        asked.append(route.request.url)
        await (route.fulfill(json={"halls": []}) if len(asked) == 1 else route.continue_())

    await page.route("**/api/v1/halls", none_yet)
    await page.goto(f"/assessor#pair={made['code']}")
    await expect(page.locator("#review-list select").first).to_be_visible()
    assert len(asked) == 2
    assert screens.complaints() == EMPTY


async def test_only_an_admin_makes_codes_for_assessors(screens: Screens, hall: Hall) -> None:
    supervisor = await screens.open("supervisor", "supervisor")
    roles = supervisor.locator("#pairing-for select[name=role] option")
    await expect(roles).not_to_have_count(0)
    assert "assessor" not in [await one.get_attribute("value") for one in await roles.all()]
    admin = await screens.open("supervisor", "admin")
    await admin.locator("#pairing-for select[name=role]").select_option("assessor")
    await admin.locator("#pairing-for button").click()
    link = str(await admin.locator("#code a").get_attribute("href"))
    page = await screens.page()
    await page.goto(link)
    await expect(page.locator("#review-list select").first).to_be_visible()
    assert re.search(r"/assessor\?hall=h1$", page.url)
    assert screens.complaints() == EMPTY


@pytest.mark.parametrize("name", ["supervisor", "assessor", "clerk"])
async def test_a_page_that_is_opened_while_the_server_is_away_comes_to_life(
    screens: Screens, hall: Hall, name: str
) -> None:
    page = await screens.page()
    away = True

    async def answer(route: Route) -> None:
        await (route.abort("connectionrefused") if away else route.continue_())

    await page.route(f"**{H}", answer)
    window = "w1" if name == "clerk" else ""
    await page.goto(f"/{name}?hall=h1&window={window}#pair={await hall.code(name, window)}")
    await expect(page.locator("#lost")).to_be_visible()
    away = False
    await expect(page.locator("#lost")).to_be_hidden()
    await expect(page.locator("h1")).to_contain_text("阳光市政务服务中心")
    assert screens.complaints(network=True) == EMPTY
