"""Records as the functions pack them are byte for byte what cmsgpack makes of them."""

from __future__ import annotations

import msgpack  # type: ignore[import-untyped]
import pytest

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


TEXTS = ["", "a", "a" * 31, "a" * 32, "\x00é窗口", "a" * 255, "a" * 256, "a" * 65535]
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


async def test_a_text_too_long_for_a_record_is_an_error_and_not_cut(valkey: DataServer) -> None:
    topology = Topology.from_url(valkey.url)
    await topology.open()
    library = TryLibrary()
    await topology.call("x", "FUNCTION", "LOAD", library.text)
    try:
        given = msgpack.packb(window("a" * 65536, 1, []), use_bin_type=False)
        with pytest.raises(Exception, match="too long a text"):
            await topology.call("x", "FCALL", library.name("try"), 0, given, "window")
    finally:
        await topology.close()
