"""Profiles: what each gives, that the hall's own word goes before it, that each cites its rule."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from qserver.domain import hall as halls
from qserver.domain.profiles import profiles


def hall(**more: Any) -> halls.Hall:
    return halls.parse({"id": "h", "services": [{"id": "a", "prefix": "A"}], "windows": []} | more)


def test_each_profile_cites_its_rule_and_makes_a_hall() -> None:
    assert list(profiles()) == ["guangdong-2019", "shandong-2020", "xinjiang-2025"]
    for name, profile in profiles().items():
        assert profile.source and profile.name
        assert hall(profile=name).profile == name


@pytest.mark.parametrize(
    ("name", "level", "after"),
    [("guangdong-2019", 3, "7d"), ("xinjiang-2025", 4, "5wd"), ("shandong-2020", None, None), ("", None, None)],
)
def test_a_default_level_comes_from_the_profile_only(name: str, level: int | None, after: str | None) -> None:
    made = hall(profile=name)
    assert (made.rating.default_level, made.rating.default_after, made.rating.late_within) == (level, after, "5wd")


def test_the_halls_own_word_goes_before_its_profile() -> None:
    made = hall(profile="guangdong-2019", rating={"default_after": "10d", "window_s": 60})
    assert (made.rating.default_level, made.rating.default_after, made.rating.window_s) == (3, "10d", 60)
    assert halls.parse(msgspec.to_builtins(made)) == made, "what was read can be put again"


def test_a_profile_that_there_is_not_is_a_mistake() -> None:
    with pytest.raises(halls.HallError) as caught:
        hall(profile="atlantis-2020")
    assert [where for where, _ in caught.value.mistakes] == ["$.profile"]


@pytest.mark.parametrize("rating", [{"default_level": 3}, {"default_after": "7d"}])
def test_a_default_level_and_its_delay_come_together(rating: dict[str, Any]) -> None:
    with pytest.raises(halls.HallError) as caught:
        hall(rating=rating)
    assert [where for where, _ in caught.value.mistakes] == ["$.rating.default_level"]
