"""Every key, named once. `{tag}` puts all keys of a partition in one slot, so every change is one slot's affair.

    q:{tag}:part     hash    epoch of the partition: gen, run; slot of the kept answers
    q:{tag}:stream   stream  every event of the partition's halls, in order
    q:{tag}:due      zset    deadlines by instant, see time.lua: `t HALL TICKET`, `v HALL REVIEW`, `d HALL`, ...
    q:{tag}:ops:0|1  hash    kept answers by op id, two generations
    q:{tag}:halls    set     the partition's halls
    q:{tag}:h:HALL   hash    the hall: s, p, day, rules, windows (w:), counters (k:), numbers (n:), ...
      ..:t           hash    tickets by id
      ..:q           zset    all queues, one band of scores each (see order.lua)
      ..:o           list    tickets in order of issue
      ..:p           hash    person hash and service -> live ticket
      ..:r           hash    reviews by id; promised cases as c:NUMBER
      ..:c           list    the last calls, newest first

    q:{ctl}:...      the control partition: tokens, pairings, feed groups, staff, its own stream
    q:{ctl}:hooks    hash    webhooks by id
    q:{ctl}:hook:ID:l   hash  a webhook's letters by number
      ..:w   zset    those to be tried again, by instant
      ..:d   zset    those that are dead, by number

Hash tags are searched for so that P partitions fall evenly over the 16384 slots: `{p0}`, `{p1}`.. do not spread.
"""

from __future__ import annotations

import zlib
from functools import cache

CONTROL_TAG = "ctl"
CONTROL_NAMES = ("tokens", "ids", "pairings", "groups", "settings", "staff", "seats", "strangers")
"""Tokens by digest, digests by token id, pairing codes, groups, settings; staff by `HALL/ID`, each window's session by
`HALL/WINDOW`, tries to log in as somebody who does not exist."""
SLOTS = 16384
NUMBERS = {
    name: number
    for first, names in (
        (1, ("PART", "STREAM", "DUE", "OPS")),
        (6, ("HALLS",)),
        (7, ("HALL", "TICKETS", "QUEUE", "ORDER", "PEOPLE", "REVIEWS", "CALLS", "CASES")),
        (7, tuple(map(str.upper, CONTROL_NAMES))),
        (7 + len(CONTROL_NAMES), ("HOOKS", "LETTERS", "WAITING", "DEAD")),
    )
    for number, name in enumerate(names, first)
}
"""Where the keys that follow stand among those that functions are given, by the names that the functions use."""


@cache
def slot(tag: str) -> int:
    """The cluster slot of a hash tag (CRC16/XMODEM, as in the cluster specification)."""
    crc = 0
    for byte in tag.encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021) & 0xFFFF if crc & 0x8000 else crc << 1
    return crc % SLOTS


@cache
def tags(partitions: int) -> tuple[str, ...]:
    """One hash tag per partition, each in its own equal share of the slots."""
    share, found, n = SLOTS / partitions, dict[int, str](), 0
    while len(found) < partitions:
        found.setdefault(int(slot(f"p{n}") // share), f"p{n}")
        n += 1
    return tuple(found[i] for i in range(partitions))


def partition(hall: str, partitions: int) -> int:
    """The partition of a hall: stable as long as the number of partitions is."""
    return zlib.crc32(hall.encode()) % partitions


@cache
def shared(tag: str) -> tuple[str, ...]:
    """What every function of a partition declares: part, stream, due, ops:0, ops:1, halls."""
    return tuple(f"q:{{{tag}}}:{name}" for name in ("part", "stream", "due", "ops:0", "ops:1", "halls"))


@cache
def hall_keys(tag: str, hall: str) -> tuple[str, ...]:
    """All keys of a hall's functions, always the same ones in the same order, so every function declares all."""
    base = f"q:{{{tag}}}:h:{hall}"
    return (*shared(tag), base, *(f"{base}:{name}" for name in "tqoprca"))


@cache
def control_keys() -> tuple[str, ...]:
    """All keys of the control partition: the shared six, then those of `CONTROL_NAMES`."""
    return (*shared(CONTROL_TAG), *(f"q:{{{CONTROL_TAG}}}:{name}" for name in CONTROL_NAMES))


@cache
def hook_keys(hook: str) -> tuple[str, ...]:
    """All keys of a webhook's functions: those of the control partition, then webhooks, letters, waiting, dead."""
    base = f"q:{{{CONTROL_TAG}}}:hook"
    return (*control_keys(), hooks(), *(f"{base}:{hook}:{name}" for name in "lwd"))


def hooks() -> str:
    """The hash of all webhooks."""
    return f"q:{{{CONTROL_TAG}}}:hooks"


def stream(tag: str) -> str:
    """The event stream of a partition."""
    return shared(tag)[1]


def due(tag: str) -> str:
    """The deadlines of a partition."""
    return shared(tag)[2]


def halls(tag: str) -> str:
    """The set of a partition's halls."""
    return shared(tag)[5]
