"""The browser pages: a fixed list of files, read once at start, and the QR code of a ticket's own link.

No request path ever reaches the file system and nothing about halls or tickets is decided here: the pages talk to
the same HTTP routes and sockets as every other client. Pages load nothing from elsewhere and run no inline script,
which the headers below enforce.
"""

import hashlib
import importlib.util
import io
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import segno
from aiohttp import ETag, web

from .links import PUBLIC_URL

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
"""What is served, by suffix; a file of another kind in the folders is not served at all."""

SCREENS = {
    "/": "web/index.html",
    "/guide": "web/guide.html",
    "/clerk": "web/clerk.html",
    "/supervisor": "web/supervisor.html",
    "/assessor": "web/assessor.html",
    "/board": "displays/board.html",
    "/window": "displays/window.html",
    "/pad": "evaluator/pad.html",
    "/t/{secret}": "web/ticket.html",
}
"""The page behind each address people open."""

SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""On every answer. No referrer: a ticket's link stands in an address and must not leave in a header."""

_SECRET = re.compile(r"[A-Za-z0-9._-]{1,200}")


class File(NamedTuple):
    """A file as it is sent: its bytes, media type and the digest that identifies them."""

    body: bytes
    media: str
    etag: str


def folders() -> dict[str, Path]:
    """The first part of each file's address and the folder behind it.

    Raises FileNotFoundError when the devices' packages are not installed beside this one.
    """
    found = {"web": Path(__file__).parent.parent / "web"}
    for package in ("displays", "evaluator"):
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise FileNotFoundError(f"package {package} with its pages is not installed")
        found[package] = Path(spec.submodule_search_locations[0]) / "page"
    return found


def files() -> dict[str, File]:
    """Everything that may be served: `{"web/api.js": File, ...}`, read now."""
    found = {}
    for prefix, folder in folders().items():
        for path in sorted(folder.iterdir()):
            if path.suffix in TYPES and path.is_file():
                body = path.read_bytes()
                found[f"{prefix}/{path.name}"] = File(body, TYPES[path.suffix], hashlib.sha256(body).hexdigest()[:16])
    return found


def pages() -> list[web.RouteDef]:
    """The routes of all pages, their scripts and styles, and of the QR code.

    Raises FileNotFoundError when a page's file is missing.
    """
    known = files()
    missing = sorted(set(SCREENS.values()) - set(known))
    if missing:
        raise FileNotFoundError(f"pages are missing: {', '.join(missing)}")
    routes = [web.get(f"/{name}", _serve(file)) for name, file in known.items() if file.media != TYPES[".html"]]
    routes += [web.get(path, _serve(known[name], secret="{" in path)) for path, name in SCREENS.items()]
    routes.append(web.get("/t/{secret}/qr.svg", qr))
    return routes


def _serve(file: File, *, secret: bool = False) -> Handler:
    # Addresses stay the same across versions, so a browser asks each time and usually hears "not modified".
    cache = "no-store" if secret else "no-cache"
    tag = ETag(file.etag)

    async def handler(request: web.Request) -> web.StreamResponse:
        asked = request.if_none_match or ()
        fresh = any(known.value in ("*", file.etag) for known in asked)
        response = web.Response(status=304) if fresh else web.Response(body=file.body, content_type=file.media)
        if not fresh:
            response.charset = "utf-8"
        response.headers.update(SECURITY)
        response.headers["Cache-Control"] = cache
        response.etag = tag
        return response

    return handler


async def qr(request: web.Request) -> web.StreamResponse:
    """The QR code of the ticket's link under which this picture was asked for.

    It can only ever hold this server's own `/t/{secret}`, and whoever asks already knows the secret.
    """
    secret = request.match_info["secret"]
    if not _SECRET.fullmatch(secret):
        raise web.HTTPNotFound
    drawn = io.BytesIO()
    base = request.config_dict.get(PUBLIC_URL, "") or f"{request.scheme}://{request.host}"
    code = segno.make(f"{base.rstrip('/')}/t/{secret}", error="m", micro=False)
    code.save(drawn, kind="svg", scale=4, border=4, dark="#000", light="#fff", xmldecl=False)
    response = web.Response(body=drawn.getvalue(), content_type=TYPES[".svg"])
    response.headers.update(SECURITY)
    response.headers["Cache-Control"] = "no-store"
    return response
