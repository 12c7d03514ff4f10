"""The pages' pure modules, run where they will run; and the fold against the server's own."""

from __future__ import annotations

import random
from typing import Any, get_args

import msgspec
import pytest
from playwright.async_api import Page

from qserver.api import reviews
from qserver.domain.reviews import STEPS
from qserver.wire import signing
from qserver.wire.board import Board
from qserver.wire.messages import BoardEvent, BoardView, Kind, NoticeView, Snapshot, WindowView
from tests.pages.conftest import UNITS

pytestmark = pytest.mark.asyncio(loop_scope="session")

FILES = sorted(path.name for path in UNITS.glob("*.js") if path.name != "check.js")


@pytest.mark.parametrize("file", FILES)
async def test_units(modules: Page, file: str) -> None:
    results = await modules.evaluate("file => import('/units/check.js').then(({run}) => run(file))", file)
    failed = {name: what for name, what in results.items() if what}
    assert results and not failed, "\n".join(f"{name}: {what}" for name, what in failed.items())


def _event(dice: random.Random, s: int) -> BoardEvent:
    """Any event a board may get, and some that only a newer server would send."""
    some: dict[str, Any] = {
        "ticket": dice.choice(["A001", "B002", "C1000"]),
        "window": dice.choice(["w1", "w2", "w9"]),
        "state": dice.choice(["idle", "called", "serving", "paused", "closed"]),
        "service": dice.choice(["a", "b", "new"]),
        "n": dice.randint(1, 4),
        "waiting": dice.randint(0, 30),
    }
    present = {name: value for name, value in some.items() if dice.random() < 0.7}
    return BoardEvent(s=s, p=s - 1, k=dice.choice(get_args(Kind)), at_ms=1000 * s, **present)


async def test_the_fold_is_the_servers(modules: Page) -> None:
    windows = [WindowView("w1", "1 号窗口", "idle", None), WindowView("w2", "2 号窗口", "serving", "A000")]
    start = BoardView("h1", [], windows, {"a": 3, "b": 0}, [NoticeView("n1", "通知", 5)])
    given, wanted = [], []
    for seed in range(40):
        dice = random.Random(seed)
        events = [_event(dice, s) for s in range(1, 60)]
        board = Board(Snapshot("e1", 0, start))
        for event in events:
            board.apply(event)
        given.append([msgspec.to_builtins(start), [msgspec.to_builtins(event) for event in events]])
        wanted.append(msgspec.to_builtins(board.snapshot().board))
    folds = "runs => import('/units/shared.js').then(({fold}) => runs.map(([board, events]) => fold(board, events)))"
    assert await modules.evaluate(folds, given) == wanted


async def test_a_pad_signs_as_the_server_reads(modules: Page) -> None:
    token = "qs_pad-1_" + "x" * 32
    hostile = ["", "太“慢”\n\t\\", '"],["', "\u2028\u2029\x7f\x00\x1f", "😤" * 99, "</script>", "e\u0301", "\ufeff"]
    fields = [
        [
            "rating",
            "h1",
            "w1",
            "device",
            2**53 - n,
            f"rid-{n}",
            "20261124-A001",
            1,
            1,
            86_400_000,
            [text],
            [text, text],
            text,
        ]
        for n, text in enumerate(hostile)
    ]
    signed = "([token, all]) => import('/units/sign.js').then(({signatures}) => signatures(token, all))"
    found = await modules.evaluate(signed, [token, fields])
    key = signing.signing_key(token)
    assert found == [signing.signature(key, *one) for one in fields]  # type: ignore[arg-type]


async def test_the_forms_of_the_follow_up_ask_for_what_the_steps_take(modules: Page) -> None:
    shown = await modules.evaluate("() => import('/units/followup.js').then(({forms}) => forms())")
    taken = {}
    for route in reviews.ROUTES:
        if route.body is not None:
            step = STEPS[route.path.rpartition("/")[2]]
            taken[route.path.rpartition("/")[2]] = {
                field.name: {"required": field.required, "of": list(step.results) if field.name == "result" else None}
                for field in msgspec.structs.fields(route.body)
            }
    assert shown == taken
