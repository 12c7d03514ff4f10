"""The AsyncAPI 3 document of `/ws`, made from the message types, so that it cannot say anything else than they do."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

import qserver

from .messages import (
    HB_MS,
    JSON_PROTOCOL,
    MAX_CLIENT_FRAME,
    MSGPACK_PROTOCOL,
    TOO_BIG,
    ClientMessage,
    Close,
    ServerMessage,
)

_DESCRIPTION = f"""\
One socket, one topic. The first frame within 5 s is `hello`; tokens never stand in a URL. Topics: `board` (any role of
the hall), `window:ID` (supervisor, and the clerk, pad or display bound to ID), `stats` (supervisor, assessor), `ticket`
(the holder of the ticket's link, its secret as token).

Subprotocol `{JSON_PROTOCOL}`: JSON in text frames. `{MSGPACK_PROTOCOL}`: the same messages as MessagePack maps in
binary frames. Client messages over {MAX_CLIENT_FRAME} bytes close with {TOO_BIG}.

A client applies an `event` only if its `p` equals the last `s` it applied; otherwise, or when the `s` of `hb` stays
ahead for 1 s, it sends `resync`. `ep` is opaque and compared for equality: when it changes the client throws its state
away. Either side silent for 2.5 heartbeats ({HB_MS} ms) is gone. Closing: {{codes}}.
"""
_MEANING = {
    Close.DRAINING: "the server stops or cannot serve now, come back after retry_ms",
    Close.TOO_SLOW: "the client did not read, or was silent, come back after retry_ms",
    Close.REPLACED: "the same device connected again, come back after retry_ms",
    Close.NOT_ALLOWED: "the token may not see this, stop and show it",
    Close.PROTOCOL: "a message that should not have come, stop and show it",
    Close.VERSION: "no subprotocol in common, stop and show it",
}


def _plain(schema: Any) -> Any:
    """The same in AsyncAPI's dialect (JSON Schema draft 7), which knows no `prefixItems`: our pairs are of one kind."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _plain(value) for name, value in schema.items()}
    if "prefixItems" in found:
        found["items"] = found.pop("prefixItems")[0]
    return found


def document() -> dict[str, Any]:
    """The whole document, ready to be encoded as JSON."""
    said: tuple[type, ...] = get_args(ClientMessage)
    told: tuple[type, ...] = get_args(ServerMessage)
    schemas, components = msgspec.json.schema_components([*said, *told], ref_template="#/components/schemas/{name}")
    messages = {}
    for kind, schema in zip((*said, *told), schemas, strict=True):
        tag = str(kind.__struct_config__.tag)  # type: ignore[attr-defined]
        messages[tag] = {
            "name": tag,
            "title": kind.__name__,
            "summary": (kind.__doc__ or "").strip(),
            "contentType": "application/json",
            "payload": schema,
        }

    def refer(kinds: tuple[type, ...]) -> list[dict[str, str]]:
        return [
            {"$ref": f"#/channels/socket/messages/{kind.__struct_config__.tag}"}  # type: ignore[attr-defined]
            for kind in kinds
        ]

    codes = "; ".join(f"{int(code)} {text}" for code, text in _MEANING.items())
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "qserver sockets",
            "version": qserver.__version__,
            "description": _DESCRIPTION.replace("{codes}", codes),
        },
        "defaultContentType": "application/json",
        "servers": {
            "here": {
                "host": "{host}",
                "protocol": "ws",
                "description": "the one port of the server; wss when it has a certificate",
                "variables": {"host": {"default": "127.0.0.1:8080", "description": "host and port"}},
            }
        },
        "channels": {
            "socket": {
                "address": "/ws",
                "title": "The socket of a screen, a pad, a clerk or a phone",
                "messages": {tag: {"$ref": f"#/components/messages/{tag}"} for tag in messages},
                "bindings": {
                    "ws": {
                        "method": "GET",
                        "headers": {
                            "type": "object",
                            "properties": {
                                "Sec-WebSocket-Protocol": {"type": "string", "enum": [JSON_PROTOCOL, MSGPACK_PROTOCOL]}
                            },
                            "required": ["Sec-WebSocket-Protocol"],
                        },
                    }
                },
            }
        },
        "operations": {
            "hear": {
                "action": "receive",
                "channel": {"$ref": "#/channels/socket"},
                "summary": "What a client may say",
                "messages": refer(said),
            },
            "tell": {
                "action": "send",
                "channel": {"$ref": "#/channels/socket"},
                "summary": "What the server says",
                "messages": refer(told),
            },
        },
        "components": {"messages": messages, "schemas": _plain(components)},
    }
