"""The document says what the routes do: every route, every type, every example, and answers as they really come."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from qserver.api import app, examples, problems
from qserver.api.routing import Route
from qserver.auth.roles import ACCESS, OPEN, SECRET
from qserver.domain.lifecycle import Role
from qserver.wire import asyncapi
from tests.api.edge import Api

H = "/api/v1/halls/{hall}"


@pytest.fixture
async def document(api: Api) -> dict[str, Any]:
    answer = await api.ask("GET", "/openapi.json", by="")
    assert answer.headers["Content-Type"] == "application/json"
    found: dict[str, Any] = answer.json
    return found


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


async def test_every_route_stands_in_it_and_nothing_else(api: Api, document: dict[str, Any]) -> None:
    assert set(operations(document)) == {endpoint.key for endpoint in api.frame.endpoints}


async def test_it_is_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(document["info"])
    ids = [operation["operationId"] for operation in operations(document).values()]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", one) for one in ids)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in document["components"]["schemas"])
    tags = {tag["name"] for tag in document["tags"]}
    for key, operation in operations(document).items():
        assert operation["summary"], key
        assert set(operation["tags"]) <= tags
        path = key.split(" ")[1]
        names = re.findall(r"{(\w+)}", path)
        parameters = [_resolved(document, one) for one in operation["parameters"]]
        assert [one["name"] for one in parameters if one["in"] == "path"] == names
        assert all(one["required"] for one in parameters if one["in"] == "path")
        assert all({"name", "in", "schema"} <= set(one) for one in parameters)
        assert len({(one["in"], one["name"]) for one in parameters}) == len(parameters)
        assert operation["responses"] and all(re.fullmatch(r"[1-5]\d\d", status) for status in operation["responses"])
        for response in operation["responses"].values():
            assert response["description"]
            assert all("schema" in content for content in response.get("content", {}).values())


def _roles(key: str) -> frozenset[Role]:
    roles = ACCESS[key].roles
    assert isinstance(roles, frozenset)
    return roles


def _resolved(document: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in value:
        return value
    found: Any = document
    for part in value["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    assert isinstance(found, dict)
    return found


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_references(one) for one in value.values()))
    return set().union(*(_references(one) for one in value)) if isinstance(value, list) else set()


async def test_every_reference_leads_somewhere_and_every_type_is_used(document: dict[str, Any]) -> None:
    found = _references(document)
    for one in found:
        assert _resolved(document, {"$ref": one})
    schemas = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert schemas - found <= {"#/components/schemas/Empty"}


async def test_security_and_roles_are_the_tables(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for key, operation in operations(document).items():
        access = ACCESS[key].roles
        if access is OPEN or access is SECRET:
            assert operation["security"] == [] and "x-roles" not in operation
            assert ("401" in operation["responses"]) is (key == "POST /api/v1/login"), key
        else:
            assert operation["security"] == [{"token": []}]
            assert operation["x-roles"] == [role.value for role in Role if role in _roles(key)]
            assert {"401", "403"} <= set(operation["responses"])


async def test_every_code_stands_at_its_status(document: dict[str, Any]) -> None:
    seen = set()
    for key, operation in operations(document).items():
        for status, response in operation["responses"].items():
            for kind, content in response.get("content", {}).items():
                if kind != "application/problem+json":
                    assert int(status) < 400
                    continue
                codes = content["schema"]["allOf"][1]["properties"]["code"]["enum"]
                assert {problems.STATUS[code] for code in codes} == {int(status)}, key
                seen |= set(codes)
        if key.startswith("POST"):
            assert "422" in operation["responses"]
    assert seen >= set(problems.STATUS) - {"method_not_allowed"}


async def test_what_receivers_of_webhooks_get_stands_in_it(document: dict[str, Any]) -> None:
    operation = document["webhooks"]["event"]["post"]
    names = {one["name"] for one in operation["parameters"]}
    assert names == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    schema = _resolved(document, operation["requestBody"]["content"]["application/cloudevents+json"]["schema"])
    assert {"id", "type", "sequence", "data"} <= set(schema["properties"])
    assert operation["operationId"] not in {one["operationId"] for one in operations(document).values()}


async def test_commands_take_a_key_and_readings_do_not(document: dict[str, Any]) -> None:
    for key, operation in operations(document).items():
        named = any(_resolved(document, one)["name"] == "Idempotency-Key" for one in operation["parameters"])
        assert named is key.startswith("POST "), key


@pytest.mark.parametrize("key", sorted(examples.BODIES))
async def test_every_example_of_a_body_is_one(api: Api, key: str) -> None:
    endpoint = next(one for one in api.frame.endpoints if one.key == key)
    assert endpoint.decode(msgspec.json.encode(examples.BODIES[key]))


@pytest.mark.parametrize("key", sorted(examples.ANSWERS))
async def test_every_example_of_an_answer_is_one(api: Api, key: str) -> None:
    route = next(one.route for one in api.frame.endpoints if one.key == key)
    assert msgspec.convert(examples.ANSWERS[key], route.answer)


def test_every_body_that_must_say_something_has_an_example() -> None:
    for route in app.routes():
        if _must_say(route):
            assert route.key in examples.BODIES, route.key


def _must_say(route: Route) -> bool:
    return (
        isinstance(route.body, type)
        and issubclass(route.body, msgspec.Struct)
        and any(field.required for field in msgspec.structs.fields(route.body))
    )


async def test_answers_are_as_the_document_says(api: Api, document: dict[str, Any]) -> None:
    day = [
        ("POST", f"{H}/tickets", {"service": "a"}),
        ("POST", f"{H}/tickets", {"service": "b", "services": ["a"]}),
        ("POST", f"{H}/windows/w1/open", {}),
        ("POST", f"{H}/windows/w1/call", {}),
        ("POST", f"{H}/windows/w1/start", {}),
        ("POST", f"{H}/windows/w1/finish", {}),
        ("GET", H, None),
        ("GET", "/api/v1/halls", None),
        ("GET", f"{H}/tickets", None),
        ("GET", f"{H}/tickets/A001", None),
        ("GET", f"{H}/queues", None),
        ("GET", f"{H}/windows", None),
        ("GET", f"{H}/windows/w1", None),
        ("GET", f"{H}/board", None),
        ("GET", f"{H}/stats", None),
        ("GET", f"{H}/reviews", None),
        ("POST", f"{H}/notices", {"text": "hello"}),
        ("POST", f"{H}/services/a/suspend", {"reason": "x"}),
        ("POST", "/api/v1/tokens", {"role": "admin"}),
        ("GET", "/api/v1/tokens", None),
        ("GET", "/livez", None),
        ("GET", "/readyz", None),
    ]
    by_key = operations(document)
    for method, path, body in day:
        answer = await api.ask(method, path.replace("{hall}", "h1"), body)
        assert answer.status in (200, 201), (method, path, answer)
        pattern = re.sub(r"(windows|tickets|services)/(w1|A001|a)\b", _named, path)
        operation = by_key[f"{method} {pattern}"]
        schema = operation["responses"][str(answer.status)]["content"]["application/json"]["schema"]
        _check(document, schema, answer.json, f"{method} {path}")


def _named(match: re.Match[str]) -> str:
    return f"{match[1]}/{ {'windows': '{window}', 'tickets': '{no}', 'services': '{service}'}[match[1]] }"


def _check(document: dict[str, Any], schema: dict[str, Any], value: Any, where: str) -> None:
    """What JSON Schema asks of a value, as far as our types go; and nothing the schema does not name."""
    schema = _resolved(document, schema)
    if "anyOf" in schema:
        failures = []
        for one in schema["anyOf"]:
            try:
                return _check(document, one, value, where)
            except AssertionError as error:
                failures.append(error)
        raise AssertionError(failures)
    if "enum" in schema:
        assert value in schema["enum"], where
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "null": type(None),
    }
    kind = schema.get("type")
    if isinstance(kind, str):
        assert isinstance(value, kinds[kind]), (where, schema, value)
        assert kind not in ("integer", "number") or not isinstance(value, bool), where
    if kind == "object" and "properties" in schema:
        assert set(schema.get("required", ())) <= set(value), (where, value)
        assert set(value) <= set(schema["properties"]), (where, set(value) - set(schema["properties"]))
        for name, one in value.items():
            _check(document, schema["properties"][name], one, f"{where}.{name}")
    elif kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        for name, one in value.items():
            _check(document, schema["additionalProperties"], one, f"{where}.{name}")
    elif kind == "array":
        items = schema.get("prefixItems") or [schema["items"]] * len(value)
        assert len(items) == len(value), where
        for n, (one, of) in enumerate(zip(value, items, strict=True)):
            _check(document, of, one, f"{where}[{n}]")
    return None


async def test_problems_are_as_the_document_says(api: Api, document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["Problem"]
    for path in ("/api/v1/halls/none", "/api/v1/none", "/none"):
        answer = await api.ask("GET", path)
        assert set(schema["required"]) <= set(answer.json)
        assert answer.json["status"] == answer.status
        assert answer.json["type"] == f"urn:qserver:problem:{answer.code}"


async def test_the_sockets_document_is_served_beside_it(api: Api) -> None:
    assert (await api.ask("GET", "/asyncapi.json", by="")).json == asyncapi.document()


async def test_the_page_needs_nothing_from_elsewhere(api: Api) -> None:
    page = await api.ask("GET", "/docs", by="")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    text = page.content.decode()
    assert "<script>" not in text and "style=" not in text and "http" not in text
    for path in re.findall(r'(?:src|href)="(/[^"]+)"', text):
        found = await api.ask("GET", path, by="")
        assert found.status == 200, path
        assert b"https://" not in found.content or path.endswith(".json")
    assert "innerHTML" not in (await api.ask("GET", "/docs/docs.js", by="")).content.decode()
