"""The range of a wait that people are told."""

from hypothesis import given
from hypothesis import strategies as st

from qserver.domain.ticket import UNKNOWN_MEAN_MS, wait_estimate

ahead = st.integers(0, 5000)
windows = st.integers(0, 400)
means = st.integers(1, 4 * 3_600_000)


@given(ahead, windows, means)
def test_an_estimate_is_a_range_of_whole_milliseconds(people: int, open_windows: int, mean_ms: int) -> None:
    low, high = wait_estimate(people, open_windows, mean_ms)
    assert isinstance(low, int)
    assert isinstance(high, int)
    assert 0 <= low <= people * mean_ms / max(1, open_windows) <= high + 1


@given(ahead, windows, means)
def test_more_people_ahead_never_shorten_the_wait(people: int, open_windows: int, mean_ms: int) -> None:
    before, after = wait_estimate(people, open_windows, mean_ms), wait_estimate(people + 1, open_windows, mean_ms)
    assert after[0] >= before[0]
    assert after[1] >= before[1]


@given(ahead, windows, means)
def test_another_open_window_never_lengthens_the_wait(people: int, open_windows: int, mean_ms: int) -> None:
    fewer, more = wait_estimate(people, open_windows, mean_ms), wait_estimate(people, open_windows + 1, mean_ms)
    assert more[0] <= fewer[0]
    assert more[1] <= fewer[1]


def test_with_no_window_open_the_wait_is_that_of_one() -> None:
    assert wait_estimate(6, 0, 60_000) == wait_estimate(6, 1, 60_000) == (240_000, 520_000)


@given(ahead, windows)
def test_before_the_first_service_a_usual_time_stands_for_the_mean(people: int, open_windows: int) -> None:
    assert wait_estimate(people, open_windows, 0) == wait_estimate(people, open_windows, UNKNOWN_MEAN_MS)
