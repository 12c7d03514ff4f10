"""The tables of what may happen to a ticket and to a window."""

from qserver.domain import events
from qserver.domain.lifecycle import LIVE, MOVES, WINDOW_MOVES, Role, State, WindowState, picture

ENDED = {State.FINISHED, State.CANCELLED, State.EXPIRED}


def test_every_move_leads_from_known_states_to_a_known_state() -> None:
    states = {str(state) for state in State}
    for command, move in MOVES.items():
        assert move.sources <= states, command
        assert move.target in states, command


def test_every_window_move_leads_from_known_states_to_a_known_state() -> None:
    states = {str(state) for state in WindowState}
    for command, move in WINDOW_MOVES.items():
        assert move.sources <= states, command
        assert move.target in states, command


def test_every_move_leaves_an_event_that_the_dictionary_explains() -> None:
    assert {f"ticket.{move.event}" for move in MOVES.values()} <= set(events.KINDS)
    assert {f"window.{move.event}" for move in WINDOW_MOVES.values()} <= set(events.KINDS)


def test_a_ticket_is_live_or_ended_and_only_undo_leaves_an_end() -> None:
    assert set(State) == LIVE | ENDED
    assert not LIVE & ENDED
    for command, move in MOVES.items():
        if command != "undo":
            assert move.sources <= LIVE, command


def test_the_turn_of_the_day_expires_exactly_what_is_live() -> None:
    assert MOVES["expire"].sources == LIVE


def test_every_state_is_reached_from_waiting() -> None:
    reached = {"waiting"}
    while more := {m.target for m in MOVES.values() if m.sources & reached} - reached:
        reached |= more
    assert reached == {str(state) for state in State}


def test_a_called_ticket_is_never_finished_before_its_service_began() -> None:
    assert MOVES["finish"].sources == {"serving"}


def test_time_and_the_holder_give_commands_that_no_role_gives() -> None:
    assert {command for command, move in MOVES.items() if not move.by} == {"expire", "postpone"}


def test_what_happens_at_a_window_is_the_clerks_alone() -> None:
    for command in ("call", "recall", "start", "finish", "miss", "hold", "unhold", "transfer", "undo"):
        assert MOVES[command].by == {Role.CLERK}, command


def test_the_picture_shows_every_state_and_every_command_people_give() -> None:
    drawn = picture()
    assert drawn.startswith("stateDiagram-v2")
    for state in State:
        assert str(state) in drawn
    for command, move in MOVES.items():
        if command not in ("undo", "expire"):
            for source in move.sources:
                assert f"    {source} --> {move.target}: {command}" in drawn
