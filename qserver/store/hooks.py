"""Webhooks: what is sent where, whose turn it is to send, and what could not be delivered. Nothing here speaks HTTP."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import msgspec

from qserver.domain.errors import Refusal

from . import keys
from .answers import Answer, HookRecord, LetterRecord, Op, Settlement, Taken
from .gate import Gate
from .groups import Groups, flat

_hook = msgspec.msgpack.Decoder(HookRecord)
_letter = msgspec.msgpack.Decoder(LetterRecord)
_hook_answer = msgspec.msgpack.Decoder(tuple[int, HookRecord])
_moved_answer = msgspec.msgpack.Decoder(tuple[int, HookRecord, int])
_taken_answer = msgspec.msgpack.Decoder(tuple[int, HookRecord, int, bool, list[LetterRecord]])
_encode = msgspec.msgpack.encode


def group_name(hook: str) -> str:
    """The name of a webhook's group in the feed; no name that an analytics system can give is like it."""
    return f"webhook:{hook}"


class HookStore(Gate):
    """All webhooks, each a group of the feed besides."""

    async def create_hook(
        self, op: Op, *, hook: str, hall: str, url: str, kinds: Sequence[str], name: str
    ) -> Answer[HookRecord]:
        """Makes a webhook that gets what happens from now on. Refused: validation (too many)."""
        packed, replayed = await self._of_hook(
            hook, "create_hook", op, hall, url, _encode(list(kinds)), name, *await self._begin(hall)
        )
        return Answer(_hook_answer.decode(packed)[1], replayed)

    async def hooks(self) -> list[HookRecord]:
        """All webhooks, oldest first."""
        found: Any = await self._topology.call(keys.CONTROL_TAG, "HVALS", keys.hooks())
        return sorted((_hook.decode(one) for one in found), key=lambda hook: (hook.created_ms, hook.id))

    async def hook(self, hook: str) -> HookRecord:
        """One webhook. Refused: not_found."""
        packed: Any = await self._topology.call(keys.CONTROL_TAG, "HGET", keys.hooks(), hook)
        if packed is None:
            raise Refusal("not_found", what="webhook")
        return _hook.decode(packed)

    async def remove_hook(self, op: Op, hook: str) -> Answer[HookRecord]:
        """Removes a webhook and all its letters. Refused: not_found."""
        packed, replayed = await self._of_hook(hook, "remove_hook", op)
        return Answer(_hook_answer.decode(packed)[1], replayed)

    async def change_hook(
        self, op: Op, hook: str, *, url: str | None = None, kinds: Sequence[str] | None = None, name: str | None = None
    ) -> Answer[HookRecord]:
        """Changes what is given; what waits goes where it says from now on. Refused: not_found."""
        given = [False if value is None else value for value in (url, kinds and list(kinds), name)]
        packed, replayed = await self._of_hook(hook, "change_hook", op, *given)
        return Answer(_hook_answer.decode(packed)[1], replayed)

    async def rotate_hook(self, op: Op, hook: str, overlap_ms: int) -> Answer[HookRecord]:
        """Gives a webhook another secret; the present one signs too for so long. Refused: not_found."""
        packed, replayed = await self._of_hook(hook, "rotate_hook", op, overlap_ms)
        return Answer(_hook_answer.decode(packed)[1], replayed)

    async def enable_hook(self, op: Op, hook: str, hall: str) -> Answer[HookRecord]:
        """Lets a disabled webhook go on, from now on; `hall` is its own. Refused: not_found, wrong_state."""
        packed, replayed = await self._of_hook(hook, "enable_hook", op, *await self._begin(hall))
        return Answer(_hook_answer.decode(packed)[1], replayed)

    async def dead_letters(
        self, hook: str, *, limit: int = 100, after: int = 0
    ) -> tuple[list[LetterRecord], int | None]:
        """Letters of a webhook that are tried no more, oldest first, and where to go on (None at the end)."""
        _, letters, _, dead = keys.hook_keys(hook)[-4:]
        names: Any = await self._topology.call(
            keys.CONTROL_TAG, "ZRANGEBYSCORE", dead, f"({after}", "+inf", "LIMIT", 0, limit + 1
        )
        page = names[:limit]
        if not page:
            return [], None
        found: Any = await self._topology.call(keys.CONTROL_TAG, "HMGET", letters, *page)
        dead_ones = [letter for one in found if one is not None and (letter := _letter.decode(one)).dead_ms]
        return dead_ones, int(page[-1]) if len(names) > limit else None

    async def redeliver(self, op: Op, hook: str, numbers: Sequence[int] = ()) -> Answer[int]:
        """Has dead letters (none named = all) tried again, as many as there is room for; answers how many.

        Refused: not_found, wrong_state (it is disabled).
        """
        packed, replayed = await self._of_hook(hook, "redeliver_hook", op, _encode(list(numbers)))
        return Answer(_moved_answer.decode(packed)[2], replayed)

    # Who sends

    async def take_hook(self, op: Op, hook: str, process: str, lease_ms: int, limit: int) -> Taken:
        """Takes the webhook's lease for a process, or holds on to it; with at most `limit` of the letters.

        Refused: not_found, wrong_state (it is disabled).
        """
        packed, _ = await self._of_hook(hook, "take_hook", op, process, lease_ms, limit)
        return Taken(*_taken_answer.decode(packed)[1:])

    async def release_hook(self, op: Op, hook: str, process: str) -> None:
        """Gives the lease back, if it is the process's."""
        await self._of_hook(hook, "release_hook", op, process)

    async def settle_hook(self, op: Op, hook: str, process: str, settlement: Settlement) -> HookRecord:
        """Puts on record what became of a round: position, letters, figures, in one step.

        Refused: not_found, wrong_state (another process has the lease), validation (another group by now).
        """
        packed, _ = await self._of_hook(hook, "settle_hook", op, process, _encode(settlement))
        return _hook_answer.decode(packed)[1]

    async def _begin(self, hall: str) -> tuple[str, bytes]:
        """Id and packed positions of a new group that begins now."""
        groups = Groups(self)
        stands = await groups.stands(groups.partitions(hall))
        return secrets.token_hex(4), _encode(flat([stand.end for stand in stands]))
