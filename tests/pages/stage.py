"""A whole hall for browser tests: a real server process, and pages opened as people open them, by pairing links."""

from __future__ import annotations

import re
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page, Response

from tests.whole import Whole

HALL = "h1"
H = f"/api/v1/halls/{HALL}"

DEFINITION = """
id = "h1"
name = "阳光市政务服务中心"
name_en = "Sunshine City Service Hall"
services = [
  {id = "reg", prefix = "A", name = "企业登记", name_en = "Business registration", service_limit_s = 900},
  {id = "tax", prefix = "B", name = "税务办理", name_en = "Tax", wait_limit_s = 1800},
  {id = "soc", prefix = "C", name = "社会保险", name_en = "Social insurance"},
]
windows = [
  {id = "w1", name = "1号窗口", name_en = "Window 1", services = ["reg", "tax"]},
  {id = "w2", name = "2号窗口", services = ["tax", "reg"]},
  {id = "w3", name = "3号窗口", services = ["soc"]},
]
priorities = [{id = "elder", name = "老年人", name_en = "Elderly", boost_s = 600}]
[rating.reasons]
2 = ["等候时间长", "效率低"]
[rating.reasons_en]
2 = ["Long wait", "Slow"]
"""

NETWORK = re.compile(r"Failed to load resource|WebSocket connection to|net::ERR_")
"""What the browser itself says of refusals and lost connections; expected where a test provokes them."""


def ratings_answered(response: Response) -> bool:
    """Whether this answers ratings of a pad, which tells by the same route, in requests of their own, that it asked."""
    return response.url.endswith("/ratings") and bool((response.request.post_data_json or {}).get("items"))


class Hall:
    """The hall `h1` of a server of its own."""

    def __init__(self, server: Whole) -> None:
        self.server = server

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request of the administrator, its answer's body; fails on refusals."""
        answer = await self.server.request(method, path.removeprefix("/api/v1"), body)
        assert answer.status < 300, (answer.status, answer.body)
        return answer.body

    async def code(self, role: str, window: str = "") -> str:
        """A one-time pairing code."""
        body = {"role": role, "hall": HALL} | ({"window": window} if window else {})
        made = await self.ask("POST", "/api/v1/pairings", body)
        code: str = made["code"]
        return code

    async def issue(self, service: str = "reg") -> str:
        """A new ticket's number."""
        issued = await self.ask("POST", f"{H}/tickets", {"service": service})
        number: str = issued["ticket"]["no"]
        return number

    async def clear(self) -> None:
        """Empties windows and queues, so that the next test finds the hall as it was."""
        for window in (await self.ask("GET", f"{H}/windows"))["windows"]:
            at = f"{H}/windows/{window['id']}"
            if window["state"] == "called":
                await self.ask("POST", f"{at}/miss")
            elif window["state"] == "serving":
                await self.ask("POST", f"{at}/finish")
            if window["state"] != "closed":
                await self.ask("POST", f"{at}/close")
        for state in ("waiting", "held", "missed"):
            for ticket in (await self.ask("GET", f"{H}/tickets?state={state}&limit=1000"))["tickets"]:
                await self.ask("POST", f"{H}/tickets/{ticket['id']}/cancel")


class Screens:
    """Opens pages in contexts of their own and keeps what their consoles said."""

    def __init__(self, browser: Browser, hall: Hall) -> None:
        self.browser = browser
        self.hall = hall
        self.said: list[str] = []
        self._contexts: list[Any] = []

    async def page(self, size: tuple[int, int] = (1280, 800), **options: Any) -> Page:
        """An empty page of a browser nobody used before."""
        context = await self.browser.new_context(
            viewport={"width": size[0], "height": size[1]}, base_url=self.hall.server.url, **options
        )
        context.set_default_timeout(20_000)
        self._contexts.append(context)
        page = await context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.said.append(f"page error: {error}"))
        return page

    async def open(
        self, name: str, role: str, window: str = "", size: tuple[int, int] = (1280, 800), **options: Any
    ) -> Page:
        """A paired page, by the link of a fresh code. A board is mute: it would first say what other tests called."""
        page = await self.page(size, **options)
        query = f"hall={HALL}" + (f"&window={window}" if window else "") + ("&voice=" if name == "board" else "")
        await page.goto(f"/{name}?{query}#pair={await self.hall.code(role, window)}")
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.said.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def complaints(self, *, network: bool = False) -> list[str]:
        """What the consoles complained of; `network`: leave out lost connections and refusals."""
        return [said for said in self.said if not (network and NETWORK.search(said))]

    async def close(self) -> None:
        """Closes every page."""
        for context in self._contexts:
            await context.close()
