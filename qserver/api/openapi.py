"""The OpenAPI 3.1 document, made from the routes' own types, so that it cannot say anything else than they do.

AsyncAPI is the sockets' document; it is made where the messages are defined and only served here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

import qserver
from qserver.auth.roles import ACCESS, OPEN, SECRET
from qserver.domain.lifecycle import Role
from qserver.feed.cloudevents import CloudEvent
from qserver.wire import asyncapi

from . import examples, problems
from .routing import Call, Empty, Reply, Route

_REF: Final = "#/components/schemas/{name}"
_PARTS: Final = {
    "hall": "hall id",
    "window": "window id",
    "service": "service id",
    "staff": "staff id of somebody who logs in",
    "no": "a ticket by its number (today's) or its id",
    "id": "id",
    "secret": "the secret of a ticket's link",
    "day": "business day YYYY-MM-DD",
    "month": "month YYYY-MM",
    "group": "name of the consumer group",
    "case": "the business system's number of the case",
}
_TAGS: Final = {
    "pair": "tokens", "pairings": "tokens", "t": "links", "login": "staff", "logout": "staff", "password": "staff",
}  # fmt: skip
"""Where routes belong whose path does not say so."""
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": (
        "Same key and same body: the first answer again, with Idempotency-Replayed: true. Same key and another body: "
        "422 idempotency_mismatch. Scope: token, method, path. Kept at least 2 hours, but for 401, 403, 429 and 5xx."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}
_OTHERWISE_GOOD: Final[dict[int, dict[str, Any]]] = {
    201: {"description": "made"},
    304: {"description": "what If-None-Match names still stands"},
}
_DESCRIPTION: Final = """\
Queue management and instant evaluation for government service halls (政务服务大厅排队叫号与即时评价).

Instants are integers, milliseconds since the Unix epoch by the data server's clock, named `*_ms`; durations likewise.
Days are `YYYY-MM-DD` in the hall's time zone. Refusals are problem documents (RFC 9457) with a stable `code`. A 5xx or
a broken connection means "unknown": repeat with the same `Idempotency-Key`.
"""


class Schemas:
    """The schemas of all types of some routes. Made together, because a type's name depends on who else has it."""

    def __init__(self, routes: Iterable[Route]) -> None:
        kinds: dict[int, Any] = {id(kind): kind for kind in (problems.Problem, Empty, CloudEvent)}
        for route in routes:
            for kind in (route.body, route.answer, *(field.type for field in _fields(route.query))):
                if kind is not None:
                    kinds.setdefault(id(kind), kind)
        found, self.components = msgspec.json.schema_components(
            kinds.values(), schema_hook=_of_unknown, ref_template=_REF
        )
        found, self.components = _renamed((found, self.components))
        self._kinds = kinds  # keeps the types alive: they are known by their identity
        self._of = dict(zip(kinds, found, strict=True))

    def of(self, kind: Any) -> dict[str, Any]:
        """The schema of one of the types; nothing is said of None."""
        return {} if kind is None else self._of[id(kind)]


def _renamed(value: Any) -> Any:
    """Types of the same name are told apart by the name of their module: `HallWindow`, not a path in our code."""

    def short(match: re.Match[bytes]) -> bytes:
        module, name = match[0].split(b".")[-2:]
        return module.title() + name

    return msgspec.json.decode(re.sub(rb"qserver(\.\w+)+\.[A-Z]\w*", short, msgspec.json.encode(value)))


def _of_unknown(kind: type) -> dict[str, Any]:
    """`object` is anything; what else has no schema is a mistake, which msgspec asks a schema's hook to say so."""
    if kind is object:
        return {"description": "anything"}
    raise NotImplementedError(f"{kind} has no schema")


def _fields(query: Any) -> tuple[msgspec.structs.FieldInfo, ...]:
    return () if query is None else _query_fields(query)


@functools.cache
def _query_fields(query: Any) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(query)


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    schemas = Schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in sorted(routes, key=lambda one: one.path):
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "qserver", "version": qserver.__version__, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in sorted({_tag(route) for route in routes})],
        "paths": paths,
        "webhooks": {"event": {"post": _webhook(schemas)}},
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A device's or a system's token; which roles a route takes stands in `x-roles`.",
                }
            },
            "parameters": {"IdempotencyKey": _KEY},
        },
    }


def _webhook(schemas: Schemas) -> dict[str, Any]:
    """What a webhook's receiver gets."""
    headers = {
        "webhook-id": "the event's id; what came before under it is to be ignored",
        "webhook-timestamp": "of this attempt, seconds since the Unix epoch",
        "webhook-signature": "`v1,BASE64(HMAC-SHA256(secret, id.timestamp.body))`; two while secrets change",
    }
    return {
        "operationId": "webhook_event",
        "tags": ["webhooks"],
        "summary": "An event of a kind that was chosen 事件通知",
        "description": "Signed after the Standard Webhooks specification 1.0.0, delivered at least once.",
        "security": [],
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": meaning, "schema": {"type": "string"}}
            for name, meaning in headers.items()
        ],
        "requestBody": {
            "required": True,
            "content": {"application/cloudevents+json": {"schema": schemas.of(CloudEvent)}},
        },
        "responses": {
            "2XX": {"description": "taken"},
            "410": {"description": "no more, ever: the webhook is disabled"},
            "default": {"description": "tried again, not before `Retry-After` if there is one"},
        },
    }


def _operation(route: Route, schemas: Schemas) -> dict[str, Any]:
    access = ACCESS[route.key].roles
    by_token = access is not OPEN and access is not SECRET
    found: dict[str, Any] = {
        "operationId": _name(route),
        "tags": [_tag(route)],
        "summary": route.summary,
        "security": [{"token": []}] if by_token else [],
        "parameters": _parameters(route, schemas),
        "responses": _responses(route, by_token, schemas),
    }
    if route.handler.__doc__:
        found["description"] = route.handler.__doc__.strip()
    if isinstance(access, frozenset):
        found["x-roles"] = [role.value for role in Role if role in access]
    if route.method in ("POST", "PUT") and route.body is not Empty:
        content: dict[str, Any] = {"schema": schemas.of(Empty if route.body is None else route.body)}
        if example := examples.BODIES.get(route.key):
            content["example"] = example
        found["requestBody"] = {"required": True, "content": {"application/json": content}}
    return found


def _parameters(route: Route, schemas: Schemas) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "description": _PARTS[name], "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    for field in _fields(route.query):
        schema = schemas.of(field.type)
        one = {"name": field.encode_name, "in": "query", "required": field.required, "schema": schema}
        if "description" in schema:
            one["description"] = schema["description"]
        found.append(one)
    if route.method == "POST":
        found.append({"$ref": "#/components/parameters/IdempotencyKey"})
    return found


def _responses(route: Route, by_token: bool, schemas: Schemas) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": schemas.of(route.answer)}
    if example := examples.ANSWERS.get(route.key):
        content["example"] = example
    kind = "text/plain" if route.answer is str else "application/json"
    good: dict[str, Any] = {"description": "done"}
    if route.answer is not None:
        good["content"] = {kind: content}
    if route.method == "POST":
        good["headers"] = {
            "Idempotency-Replayed": {
                "description": "`true` on an answer given before",
                "schema": {"type": "string", "const": "true"},
            }
        }
    found: dict[str, Any] = {str(route.status): good}
    found |= {str(status): ({} if status == 304 else good) | _OTHERWISE_GOOD[status] for status in route.also}
    by_status: dict[int, list[str]] = {}
    for code in codes(route, by_token):
        by_status.setdefault(problems.STATUS[code], []).append(code)
    for status, names in sorted(by_status.items()):
        refusal: dict[str, Any] = {
            "description": "; ".join(f"`{name}`: {problems.TITLES[name]}" for name in names),
            "content": {
                "application/problem+json": {
                    "schema": {
                        "allOf": [
                            {"$ref": _REF.format(name="Problem")},
                            {"properties": {"code": {"enum": names}}},
                        ]
                    }
                }
            },
        }
        if status in (429, 503):
            refusal["headers"] = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
        found[str(status)] = refusal
    return found


def codes(route: Route, by_token: bool) -> list[str]:
    """Every code a route may refuse with."""
    found = {"internal", "unavailable", *route.codes}
    if route.path.startswith("/api/"):
        found |= {"validation", "rate_limited", "too_large", "unsupported_media_type"}
    if by_token:
        found |= {"unauthorized", "forbidden"}
    if "{" in route.path:
        found.add("not_found")
    if "{window}" in route.path:
        found.add("no_such_window")
    if "{service}" in route.path:
        found.add("no_such_service")
    if route.method == "POST":
        found.add("idempotency_mismatch")
    return [code for code in problems.STATUS if code in found]


def _name(route: Route) -> str:
    parts = [part.strip("{}").replace(".", "_") for part in route.path.removeprefix("/api/v1").split("/") if part]
    return "_".join([route.method.lower(), *parts])


def _tag(route: Route) -> str:
    path = route.path
    if not path.startswith("/api/"):
        return "server"
    parts = [part for part in path.split("/")[3:] if not part.startswith("{")]
    return _TAGS.get(parts[0], parts[1] if parts[1:] else parts[0])


def routes(others: Sequence[Route]) -> tuple[Route, ...]:
    """The routes that serve both documents, about these routes and themselves; made when first asked for."""
    made: dict[str, bytes] = {}

    def serve(name: str, make: Callable[[], Any]) -> Callable[[Call], Any]:
        async def handler(_: Call) -> Any:
            if name not in made:
                made[name] = msgspec.json.encode(make())
            return Reply(made[name])

        return handler

    own = (
        Route(
            "GET",
            "/openapi.json",
            serve("openapi", lambda: document((*others, *own))),
            answer=dict[str, Any],
            summary="This document 本文档",
        ),
        Route(
            "GET",
            "/asyncapi.json",
            serve("asyncapi", asyncapi.document),
            answer=dict[str, Any],
            summary="The sockets' document (AsyncAPI 3) 套接字文档",
        ),
    )
    return own
