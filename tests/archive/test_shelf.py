"""The archive's files: whole or not there, one writer at a time, what is damaged is named."""

from __future__ import annotations

import gzip
import json
import multiprocessing
from pathlib import Path

import pytest

from qserver.archive.shelf import Damaged, Head, Line, Shelf
from qserver.domain.ticket import Case

DAY = "2026-11-24"


def head(changed: int = 7) -> Head:
    return Head(hall="h1", day=DAY, as_of_ms=1_795_480_000_000, changed=changed, reviews_before=2)


def case(number: str) -> Line:
    return Line(
        case=Case(
            id=number, state="accepted", service="a", window="w1", staff=None, ticket="20261124-A001", leg=1,
            accepted_ms=1, due_ms=None, completed_ms=None, overtime=False, review=None, history=[],
        )
    )  # fmt: skip


def put(shelf: Shelf, changed: int = 7, *lines: Line) -> None:
    draft = shelf.draft("h1", DAY)
    draft.add([Line(archive=head(changed)), *lines])
    draft.publish()


def test_a_day_comes_back_as_it_was_put_there(shelf: Shelf) -> None:
    assert (shelf.days("h1"), shelf.holds("h1", DAY), shelf.head("h1", DAY)) == ([], False, None)
    put(shelf, 7, case("C-1"), case("C-2"))
    assert (shelf.days("h1"), shelf.days("h1", "2026-11"), shelf.days("h1", "2026-12")) == ([DAY], [DAY], [])
    assert shelf.head("h1", DAY) == head()
    assert list(shelf.lines("h1", DAY)) == [Line(archive=head()), case("C-1"), case("C-2")]


def test_anybody_can_read_a_file_without_this_program(shelf: Shelf) -> None:
    put(shelf, 7, case("C-1"))
    text = gzip.decompress((shelf.directory / "h1" / f"{DAY}.jsonl.gz").read_bytes()).decode()
    first, second = map(json.loads, text.splitlines())
    assert first["archive"]["day"] == DAY and second["case"]["id"] == "C-1"


def test_the_same_day_written_twice_is_the_same_file(shelf: Shelf) -> None:
    path = shelf.directory / "h1" / f"{DAY}.jsonl.gz"
    put(shelf, 7, case("C-1"))
    once = path.read_bytes()
    put(shelf, 7, case("C-1"))
    assert path.read_bytes() == once


def test_what_is_not_published_is_not_there_and_leaves_nothing(shelf: Shelf) -> None:
    put(shelf)
    draft = shelf.draft("h1", DAY)
    draft.add([Line(archive=head(8)), case("C-1")])
    assert shelf.head("h1", DAY) == head(), "readers find the former file meanwhile"
    draft.discard()
    draft.discard()
    assert shelf.head("h1", DAY) == head()
    assert [path.name for path in (shelf.directory / "h1").iterdir()] == [f"{DAY}.jsonl.gz"]


def test_what_a_dead_process_left_is_dropped_and_never_taken_for_a_day(shelf: Shelf) -> None:
    draft = shelf.draft("h1", DAY)
    draft.add([Line(archive=head())])
    assert shelf.days("h1") == [] and list((shelf.directory / "h1").iterdir())
    shelf.tidy("h1")
    draft.discard()
    assert not list((shelf.directory / "h1").iterdir())


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "newer", "empty"])
def test_a_damaged_file_is_named_and_never_half_believed(shelf: Shelf, damage: str) -> None:
    put(shelf, 7, *(case(f"C-{n}") for n in range(500)))
    path = shelf.directory / "h1" / f"{DAY}.jsonl.gz"
    whole = path.read_bytes()
    path.write_bytes(
        {
            "cut": whole[:-20],
            "flipped": whole[: len(whole) // 2] + b"\x00\xff\x00\xff" + whole[len(whole) // 2 + 4 :],
            "foreign": b"not at all",
            "newer": gzip.compress(b'{"archive":{"hall":"h1","day":"d","as_of_ms":1,"changed":1,'
                                   b'"reviews_before":0,"version":2}}\n'),
            "empty": b"",
        }[damage]
    )  # fmt: skip
    with pytest.raises(Damaged, match=DAY):
        list(shelf.lines("h1", DAY))


def test_nobody_but_its_owner_reads_the_archive(shelf: Shelf) -> None:
    put(shelf)
    places = [shelf.directory, shelf.directory / "h1", shelf.directory / "h1" / f"{DAY}.jsonl.gz"]
    assert [path.stat().st_mode & 0o077 for path in places] == [0, 0, 0]


@pytest.mark.parametrize("name", ["..", "../h1", "H1", "", "a/b"])
def test_no_name_leads_out_of_the_directory(shelf: Shelf, name: str) -> None:
    with pytest.raises(ValueError):
        shelf.days(name)
    with pytest.raises(ValueError):
        shelf.holds("h1", name)


def _hold(directory: Path, said: multiprocessing.synchronize.Event, go: multiprocessing.synchronize.Event) -> None:
    with Shelf(directory).lock() as mine:
        assert mine
        said.set()
        go.wait()


def test_one_process_writes_at_a_time_and_a_dead_one_holds_no_lock(shelf: Shelf) -> None:
    context = multiprocessing.get_context("spawn")
    said, go = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(shelf.directory, said, go))
    other.start()
    assert said.wait(30)
    with shelf.lock() as mine:
        assert not mine
    other.kill()
    other.join()
    with shelf.lock() as mine:
        assert mine


@pytest.mark.parametrize("hall", ["id", "lock", "h1-part"])
def test_a_hall_may_have_any_name(shelf: Shelf, hall: str) -> None:
    draft = shelf.draft(hall, DAY)
    draft.add([Line(archive=head())])
    draft.publish()
    with shelf.lock() as mine:
        shelf.tidy(hall)
        assert mine
    Shelf(shelf.directory).open()
    assert shelf.days(hall) == [DAY]


def test_all_who_open_a_directory_find_one_id(shelf: Shelf, tmp_path: Path) -> None:
    again = Shelf(shelf.directory)
    again.open()
    other = Shelf(tmp_path / "other")
    other.open()
    assert again.id == shelf.id != other.id
    (other.directory / ".id").write_text("nonsense")
    with pytest.raises(ValueError, match="not an archive's id"):
        Shelf(other.directory).open()
