"""What goes wrong in halls: answers that never arrive, reloads at the wrong moment, servers that go away, revoked
tokens. Nothing may happen twice, nothing may be lost, nothing old may look live.
"""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Page, Route, expect

from tests.pages.stage import HALL, H, Hall, Screens, ratings_answered
from tests.pages.test_screens import EMPTY, key, open_window, press

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def lose_answers(page: Page, path: str, count: int) -> list[str]:
    """Lets the next requests through but breaks the connection before their answers; lists the keys they carried."""
    keys: list[str] = []

    async def handle(route: Route) -> None:
        keys.append(str(await route.request.header_value("idempotency-key")))
        if len(keys) > count:
            await route.continue_()
            return
        await route.fetch()
        await route.abort("connectionreset")

    await page.route(path, handle)
    return keys


async def hang(page: Page, path: str) -> None:
    """The next request arrives at the server, its answer never comes back."""
    first: list[Route] = []

    async def handle(route: Route) -> None:
        first.append(route)
        await (route.fetch() if len(first) == 1 else route.continue_())

    await page.route(path, handle)


async def waiting(hall: Hall) -> list[str]:
    tickets = await hall.ask("GET", f"{H}/tickets?state=waiting")
    return [ticket["no"] for ticket in tickets["tickets"]]


async def test_a_lost_answer_issues_no_second_ticket(screens: Screens, hall: Hall) -> None:
    guide = await screens.open("guide", "guide")
    keys = await lose_answers(guide, "**/tickets", 2)
    await guide.locator("#tile-reg").click()
    await guide.locator("#confirm").click()
    number = await guide.locator("#slip-no").inner_text()
    assert await waiting(hall) == [number]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert screens.complaints(network=True) == EMPTY


async def test_a_reload_before_the_answer_shows_the_ticket_that_was_issued(screens: Screens, hall: Hall) -> None:
    guide = await screens.open("guide", "guide")
    await hang(guide, "**/tickets")
    await guide.locator("#tile-soc").click()
    async with guide.expect_request("**/tickets"):
        await guide.locator("#confirm").click()
    await expect(guide.locator("#confirm")).to_contain_text("正在取号")
    await guide.reload()
    number = await guide.locator("#slip-no").inner_text()
    assert await waiting(hall) == [number]
    assert screens.complaints(network=True) == EMPTY


async def test_a_lost_answer_calls_nobody_twice(screens: Screens, hall: Hall) -> None:
    first, second = [await hall.issue("reg") for _ in range(2)]
    clerk = await screens.open("clerk", "clerk", "w1")
    await open_window(clerk)
    keys = await lose_answers(clerk, "**/call", 1)
    await press(clerk, "n", "called")
    await expect(clerk.locator("#current")).to_have_text(first)
    await expect(clerk.locator("#do-start")).to_be_enabled()
    assert len(set(keys)) == 1
    assert await waiting(hall) == [second]
    assert screens.complaints(network=True) == EMPTY


async def test_a_press_without_an_answer_goes_again_after_a_reload(screens: Screens, hall: Hall) -> None:
    first, second = [await hall.issue("reg") for _ in range(2)]
    clerk = await screens.open("clerk", "clerk", "w1")
    await open_window(clerk)
    await hang(clerk, "**/call")
    async with clerk.expect_request("**/call") as pressed:
        await key(clerk, "n")
    await expect(clerk.locator("#current")).to_have_text(first)  # as the socket tells; the answer never comes
    async with clerk.expect_response("**/call") as again:  # by itself, before the window has been told to the page
        await clerk.reload()
    one, two = await pressed.value, await again.value
    assert await two.header_value("idempotency-replayed") == "true"
    assert await two.request.header_value("idempotency-key") == await one.header_value("idempotency-key")
    await expect(clerk.locator("#current")).to_have_text(first)
    await press(clerk, "s", "serving")  # and the page goes on
    assert await waiting(hall) == [second]
    assert screens.complaints(network=True) == EMPTY


async def test_ratings_given_without_a_connection_are_sent_later(screens: Screens, hall: Hall) -> None:
    number = await hall.issue("reg")
    clerk = await screens.open("clerk", "clerk", "w1")
    pad = await screens.open("pad", "pad", "w1")
    await open_window(clerk)
    await press(clerk, "n", "called")
    await press(clerk, "s", "serving")
    await press(clerk, "f", "idle")
    await pad.route("**/ratings", lambda route: route.abort())
    thanked = asyncio.ensure_future(expect(pad.locator("#screen")).to_contain_text("感谢您的评价"))  # for 5 s only
    async with pad.expect_request("**/ratings"):
        await pad.locator(".face[data-score='4']").click()
    await thanked
    assert (await hall.ask("GET", f"{H}/tickets/{number}"))["ticket"]["rating"] is None
    await pad.unroute_all()
    async with pad.expect_response(ratings_answered) as sent:  # a power cut in between: the tablet starts anew
        await pad.reload()
    assert (await (await sent.value).json())["results"][0]["status"] == "recorded"
    await expect(pad.locator("body")).to_have_attribute("data-screen", "idle")  # and does not ask again
    assert (await hall.ask("GET", f"{H}/tickets/{number}"))["ticket"]["rating"]["score"] == 4
    assert await pad.evaluate("localStorage.getItem(`qserver:spool:h1|w1`)") is None
    assert screens.complaints(network=True) == EMPTY


async def asked_for_a_rating(screens: Screens, hall: Hall) -> tuple[str, Page]:
    """A ticket finished at window 2, and the pad there."""
    number = await hall.issue("reg")
    await hall.ask("POST", f"{H}/windows/w2/open", {"staff": "1024"})
    pad = await screens.open("pad", "pad", "w2")
    for command in ("call", "start", "finish"):
        await hall.ask("POST", f"{H}/windows/w2/{command}")
    return number, pad


async def test_a_broken_rating_in_the_storage_holds_up_no_other_and_is_kept_aside(screens: Screens, hall: Hall) -> None:
    number, pad = await asked_for_a_rating(screens, hall)
    await expect(pad.locator(".face[data-score='5']")).to_be_visible()
    await pad.wait_for_function("localStorage.getItem('qserver:spool:h1|w2:shown') === null")  # it sends nothing now
    broken = '[null, {"score": "5"}, {"rid": 7, "ticket": [], "at_ms": "x"}]'
    await pad.evaluate("broken => localStorage.setItem('qserver:spool:h1|w2', broken)", broken)
    async with pad.expect_response(ratings_answered) as sent:
        await pad.locator(".face[data-score='5']").click()
    assert [one["status"] for one in (await (await sent.value).json())["results"]] == ["rejected"] * 2 + ["recorded"]
    assert (await hall.ask("GET", f"{H}/tickets/{number}"))["ticket"]["rating"]["score"] == 5
    await pad.wait_for_function("localStorage.getItem('qserver:spool:h1|w2') === null")
    kept = await pad.evaluate("JSON.parse(localStorage.getItem('qserver:spool:h1|w2:refused')).map(one => one.code)")
    assert kept == ["validation"] * 2
    assert screens.complaints() == EMPTY


async def test_a_face_pressed_before_a_power_cut_counts(screens: Screens, hall: Hall) -> None:
    number, pad = await asked_for_a_rating(screens, hall)
    await pad.locator(".face[data-score='2']").click()
    await expect(pad.locator("form")).to_be_visible()
    async with pad.expect_response(ratings_answered):
        await pad.reload()
    await expect(pad.locator("body")).to_have_attribute("data-screen", "idle")
    assert (await hall.ask("GET", f"{H}/tickets/{number}"))["ticket"]["rating"]["score"] == 2
    assert screens.complaints() == EMPTY


async def test_the_board_tells_of_the_loss_and_catches_up(screens: Screens, hall: Hall) -> None:
    number = await hall.issue("soc")
    clerk = await screens.open("clerk", "clerk", "w3")
    board = await screens.open("board", "display", size=(1920, 1080))
    await open_window(clerk)
    await press(clerk, "n", "called")
    await expect(board.locator("#newest .no")).to_have_text(number)
    await hall.server.kill9_tree()  # a power cut
    await expect(board.locator("#lost")).to_contain_text(re.compile(r"自 \d\d:\d\d 起"))
    await expect(board.locator("#newest")).to_be_hidden()
    await expect(board.locator("#screen")).to_have_class(re.compile("stale"))
    await expect(board.locator("#calls li").first).to_contain_text(number)
    await expect(clerk.locator("#lost")).to_be_visible()
    await hall.server.start()
    await expect(board.locator("#lost")).to_be_hidden()
    await expect(board.locator("#newest .no")).to_have_text(number)
    await expect(clerk.locator("#lost")).to_be_hidden()
    await expect(clerk.locator("#current")).to_have_text(number)
    await press(clerk, "r", "called")
    await expect(board.locator(f"#spoken [data-ticket={number}]")).to_have_count(2)  # each call once, over the restart
    await press(clerk, "m", "idle")
    assert screens.complaints(network=True) == EMPTY


async def test_a_revoked_token_ends_a_page_at_once(screens: Screens, hall: Hall) -> None:
    before = {token["id"] for token in (await hall.ask("GET", "/api/v1/tokens"))["tokens"]}
    board = await screens.open("board", "display")
    await expect(board.locator("body")).to_have_attribute("data-live", "1")
    (mine,) = {token["id"] for token in (await hall.ask("GET", "/api/v1/tokens"))["tokens"]} - before
    await hall.ask("DELETE", f"/api/v1/tokens/{mine}")
    await expect(board.locator("#lost")).to_contain_text("未获授权")
    await board.reload()
    await expect(board.locator("#denied")).to_be_visible()
    await board.locator("#denied button").click()
    await board.locator("#pairing input").fill(await hall.code("display"))
    await board.locator("#pairing button").click()
    await expect(board.locator("body")).to_have_attribute("data-live", "1")
    assert screens.complaints(network=True) == EMPTY


async def test_a_code_works_once_and_leaves_the_address(screens: Screens, hall: Hall) -> None:
    link = f"/board?hall={HALL}#pair={await hall.code('display')}"
    board = await screens.page()
    await board.goto(link)
    await expect(board.locator("#hall")).to_contain_text("阳光市政务服务中心")
    assert board.url == f"{hall.server.url}/board?hall={HALL}"
    await board.goto("/")
    await expect(board.locator("#paired a")).to_have_attribute("href", f"/board?hall={HALL}")
    stranger = await screens.page()
    await stranger.goto(link)
    await expect(stranger.locator("#pairing")).to_be_visible()
    await expect(stranger.locator("#pair-trouble")).to_contain_text("链接已用过")
    assert "pair=" not in stranger.url
    assert screens.complaints(network=True) == EMPTY


async def test_a_suspended_service_is_shown_and_not_offered(screens: Screens, hall: Hall) -> None:
    guide = await screens.open("guide", "guide")
    await guide.locator("#manage summary").click()
    await guide.locator("#services button", has_text="社会保险").click()
    await guide.locator("dialog input[name=reason]").fill("系统维护")
    await guide.keyboard.press("Enter")
    tile = guide.locator("#tile-soc")
    await expect(tile).to_be_disabled()
    await expect(tile).to_contain_text("暂停取号")
    await guide.locator("#services button", has_text="社会保险").click()
    await expect(tile).to_be_enabled()
    assert screens.complaints() == EMPTY


async def test_the_guides_desk(screens: Screens, hall: Hall) -> None:
    guide = await screens.open("guide", "guide")
    number = await hall.issue("reg")
    await guide.locator("#number").fill(number.lower())
    await guide.keyboard.press("Enter")
    found = guide.locator("#found")
    await expect(found).to_contain_text("等候中")
    await found.get_by_text("重打号票").click()
    await expect(guide.locator("#slip-no")).to_have_text(number)
    await guide.locator("#slip-done").click()
    await found.get_by_text("更改优先").click()
    await guide.locator("dialog select").select_option("elder")
    await guide.locator("dialog input[name=reason]").fill("七十岁以上")
    await guide.keyboard.press("Enter")
    await expect(guide.locator("#toasts")).to_contain_text(number)
    assert (await hall.ask("GET", f"{H}/tickets/{number}"))["ticket"]["priority"] == "elder"
    await hall.ask("POST", f"{H}/windows/w1/open", {"staff": "1"})
    await hall.ask("POST", f"{H}/windows/w1/call")
    await hall.ask("POST", f"{H}/windows/w1/miss")
    await guide.locator("#find button").click()
    await found.get_by_text("过号恢复").click()
    await expect(found).to_contain_text("等候中")
    await found.get_by_text("取消此号").click()
    await expect(found).to_contain_text("已取消")
    assert screens.complaints() == EMPTY


async def test_a_kiosk_has_no_desk_and_the_phone_may_leave(screens: Screens, hall: Hall) -> None:
    kiosk = await screens.open("guide", "kiosk")
    for service in ("reg", "tax"):
        await kiosk.locator(f"#tile-{service}").click()
    await kiosk.locator("#priorities input[value=elder]").check()
    await kiosk.locator("#confirm").click()
    await expect(kiosk.locator("#slip")).to_contain_text("老年人")
    await expect(kiosk.locator("#slip")).to_contain_text("税务办理")
    await expect(kiosk.locator("#desk")).to_be_hidden()
    number = await kiosk.locator("#slip-no").inner_text()
    phone = await screens.page((390, 844))
    await phone.goto(str(await kiosk.locator("#slip img").get_attribute("src")).removesuffix("/qr.svg"))
    await hall.issue("reg")
    await phone.get_by_text("让后面的先办").click()
    await phone.locator("dialog button.main").click()
    await expect(phone.locator("#ahead")).to_have_text("1")
    await phone.get_by_text("取消排队").click()
    await phone.locator("dialog button.main").click()
    await expect(phone.locator("#now")).to_contain_text("已取消")
    ticket = (await hall.ask("GET", f"{H}/tickets/{number}"))["ticket"]
    assert (ticket["state"], ticket["channel"]) == ("cancelled", "kiosk")
    assert screens.complaints() == EMPTY


async def test_a_notice_reaches_the_board(screens: Screens, hall: Hall) -> None:
    board = await screens.open("board", "display")
    supervisor = await screens.open("supervisor", "supervisor")
    await expect(supervisor.locator("#windows tr")).to_have_count(3)  # its forms work from now on
    await supervisor.locator("#notice input").fill("<i>今日 17:00 停止取号</i>")
    await supervisor.keyboard.press("Enter")
    await expect(board.locator("#notice")).to_have_text("<i>今日 17:00 停止取号</i>")
    await supervisor.locator("#pairing-for select[name=role]").select_option("pad")
    await supervisor.locator("#pairing-for select[name=window]").select_option("w2")
    await supervisor.locator("#pairing-for button").click()
    link = str(await supervisor.locator("#code a").get_attribute("href"))
    pad = await screens.page()
    await pad.goto(link)
    await expect(pad.locator("#window")).to_contain_text("2号窗口")
    await hall.ask("POST", f"{H}/notices", {"text": ""})
    assert screens.complaints() == EMPTY


async def test_keys_do_nothing_while_a_dialog_is_open(screens: Screens, hall: Hall) -> None:
    await hall.issue("reg")
    clerk = await screens.open("clerk", "clerk", "w1")
    await open_window(clerk)
    await key(clerk, "p")
    await expect(clerk.locator("dialog")).to_be_visible()
    await clerk.keyboard.press("n")
    await clerk.keyboard.press("Escape")
    await expect(clerk.locator("dialog")).to_have_count(0)
    await expect(clerk.locator("#state.idle")).to_be_visible()
    assert screens.complaints() == EMPTY


async def test_a_page_of_a_window_wants_a_code_of_a_window(screens: Screens, hall: Hall) -> None:
    screen = await screens.page()
    await screen.goto(f"/window?hall={HALL}#pair={await hall.code('display')}")
    await expect(screen.locator("#pair-trouble")).to_contain_text("没有这个窗口")
    await screen.locator("#pairing input").fill(await hall.code("display", "w3"))
    await screen.locator("#pairing button").click()
    await expect(screen.locator("#name")).to_have_text("3号窗口")
    assert screens.complaints() == EMPTY
