"""The HTTP side as one aiohttp application: every route of every module, the socket, the pages.

Only wiring lives here: the order of things within a request is `frame`'s, what a route does its module's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Final

from aiohttp import web

from qserver.archive.reports import Reports
from qserver.archive.shelf import Shelf
from qserver.auth.authenticator import Authenticator
from qserver.auth.login import Terms
from qserver.hooks.hooks import Hooks
from qserver.store.store import Store

from . import (
    boards,
    cases,
    docs,
    events,
    halls,
    health,
    links,
    login,
    openapi,
    problems,
    ratings,
    reports,
    reviews,
    runner,
    staff,
    tickets,
    tokens,
    webhooks,
    windows,
    workdays,
)
from .access_log import AccessLog
from .frame import FRAME, Frame
from .limits import Limits
from .metrics import Provider
from .routing import Route

WebSocket = Callable[[web.Request], Awaitable[web.StreamResponse]]


_MODULES: Final = (
    halls, tokens, login, staff, tickets, links, windows, ratings, reviews, cases, workdays, reports, boards, events,
    webhooks, docs,
)  # fmt: skip


def routes() -> tuple[Route, ...]:
    """The modules' routes; those about the process itself come with the application."""
    return tuple(route for module in _MODULES for route in module.ROUTES)


def application(
    store: Store,
    authenticator: Authenticator,
    *,
    archive: Shelf | None = None,
    limits: Limits | None = None,
    terms: Terms | None = None,
    websocket: WebSocket | None = None,
    pages: Iterable[web.RouteDef] = (),
    metrics: Sequence[Provider] = (),
    access_log: AccessLog | None = None,
    draining: Callable[[], bool] = lambda: False,
    hooks: Hooks | None = None,
) -> web.Application:
    """The application; store, authenticator and webhooks are started by whoever made them.

    `archive`: where days are that have left the store; `terms`: of logging in; `draining`: whether this process is
    about to end, for /readyz. Without `hooks` others deliver; webhooks are only made and tested here. Raises
    LookupError when a route does not stand in the role table, ValueError when two routes are one.
    """
    app = web.Application(handler_args=runner.OPTIONS)
    feed = events.attach(app, store)
    app[reports.REPORTS] = Reports(store, archive)
    webhooks.attach(app, store, hooks)
    own = health.Health(store, (runner.BROKEN.metrics, *metrics, events.metrics(feed)), draining)
    known = (*routes(), *own.routes())
    limits = limits or Limits()
    frame = Frame(store, authenticator, (*known, *openapi.routes(known)), limits, access_log)
    login.attach(app, store, authenticator, terms or Terms(), limits.logins)
    own.watch(frame)
    app[FRAME] = frame
    if websocket is not None:
        app.router.add_get("/ws", websocket)
    app.router.add_routes(pages)
    app.router.register_resource(runner.Everything(frame))
    for path in sorted({endpoint.route.path for endpoint in frame.endpoints if not endpoint.api}):
        app.router.add_route("*", path, frame.handle)
    app.router.add_route("*", "/{rest:.*}", nothing_here)
    if access_log is not None:
        app.cleanup_ctx.append(_logging(access_log))
    return app


async def nothing_here(request: web.Request) -> web.StreamResponse:
    """What no resource takes, or none with this method."""
    allowed: set[str] = set()
    for resource in request.app.router.resources():
        if resource.canonical != "/{rest}" and not isinstance(resource, runner.Everything):
            allowed |= (await resource.resolve(request))[1]
    if allowed:
        return problems.problem("method_not_allowed", headers={"Allow": ", ".join(sorted(allowed))})
    return problems.problem("not_found", "there is no such page", {"what": "page"})


def _logging(log: AccessLog) -> Callable[[web.Application], AsyncIterator[None]]:
    async def run(_: web.Application) -> AsyncIterator[None]:
        await log.start()
        yield
        await log.stop()

    return run
