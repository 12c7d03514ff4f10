"""Records as the functions pack them are byte for byte what cmsgpack makes of them."""

from __future__ import annotations

from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest

from qserver.store.library import LISTS, VALUES
from qserver.store.topology import Topology
from tests.servers import DataServer
from tests.store.clocks import CheckedLibrary

TRY = """
redis.register_function(PREFIX .. 'try', function(keys, argv)
  awake()
  local r = unpack_(argv[1])
  local packers = {ticket = pack_ticket, window = pack_window}
  local packed = packers[argv[2]](r)
  return {packed, pack(r), packers[argv[2]](r)}
end)
"""


class TryLibrary(CheckedLibrary):
    """With a function that packs what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self._body += TRY


def window(text: str, number: float, services: list[str]) -> list[object]:
    return [text, "idle", "", text, services, "", 0, text, number, -1, 0, "", 1, number, 0, 0, ""]


def ticket(text: str, number: float, services: list[str], rating: object) -> list[object]:
    legs = [[text, "w1", "", 1, 2, 3, 4, 5, 1, 0, 0, "done", rating]]
    numbers = [number] * 14
    return [
        text, "A001", "2026-11-24", 7, "a", "normal", "guide", "waiting", 2, "", text, "", number, *numbers, text, "",
        services, legs, rating, "", "",
    ]  # fmt: skip


TEXTS = ["", "a", "a" * 31, "a" * 32, "\x00é窗口", "a" * 255, "a" * 256, "a" * 65535, "a" * 65536, "a" * 70_000]
NUMBERS = [0, 1, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**53 - 1, 0.5, 1e9 - 0.25]
NUMBERS += [-1, -32, -33, -129, -(2**31)]


@pytest.mark.parametrize("text", TEXTS, ids=len)
async def test_a_record_is_packed_as_cmsgpack_packs_it(valkey: DataServer, text: str) -> None:
    topology = Topology.from_url(valkey.url)
    await topology.open()
    library = TryLibrary()
    await topology.call("x", "FUNCTION", "LOAD", library.text)
    try:
        for number in NUMBERS:
            for services in ([], ["a"], ["a", "b"]):
                for kind, record in (
                    ("window", window(text, number, services)),
                    ("ticket", ticket(text, number, services, False)),
                    ("ticket", ticket(text, number, services, [5, "active", 1_795_480_000_000, "r1"])),
                ):
                    given = msgpack.packb(record, use_bin_type=False)
                    found = await topology.call("x", "FCALL", library.name("try"), 0, given, kind)
                    assert isinstance(found, list) and found[0] == found[1] == found[2]
    finally:
        await topology.close()


TRY_LISTS = """
redis.register_function(PREFIX .. 'try_list', function(keys, argv)
  awake()
  local packers = {PACKERS}
  local packed = packers[argv[1]](unpack_(argv[2]))
  return {packed, pack({unpack_(argv[3])})}
end)
""".replace("PACKERS", ", ".join(f"{name} = pack_{name}" for name in (*LISTS, *VALUES)))


class TryListsLibrary(CheckedLibrary):
    """With a function that packs short lists."""

    def __init__(self) -> None:
        super().__init__()
        self._body += TRY_LISTS


def packed(values: list[object]) -> bytes:
    return b"".join(msgpack.packb(value, use_bin_type=False) for value in values)


SAMPLES: dict[object, list[object]] = {
    str: ["窗口" * 20, 70_000 * "a"],
    int: [0, 2**40],
    str | bool: [False, 70_000 * "r"],
    list[Any]: [["recorded", "duplicate"], ["rejected"]],
}
"""Two values of each type of a slot."""


@pytest.mark.parametrize("sample", [0, 1])
@pytest.mark.parametrize("name", [*LISTS, *VALUES])
async def test_a_short_list_is_packed_as_cmsgpack_packs_it(valkey: DataServer, name: str, sample: int) -> None:
    given: list[object] = []
    whole: list[object] = []
    for slot in (LISTS | VALUES)[name]:
        if not isinstance(slot, tuple):
            whole.append(slot)
        elif slot[1] is bytes:  # packed already, one value or several
            inner: list[object] = ["aspects", ["a"], "reasons", ["r", "s"], "comment", "好"]
            given.append(packed(inner) if name in VALUES else packed([[1, "x"]]))
            whole += inner if name in VALUES else [[1, "x"]]
        else:
            given.append(SAMPLES[slot[1]][sample])
            whole.append(SAMPLES[slot[1]][sample])
    topology = Topology.from_url(valkey.url)
    await topology.open()
    library = TryListsLibrary()
    await topology.call("x", "FUNCTION", "LOAD", library.text)
    try:
        found: Any = await topology.call("x", "FCALL", library.name("try_list"), 0, name, packed(given), packed(whole))
        expected: bytes = found[1]
        head = 0 if name in LISTS else 1 if len(whole) < 16 else 3
        assert found[0] == expected[head:]
    finally:
        await topology.close()


async def test_a_list_of_any_length_has_its_head(valkey: DataServer) -> None:
    topology = Topology.from_url(valkey.url)
    await topology.open()
    library = TryListsLibrary()
    library._body += """
redis.register_function(PREFIX .. 'try_head', function(keys, argv) return list_head(tonumber(argv[1])) end)
"""
    await topology.call("x", "FUNCTION", "LOAD", library.text)
    try:
        for length in (0, 1, 15, 16, 255, 256, 1000):
            head = await topology.call("x", "FCALL", library.name("try_head"), 0, length)
            assert head == msgpack.packb([0] * length)[: -length or None]
    finally:
        await topology.close()
