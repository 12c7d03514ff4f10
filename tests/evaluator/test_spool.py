"""Ratings on disk: once each, over restarts and torn files."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluator import spool as module
from evaluator.clocks import Reading
from evaluator.prompt import Rating
from evaluator.spool import Result, Spool, SpoolUnusable

GIVEN = Reading("boot-1", 50_000, 1_000_000, 2_000_000)
NOW = GIVEN._replace(boot_ms=57_000)


def rating(n: int, score: int = 5, *, final: bool = True) -> Rating:
    return Rating(f"20261124-A{n:03}", 1, score, final=final)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pads" / "w1.spool"


def tickets(spool: Spool, most: int = 50) -> list[str]:
    return [item["ticket"][-4:] for item in spool.batch(NOW, most)]


def test_what_was_kept_is_there_after_a_restart_oldest_first(path: Path) -> None:
    spool = Spool(path)
    rids = [spool.add(rating(n), GIVEN) for n in (3, 1, 2)]
    spool.close()
    spool = Spool(path)
    assert [item["rid"] for item in spool.batch(NOW)] == rids
    assert (tickets(spool), len(spool)) == (["A003", "A001", "A002"], 3)
    spool.close()


def test_an_item_is_what_the_server_takes(path: Path) -> None:
    spool = Spool(path)
    rid = spool.add(Rating("20261124-A001", 2, 1, ("服务态度", "a"), "等“太”久"), GIVEN)
    assert spool.batch(NOW) == [
        {
            "n": 1, "rid": rid, "ticket": "20261124-A001", "leg": 2, "score": 1, "reasons": ["服务态度", "a"],
            "comment": "等“太”久", "age_ms": 7000,
        }
    ]  # fmt: skip
    spool.close()


def test_one_rating_per_service_under_one_id(path: Path) -> None:
    spool = Spool(path)
    first = spool.add(rating(1, 5), GIVEN)
    assert spool.add(rating(1, 1), NOW) == first
    assert [(item["score"], item["age_ms"]) for item in spool.batch(NOW)] == [(5, 7000)]
    spool.settle([Result(first, "recorded")])
    assert spool.add(rating(1, 1), NOW) == first
    assert spool.batch(NOW) == []
    spool.close()


def test_a_draft_waits_for_its_reasons_and_keeps_its_instant(path: Path) -> None:
    spool = Spool(path)
    rid = spool.add(rating(1, 1, final=False), GIVEN)
    assert (spool.batch(NOW), len(spool)) == ([], 1)
    spool.add(Rating("20261124-A001", 1, 1, ("服务效率",)), NOW)
    assert [(i["rid"], i["reasons"], i["age_ms"]) for i in spool.batch(NOW)] == [(rid, ["服务效率"], 7000)]
    spool.close()


def test_a_draft_whose_pad_died_is_a_rating(path: Path) -> None:
    spool = Spool(path)
    spool.add(rating(1, 1, final=False), GIVEN)
    spool.close()
    spool = Spool(path)
    assert [item["score"] for item in spool.batch(NOW)] == [1]
    spool.close()


def test_a_face_taken_back_leaves_nothing_and_a_rating_cannot_be_taken_back(path: Path) -> None:
    spool = Spool(path)
    spool.add(rating(1, 1, final=False), GIVEN)
    spool.add(rating(2), GIVEN)
    for n in (1, 2):
        spool.withdraw(f"20261124-A{n:03}", 1)
    assert tickets(spool) == ["A002"]
    spool.close()


@pytest.mark.parametrize("status", ["recorded", "duplicate", "conflict", "rejected"])
def test_the_servers_word_settles_a_rating(path: Path, status: str) -> None:
    spool = Spool(path)
    rid = spool.add(rating(1), GIVEN)
    assert spool.settle([Result(rid, status, "why")]) == 1
    assert spool.settle([Result(rid, "rejected", "late")]) == 0, "the first word stands"
    assert (len(spool), spool.answered()) == (0, [("20261124-A001", 1)])
    assert spool.rejected() == ([Result(rid, status, "why")] if status == "rejected" else [])
    spool.close()


def test_retry_and_unheard_of_ids_settle_nothing(path: Path) -> None:
    spool = Spool(path)
    rid = spool.add(rating(1), GIVEN)
    assert spool.settle([Result(rid, "retry"), Result("stranger", "recorded")]) == 0
    assert tickets(spool) == ["A001"]
    spool.close()


def test_no_batch_is_larger_than_the_server_takes(path: Path) -> None:
    spool = Spool(path)
    for n in range(60):
        spool.add(rating(n), GIVEN)
    assert [len(spool.batch(NOW, most)) for most in (1, 50, 1000)] == [1, 50, 50]
    spool.close()


def test_settled_ratings_leave_and_waiting_ones_never_do(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SETTLED_KEPT", 5)
    spool = Spool(path)
    spool.add(rating(0), GIVEN)
    for n in range(1, 20):
        spool.settle([Result(spool.add(rating(n), GIVEN), "recorded")])
    assert tickets(spool) == ["A000"]
    assert [ticket[-4:] for ticket, _ in spool.answered()] == ["A000", *(f"A{n:03}" for n in range(15, 20))]
    spool.close()


def test_two_pads_do_not_share_a_spool(path: Path) -> None:
    spool = Spool(path)
    text = f"from pathlib import Path; from evaluator.spool import Spool; Spool(Path({str(path)!r}))"
    other = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert "SpoolUnusable" in other.stderr and "locked" in other.stderr
    spool.close()


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    with pytest.raises(SpoolUnusable, match="spool"):
        Spool(tmp_path / "spool")


def test_a_file_that_is_no_spool_is_put_aside_and_the_pad_goes_on(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\x00\xff" * 4096)
    spool = Spool(path)
    spool.add(rating(1), GIVEN)
    assert tickets(spool) == ["A001"]
    (broken,) = path.parent.glob("*.broken-*")
    assert broken.read_bytes() == b"\x00\xff" * 4096
    spool.close()


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ten ratings leave on disk when the process dies."""
    folder = tmp_path_factory.mktemp("killed")
    spool = Spool(folder / "spool")
    for n in range(10):
        spool.add(rating(n), GIVEN)
    copy = folder / "copy"
    copy.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(folder / f"spool{suffix}", copy / f"spool{suffix}")
    spool.close()
    return copy


@given(st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_torn_tail_costs_the_tail_and_nothing_before_it(
    killed: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    whole = (killed / "spool-wal").read_bytes()
    at = data.draw(st.integers(0, len(whole)))
    shutil.copy(killed / "spool", folder / "spool")
    rest = data.draw(st.sampled_from([b"", b"\x00" * 100, b"\xff" * 5000]))
    (folder / "spool-wal").write_bytes(whole[:at] + rest)
    spool = Spool(folder / "spool")
    found = tickets(spool)
    assert found == [f"A{n:03}" for n in range(len(found))]
    assert at < len(whole) or len(found) == 10, "what was synced is all there"
    spool.add(rating(99), GIVEN)
    assert tickets(spool) == [*found, "A099"]
    spool.close()
