"""Webhooks: notices to other systems 事件通知. How they are delivered is `qserver.hooks`' affair.

For admins only: they decide what leaves the house and whither this server connects. An admin bound to a hall has the
webhooks of that hall. Secrets are derived, shown when they are made, and never stored.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import web

from qserver.auth.secrets import webhook_secret
from qserver.domain.errors import Refusal
from qserver.domain.rules import Id
from qserver.feed.cloudevents import CloudEvent
from qserver.hooks import kinds, targets
from qserver.hooks.hooks import Hooks
from qserver.hooks.schedule import is_away
from qserver.store.answers import HookRecord, LetterRecord
from qserver.store.reviews import cursor
from qserver.store.store import Store

from .messages import Next
from .routing import Body, Call, Reply, Route
from .tokens import Label, new_id

HOOKS: Final = web.AppKey("hooks", Hooks)
DAY_MS: Final = 86_400_000

Kind = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(\*|[a-z]+\.(\*|[a-z_]+))$(?!\n)", description="a kind of event, a family like `overtime.*`, or `*`"
    ),
]
Instant = Annotated[int | None, msgspec.Meta(description="ms since the Unix epoch; null = never")]


Url = Annotated[
    str, msgspec.Meta(min_length=1, max_length=targets.LONGEST, description="http or https, without a password")
]
Kinds = Annotated[list[Kind], msgspec.Meta(min_length=1, max_length=kinds.PATTERNS_MAX)]


class NewWebhook(Body, frozen=True, kw_only=True):
    """Where which events are sent, from now on. Without a hall those of all halls."""

    url: Url
    kinds: Kinds
    hall: Id | None = None
    name: Label = ""


class ChangeWebhook(Body, frozen=True, kw_only=True):
    """What is to be otherwise from now on. The hall stays: another hall's is another webhook."""

    url: Url | None = None
    kinds: Kinds | None = None
    name: Label | None = None


class Rotate(Body, frozen=True, kw_only=True):
    """How long the secret used so far signs besides the new one."""

    overlap_ms: Annotated[
        int, msgspec.Meta(ge=0, le=30 * DAY_MS, description="ms; 0 ends it at once, as after a leak")
    ] = DAY_MS


class Redeliver(Body, frozen=True, kw_only=True):
    """Which dead letters are tried again."""

    letters: (
        Annotated[
            list[Annotated[int, msgspec.Meta(ge=1, le=2**53)]],
            msgspec.Meta(min_length=1, max_length=1000, description="their numbers"),
        ]
        | None
    ) = None
    """Left out: all."""


class DeadQuery(Body, frozen=True, kw_only=True):
    """Which dead letters."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000, description="at most so many")] = 100
    after: Annotated[str, msgspec.Meta(max_length=15, description="`next` of the page before")] = ""


class WebhookInfo(msgspec.Struct, kw_only=True):
    """A webhook and how it goes. `away`: the receiver failed several times in a row; events wait for it."""

    id: str
    url: str
    kinds: list[str]
    hall: str | None
    name: str
    created_ms: int
    state: Literal["active", "away", "disabled"]
    reason: Annotated[str | None, msgspec.Meta(description="why it is disabled: `gone` = the receiver answered 410")]
    previous_secret_until_ms: Instant
    waiting: Annotated[int, msgspec.Meta(description="events put aside that will be tried again")]
    dead: Annotated[int, msgspec.Meta(description="events that were given up and are kept")]
    dropped: Annotated[int, msgspec.Meta(description="dead ones that made room for later ones, ever")]
    sent: Annotated[int, msgspec.Meta(description="events delivered, ever")]
    failed: Annotated[int, msgspec.Meta(description="attempts that failed, ever")]
    sent_ms: Instant
    failed_ms: Instant
    error: Annotated[str | None, msgspec.Meta(description="what the last failure was")]


class WebhookMade(WebhookInfo, kw_only=True):
    """A webhook with its secret, the only time that is shown."""

    secret: Annotated[str, msgspec.Meta(description="`whsec_` and base64: what receivers verify signatures by")]


class Webhooks(msgspec.Struct):
    """Webhooks, oldest first."""

    webhooks: list[WebhookInfo]


class Tried(msgspec.Struct):
    """What came of a test. `id` is the webhook-id it had; `status` null = there was no answer."""

    delivered: bool
    id: str
    status: int | None
    error: str | None
    took_ms: int


class DeadLetter(msgspec.Struct):
    """An event that was given up."""

    letter: Annotated[int, msgspec.Meta(description="its number, for sending it again")]
    event: CloudEvent
    attempts: int
    tried_ms: Instant
    dead_ms: int
    error: str


class DeadLetters(msgspec.Struct):
    """Dead letters, oldest first."""

    letters: list[DeadLetter]
    next: Next


class Redelivered(msgspec.Struct):
    """How many are tried again. Those that found no room are still dead letters."""

    letters: int


def attach(app: web.Application, store: Store, hooks: Hooks | None) -> None:
    """Gives the application its webhooks; those made here, for want of others, end with it."""
    app[HOOKS] = own = hooks or Hooks(store)

    async def run(_: web.Application) -> AsyncIterator[None]:
        yield
        await own.stop()

    if hooks is None:
        app.cleanup_ctx.append(run)


def _info(hook: HookRecord) -> dict[str, Any]:
    return {
        "id": hook.id,
        "url": hook.url,
        "kinds": hook.kinds,
        "hall": hook.hall or None,
        "name": hook.name,
        "created_ms": hook.created_ms,
        "state": "disabled" if hook.disabled_ms else "away" if is_away(hook.failures) else "active",
        "reason": hook.why or None,
        "previous_secret_until_ms": hook.previous_until_ms or None,
        "waiting": hook.waiting,
        "dead": hook.dead,
        "dropped": hook.dropped,
        "sent": hook.sent,
        "failed": hook.failed,
        "sent_ms": hook.sent_ms or None,
        "failed_ms": hook.failed_ms or None,
        "error": hook.error or None,
    }


def _made(call: Call, hook: HookRecord) -> WebhookMade:
    return WebhookMade(**_info(hook), secret=webhook_secret(call.server_key, hook.id, hook.secret))


def _hooks(call: Call) -> Hooks:
    return call.request.app[HOOKS]


async def _own(call: Call) -> HookRecord:
    """The webhook in question. Refused: not_found, also for another hall's where the token is bound to one."""
    hook = await call.store.hook(call.params["id"])
    if call.principal.hall and hook.hall != call.principal.hall:
        raise Refusal("not_found", what="webhook")
    return hook


async def create(call: Call) -> Any:
    """Makes a webhook. Its secret is in this answer and nowhere else; a repeat with the same key shows it again."""
    wanted: NewWebhook = call.body
    hall = wanted.hall or ""
    if call.principal.hall and call.principal.hall != hall:
        raise Refusal("forbidden", "a token bound to a hall makes webhooks of that hall only")
    targets.check_url(wanted.url, _hooks(call).reach)
    kinds.check(wanted.kinds)
    if hall:
        await call.store.hall(hall)
    answer = await call.store.create_hook(
        call.op, hook=new_id(), hall=hall, url=wanted.url, kinds=wanted.kinds, name=wanted.name
    )
    _hooks(call).look()
    return Reply(_made(call, answer.value), replayed=answer.replayed)


async def list_all(call: Call) -> Any:
    """Webhooks and how they go; an admin bound to a hall sees those of the hall."""
    mine = call.principal.hall
    return Webhooks([WebhookInfo(**_info(one)) for one in await call.store.hooks() if not mine or one.hall == mine])


async def remove(call: Call) -> Any:
    """Removes a webhook and its letters. Nothing more is sent, but for what is under way at this moment."""
    await _own(call)
    answer = await call.store.remove_hook(call.op, call.params["id"])
    _hooks(call).look()
    return WebhookInfo(**_info(answer.value))


async def change(call: Call) -> Any:
    """Changes address, kinds or name. What was not taken yet, and what is put aside, goes to the new address; new kinds
    are those of the events that have not been sent so far.
    """
    wanted: ChangeWebhook = call.body
    await _own(call)
    if wanted.url is not None:
        targets.check_url(wanted.url, _hooks(call).reach)
    if wanted.kinds is not None:
        kinds.check(wanted.kinds)
    answer = await call.store.change_hook(
        call.op, call.params["id"], url=wanted.url, kinds=wanted.kinds, name=wanted.name
    )
    _hooks(call).look()
    return Reply(WebhookInfo(**_info(answer.value)), replayed=answer.replayed)


async def rotate(call: Call) -> Any:
    """Makes another secret. Both sign until the overlap is over, so that the receiver can change in its own time.

    Of two: with a third one the oldest ends at once.
    """
    await _own(call)
    answer = await call.store.rotate_hook(call.op, call.params["id"], call.body.overlap_ms)
    return Reply(_made(call, answer.value), replayed=answer.replayed)


async def enable(call: Call) -> Any:
    """Lets a disabled webhook go on, with what happens from now on."""
    hook = await _own(call)
    answer = await call.store.enable_hook(call.op, hook.id, hook.hall)
    _hooks(call).look()
    return Reply(WebhookInfo(**_info(answer.value)), replayed=answer.replayed)


async def test(call: Call) -> Any:
    """Sends a signed event of type `qserver.webhook.test` now, once, and tells what came of it. Nothing is recorded.

    A repeat with the same key gives the first answer again; the receiver may see the event twice, under the same id.
    """
    message_id, outcome = await _hooks(call).try_out(await _own(call), call.op.key[:8].hex())
    tried = Tried(not outcome.error, message_id, outcome.status or None, outcome.error or None, outcome.took_ms)
    return Reply(tried, keep=True)


async def dead(call: Call) -> Any:
    """Events that were given up, after the last attempt or for want of room; at most 1000 are kept."""
    query: DeadQuery = call.query
    hook = await _own(call)
    found, last = await call.store.dead_letters(hook.id, limit=query.limit, after=int(cursor(query.after)))
    return DeadLetters([_letter(one) for one in found], str(last) if last else None)


def _letter(letter: LetterRecord) -> DeadLetter:
    event = msgspec.json.decode(letter.body, type=CloudEvent)
    return DeadLetter(letter.n, event, letter.attempts, letter.tried_ms or None, letter.dead_ms, letter.error)


async def redeliver(call: Call) -> Any:
    """Has dead letters tried again, on the whole schedule; at most 1000 of a webhook wait at one time."""
    wanted: Redeliver = call.body
    await _own(call)
    answer = await call.store.redeliver(call.op, call.params["id"], wanted.letters or ())
    _hooks(call).look()
    return Reply(Redelivered(answer.value), replayed=answer.replayed)


_ALL: Final = "/api/v1/webhooks"
_ONE: Final = _ALL + "/{id}"
ROUTES = (
    Route(
        "POST",
        _ALL,
        create,
        body=NewWebhook,
        answer=WebhookMade,
        status=201,
        summary="Make a webhook 新建事件通知",
        codes=("not_found",),
    ),
    Route("GET", _ALL, list_all, answer=Webhooks, summary="All webhooks, without their secrets 事件通知列表"),
    Route("DELETE", _ONE, remove, answer=WebhookInfo, summary="Remove a webhook 删除"),
    Route("POST", _ONE + "/change", change, body=ChangeWebhook, answer=WebhookInfo, summary="Change one 修改"),
    Route("POST", _ONE + "/rotate", rotate, body=Rotate, answer=WebhookMade, summary="Make another secret 更换密钥"),
    Route(
        "POST",
        _ONE + "/enable",
        enable,
        answer=WebhookInfo,
        summary="Let a disabled webhook go on 重新启用",
        codes=("wrong_state",),
    ),
    Route("POST", _ONE + "/test", test, answer=Tried, summary="Send a test event now 发送测试事件", waits=True),
    Route("GET", _ONE + "/dead", dead, query=DeadQuery, answer=DeadLetters, summary="Events given up 未送达的事件"),
    Route(
        "POST",
        _ONE + "/redeliver",
        redeliver,
        body=Redeliver,
        answer=Redelivered,
        summary="Try dead letters again 重新发送",
        codes=("wrong_state",),
    ),
)
