"""Reading a recorded day: what is accepted, and that every mistake is named with its file and line."""

from pathlib import Path

import pytest

from qserver.domain import hall as halls
from qserver.simulate import trace

HALL = {
    "id": "north",
    "services": [{"id": "a", "prefix": "A"}, {"id": "b", "prefix": "B"}],
    "windows": [{"id": "w1", "services": ["a", "b"]}, {"id": "w2", "services": ["b"]}],
    "priorities": [{"id": "elder", "boost_s": 60}],
}
OTHER = {"id": "south", "services": [{"id": "c", "prefix": "C"}], "windows": [{"id": "x1", "services": ["c"]}]}


@pytest.fixture
def both() -> list[halls.Hall]:
    return [halls.parse(HALL), halls.parse(OTHER)]


def write(tmp_path: Path, tickets: str, windows: str | None = None) -> Path:
    path = tmp_path / "day.csv"
    path.write_text("arrive_s,service,priority,service_s,patience_s\n" + tickets, encoding="utf-8")
    if windows is not None:
        (tmp_path / "day.windows.csv").write_text("at_s,window,services\n" + windows, encoding="utf-8")
    return path


def test_a_day_of_two_halls(tmp_path: Path, both: list[halls.Hall]) -> None:
    path = write(tmp_path, "5,a,elder,30,\n7,c,normal,20.5,90\n", "0,w1,a b\n0,x1,c\n60,w1,a\n90,w1,\n")
    day = trace.read(path, both)
    assert day.arrivals == (
        trace.Arrival(5, "north", "a", "elder", 30, None),
        trace.Arrival(7, "south", "c", "normal", 20.5, 90),
    )
    assert trace.schedule(day.changes, "north", "w1") == (
        trace.Change(0, "north", "w1", ("a", "b")),
        trace.Change(60, "north", "w1", ("a",)),
        trace.Change(90, "north", "w1", ()),
    )
    assert (day.begins_s, day.ends_s, day.source) == (0, 90, "day.csv")


def test_without_a_file_of_windows_all_are_open_from_the_first_arrival(tmp_path: Path, both: list[halls.Hall]) -> None:
    day = trace.read(write(tmp_path, "5,a,,30,\n"), both)
    assert [(c.at_s, c.window, c.services) for c in day.changes] == [
        (5, "w1", ("a", "b")),
        (5, "w2", ("b",)),
        (5, "x1", ("c",)),
    ]
    assert day.arrivals[0].priority == "normal"


def test_blank_lines_and_a_byte_order_mark_are_harmless(tmp_path: Path, both: list[halls.Hall]) -> None:
    path = tmp_path / "day.csv"
    path.write_text("\ufeffarrive_s,service,priority,service_s,patience_s\n\n5,a,,30,\n,,,,\n", encoding="utf-8")
    assert len(trace.read(path, both).arrivals) == 1


@pytest.mark.parametrize(
    ("tickets", "windows", "line", "what"),
    [
        ("5,a,,30,\n4,a,,30,\n", None, 3, "earlier than the line before"),
        ("5,z,,30,\n", None, 2, "no hall has a service 'z'"),
        ("5,a,vip,30,\n", None, 2, "no priority 'vip'"),
        ("five,a,,30,\n", None, 2, "is not a number of seconds"),
        ("nan,a,,30,\n", None, 2, "is not a number of seconds"),
        ("5,a,,0,\n", None, 2, "service_s 0 must be more than 0"),
        ("5,a,,30,-1\n", None, 2, "patience_s -1 must be more than 0"),
        ("5,a,,30\n", None, 2, "4 cells instead of 5"),
        ("5,a,,30,\n", "0,w9,a\n", 2, "no hall has a window 'w9'"),
        ("5,a,,30,\n", "0,w1,a\n9,w1,c\n", 3, "hall 'north' has no service 'c'"),
    ],
)
def test_mistakes_are_named_with_their_line(
    tmp_path: Path, both: list[halls.Hall], tickets: str, windows: str | None, line: int, what: str
) -> None:
    with pytest.raises(trace.TraceError) as caught:
        trace.read(write(tmp_path, tickets, windows), both)
    (file, at, found), *others = caught.value.mistakes
    assert file == ("day.windows.csv" if windows else "day.csv")
    assert at == line and what in found and not others


def test_all_mistakes_of_both_files_come_at_once(tmp_path: Path, both: list[halls.Hall]) -> None:
    with pytest.raises(trace.TraceError) as caught:
        trace.read(write(tmp_path, "5,z,,x,\n6,y,,1,\n", "0,w8,\n"), both)
    assert [(file, line) for file, line, _ in caught.value.mistakes] == [
        ("day.csv", 2),
        ("day.csv", 2),
        ("day.csv", 3),
        ("day.windows.csv", 2),
    ]


def test_a_name_in_two_halls_cannot_be_placed(tmp_path: Path, both: list[halls.Hall]) -> None:
    twin = halls.parse(HALL | {"id": "west"})
    with pytest.raises(trace.TraceError, match=r"day.csv:2: service 'a' stands in several halls: north, west"):
        trace.read(write(tmp_path, "5,a,,30,\n"), [*both, twin])


@pytest.mark.parametrize("text", ["", "arrive_s,service\n5,a\n", "arrive_s,service,priority,service_s,patience_s,x\n"])
def test_wrong_columns(tmp_path: Path, both: list[halls.Hall], text: str) -> None:
    path = tmp_path / "day.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(trace.TraceError, match="columns must be arrive_s,"):
        trace.read(path, both)


def test_a_day_without_people(tmp_path: Path, both: list[halls.Hall]) -> None:
    with pytest.raises(trace.TraceError, match="nobody comes"):
        trace.read(write(tmp_path, ""), both)
