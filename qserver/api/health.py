"""Whether the server lives, whether it can work, and its figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from qserver.domain.errors import Unavailable
from qserver.store.store import Store

from . import metrics
from .routing import Call, Reply, Route

if TYPE_CHECKING:
    from .frame import Frame


class Status(msgspec.Struct):
    """`ok`; everything else is a problem."""

    status: str


class Health:
    """The three routes that machines ask. `draining`: whether this process is about to end."""

    def __init__(self, store: Store, providers: Sequence[metrics.Provider], draining: Callable[[], bool]) -> None:
        self._store = store
        self._providers = [self._requests, *providers]
        self._draining = draining
        self._frame: Frame | None = None

    def watch(self, frame: Frame) -> None:
        """Whose requests are counted."""
        self._frame = frame

    def routes(self) -> tuple[Route, ...]:
        """The routes, for the application."""
        return (
            Route("GET", "/livez", self.livez, answer=Status, summary="The process answers 存活"),
            Route("GET", "/readyz", self.readyz, answer=Status, summary="The process can do its work 就绪"),
            Route("GET", "/metrics", self.metrics, answer=str, summary="Figures, as Prometheus reads them 指标"),
        )

    async def livez(self, _: Call) -> Any:
        """Answers as long as the loop turns."""
        return Status("ok")

    async def readyz(self, _: Call) -> Any:
        """Answers `ok` while the data server answers and the process is not about to end."""
        if self._draining():
            raise Unavailable("this process is about to end")
        await self._store.ping()
        return Status("ok")

    async def metrics(self, _: Call) -> Any:
        """All figures of all rooms."""
        return Reply(metrics.text(self._providers), content_type=metrics.CONTENT_TYPE)

    def _requests(self) -> Iterable[str]:
        if self._frame is None:
            return ()
        meters = [endpoint.meter for endpoint in self._frame.endpoints]
        return metrics.request_lines([*meters, self._frame.lost], self._frame.in_flight)
