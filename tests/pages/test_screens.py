"""A citizen's visit as everybody sees it: guide, phone, clerk, board, window screen, pad, supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Error, Page, Route, expect

from tests.pages.stage import H, Hall, Screens, ratings_answered

pytestmark = pytest.mark.asyncio(loop_scope="session")

EMPTY: list[str] = []


async def key(clerk: Page, name: str) -> None:
    """Presses a command's key once the command may be given."""
    button = clerk.locator("#commands button", has=clerk.locator(f"kbd:text-is('{name.upper()}')"))
    await expect(button).to_be_enabled()
    await clerk.keyboard.press(name)


async def open_window(clerk: Page, staff: str = "1024") -> None:
    """By keyboard alone."""
    await key(clerk, "o")
    await clerk.locator("dialog input[name=staff]").fill(staff)
    await clerk.keyboard.press("Enter")
    await expect(clerk.locator("#do-next")).to_be_enabled()


async def press(clerk: Page, name: str, state: str) -> None:
    """A key, and the state of the window it leads to."""
    await key(clerk, name)
    await expect(clerk.locator(f"#state.{state}")).to_be_visible()


async def test_a_visit(screens: Screens, hall: Hall) -> None:
    guide = await screens.open("guide", "guide")
    board = await screens.open("board", "display", size=(1920, 1080))
    clerk = await screens.open("clerk", "clerk", "w2", size=(1366, 768))
    window = await screens.open("window", "display", "w2")
    pad = await screens.open("pad", "pad", "w2")
    supervisor = await screens.open("supervisor", "supervisor", size=(1600, 1000))
    await open_window(clerk)

    # 取号: the expected wait stands there before anything is confirmed
    await guide.locator("#tile-tax").click()
    await expect(guide.locator("#expect")).to_contain_text("前面人数")
    await expect(guide.locator("#expect")).to_contain_text("分钟")
    await guide.locator("#confirm").click()
    number = await guide.locator("#slip-no").inner_text()
    assert re.fullmatch(r"B\d{3}", number)
    picture = guide.locator("#slip img")
    await expect(picture).to_be_visible()
    assert await picture.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
    await expect(guide.locator("#slip-link")).to_be_visible()
    opens = {name: await guide.locator("#slip-link").get_attribute(name) for name in ("target", "rel")}
    assert opens == {"target": "_blank", "rel": "noopener"}
    link = str(await picture.get_attribute("src")).removesuffix("/qr.svg")
    assert str(await guide.locator("#slip-link").get_attribute("href")).endswith(link)
    phone = await screens.page((390, 844))
    await phone.goto(link)
    await expect(phone.locator("#no")).to_have_text(number)
    await expect(phone.locator("#now")).to_contain_text("马上轮到您")
    await guide.locator("#slip-done").click()

    # 叫号: the board shows and says it, the window screen and the phone show it
    await expect(board.locator("#waiting li", has_text="税务办理")).to_contain_text("1")
    await press(clerk, "n", "called")
    await expect(clerk.locator("#current")).to_have_text(number)
    await expect(board.locator("#newest .no")).to_have_text(number)
    await expect(board.locator("#newest .to")).to_have_text("2号窗口")
    await expect(board.locator(f"#spoken [data-ticket={number}]")).to_contain_text("号到2号窗口")
    await expect(board.locator("#waiting li", has_text="税务办理")).to_contain_text("0")
    await expect(window.locator("#state .no")).to_have_text(number)
    await expect(window.locator("#state")).to_contain_text("请到本窗口")
    await expect(phone.locator("#now")).to_contain_text("请到窗口办理")
    await expect(pad.locator("#screen")).to_contain_text("请到本窗口")

    # 重呼 is said again, as the second call
    await key(clerk, "r")
    await expect(board.locator(f"#spoken [data-ticket={number}][data-n='2']")).to_have_count(1)
    await expect(board.locator("#newest .again")).to_contain_text("第 2 次")

    # 办理, 办结, 评价
    await press(clerk, "s", "serving")
    await expect(clerk.locator("#timer")).to_have_text(re.compile(r"\d:\d\d"))
    await expect(pad.locator("#screen")).to_contain_text("办理中")
    await press(clerk, "f", "idle")
    await expect(pad.locator(".face")).to_have_count(5)
    await pad.locator(".face[data-score='2']").click()
    await pad.get_by_text("效率低").click()
    await pad.locator("#comment").fill("<b>等了很久</b>")
    thanked = asyncio.ensure_future(expect(pad.locator("#screen")).to_contain_text("感谢您的评价"))  # for 5 s only
    await pad.locator("button[type=submit]").click()
    await thanked
    await expect(phone.locator("#rating")).to_contain_text("不满意")
    review = supervisor.locator("#reviews tr", has_text=number)
    await expect(review).to_contain_text("群众评价")
    await expect(supervisor.locator("#alerts")).to_contain_text("差评")
    await review.locator("button").click()
    await expect(supervisor.locator("dialog")).to_contain_text("<b>等了很久</b>")
    kept = (await hall.ask("GET", f"{H}/tickets/{number}"))["ticket"]
    assert (kept["state"], kept["rating"]["score"], kept["rating"]["source"]) == ("finished", 2, "active")
    assert screens.complaints() == EMPTY


async def test_the_clerks_day_by_keyboard(screens: Screens, hall: Hall) -> None:
    first, second, third = [await hall.issue("reg") for _ in range(3)]
    clerk = await screens.open("clerk", "clerk", "w1", size=(1366, 768))
    await expect(clerk.locator("#waiting")).to_contain_text(first)  # who waits is seen before the window opens
    fourth = await hall.issue("reg")
    await expect(clerk.locator("#waiting")).to_contain_text(fourth)  # and at once, not when the list is asked for again
    await hall.ask("POST", f"{H}/tickets/{fourth}/cancel")
    await open_window(clerk)
    current = clerk.locator("#current")
    await press(clerk, "n", "called")
    await expect(clerk.locator("#do-next")).to_be_disabled()  # a called ticket is never finished by a second press
    await press(clerk, "m", "idle")
    await press(clerk, "z", "called")  # the miss is taken back
    await expect(current).to_have_text(first)
    await press(clerk, "s", "serving")
    await key(clerk, "h")
    await clerk.keyboard.press("Enter")
    await expect(clerk.locator("#held")).to_contain_text(first)
    await key(clerk, "c")
    await clerk.keyboard.type(third)
    await clerk.keyboard.press("Enter")
    await expect(current).to_have_text(third)
    await press(clerk, "s", "serving")
    await press(clerk, "n", "called")  # finishes and calls
    await expect(current).to_have_text(second)
    assert (await hall.ask("GET", f"{H}/tickets/{third}"))["ticket"]["state"] == "finished"
    await key(clerk, "t")
    await clerk.locator("dialog select[name=window]").select_option("w2")
    await clerk.keyboard.press("Enter")
    await expect(clerk.locator("#state.idle")).to_be_visible()
    moved = (await hall.ask("GET", f"{H}/tickets/{second}"))["ticket"]
    assert (moved["state"], moved["leg"]) == ("waiting", 2)
    await clerk.locator("#held button").click()
    await expect(clerk.locator("#state.serving")).to_be_visible()
    await expect(current).to_have_text(first)
    await press(clerk, "f", "idle")
    await press(clerk, "n", "idle")
    await expect(clerk.locator("#toasts")).to_contain_text("没有人等候")
    await key(clerk, "p")
    await clerk.keyboard.press("Enter")
    await expect(clerk.locator("#state.paused")).to_be_visible()
    await expect(clerk.locator("#now")).to_contain_text("午休")
    await press(clerk, "p", "idle")
    await press(clerk, "o", "closed")
    assert screens.complaints() == EMPTY


async def test_a_window_without_a_ticket_shows_all_it_serves(screens: Screens, hall: Hall) -> None:
    await hall.ask("POST", f"{H}/windows/w1/open", {"staff": "1024"})
    window = await screens.page()
    named = asyncio.Event()

    async def late(route: Route) -> None:
        await named.wait()
        await route.continue_()

    await window.route(f"**{H}", late)  # the names come after the window's state
    await window.goto(f"/window?hall=h1&window=w1#pair={await hall.code('display', 'w1')}")
    tags = window.locator("#service .tag .zh")
    await expect(tags).to_have_text(["reg", "tax"])
    named.set()
    await expect(tags).to_have_text(["企业登记", "税务办理"])
    assert "[object" not in await window.locator("body").inner_text()
    assert screens.complaints() == EMPTY


async def test_the_phone_names_everything_in_the_halls_time(screens: Screens, hall: Hall) -> None:
    issued = await hall.ask("POST", f"{H}/tickets", {"service": "tax", "services": ["reg"]})
    phone = await screens.page((390, 844), timezone_id="America/New_York")
    await phone.goto("/t/" + issued["url"].rpartition("/t/")[2])
    ticket = phone.locator("#ticket")
    await expect(ticket).to_contain_text("税务办理")
    await expect(ticket).to_contain_text("企业登记")
    there = datetime.fromtimestamp(issued["ticket"]["issued_ms"] / 1000, ZoneInfo("Asia/Shanghai"))
    await expect(ticket).to_contain_text(f"{there:%H:%M}")
    await hall.ask("POST", f"{H}/windows/w2/open", {"staff": "1024"})
    await hall.ask("POST", f"{H}/windows/w2/call")
    await expect(phone.locator("#now")).to_contain_text("2号窗口")
    assert screens.complaints() == EMPTY


async def test_an_unknown_ticket_is_no_lost_connection(screens: Screens, hall: Hall) -> None:
    phone = await screens.page((390, 844))
    async with phone.expect_event("websocket") as opened:
        await phone.goto("/t/h1.20260102-A001.ab-_cdefghijklmnopqrstuv")
    socket = await opened.value
    if not socket.is_closed():
        with contextlib.suppress(Error):  # the page may give it up before it is open
            await socket.wait_for_event("close")
    await expect(phone.locator("#ticket")).to_contain_text("没有这张号票")
    await expect(phone.locator("#lost")).to_be_hidden()
    assert screens.complaints(network=True) == EMPTY


async def test_a_reload_loses_nothing(screens: Screens, hall: Hall) -> None:
    number = await hall.issue("reg")
    clerk = await screens.open("clerk", "clerk", "w1")
    assert "#" not in clerk.url
    await open_window(clerk)
    await press(clerk, "n", "called")
    await press(clerk, "s", "serving")
    await clerk.reload()
    await expect(clerk.locator("#current")).to_have_text(number)
    await expect(clerk.locator("#state.serving")).to_be_visible()
    await expect(clerk.locator("#other")).to_be_hidden()
    await expect(clerk.locator("#do-finish")).to_be_enabled()
    other = await screens.open("clerk", "clerk", "w1")  # another log-in sees it and takes over openly
    await expect(other.locator("#other")).to_contain_text("1024")
    await other.locator("#take-over").click()
    await other.locator("dialog input[name=staff]").fill("2048")
    await other.keyboard.press("Enter")
    await expect(other.locator("#other")).to_be_hidden()
    await expect(clerk.locator("#other")).to_contain_text("2048")
    assert (await hall.ask("GET", f"{H}/windows/w1"))["window"]["staff"] == "2048"
    assert screens.complaints() == EMPTY


async def test_what_the_hall_names_stands_in_both_languages(screens: Screens, hall: Hall) -> None:
    guide = await screens.open("guide", "guide")
    clerk = await screens.open("clerk", "clerk", "w1")
    board = await screens.open("board", "display", size=(1920, 1080))
    window = await screens.open("window", "display", "w1")
    pad = await screens.open("pad", "pad", "w1")
    await guide.locator("#tile-reg").click()
    await guide.locator("#priorities .pick", has_text="Elderly").click()
    await guide.locator("#confirm").click()
    await expect(guide.locator("#slip")).to_contain_text("Elderly")
    phone = await screens.page((390, 844))
    await phone.goto(str(await guide.locator("#slip img").get_attribute("src")).removesuffix("/qr.svg"))
    await open_window(clerk)
    await press(clerk, "n", "called")
    for screen, place in (
        (clerk, "#window-name"), (board, "#newest .to"), (window, "#name"), (pad, "#window"), (phone, ".where"),
    ):  # fmt: skip
        await expect(screen.locator(place)).to_contain_text("1号窗口")
        await expect(screen.locator(f"{place} .en")).to_have_text("Window 1")
    await press(clerk, "s", "serving")
    await press(clerk, "f", "idle")
    supervisor = await screens.open("supervisor", "supervisor", size=(1600, 1000))
    await supervisor.locator("#pads-panel summary").click()
    await expect(supervisor.locator("[data-pad=w3]")).to_contain_text("未见签名")
    await pad.locator(".face[data-score='2']").click()
    await pad.locator(".pick", has_text="Long wait").click()
    async with pad.expect_response(ratings_answered):
        await pad.locator("button[type=submit]").click()
    (review,) = (await hall.ask("GET", f"{H}/reviews?latest=true&limit=1"))["reviews"]
    assert review["history"][0]["reasons"] == ["等候时间长"], "one language stands on record"
    await supervisor.reload()
    await supervisor.locator("#pads-panel summary").click()
    await expect(supervisor.locator("[data-pad=w1] td").nth(1)).to_have_text(re.compile("^[0-9a-f]{6}$"))
    assert screens.complaints() == EMPTY


async def test_who_rates_by_the_phone_chooses_from_the_halls_reasons_too(screens: Screens, hall: Hall) -> None:
    issued = await hall.ask("POST", f"{H}/tickets", {"service": "soc"})
    await hall.ask("POST", f"{H}/windows/w3/open", {"staff": "1024"})
    for command in ("call", "start", "finish"):
        await hall.ask("POST", f"{H}/windows/w3/{command}")
    phone = await screens.page((390, 844))
    await phone.goto(issued["url"])
    await phone.locator(".face[data-score='2']").click()
    await phone.locator("dialog .pick", has_text="Long wait").click()
    async with phone.expect_response("**/rating"):
        await phone.locator("dialog button[type=submit]").click()
    (review,) = (await hall.ask("GET", f"{H}/reviews?latest=true&limit=1"))["reviews"]
    assert review["history"][0]["reasons"] == ["等候时间长"]
    assert screens.complaints() == EMPTY
