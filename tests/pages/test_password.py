"""One's own password, changed at the pages: by keyboard, with what goes wrong, kept nowhere."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.pages.stage import HALL, Hall, Screens
from tests.pages.test_faults import lose_answers
from tests.pages.test_login import PASSWORD, enter, hire, log_in
from tests.pages.test_reading import NOTHING, STAFF, wrong
from tests.pages.test_screens import EMPTY

pytestmark = pytest.mark.asyncio(loop_scope="session")

NEW = "another one 另一个"


async def change(page: Page, before: str = PASSWORD, new: str = NEW, again: str | None = None) -> None:
    """By keyboard, in the dialog that stands open."""
    for name, text in (("password", before), ("new", new), ("again", new if again is None else again)):
        await page.locator(f"#password-{name}").fill(text)
    await page.keyboard.press("Enter")


async def test_ones_own_password_is_changed_and_sessions_elsewhere_end(screens: Screens, hall: Hall) -> None:
    staff = await hire(hall, "supervisor", "王芳")
    here, elsewhere = await screens.page(), await screens.page()
    for page in (here, elsewhere):
        await page.goto(f"/supervisor?hall={HALL}")
        await log_in(page, staff)
    await here.locator("#change-password").focus()
    await here.keyboard.press("Enter")
    await expect(here.locator("#password-password")).to_be_focused()
    await change(here)
    await expect(here.locator("#password-box")).to_have_count(0)
    await expect(here.locator("#toasts")).to_contain_text("密码已修改")
    await expect(elsewhere.locator("#denied #login-trouble")).to_contain_text("密码已更改")
    async with elsewhere.expect_navigation():
        await log_in(elsewhere, staff, NEW)
    await expect(elsewhere.locator("#signed-in")).to_contain_text(staff)
    await expect(here.locator("#denied")).to_have_count(0)
    kept = await here.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, location.href])")
    assert PASSWORD not in kept and NEW not in kept
    assert screens.complaints(network=True) == EMPTY


async def test_what_is_wrong_with_a_password_is_said_and_nothing_is_changed(screens: Screens, hall: Hall) -> None:
    page = await enter(screens, await hire(hall))
    await page.locator("#change-password").click()
    trouble = page.locator("#password-trouble")
    await change(page, again="something else")
    await expect(trouble).to_contain_text("两次输入的新密码不一样")
    await change(page, before="not this one")
    await expect(trouble).to_contain_text("原密码不对")
    await expect(page.locator("#password-password")).to_be_focused()
    await change(page, new="short")
    assert await page.locator("#password-new").evaluate("input => input.matches(':invalid')")
    await page.keyboard.press("Escape")
    await expect(page.locator("#password-box")).to_have_count(0)
    assert screens.complaints(network=True) == EMPTY


async def test_a_change_without_an_answer_is_made_once(screens: Screens, hall: Hall) -> None:
    staff = await hire(hall)
    page = await enter(screens, staff)
    keys = await lose_answers(page, "**/password", 1)
    await page.locator("#change-password").click()
    await change(page)
    await expect(page.locator("#toasts")).to_contain_text("密码已修改")
    assert len(keys) == 2 and len(set(keys)) == 1
    assert screens.complaints(network=True) == EMPTY


async def test_the_form_of_the_password_can_be_read_and_pressed(screens: Screens, hall: Hall) -> None:
    page = await enter(screens, await hire(hall))
    await page.locator("#change-password").click()
    assert await wrong(page, STAFF) == NOTHING
    await page.keyboard.press("Escape")
    await page.get_by_text("长辈版").click()
    await page.locator("#change-password").click()
    assert await wrong(page, STAFF, 30) == NOTHING
    device = await screens.open("clerk", "clerk", "w2")
    await expect(device.locator("#state")).to_be_visible()
    await expect(device.locator("#change-password")).to_have_count(0)
    assert screens.complaints() == EMPTY
