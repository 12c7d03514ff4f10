"""How pages are served, and what may not stand in them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from qserver.api.links import PUBLIC_URL
from qserver.api.pages import SCREENS, SECURITY, TYPES, files, folders, pages
from qserver.domain.errors import CODES
from qserver.domain.lifecycle import State, WindowState
from qserver.domain.reviews import SOURCES, STEPS, TERMS, CaseState, ReviewState

SECRET = "h1.20260102-A001.ab-_cdefghijklmnopqrstuv"
Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    app = web.Application()
    app.router.add_routes(pages())
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize("path", [*SCREENS, "/web/api.js", "/web/style.css", "/web/icon.svg", "/displays/board.js"])
async def test_every_answer_carries_the_security_headers(client: Client, path: str) -> None:
    answer = await client.get(path.replace("{secret}", SECRET))
    assert answer.status == 200
    assert {name: answer.headers[name] for name in SECURITY} == SECURITY
    assert answer.charset == "utf-8"


async def test_an_unchanged_file_is_not_sent_again(client: Client) -> None:
    first = await client.get("/web/api.js")
    again = await client.get("/web/api.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Cache-Control"] == "no-cache"
    other = await client.get("/web/api.js", headers={"If-None-Match": '"other"'})
    assert (other.status, await other.read()) == (200, await first.read())


async def test_a_ticket_page_is_never_stored(client: Client) -> None:
    assert (await client.get(f"/t/{SECRET}")).headers["Cache-Control"] == "no-store"
    assert (await client.get(f"/t/{SECRET}/qr.svg")).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "/web/",
        "/web/guide.html",
        "/web/../api/pages.py",
        "/web/%2e%2e/api/pages.py",
        "/web/..%2fapi%2fpages.py",
        "/displays/__init__.py",
        "/displays/page/board.js",
        "/evaluator/../../pyproject.toml",
        "/web//etc/passwd",
    ],
)
async def test_nothing_else_is_served(client: Client, path: str) -> None:
    server = client.server
    async with ClientSession() as session:
        answer = await session.get(URL(f"http://{server.host}:{server.port}{path}", encoded=True))
        assert answer.status == 404


async def test_the_qr_code_holds_this_servers_link_only(client: Client) -> None:
    answer = await client.get(f"/t/{SECRET}/qr.svg")
    assert answer.content_type == "image/svg+xml"
    assert {name: answer.headers[name] for name in SECURITY} == SECURITY
    assert ElementTree.fromstring(await answer.text()).tag == "{http://www.w3.org/2000/svg}svg"
    for bad in ("a%20b", "%3Cscript%3E", "x" * 201, "a%0ab", "%E5%8F%B7"):
        assert (await client.get(f"/t/{bad}/qr.svg")).status == 404


async def test_the_qr_code_names_the_public_address() -> None:
    drawn = []
    for public in ("", "https://hall.example/", "https://other.example"):
        app = web.Application()
        app[PUBLIC_URL] = public
        app.router.add_routes(pages())
        async with TestClient(TestServer(app)) as client:
            drawn.append(await (await client.get(f"/t/{SECRET}/qr.svg")).text())
    assert len(set(drawn)) == 3


def test_only_files_of_known_kinds_are_known() -> None:
    known = files()
    assert set(folders()) == {"web", "displays", "evaluator"}
    assert {file.media for file in known.values()} == set(TYPES.values())
    assert set(SCREENS.values()) <= set(known)


class _Page(HTMLParser):
    """Collects what a page's markup does."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.wrong: list[str] = []
        self.texts: list[str] = []
        self.classes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src"):
                self.links.append(value or "")
            if name == "style" or name.startswith("on"):
                self.wrong.append(f"{tag} {name}")
            if name in ("data-t", "data-t-hint", "data-t-name"):
                self.texts.append(value or "")
        if tag == "style" or (tag == "script" and "src" not in dict(attrs)):
            self.wrong.append(tag)


def _text(name: str) -> str:
    return files()[name].body.decode()


HTML = [name for name in files() if name.endswith(".html")]
JS = [name for name in files() if name.endswith(".js")]
CSS = [name for name in files() if name.endswith(".css")]


@pytest.mark.parametrize("name", HTML)
def test_markup_runs_nothing_inline_and_loads_nothing_from_elsewhere(name: str) -> None:
    page = _Page()
    page.feed(_text(name))
    assert page.wrong == []
    assert page.links
    for link in page.links:
        assert link.removeprefix("/") in files(), link


@pytest.mark.parametrize("name", JS)
def test_scripts_never_make_markup_of_text(name: str) -> None:
    text = _text(name)
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "DOMParser",
    ):
        assert word not in text, word
    assert set(re.findall(r"https?://[\w./]+", text)) <= {"http://www.w3.org/2000/svg"}
    for module in re.findall(r'(?:from|import) "([^"]+)"', text):
        folder = name.rpartition("/")[0]
        assert (module.removeprefix("/") if module.startswith("/") else f"{folder}/{module[2:]}") in files(), module


@pytest.mark.parametrize("name", CSS)
def test_styles_load_nothing(name: str) -> None:
    assert "@import" not in _text(name)
    assert "url(" not in _text(name)


def _all_keys() -> list[str]:
    """The names of all texts, in their files; one that stands twice hides the other."""
    bodies = [_text(name).partition("TEXTS = {")[2] for name in JS if name.startswith("web/words")]
    return [key for body in bodies for key in re.findall(r"^  (\w+): \[", body, re.MULTILINE)]


def _keys() -> set[str]:
    return set(_all_keys())


def test_every_text_named_is_there() -> None:
    known = _keys()
    used: set[str] = set()
    for name in HTML:
        page = _Page()
        page.feed(_text(name))
        used |= set(page.texts)
    for name in JS:
        used |= set(re.findall(r'\b(?:label|say|words|begin|because|big)\("(\w+)"', _text(name)))
    assert used - known == set()
    assert len(known) == len(_all_keys())


def test_every_state_and_every_refusal_has_words() -> None:
    wanted = {f"ticket_{state}" for state in State} | {f"window_{state}" for state in WindowState}
    wanted |= {f"{screen}_{state}" for state in WindowState for screen in ("board", "screen")}
    wanted |= {f"phone_{state}" for state in State}
    wanted |= {f"code_{code}" for code in CODES if code not in _NEVER_SHOWN}
    wanted |= {f"review_{state}" for state in ReviewState} | {f"source_{source}" for source in SOURCES}
    wanted |= {f"case_{state}" for state in CaseState} | {f"term_{term}" for term in TERMS.values() if term}
    for name, step in STEPS.items():
        wanted |= {f"do_step_{name}", f"step_{step.event}"} | {f"result_{result}" for result in step.results}
    wanted |= {"step_opened", "step_reminded", "step_late", *(f"step_{state}" for state in CaseState), "step_overtime"}
    assert wanted - _keys() == set()


_NEVER_SHOWN = {"too_large", "method_not_allowed", "unsupported_media_type", "precondition_failed", "in_use"}
"""Refusals of requests that no page sends."""
