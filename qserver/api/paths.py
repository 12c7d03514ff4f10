"""Which route a path leads to: the routes as a tree of their paths' parts, made ready once.

A literal part goes before a named one, so `/tickets/queue` would not be a ticket called `queue`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aiohttp import hdrs

from qserver.auth.roles import ACCESS, Access
from qserver.remembered import Remembered

from . import intake
from .metrics import Meter
from .routing import Route

API: Final = "/api/"
"""Below this everything is the frame's."""
REPEATED: Final = frozenset({"hall", "window", "service"})
"""Parts of paths that are few."""


class Endpoint:
    """A route made ready: its row of the role table, its readers, its counters."""

    __slots__ = (
        "access",
        "api",
        "decode",
        "exempt",
        "handler",
        "key",
        "meter",
        "query",
        "route",
        "status",
        "takes_key",
    )

    def __init__(self, route: Route) -> None:
        self.route = route
        self.key = route.key
        self.access: Access = ACCESS[route.key]
        self.handler = route.handler
        self.status = route.status
        self.takes_key = route.method == "POST"
        self.decode = intake.decoder(route.reads or route.body)
        self.query = intake.query_reader(route.query)
        self.api = route.path.startswith(API)
        self.exempt = route.waits or not self.api
        self.meter = Meter(route.method, route.path)


class Node:
    """One step of the paths: where a literal part leads, where any part leads, what stands here."""

    __slots__ = ("endpoints", "literal", "name", "other")

    def __init__(self) -> None:
        self.literal: dict[str, Node] = {}
        self.name = ""
        self.other: Node | None = None
        self.endpoints: dict[str, Endpoint] = {}

    def endpoint(self, method: str) -> Endpoint | None:
        """What stands here for a method; what answers GET answers HEAD."""
        found = self.endpoints.get(method)
        return self.endpoints.get(hdrs.METH_GET) if found is None and method == hdrs.METH_HEAD else found


class Paths:
    """All routes. Raises LookupError when one does not stand in the role table, ValueError when two are one."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = Node()
        self._remembered = Remembered[str, tuple[Node, dict[str, str]]](4096)
        self.remembered = self._remembered.get
        """What stands at a path that was read before, and its parts, which are not the asker's to change."""
        self.endpoints = [self.add(route) for route in routes]

    def add(self, route: Route) -> Endpoint:
        """Makes a route ready at its path. Raises as the class says."""
        if route.key not in ACCESS:
            raise LookupError(f"{route.key} does not stand in the role table")
        node = self._root
        for text in route.path.split("/")[1:]:
            if text.startswith("{"):
                node.other = node.other or Node()
                if node.name not in ("", text[1:-1]):
                    raise ValueError(f"{route.key}: this part is called {node.name} elsewhere")
                node.name, node = text[1:-1], node.other
            else:
                node = node.literal.setdefault(text, Node())
        if route.method in node.endpoints:
            raise ValueError(f"{route.key} stands twice")
        endpoint = node.endpoints[route.method] = Endpoint(route)
        return endpoint

    def find(self, path: str) -> tuple[Node, dict[str, str]] | None:
        """What stands at a path as it came, and the path's named parts, still encoded."""
        node, parts = self._root, {}
        for text in path.split("/")[1:]:
            known = node.literal.get(text)
            if known is None:
                known = node.other
                if known is None:
                    return None
                parts[node.name] = text
            node = known
        return (node, parts) if node.endpoints else None

    def read(self, path: str, node: Node, parts: dict[str, str]) -> None:
        """Decodes the parts in place. Remembers where a path leads that devices ask for again and again: one whose
        parts are few in a hall. Refused: what a part that looks like none is.
        """
        for name, text in parts.items():
            parts[name] = intake.part(name, text)
        if parts.keys() <= REPEATED and len(path) <= 256:
            self._remembered.add(path, (node, dict(parts)))
