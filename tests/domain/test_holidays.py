"""Working days: China's holidays and make-up workdays, the hall's own days, years nobody knows yet."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qserver.domain import calendar, holidays
from qserver.domain import hall as halls

CN = "Asia/Shanghai"


def hall(**own: Any) -> halls.Hall:
    return halls.parse(
        {"id": "h", "services": [{"id": "a", "prefix": "A"}], "windows": [], "calendar": own.pop("calendar", {}), **own}
    )


def ends(day: str, term: str, exceptions: dict[str, bool]) -> str:
    """The day on which a term ends that starts at nine in the morning of a day."""
    start = dt.datetime.fromisoformat(day + "T09:00").replace(tzinfo=calendar.zone(CN))
    at = calendar.after_span(int(start.timestamp() * 1000), calendar.parse_span(term), CN, exceptions)
    return dt.datetime.fromtimestamp(at / 1000, calendar.zone(CN)).date().isoformat()


def test_china_rests_on_its_holidays_and_works_on_the_weekends_moved_for_them() -> None:
    known = holidays.exceptions("china", CN, {})
    assert [known.get(f"2026-10-0{day}") for day in range(1, 8)] == [False, False, None, None, False, False, False]
    assert known["2026-10-10"] is True, "a Saturday that is worked"
    assert known["2026-09-20"] is True, "a Sunday that is worked"
    assert "2026-11-24" not in known, "an ordinary Tuesday"


@pytest.mark.parametrize(
    ("day", "term", "last"),
    [
        ("2026-09-30", "1wd", "2026-10-08"),  # over the National Day week
        ("2026-09-30", "3wd", "2026-10-10"),  # the Saturday that is worked counts
        ("2026-09-30", "4wd", "2026-10-12"),
        ("2026-02-13", "2wd", "2026-02-24"),  # 14 February is worked, then nine days of Spring Festival
        ("2026-12-31", "1wd", "2027-01-04"),  # New Year's Day is a day off though the notice for 2027 is not out
    ],
)
def test_a_term_in_working_days_passes_over_holidays(day: str, term: str, last: str) -> None:
    assert ends(day, term, holidays.exceptions("china", CN, {})) == last


def test_days_of_the_hall_go_before_the_library() -> None:
    known = holidays.exceptions("china", CN, {"2026-10-10": False, "2026-11-24": False})
    assert (known["2026-10-10"], known["2026-11-24"], known["2026-10-01"]) == (False, False, False)


def test_the_calendar_is_the_zones_unless_it_is_named() -> None:
    assert holidays.country("", CN) == holidays.country("China", "Europe/Warsaw") == "CN"
    assert holidays.country("", "Europe/Warsaw") == holidays.country("weekdays", CN) == ""
    assert holidays.country("pl", CN) == "PL"
    assert holidays.exceptions("weekdays", CN, {"2026-10-01": False}) == {"2026-10-01": False}
    assert holidays.exceptions("PL", CN, {})["2026-11-11"] is False


def test_a_year_whose_notice_is_not_out_is_warned_of_before_terms_reach_it() -> None:
    last = holidays.published_until("CN")
    assert last is not None and last >= 2026
    summer, autumn = dt.date(last, 7, 1), dt.date(last, 12, 1)
    assert holidays.warning("", CN, {}, summer) is None
    said = holidays.warning("", CN, {}, autumn)
    assert said is not None and str(last + 1) in said
    assert holidays.warning("", CN, {f"{last + 1}-02-06": False}, autumn) is None, "the hall gave its days itself"
    assert holidays.warning("weekdays", CN, {}, autumn) is None
    assert holidays.warning("PL", CN, {}, autumn) is None


def test_statutory_days_of_a_year_without_notice_are_known() -> None:
    known = holidays.exceptions("china", CN, {})
    assert {known[day] for day in ("2027-01-01", "2027-04-05", "2030-10-01", "2040-01-02")} == {False}


def test_a_hall_compiles_with_its_calendar_and_every_time_alike() -> None:
    rules = halls.compiled(hall())
    assert rules["workdays"] == holidays.exceptions("china", CN, {})
    assert halls.compiled(hall(calendar={"name": "weekdays"}))["workdays"] == {}
    assert halls.compiled(hall(), {"2026-11-24": False})["workdays"] == {"2026-11-24": False}


def test_an_override_file_beside_the_hall_becomes_its_days(tmp_path: Path) -> None:
    (tmp_path / "days.toml").write_text("2026-12-31 = false\n2027-01-02 = true\n", encoding="utf-8")
    path = tmp_path / "hall.toml"
    path.write_text(
        'id = "h"\nwindows = []\n[[services]]\nid = "a"\nprefix = "A"\n'
        '[calendar]\nfile = "days.toml"\ndays = { "2026-12-31" = true }\n',
        encoding="utf-8",
    )
    (one,) = halls.load(path)
    assert one.calendar.days == {"2026-12-31": True, "2027-01-02": True}, "those of the hall's file itself go first"
    assert halls.parse(msgspec.to_builtins(one)) == one, "what was read can be put again"


@pytest.mark.parametrize(
    "text",
    ["2026-13-01 = true\n", "2026-12-31 = 1\n", "[days]\n2026-12-31 = false\n", "", "x", "2026-1-1 = true\n"],
)
def test_an_override_file_with_a_mistake_is_refused_where_it_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "days.toml").write_text(text, encoding="utf-8")
    path = tmp_path / "hall.toml"
    path.write_text(
        'id = "h"\nwindows = []\n[[services]]\nid = "a"\nprefix = "A"\n[calendar]\nfile = "days.toml"\n',
        encoding="utf-8",
    )
    with pytest.raises(halls.HallError) as caught:
        halls.load(path)
    assert [where for where, _ in caught.value.mistakes] == ["$.calendar.file"]


@pytest.mark.parametrize(
    ("calendar_", "where"),
    [
        ({"name": "atlantis"}, "$.calendar.name"),
        ({"days": {"2026-02-30": False}}, "$.calendar.days"),
        ({"days": {"2026-W01-1": False}}, "$.calendar.days"),
        ({"file": "/etc/passwd"}, "$.calendar.file"),
        ({"file": "missing.toml"}, "$.calendar.file"),
    ],
)
def test_a_calendar_with_a_mistake_is_refused_and_no_file_is_read_for_a_request(
    calendar_: dict[str, Any], where: str
) -> None:
    with pytest.raises(halls.HallError) as caught:
        hall(calendar=calendar_)
    assert [path for path, _ in caught.value.mistakes] == [where]


def test_an_override_file_is_no_larger_than_a_calendar_can_be(tmp_path: Path) -> None:
    (tmp_path / "days.toml").write_text("#" * 70_000, encoding="utf-8")
    with pytest.raises(ValueError, match="longer"):
        holidays.read_days(tmp_path / "days.toml")
