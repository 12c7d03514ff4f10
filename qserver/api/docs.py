"""The interface's document as a page that needs nothing from elsewhere: it reads /openapi.json and shows it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any, Final

from .routing import Call, Reply, Route

_FILES: Final = {
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/docs/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
    "/docs/docs.css": ("docs.css", "text/css; charset=utf-8"),
}


def _serve(name: str, content_type: str) -> Callable[[Call], Awaitable[Any]]:
    content = resources.files(__package__).joinpath("static", name).read_bytes()

    async def handler(_: Call) -> Any:
        return Reply(content, content_type=content_type)

    return handler


ROUTES = tuple(
    Route("GET", path, _serve(name, kind), answer=str, summary=f"The page of this document ({name}) 文档页面")
    for path, (name, kind) in _FILES.items()
)
