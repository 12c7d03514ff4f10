"""A generated day: the same seed gives the same one, it stays within the windows' time, and habits are stable."""

import math

from qserver.domain import hall as halls
from qserver.simulate import day, habits
from qserver.simulate.trace import Arrival

HALL = halls.parse(
    {
        "id": "north",
        "services": [
            {"id": "a", "prefix": "A", "service_limit_s": 600},
            {"id": "b", "prefix": "B", "daily_quota": 5},
            {"id": "c", "prefix": "C"},
        ],
        "windows": [{"id": f"w{n}", "services": ["a", "b"]} for n in range(1, 7)],
        "priorities": [{"id": "elder", "boost_s": 60}],
    }
)


def test_the_same_seed_gives_the_same_day() -> None:
    assert day.generated([HALL], 7) == day.generated([HALL], 7)
    assert day.generated([HALL], 7).arrivals != day.generated([HALL], 8).arrivals


def test_arrivals_are_in_order_within_the_day_and_within_the_quota() -> None:
    arrivals = day.generated([HALL], 1).arrivals
    assert list(arrivals) == sorted(arrivals, key=lambda one: one.at_s)
    assert all(0 < one.at_s < day.LAST_S and 10 <= one.service_s <= 7200 for one in arrivals)
    assert sum(one.service == "b" for one in arrivals) == 5
    assert {one.priority for one in arrivals} == {"normal", "elder"}
    assert not any(one.service == "c" for one in arrivals), "no window gives c, so nobody is sent for it"


def test_work_and_windows_are_in_balance() -> None:
    both = halls.parse(
        {
            "id": "h",
            "services": [{"id": "a", "prefix": "A"}],
            "windows": [{"id": f"w{n}", "services": ["a"]} for n in range(40)],
        }
    )
    arrivals = day.generated([both], 3).arrivals
    asked = sum(one.service_s for one in arrivals)
    offered = 40 * (day.LAST_S - day.OPENS_S + 300)
    assert math.isclose(asked / offered, day.LOAD, rel_tol=0.15)


def test_windows_open_go_to_lunch_in_turn_and_close() -> None:
    changes = day.generated([HALL], 1).changes
    of = {w.id: [(c.at_s, c.services) for c in changes if c.window == w.id] for w in HALL.windows}
    assert of["w1"] == [(day.OPENS_S, ("a", "b")), (day.CLOSES_S, ())]
    assert [services for _, services in of["w3"]] == [("a", "b"), (), ("a", "b"), ()]
    assert of["w3"][1][0] != of["w6"][1][0]


def test_a_person_is_the_same_in_every_run_of_a_seed() -> None:
    arrival = Arrival(100, "north", "a", "normal", 60, 300)
    one = habits.person(arrival, 12, 5)
    assert one == habits.person(arrival, 12, 5)
    assert one != habits.person(arrival, 13, 5)
    assert one.leaves_s == 400
    assert habits.person(arrival._replace(patience_s=None), 12, 5).leaves_s is None


def test_habits_have_the_shares_they_declare() -> None:
    people = [habits.person(Arrival(0, "north", "a", "normal", 60, None), n, 1) for n in range(5000)]
    assert abs(sum(p.score is not None for p in people) / 5000 - habits.RATES) < 0.03
    assert abs(sum(p.hears_call == 2 for p in people) / 5000 - habits.UNHEARD) < 0.01
    assert all(habits.WALK_S[0] <= p.walk_s <= habits.WALK_S[1] for p in people)
    assert {p.score for p in people} == {None, 1, 2, 3, 4, 5}
    assert habits.RATING_PREFIX in habits.declaration()
