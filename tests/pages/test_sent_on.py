"""Sending a visit on 受审分离 as the clerk does it and as the citizen sees it."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.pages.stage import H, Hall, Screens
from tests.pages.test_screens import EMPTY, key, open_window, press

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_clerk_sends_a_visit_on_by_keyboard_and_the_phone_says_where(screens: Screens, hall: Hall) -> None:
    issued = await hall.ask("POST", f"{H}/tickets", {"service": "reg"})
    number = issued["ticket"]["no"]
    phone = await screens.page((390, 844))
    await phone.goto(issued["url"])
    clerk = await screens.open("clerk", "clerk", "w1", size=(1366, 768))
    await open_window(clerk)
    await press(clerk, "n", "called")
    await press(clerk, "s", "serving")
    await key(clerk, "g")
    window = clerk.locator("dialog select[name=then_window]")
    await expect(window).to_be_disabled()  # first the service
    await clerk.locator("dialog select[name=then]").press("Enter")
    await expect(clerk.locator("dialog")).to_be_visible()  # there is no sending on to nowhere
    await clerk.locator("dialog select[name=then]").select_option("soc")
    await expect(window).to_be_enabled()
    await window.select_option("w3")
    await clerk.keyboard.press("Enter")
    await expect(clerk.locator("#state.idle")).to_be_visible()
    ticket = (await hall.ask("GET", f"{H}/tickets/{number}"))["ticket"]
    assert (ticket["state"], ticket["service"], ticket["to_window"], ticket["leg"]) == ("waiting", "soc", "w3", 2)
    await expect(phone.locator("#to-window")).to_have_text("3号窗口")
    await expect(phone.locator("#ticket")).to_contain_text("社会保险")
    await press(clerk, "z", "serving")  # by mistake: it is taken back
    await expect(phone.locator("#now")).to_contain_text("1号窗口")
    await press(clerk, "f", "idle")
    assert screens.complaints() == EMPTY


async def test_an_accepted_case_may_send_its_visit_on_and_stays_in_the_list_of_today(
    screens: Screens, hall: Hall
) -> None:
    number = await hall.issue("reg")
    clerk = await screens.open("clerk", "clerk", "w1", size=(1366, 768))
    await open_window(clerk)
    await press(clerk, "n", "called")
    await press(clerk, "s", "serving")
    await key(clerk, "a")
    await clerk.locator("dialog input[name=case]").fill(f"S-{number}")
    await clerk.locator("dialog select[name=then]").select_option("tax")
    await clerk.locator("dialog select[name=then_window]").select_option("w2")
    await clerk.locator("dialog button.main").click()
    await expect(clerk.locator("#state.idle")).to_be_visible()
    ticket = (await hall.ask("GET", f"{H}/tickets/{number}"))["ticket"]
    assert (ticket["service"], ticket["to_window"], ticket["case"]) == ("tax", "w2", f"S-{number}")
    await clerk.locator("#cases-today summary").click()
    await expect(clerk.locator("#cases")).to_contain_text(f"S-{number}")
    await expect(clerk.locator("#waiting")).to_contain_text("2号窗口")  # whom it waits for, in the list of the service
    other = await screens.open("clerk", "clerk", "w2", size=(1366, 768))
    await open_window(other, "2048")
    await press(other, "n", "called")
    await expect(other.locator("#current")).to_have_text(number)
    assert screens.complaints() == EMPTY
