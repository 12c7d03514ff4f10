"""From bytes to typed values: bodies with a bound, JSON, query strings, the parts of a path, the idempotency key.

Whatever a client can send wrong in form is refused here, before any handler sees it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec
from aiohttp import web
from aiohttp.streams import StreamReader

from qserver.auth.principal import Principal
from qserver.domain.errors import Refusal
from qserver.store.answers import Op

from .asked import Asked
from .routing import Empty

BODY_WAIT_S: Final = 30.0
"""A body that has not come by then is refused, so that slow senders hold nothing for long."""

STAFF_ID: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}"
"""What somebody who logs in may be called."""
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_PARTS: Final = {
    "hall": (_ID, "not_found", "hall"),
    "window": (_ID, "no_such_window", "window"),
    "service": (_ID, "no_such_service", "service"),
    "case": (re.compile(r"[^\x00-\x1f\x7f]{1,64}"), "not_found", "case"),  # the business system's own
    "staff": (re.compile(STAFF_ID), "not_found", "staff"),
    "no": (re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}"), "not_found", "ticket"),
}
_OTHER_PART: Final = (re.compile(r"[A-Za-z0-9._~-]{1,200}"), "not_found", "")
_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_WHERE = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")

Decoder = Callable[[bytes], Any]


class TooLarge(Refusal):
    """The body is over the bound; what is left of it is not read, so the connection ends."""

    def __init__(self, bound: int) -> None:
        super().__init__("too_large", f"at most {bound} bytes", bound=bound)


def part(name: str, text: str) -> str:
    """A part of a path, decoded and of the form such a part has: what does not look like one does not exist."""
    pattern, code, what = _PARTS.get(name, _OTHER_PART)
    if "%" in text:
        text = unquote(text, errors="replace")
    if pattern.fullmatch(text) is None:
        raise Refusal(code, what=what or name)
    return text


def check_size(content: bytes, bound: int) -> None:
    """Raises TooLarge."""
    if len(content) > bound:
        raise TooLarge(bound)


async def body(request: Asked, stream: StreamReader, bound: int) -> bytes:
    """The body of a request that still comes. Raises TooLarge, Refusal (unsupported_media_type, validation)."""
    coding = request.headers.get("content-encoding")
    if coding is not None and coding.lower() != "identity":
        raise Refusal("unsupported_media_type", "bodies are not taken compressed")
    if int(request.headers.get("content-length", 0)) > bound:
        raise TooLarge(bound)
    found = b""
    try:
        async with asyncio.timeout(BODY_WAIT_S):
            while chunk := await stream.readany():
                found += chunk
                if len(found) > bound:
                    raise TooLarge(bound)
    except TimeoutError:
        raise Refusal("validation", f"the body did not come within {BODY_WAIT_S:.0f} s") from None
    except (ValueError, web.RequestPayloadError) as error:  # broken chunks
        raise Refusal("validation", "the body is broken") from error
    return found


def idempotency_key(request: Asked) -> str:
    """The request's key, "" without. Refused: validation."""
    key = request.key
    if key is None:
        return ""
    if _KEY.fullmatch(key) is None:
        raise Refusal("validation", "Idempotency-Key is 1 to 255 printable ASCII characters", field="Idempotency-Key")
    return key


def operation(principal: Principal, request: Asked, key: str, content: bytes) -> Op:
    """Who asks, and the names under which the answer is kept: by token (of who logged in: by person), method, path and
    key, for these bytes.
    """
    scope = "\0".join((principal.account, request.method, request.path, key))
    return Op(
        principal.actor,
        hashlib.sha256(scope.encode("utf-8", "surrogateescape")).digest(),
        hashlib.blake2b(content, digest_size=16).digest(),
        principal.seated,
    )


def check_type(request: Asked) -> None:
    """Refused (unsupported_media_type) unless the body says it is JSON."""
    given = request.headers.get("content-type", "")
    if given == "application/json":
        return
    kind, _, options = given.partition(";")
    charset = options.strip().lower().replace('"', "")
    if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8", "charset=utf8"):
        raise Refusal("unsupported_media_type", "send application/json in UTF-8")


def decoder(kind: Any) -> Decoder:
    """How a body of this type is read; without a type nothing may be in it."""
    kind = Empty if kind is None else kind
    _must_forbid_unknown(kind)
    decode = msgspec.json.Decoder(kind).decode
    optional = isinstance(kind, type) and issubclass(kind, msgspec.Struct) and _all_default(kind)

    def read(content: bytes) -> Any:
        if not content and optional:
            return kind()
        try:
            return decode(content)
        except msgspec.ValidationError as error:
            raise wrong(error) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            detail = "a body is needed" if not content else f"this is not JSON: {error}"
            raise Refusal("validation", detail if len(detail) < 200 else "this is not JSON") from None

    return read


def query_reader(kind: Any) -> Callable[[Asked], Any]:
    """How a query string of this type is read; without a type there may be none."""
    if kind is not None:
        _must_forbid_unknown(kind)

    def read(request: Asked) -> Any:
        if kind is None:
            if request.query:
                raise Refusal("validation", "this route takes no query string")
            return None
        given = parse_qsl(request.query, keep_blank_values=True)
        pairs = dict(given)
        if len(pairs) != len(given):
            raise Refusal("validation", "a name stands twice in the query string")
        try:
            return msgspec.convert(pairs, kind, strict=False)
        except msgspec.ValidationError as error:
            raise wrong(error) from None

    return read


def wrong(error: msgspec.ValidationError) -> Refusal:
    """A value of the wrong form, with the field it stands in."""
    text = str(error)
    where = _WHERE.search(text)
    detail = text[: where.start()] if where else text
    field = where[1] if where else ""
    return Refusal("validation", f"{field}: {detail}" if field else detail, field=field)


def _all_default(kind: type[msgspec.Struct]) -> bool:
    return not any(field.required for field in msgspec.structs.fields(kind))


def _must_forbid_unknown(kind: Any) -> None:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and not kind.__struct_config__.forbid_unknown_fields:
        raise TypeError(f"{kind.__name__} must forbid unknown fields: a route takes it")
