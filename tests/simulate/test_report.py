"""The summary: spreads are measured values, joined showings give press to screen, broken promises are told."""

from qserver.simulate import report
from qserver.simulate.checks import Check
from qserver.simulate.record import Ack, Board, Facts, FeedEvent, Record


def played() -> Record:
    call = Ack("north", "ticket.called", "20261123-A001", "A001", "w1", 1, 1000, sent_s=5.0)
    record = Record(acks=[Ack("north", "ticket.issued", "20261123-A001", "A001"), call], commands=2, played_s=4.0)
    record.boards = [Board("north", "b1", {("A001", 1): (5.02, 3.0)}), Board("north", "b2", {("A001", 1): (5.05, 9.0)})]
    facts = Facts(ticket="20261123-A001", leg=1, wait_ms=2000)
    record.feed = [
        FeedEvent("1", "/halls/north", "qserver.ticket.called", "1", facts),
        FeedEvent("2", "/halls/north", "qserver.ticket.called", "2", Facts(ticket=facts.ticket, leg=1, wait_ms=2000)),
    ]
    return record


def test_a_spread_names_only_values_that_were_measured() -> None:
    assert report.spread(range(1, 101)) == report.Spread(51, 99, 100, 100)
    assert report.spread([7.0]) == report.Spread(7.0, 7.0, 7.0, 1)
    assert str(report.spread([])) == "—"


def test_press_to_screen_joins_every_showing_with_its_command() -> None:
    recorded, sent = report.press_to_screen(played())
    assert (recorded.p50, recorded.largest, recorded.of) == (3.0, 9.0, 2)
    assert (round(sent.p50), round(sent.largest), sent.of) == (20, 50, 2)


def test_a_showing_of_somebody_elses_call_has_no_press() -> None:
    record = played()
    record.acks.clear()
    assert report.press_to_screen(record)[1].of == 0


def test_waits_are_told_in_seconds_of_the_day_and_once_per_leg() -> None:
    found = report.figures(played(), speed=60)
    assert (found["wait_p50_s"], found["tickets"], found["tickets_per_s"]) == (120, 1, 0.25)


def test_the_summary_tells_findings_notes_and_the_verdict() -> None:
    checks = [Check("good", "9 things", []), Check("bad", "9 things", [f"finding {n}" for n in range(8)])]
    text = report.summary(played(), checks, speed=60, source="day.csv", notes=["opening hours left out"])
    assert "✓ good: 9 things" in text
    assert "✗ bad: 9 things" in text
    assert "finding 4" in text and "finding 5" not in text and "... and 3 more" in text
    assert "1 of 2 promises broken" in text
    assert "opening hours left out" in text and "sim-" in text
    assert "all 1 promises held" in report.summary(played(), checks[:1], speed=60, source="day.csv", notes=[])


def test_an_empty_record_can_be_told() -> None:
    assert "0 issued" in report.summary(Record(), [], speed=1, source="none", notes=[])
