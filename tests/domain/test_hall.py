"""A hall's definition: what is completed, what is refused and where the mistake is said to be."""

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qserver.domain import hall as halls
from qserver.domain import rules

SMALL = """
id = "main"
name = "政务大厅"

[[services]]
id = "tax"
prefix = "A"
service_limit_s = 900
wait_limit_s = 1200.5
opens = "09:00"
closes = "17:00"

[[services]]
id = "land"
prefix = "B"
daily_quota = 40

[[windows]]
id = "w1"
services = ["tax", "land"]
service_penalty_s = { land = 60 }

[[priorities]]
id = "elder"
boost_s = 600
"""


def definition(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "id": "main",
        "services": [{"id": "tax", "prefix": "A"}, {"id": "land", "prefix": "B"}],
        "windows": [{"id": "w1", "services": ["tax"]}],
    }
    return base | changes


def mistakes(**changes: Any) -> list[tuple[str, str]]:
    with pytest.raises(halls.HallError) as caught:
        halls.parse(definition(**changes))
    return caught.value.mistakes


def test_names_default_to_ids_and_rules_to_the_usual_ones() -> None:
    hall = halls.parse(definition(priorities=[{"id": "elder", "boost_s": 1}]))
    assert (hall.name, hall.services[0].name, hall.windows[0].name, hall.priorities[0].name) == (
        "main",
        "tax",
        "w1",
        "elder",
    )
    assert (hall.time_zone, hall.day_starts) == ("Asia/Shanghai", "04:00")
    assert (hall.calls.max_calls, hall.calls.return_after, hall.calls.max_returns) == (3, 3, 1)
    assert (hall.rating.window_s, hall.rating.late_within, hall.overtime.warn_at) == (1800, "5wd", 0.8)


def test_a_hall_is_read_from_a_toml_file(tmp_path: Path) -> None:
    path = tmp_path / "hall.toml"
    path.write_text(SMALL, encoding="utf-8")
    (hall,) = halls.load(path)
    assert hall.name == "政务大厅"
    assert hall.service("tax") is not None
    assert hall.service("none") is None
    window = hall.window("w1")
    assert window is not None
    assert window.services == ["tax", "land"]
    assert hall.window("w9") is None


def test_everything_that_the_demo_hall_names_is_named_in_english_too() -> None:
    (demo,) = halls.load(Path(halls.__file__).parents[1] / "demo.toml")
    assert demo.name_en
    assert [one.id for one in demo.services if not one.name_en] == []
    assert [one.id for one in demo.windows if not one.name_en] == []
    assert [one.id for one in demo.priorities if not one.name_en] == []
    assert demo.rating.reasons_en.keys() == demo.rating.reasons.keys()


def test_several_halls_stand_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "halls.toml"
    one = '[[halls]]\nid = "{}"\nwindows = []\n[[halls.services]]\nid = "s"\nprefix = "A"\n'
    path.write_text(one.format("north") + one.format("south"), encoding="utf-8")
    assert [hall.id for hall in halls.load(path)] == ["north", "south"]


def test_a_mistake_in_a_file_of_several_halls_names_the_hall(tmp_path: Path) -> None:
    path = tmp_path / "halls.toml"
    path.write_text('[[halls]]\nid = "north"\nwindows = []\nservices = []\n', encoding="utf-8")
    with pytest.raises(halls.HallError) as caught:
        halls.load(path)
    assert [where for where, _ in caught.value.mistakes] == ["$.halls[0].services"]


def test_the_same_hall_twice_in_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "halls.toml"
    one = '[[halls]]\nid = "north"\nwindows = []\n[[halls.services]]\nid = "s"\nprefix = "A"\n'
    path.write_text(one * 2, encoding="utf-8")
    with pytest.raises(halls.HallError, match="stands twice"):
        halls.load(path)


def test_a_file_of_halls_holds_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "halls.toml"
    path.write_text('id = "x"\nhalls = []\n', encoding="utf-8")
    with pytest.raises(halls.HallError, match="nothing else"):
        halls.load(path)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"id": "Main"}, "$.id"),
        ({"id": "-main"}, "$.id"),
        ({"id": "a" * 33}, "$.id"),
        ({"colour": "red"}, "$"),
        ({"services": []}, "$.services"),
        ({"services": [{"id": "tax", "prefix": "a"}]}, "$.services[0].prefix"),
        ({"services": [{"id": "tax", "prefix": "ABC"}]}, "$.services[0].prefix"),
        ({"services": [{"id": "tax", "prefix": "A", "opens": "9:00"}]}, "$.services[0].opens"),
        ({"services": [{"id": "tax", "prefix": "A", "service_limit_s": 0}]}, "$.services[0].service_limit_s"),
        ({"services": [{"id": "tax", "prefix": "A", "service_limit_s": math.nan}]}, "$.services[0].service_limit_s"),
        ({"services": [{"id": "tax", "prefix": "A", "daily_quota": -1}]}, "$.services[0].daily_quota"),
        ({"services": [{"id": "tax", "prefix": "A", "case_limit": "10"}]}, "$.services[0].case_limit"),
        ({"windows": [{"id": "w1"}]}, "$.windows[0]"),
        ({"windows": [{"id": "w1", "services": ["none"]}]}, "$.windows[0].services"),
        ({"windows": [{"id": "w1", "services": ["tax"], "service_penalty_s": {"none": 1}}]}, "$.windows[0].services"),
        ({"windows": [{"id": "w1", "services": ["tax"]}] * 2}, "$.windows"),
        ({"services": [{"id": "tax", "prefix": "A"}] * 2}, "$.services"),
        (
            {"services": [{"id": "tax", "prefix": "A", "opens": "17:00", "closes": "09:00"}]},
            "$.services[0].closes",
        ),
        ({"priorities": [{"id": "normal", "boost_s": 5}]}, "$.priorities[0].boost_s"),
        ({"time_zone": "Mars/Olympus"}, "$.time_zone"),
        ({"day_starts": "25:00"}, "$.day_starts"),
        ({"rating": {"reasons": {"6": ["慢"]}}}, "$.rating.reasons"),
        ({"rating": {"reasons": {"1": ["慢"]}, "reasons_en": {"1": ["slow", "rude"]}}}, "$.rating.reasons_en.1"),
        ({"rating": {"reasons_en": {"2": ["slow"]}}}, "$.rating.reasons_en.2"),
        ({"rating": {"indicators": ["态度"], "indicators_en": ["Attitude", "Skill"]}}, "$.rating.indicators_en"),
        ({"rating": {"indicators_en": ["Attitude"]}}, "$.rating.indicators_en"),
        ({"rating": {"indicators": ["态度"] * 11}}, "$.rating.indicators"),
        ({"rating": {"version": "第一版"}}, "$.rating.version"),
        ({"rating": {"default_level": 6}}, "$.rating.default_level"),
        ({"overtime": {"warn_at": 1}}, "$.overtime.warn_at"),
        ({"calls": {"max_calls": 0}}, "$.calls.max_calls"),
    ],
)
def test_a_mistake_is_named_with_its_path(changes: dict[str, Any], where: str) -> None:
    assert where in [path for path, _ in mistakes(**changes)]


def test_every_mistake_is_named_not_only_the_first() -> None:
    found = mistakes(
        time_zone="Mars/Olympus",
        services=[{"id": "tax", "prefix": "A", "opens": "17:00", "closes": "09:00"}],
        windows=[{"id": "w1", "services": ["tax", "none"]}],
    )
    assert {path for path, _ in found} == {"$.time_zone", "$.services[0].closes", "$.windows[0].services"}


def test_a_definition_survives_json_and_is_known_by_its_content() -> None:
    hall = halls.parse(definition())
    again = halls.parse(msgspec.json.decode(msgspec.json.encode(hall)))
    assert again == hall
    assert halls.digest(again) == halls.digest(hall)
    assert halls.digest(halls.parse(definition(name="other"))) != halls.digest(hall)


@given(st.floats(min_value=0.0001, max_value=7 * 86400))
def test_seconds_become_whole_milliseconds_and_never_no_limit(seconds: float) -> None:
    value = halls.ms(seconds)
    assert value >= 1
    assert abs(value - seconds * 1000) <= 1


def test_no_limit_is_zero_milliseconds() -> None:
    assert halls.ms(None) == 0


def test_a_hall_played_faster_has_shorter_limits_and_the_same_order() -> None:
    hall = halls.parse(
        definition(
            services=[
                {"id": "tax", "prefix": "A", "service_limit_s": 600, "wait_limit_s": 1200},
                {"id": "land", "prefix": "B"},
            ],
            windows=[{"id": "w1", "services": ["tax"], "service_penalty_s": {"land": 60}}],
            priorities=[{"id": "elder", "boost_s": 900}],
        )
    )
    fast = halls.scaled(hall, 60)
    assert (fast.services[0].service_limit_s, fast.services[0].wait_limit_s) == (10, 20)
    assert fast.services[1].service_limit_s is None
    assert fast.windows[0].service_penalty_s == {"land": 1}
    assert fast.priorities[0].boost_s == 15
    assert fast.rating.window_s == 30
    assert [s.id for s in fast.services] == [s.id for s in hall.services]


def test_the_compiled_rules_pack_without_nothing() -> None:
    path_free = halls.parse(definition(priorities=[{"id": "elder", "boost_s": 600}]))
    rules = halls.compiled(path_free, {"2026-10-01": False})

    def holds_none(value: object) -> bool:
        if isinstance(value, dict):
            return any(holds_none(part) for part in value.values())
        if isinstance(value, list):
            return any(holds_none(part) for part in value)
        return value is None

    assert not holds_none(rules)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(rules)) == rules
    assert rules["priorities"] == {"normal": 0, "elder": 600_000}
    assert rules["services"]["tax"] == {
        "prefix": "A",
        "wait": 0,
        "limit": 0,
        "case": [0, "ms"],
        "quota": -1,
        "opens": 0,
        "closes": 86_400_000,
    }
    assert rules["workdays"] == {"2026-10-01": False}
    assert (rules["starts"], rules["service_order"], rules["window_order"]) == (14_400_000, ["tax", "land"], ["w1"])


def test_beside_a_level_stand_its_reasons_else_the_indicators() -> None:
    rating = rules.Rating(reasons={"1": ["慢"]}, reasons_en={"1": ["Slow"]}, indicators=["效率", "态度"])
    assert rules.offered(rating, 1) == [("慢", "Slow")]
    assert rules.offered(rating, 2) == [("效率", ""), ("态度", "")]
    assert [zh for zh, _ in rules.offered(rules.Rating(), 2)] == ["服务效率", "服务水平", "服务态度"]
    assert rules.named(rules.Rating(reasons={"2": ["慢"]})) == {"2": [("慢", "")]}


def test_no_two_lists_have_one_form_and_the_same_list_has_one() -> None:
    plain = rules.Rating()
    assert rules.form(plain) == rules.form(rules.Rating(window_s=60, late_within="9wd")), "only the words count"
    lists: list[dict[str, Any]] = [
        {}, {"reasons": {"1": ["慢"]}}, {"reasons": {"2": ["慢"]}},
        {"reasons": {"1": ["慢"]}, "reasons_en": {"1": ["Slow"]}},
        {"indicators": ["慢"]}, {"version": "2020"}, {"version": "2021"},
    ]  # fmt: skip
    forms = [rules.form(rules.Rating(**one)) for one in lists]
    assert len(set(forms)) == len(forms)
    assert forms[-2].startswith("2020-") and forms[0] in forms[-2]
