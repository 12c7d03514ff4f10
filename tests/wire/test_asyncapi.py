"""The sockets' document says what the types say."""

from __future__ import annotations

from typing import Any

import msgspec

from qserver.wire.asyncapi import document


def refs(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [ref for one in value.values() for ref in refs(one)]
    if isinstance(value, list):
        return [ref for one in value for ref in refs(one)]
    return []


def test_it_is_asyncapi_three_and_all_its_references_lead_somewhere() -> None:
    found = msgspec.json.decode(msgspec.json.encode(document()))
    assert found["asyncapi"].startswith("3.")
    assert found["channels"]["socket"]["address"] == "/ws"
    for ref in refs(found):
        at = found
        for part in ref.removeprefix("#/").split("/"):
            at = at[part]


def test_every_message_of_both_sides_is_in_it() -> None:
    found = document()
    said = {ref["$ref"].rpartition("/")[2] for ref in found["operations"]["hear"]["messages"]}
    told = {ref["$ref"].rpartition("/")[2] for ref in found["operations"]["tell"]["messages"]}
    assert said == {"hello", "ack", "resync"}
    assert told == {"welcome", "snapshot", "event", "state", "hb", "bye"}


def test_fields_are_the_contract_s() -> None:
    schemas = document()["components"]["schemas"]
    hello = schemas["Hello"]
    assert set(hello["required"]) == {"t", "token", "topic"}
    assert set(hello["properties"]) == {"t", "token", "hall", "topic", "ep", "s", "device"}
    assert set(schemas["Heartbeat"]["properties"]) == {"t", "ep", "s", "now_ms"}
    assert set(schemas["BoardEvent"]["required"]) == {"t", "s", "p", "k", "at_ms"}
    assert set(schemas["BoardView"]["properties"]) == {"hall", "calls", "windows", "waiting", "notices"}
    assert schemas["Bye"]["properties"]["retry_ms"]["minItems"] == 2


def test_close_codes_are_told() -> None:
    text = document()["info"]["description"]
    assert all(str(code) in text for code in (4001, 4002, 4005, 4101, 4102, 4103, 1009))
