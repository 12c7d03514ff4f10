"""The analytics feed: groups, pulls, acknowledgements. What a group is and how it reads is `qserver.feed`'s.

A group lives in its maker's scope: that of a token bound to a hall sees that hall, and its name is its own there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import web

from qserver.domain.errors import Refusal
from qserver.domain.events import Event
from qserver.feed import cloudevents
from qserver.feed.cloudevents import CloudEvent
from qserver.feed.cursor import LONGEST, shard
from qserver.feed.pull import Feed
from qserver.store.store import Store

from .routing import Body, Call, Reply, Route

FEED: Final = web.AppKey("feed", Feed)
JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
ARRAY: Final = "application/cloudevents-batch+json"
MOST: Final = 5000
"""Most events in one batch."""
LONGEST_WAIT_MS: Final = 60_000
_CHUNK: Final = 250
"""So many events are made ready before others get their turn."""
_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_Name = Annotated[str, msgspec.Meta(pattern=_NAME)]


class NewGroup(Body, frozen=True, kw_only=True):
    """Where a new group begins: with what happens from now on, or with the oldest event kept."""

    begin: Literal["now", "start"] = msgspec.field(default="now", name="from")


class GroupMade(msgspec.Struct):
    """A group as it stands. One that stood before keeps its position, whatever `from` says."""

    group: str
    hall: Annotated[str | None, msgspec.Meta(description="the hall it sees; null = all")]
    created_ms: int


class Pull(Body, frozen=True, kw_only=True):
    """How much to give at most, how long to wait for the first event, and which part of a divided group."""

    max: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 1000
    wait_ms: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_WAIT_MS)] = 0
    shard: Annotated[str, msgspec.Meta(max_length=5, description="`1/4`: the first of four parts; empty = all")] = ""


class Batch(msgspec.Struct):
    """What follows the group's last acknowledgement; the same again until acknowledged."""

    events: Annotated[list[CloudEvent], msgspec.Meta(description="of one hall, `sequence` rises")]
    cursor: Annotated[str, msgspec.Meta(description="acknowledge it when the events are safe; opaque")]
    lag: Annotated[int, msgspec.Meta(description="events not yet acknowledged, these among them; may be too high")]
    truncated: Annotated[bool, msgspec.Meta(description="events were dropped before the group read them")]


class Ack(Body, frozen=True, kw_only=True):
    """Everything up to here is safe; an older cursor changes nothing."""

    cursor: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST)]


class Acked(msgspec.Struct):
    """Where the group, or its part, stands now."""

    cursor: str


class _Encoded(msgspec.Struct):
    """A batch whose events are ready."""

    events: list[msgspec.Raw]
    cursor: str
    lag: int
    truncated: bool


def attach(app: web.Application, store: Store) -> Feed:
    """Gives the application its feed, which ends with it."""
    feed = app[FEED] = Feed(store)

    async def run(_: web.Application) -> AsyncIterator[None]:
        yield
        await feed.watch.stop()

    async def release(_: web.Application) -> None:
        feed.watch.release()

    app.on_shutdown.append(release)
    app.cleanup_ctx.append(run)
    return feed


def metrics(feed: Feed) -> Callable[[], Iterable[str]]:
    """Lines about the feed in Prometheus' text format."""

    def lines() -> Iterable[str]:
        yield "# HELP qserver_feed_delivered_total Events given out, repeats among them."
        yield "# TYPE qserver_feed_delivered_total counter"
        yield f"qserver_feed_delivered_total {feed.delivered}"
        yield "# HELP qserver_feed_waiting Requests that wait for events."
        yield "# TYPE qserver_feed_waiting gauge"
        yield f"qserver_feed_waiting {feed.watch.waiting}"

    return lines


def _named(call: Call) -> tuple[Feed, str, str]:
    """The feed, the scope of the token, the group's name. Refused: validation."""
    try:
        name = msgspec.convert(call.params["group"], _Name)
    except msgspec.ValidationError:
        raise Refusal("validation", "group: letters, digits, '.', '_' and '-', at most 64", field="group") from None
    return call.request.app[FEED], call.principal.hall, name


async def create(call: Call) -> Reply:
    """PUT /api/v1/events/{group}"""
    feed, hall, name = _named(call)
    group, created = await feed.create(call.op, hall, name, from_start=call.body.begin == "start")
    return Reply(GroupMade(name, hall or None, group.created_ms), status=201 if created else 200)


async def pull(call: Call) -> Reply:
    """GET /api/v1/events/{group}"""
    feed, hall, name = _named(call)
    wanted: Pull = call.query
    request = call.request
    batch = await feed.pull(hall, name, shard(wanted.shard), wanted.max, wanted.wait_ms, request.origin.gone)
    form = accepted(request.headers.get("accept", ""))
    if form == MSGPACK:
        events = await _made(batch.events, cloudevents.as_msgpack)
        content = msgspec.msgpack.encode(_Encoded(events, batch.cursor, batch.lag, batch.truncated))
        return Reply(content, content_type=MSGPACK)
    events = await _made(batch.events, cloudevents.as_json)
    if form == JSON:
        return Reply(msgspec.json.encode(_Encoded(events, batch.cursor, batch.lag, batch.truncated)))
    headers = {
        "Qserver-Cursor": batch.cursor,
        "Qserver-Lag": str(batch.lag),
        "Qserver-Truncated": "true" if batch.truncated else "false",
    }
    return Reply(msgspec.json.encode(events), headers=headers, content_type=ARRAY)


async def _made(events: Sequence[Event], make: Callable[[Sequence[Event]], list[msgspec.Raw]]) -> list[msgspec.Raw]:
    found: list[msgspec.Raw] = []
    for i in range(0, len(events), _CHUNK):
        if i:
            await asyncio.sleep(0)
        found += make(events[i : i + _CHUNK])
    return found


async def ack(call: Call) -> Reply:
    """POST /api/v1/events/{group}/ack"""
    feed, hall, name = _named(call)
    cursor, replayed = await feed.ack(call.op, hall, name, call.body.cursor)
    return Reply(Acked(cursor), replayed=replayed)


async def remove(call: Call) -> Any:
    """DELETE /api/v1/events/{group}"""
    feed, hall, name = _named(call)
    await feed.remove(call.op, hall, name)
    return Reply(None, status=204)


def accepted(header: str) -> str:
    """The form an Accept header likes best; JSON when it names none of ours, and where it likes several alike."""
    best, quality = JSON, 0.0
    for part in header.split(","):
        kind, *options = (piece.strip() for piece in part.lower().split(";"))
        weight = next((option[2:] for option in options if option.startswith("q=")), "1")
        try:
            q = float(weight)
        except ValueError:
            q = 0.0
        form = {"*/*": JSON, "application/*": JSON, "application/x-msgpack": MSGPACK}.get(kind, kind)
        if form in (JSON, MSGPACK, ARRAY) and (q > quality or (q == quality and form == JSON)):
            best, quality = form, q
    return best


_EVENTS: Final = "/api/v1/events/{group}"
ROUTES = (
    Route("PUT", _EVENTS, create, body=NewGroup, answer=GroupMade, summary="Register a group of the feed"),
    Route(
        "GET",
        _EVENTS,
        pull,
        query=Pull,
        answer=Batch,
        summary="Events after the group's last acknowledgement",
        codes=("not_found",),
        waits=True,
    ),
    Route(
        "POST",
        _EVENTS + "/ack",
        ack,
        body=Ack,
        answer=Acked,
        summary="Acknowledge up to a cursor",
        codes=("not_found",),
    ),
    Route("DELETE", _EVENTS, remove, status=204, summary="Remove a group", codes=("not_found",)),
)
