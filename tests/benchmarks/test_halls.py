"""What the push benchmarks count as a board that is back, and what they call broken."""

from typing import Any, cast

from benchmarks.halls import Place, Work
from benchmarks.product import Product
from benchmarks.screens import Screen


def told(place: Place, *messages: dict[str, Any]) -> None:
    """The board's connection gets these messages."""
    for message in messages:
        place.screen._take(message)


def snapshot(s: int) -> dict[str, Any]:
    """A hall with one window at `s`."""
    window = {"id": "w1", "name": "1", "state": "free", "ticket": None}
    board = {"hall": "h", "calls": [], "windows": [window], "waiting": {"s1": 1}, "notices": []}
    return {"t": "snapshot", "ep": "e", "s": s, "board": board}


def call(s: int, p: int) -> dict[str, Any]:
    """A call at the window."""
    return {
        "t": "event", "s": s, "p": p, "k": "call", "at_ms": 1, "ticket": "A001", "window": "w1", "state": "called",
        "service": "s1", "n": 1, "waiting": 0,
    }  # fmt: skip


def welcome(s: int, mode: str) -> dict[str, Any]:
    """A welcome."""
    return {"t": "welcome", "ep": "e", "s": s, "mode": mode}


def a_place(work: Work) -> Place:
    """A board of hall `h` whose hall has one desk."""
    return Place("token", "h", work)


class Quiet(Work):
    """Work that counts nothing."""

    def __init__(self) -> None:
        super().__init__(cast(Product, None))

    def shown(self, event: dict[str, Any], name: str) -> None:
        """Nothing."""


async def test_a_board_is_whole_only_with_what_its_welcome_promised() -> None:
    place = a_place(Quiet())
    told(place, welcome(4, "snapshot"))
    assert not place.whole_at
    told(place, snapshot(4))
    assert place.whole_at
    told(place, call(6, 4))

    again = place.again()
    assert (again.ep, again.s) == ("e", 6) and not place.whole_at
    told(place, welcome(9, "resume"), call(8, 6))
    assert not place.whole_at  # one that it missed has still to come
    told(place, call(9, 8))
    assert place.whole_at

    place.again()
    told(place, welcome(9, "resume"))
    assert place.whole_at  # it had missed nothing


async def test_a_snapshot_from_before_does_not_make_it_whole() -> None:
    place = a_place(Quiet())
    told(place, welcome(4, "snapshot"), snapshot(4))
    place.again()
    told(place, welcome(4, "snapshot"))
    assert not place.whole_at


async def test_a_board_shows_what_it_was_told_across_connections() -> None:
    place = a_place(Quiet())
    told(place, welcome(4, "snapshot"), snapshot(4), call(6, 4))
    place.again()
    told(place, welcome(7, "resume"), call(7, 6))
    state = place.state()
    assert (state["ep"], state["s"], state["board"]["waiting"]) == ("e", 7, {"s1": 0})
    assert [one["s"] for one in state["board"]["calls"]] == [7, 6]
    assert place.screen.broken == 0
    told(place, call(10, 9))
    assert place.screen.broken == 1


async def test_a_screen_says_where_it_stands_only_when_it_comes_back() -> None:
    place = a_place(Quiet())
    assert not {"ep", "s"} & place.screen._hello.keys()
    told(place, welcome(4, "snapshot"), snapshot(4))
    assert isinstance(again := place.again(), Screen)
    assert (again._hello["ep"], again._hello["s"]) == ("e", 4)
