"""Pages in a real Chromium. One browser for all tests of this folder, on one event loop for the whole session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, async_playwright, expect

from qserver.api.pages import files
from tests.pages.stage import DEFINITION, Hall, Screens
from tests.whole import Whole

CHROMIUM = "/usr/bin/chromium"
KIOSK = ["--autoplay-policy=no-user-gesture-required"]
"""As a screen without hands is started: it may sound without a touch."""
PATIENCE_MS = 20_000
"""How long something that must come may take on a busy machine; what comes at once costs nothing."""
UNITS = Path(__file__).parent / "units"
ORIGIN = "http://pages.test"
"""Answered by `modules` below, never by a network."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *KIOSK])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def modules(chromium: Browser) -> AsyncIterator[Page]:
    """An empty page whose origin serves every module of the pages, and the checks in `units`."""
    known = files()

    async def answer(route: Route) -> None:
        name = route.request.url.removeprefix(f"{ORIGIN}/")
        if name.startswith("units/"):
            await route.fulfill(body=(UNITS / name.removeprefix("units/")).read_bytes(), content_type="text/javascript")
        elif name in known:
            await route.fulfill(body=known[name].body, content_type=known[name].media)
        else:
            await route.fulfill(body="<!doctype html><title>empty</title>", content_type="text/html")

    context = await chromium.new_context()
    page = await context.new_page()
    await page.route("**/*", answer)
    await page.goto(f"{ORIGIN}/")
    yield page
    await context.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def hall(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hall]:
    """A hall served by a process of its own, for all tests of this folder."""
    definition = tmp_path_factory.mktemp("hall") / "hall.toml"
    definition.write_text(DEFINITION, encoding="utf-8")
    async with Whole("--hall", str(definition)) as server:
        yield Hall(server)


@pytest_asyncio.fixture(loop_scope="session")
async def screens(chromium: Browser, hall: Hall) -> AsyncIterator[Screens]:
    """Pages of that hall; windows are closed again and queues emptied afterwards."""
    screens = Screens(chromium, hall)
    yield screens
    await screens.close()
    await hall.clear()
