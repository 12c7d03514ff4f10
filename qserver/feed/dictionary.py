"""The data dictionary of the feed, made from the types: every kind, attribute and field, with unit and meaning.

python -m qserver.feed.dictionary docs/data-dictionary.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import msgspec

from qserver.domain.events import EXTRA, KINDS, Event

from .cloudevents import KNOWN, PREFIX, CloudEvent

_INTRO = """\
# Data dictionary of the events 数据字典

Made from the code by `python -m qserver.feed.dictionary docs/data-dictionary.md`; do not edit.

One event is one change of state, written in the same atomic step as the change. Consumers pull events in batches
(`GET /api/v1/events/{group}`), as CloudEvents 1.0. Delivery is at least once: the same event has the same `id` every
time. Instants are integers, milliseconds since the Unix epoch by the data server's clock; durations are milliseconds. A
field that does not apply is left out.
"""
_ATTRIBUTES = """\
## Attributes 属性

In `application/json` and `application/msgpack` a batch is `{events, cursor, lag, truncated}`; in
`application/cloudevents-batch+json` it is the array of events, with the rest in the headers `Qserver-Cursor`,
`Qserver-Lag` and `Qserver-Truncated`.

| attribute | meaning |
|---|---|
| `events` | at most `max` events after the group's last acknowledgement; of one hall, `sequence` rises |
| `cursor` | acknowledge it when the events are safe; opaque |
| `lag` | events not yet acknowledged, those of this batch among them: exact when the batch reaches the end, else the \
number of entries, for one hall of many or a shard an upper bound |
| `truncated` | true when events after the group's position were dropped before it read them |

Each event:

| attribute | type | meaning |
|---|---|---|
"""
_DATA = """\
## Fields of `data` 字段

Durations stand also as 0 where they are known: {known}.

| field | type | meaning |
|---|---|---|
"""
_EXTRA = """\
Fields that only some kinds carry:

| field | meaning |
|---|---|
"""
_KINDS = """\
## Kinds 事件类型

`type` is the kind with `{prefix}` before it.

| kind | what happened |
|---|---|
"""
_TYPES = {int: "integer", str: "text", bool: "true or false", dict: "object"}
_ATTRIBUTE_ONLY = frozenset({"s", "kind", "extra"})
"""Fields of the record that become attributes, or the further fields themselves."""


def _rows(struct: type[msgspec.Struct], without: frozenset[str] = frozenset()) -> Iterator[str]:
    hints = get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        if field.name in without:
            continue
        hint = hints[field.name]
        notes = [note for note in getattr(hint, "__metadata__", ()) if isinstance(note, msgspec.Meta)]
        bare = getattr(hint, "__origin__", hint)
        bare = getattr(bare, "__origin__", bare)
        meaning = notes[0].description if notes else f"always `{field.default}`"
        yield f"| `{field.name}` | {_TYPES.get(bare, 'text')} | {meaning} |\n"


def text() -> str:
    """The whole document."""
    durations: dict[str, list[str]] = {}
    for kind, names in KNOWN.items():
        for name in names:
            durations.setdefault(name, []).append(kind)
    known = "; ".join(f"`{name}` with {', '.join(kinds)}" for name, kinds in durations.items())
    return "".join((
        _INTRO, "\n", _ATTRIBUTES, *_rows(CloudEvent), "\n",
        _DATA.format(known=known), *_rows(Event, _ATTRIBUTE_ONLY), "\n",
        _EXTRA, *(f"| `{name}` | {meaning} |\n" for name, meaning in EXTRA.items()), "\n",
        _KINDS.format(prefix=PREFIX), *(f"| `{kind}` | {meaning} |\n" for kind, meaning in KINDS.items()),
    ))  # fmt: skip


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
