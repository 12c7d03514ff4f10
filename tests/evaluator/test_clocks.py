"""How long ago a rating was given, over restarts, power cuts and clocks that jump."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evaluator.clocks import LONGEST_MS, Clocks, Reading, age_ms

THEN = Reading("boot-1", 50_000, 1_000_000, 2_000_000)


def test_the_stopwatch_counts_while_the_machine_runs_whatever_the_clocks_say() -> None:
    assert age_ms(THEN, Reading("boot-1", 57_000, 1_900_000, 9)) == 7000


def test_after_a_new_start_the_servers_clock_counts() -> None:
    assert age_ms(THEN, Reading("boot-2", 100, 1_007_000, 1)) == 7000


def test_without_a_server_the_wall_clock_counts_within_bounds() -> None:
    dark = THEN._replace(server_ms=0)
    assert age_ms(dark, Reading("boot-2", 100, 1_007_000, 2_003_000)) == 3000
    assert age_ms(THEN, Reading("boot-2", 100, 0, 2_003_000)) == 3000
    assert age_ms(dark, Reading("boot-2", 100, 0, 0)) == 0, "the box woke up in 1970"
    assert age_ms(dark, Reading("boot-2", 100, 0, 2_000_000 + 10 * LONGEST_MS)) == LONGEST_MS


readings = st.builds(Reading, st.sampled_from("ab"), *[st.integers(0, 2**45)] * 3)


@given(readings, readings)
def test_no_age_is_negative(then: Reading, now: Reading) -> None:
    assert age_ms(then, now) >= 0


def test_real_clocks_agree_with_themselves() -> None:
    clocks = Clocks()
    before = clocks.read()
    assert before.server_ms == 0
    clocks.heard(1_795_480_000_000)
    after = clocks.read()
    assert 1_795_480_000_000 <= after.server_ms <= clocks.now_ms()
    assert age_ms(before, after) == after.boot_ms - before.boot_ms
    assert Clocks().read().boot == before.boot, "another process on the same machine reads the same stopwatch"
