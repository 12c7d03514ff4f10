"""The chain rule, step by step, without a loop."""

from __future__ import annotations

from displays.chain import Chain
from qserver.wire.messages import BoardEvent, BoardView, Heartbeat, Kind, Resync, Snapshot, State, Welcome, WindowView


def snapshot(s: int, ep: str = "e1") -> Snapshot:
    return Snapshot(ep, s, BoardView("h1", [], [WindowView("w1", "1 号窗口", "idle", None)], {"a": 0}, []))


def event(s: int, p: int, kind: Kind = "issue") -> BoardEvent:
    return BoardEvent(s=s, p=p, k=kind, at_ms=s, ticket="A001", service="a", waiting=s)


def begun(s: int = 3) -> Chain:
    chain = Chain()
    chain.connected(0.0)
    chain.take(Welcome("e1", s, "snapshot", 5000, 0), 0.0)
    assert chain.take(snapshot(s), 0.0).replaced
    return chain


def test_the_next_event_is_applied() -> None:
    chain = begun()
    outcome = chain.take(event(5, 3), 0.1)
    assert outcome.applied is not None
    assert chain.s == 5
    assert chain.board is not None
    assert chain.board.waiting == {"a": 5}


def test_events_before_the_snapshot_are_nothing_to_go_on() -> None:
    chain = Chain()
    chain.connected(0.0)
    assert chain.position() == ("", None)
    assert chain.take(event(1, 0), 0.0) == (None, False, None)


def test_an_event_known_already_is_dropped() -> None:
    chain = begun()
    chain.take(event(5, 3), 0.1)
    assert chain.take(event(5, 3), 0.2) == (None, False, None)
    assert chain.take(event(2, 1), 0.2) == (None, False, None)
    assert chain.s == 5


def test_a_gap_asks_once_and_again_after_a_second() -> None:
    chain = begun()
    assert chain.take(event(7, 5), 1.0).say == Resync("e1", 3)
    assert chain.take(event(8, 7), 1.1).say is None
    assert chain.poll(1.5) is None
    assert chain.poll(2.1) == Resync("e1", 3)
    assert chain.take(event(5, 3), 2.2).applied is not None
    assert chain.take(event(7, 5), 2.2).applied is not None
    assert chain.poll(9.0) is None


def test_a_heartbeat_ahead_for_a_second_asks() -> None:
    chain = begun()
    chain.take(Heartbeat("e1", 5, 0), 1.0)
    assert chain.poll(1.9) is None
    assert chain.poll(2.0) == Resync("e1", 3)
    chain = begun()
    chain.take(Heartbeat("e1", 5, 0), 1.0)
    chain.take(event(5, 3), 1.5)  # it was only on its way
    assert chain.poll(3.0) is None


def test_a_heartbeat_of_another_epoch_asks_for_the_whole() -> None:
    chain = begun()
    assert chain.take(Heartbeat("e2", 3, 0), 1.0).say == Resync("e1", 3)
    assert chain.take(snapshot(1, "e2"), 1.1).replaced
    assert (chain.ep, chain.s) == ("e2", 1)


def test_an_unasked_snapshot_of_another_epoch_replaces_everything() -> None:
    chain = begun(9)
    assert chain.take(snapshot(2, "e2"), 1.0).replaced
    assert chain.position() == ("e2", 2)


def test_an_older_snapshot_of_the_same_epoch_does_not_turn_back_time() -> None:
    chain = begun(9)
    assert not chain.take(snapshot(5), 1.0).replaced
    assert chain.s == 9


def test_a_welcome_of_another_epoch_throws_the_state_away() -> None:
    chain = begun()
    chain.connected(5.0)
    chain.take(Welcome("e2", 1, "snapshot", 5000, 0), 5.0)
    assert chain.board is None
    assert chain.position() == ("", None)
    chain.take(Heartbeat("e2", 1, 0), 6.0)
    assert chain.poll(7.0) == Resync("", 0)  # nothing to go on from


def test_a_resumed_connection_goes_on_where_it_was() -> None:
    chain = begun()
    chain.connected(5.0)
    assert chain.position() == ("e1", 3)
    chain.take(Welcome("e1", 5, "resume", 5000, 0), 5.0)
    assert chain.take(event(5, 3), 5.0).applied is not None


def test_after_a_notice_the_snapshot_is_owed() -> None:
    chain = begun()
    assert chain.take(event(4, 3, "notice"), 1.0).applied is not None
    assert chain.position() == ("", None)
    assert chain.poll(1.5) is None
    assert chain.poll(2.0) == Resync("", 0)
    assert chain.take(snapshot(4), 2.1).replaced
    assert chain.poll(9.0) is None
    assert chain.position() == ("e1", 4)


def test_silence_of_two_and_a_half_heartbeats_is_death() -> None:
    chain = begun()
    assert not chain.dead(12.4)
    assert chain.dead(12.5)
    chain.take(Heartbeat("e1", 3, 0), 12.0)
    assert not chain.dead(20.0)


def test_a_small_state_replaces_the_one_before() -> None:
    chain = Chain()
    chain.connected(0.0)
    assert chain.take(State(topic="window:w1", ep="e1", s=4), 0.0).replaced
    assert not chain.take(State(topic="window:w1", ep="e1", s=3), 0.0).replaced
    chain.take(Heartbeat("e1", 6, 0), 1.0)
    assert chain.poll(2.0) == Resync("", 0)
    assert chain.take(State(topic="window:w1", ep="e2", s=1), 2.0).replaced
    assert chain.state is not None
    assert chain.state.ep == "e2"
