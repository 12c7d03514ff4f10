"""The role table says what the interface promises, and binds tokens to hall and window."""

from __future__ import annotations

import pytest

from qserver.auth.principal import NOBODY, Principal, holder
from qserver.auth.roles import ACCESS, OPEN, SECRET, allowed
from qserver.domain.lifecycle import Role

ROUTES = [key for key, access in ACCESS.items() if access.roles not in (OPEN, SECRET)]
WINDOW = "/api/v1/halls/{hall}/windows/{window}"


@pytest.mark.parametrize("key", ROUTES)
def test_an_admin_without_a_hall_may_everything(key: str) -> None:
    assert allowed(Principal("a", Role.ADMIN), key, "h1", "w1")


@pytest.mark.parametrize("key", ROUTES)
def test_nobody_without_a_token_may_anything(key: str) -> None:
    assert not allowed(NOBODY, key, "h1", "w1")
    assert not allowed(holder("h1", "20261122-A001"), key, "h1", "w1")


@pytest.mark.parametrize("role", list(Role))
def test_a_token_bound_to_a_hall_is_good_for_that_hall_only(role: Role) -> None:
    bound = Principal("x", role, "h1", "w1")
    for key in ROUTES:
        assert not allowed(bound, key, "h2", "w1"), key


@pytest.mark.parametrize("command", ["open", "close", "pause", "resume", "call", "recall", "start", "finish", "miss"])
def test_a_clerk_commands_its_own_window_only(command: str) -> None:
    key = f"POST {WINDOW}/{command}"
    assert allowed(Principal("c", Role.CLERK, "h1", "w1"), key, "h1", "w1")
    assert not allowed(Principal("c", Role.CLERK, "h1", "w1"), key, "h1", "w2")
    assert not allowed(Principal("c", Role.CLERK, "h1"), key, "h1", "w1")
    assert not allowed(Principal("c", Role.CLERK, "h1"), key, "h1", "")


@pytest.mark.parametrize("command", ["open", "close", "pause", "resume"])
def test_a_supervisor_commands_every_window_of_its_hall(command: str) -> None:
    key = f"POST {WINDOW}/{command}"
    assert allowed(Principal("s", Role.SUPERVISOR, "h1"), key, "h1", "w2")
    assert not allowed(Principal("s", Role.SUPERVISOR, "h1"), f"POST {WINDOW}/call", "h1", "w2")


@pytest.mark.parametrize("role", [Role.PAD, Role.DISPLAY])
def test_pad_and_display_read_their_own_window(role: Role) -> None:
    for key in (f"GET {WINDOW}", "topic window"):
        assert allowed(Principal("p", role, "h1", "w1"), key, "h1", "w1")
        assert not allowed(Principal("p", role, "h1", "w1"), key, "h1", "w2")
        assert not allowed(Principal("p", role, "h1"), key, "h1", "w1")


def test_topics() -> None:
    may = {
        topic: {role for role in Role if allowed(Principal("x", role, "h1", "w1"), f"topic {topic}", "h1", "w1")}
        for topic in ("board", "window", "stats", "ticket")
    }
    assert may == {
        "board": set(Role),
        "window": {Role.ADMIN, Role.SUPERVISOR, Role.CLERK, Role.PAD, Role.DISPLAY},
        "stats": {Role.ADMIN, Role.SUPERVISOR, Role.ASSESSOR},
        "ticket": set(),
    }
    clerk = Principal("c", Role.CLERK, "h1", "w1")
    assert not allowed(clerk, "topic window", "h1", "w2")
    assert not allowed(clerk, "topic board", "h2")


def test_what_the_table_does_not_have_is_an_error() -> None:
    with pytest.raises(KeyError):
        allowed(Principal("a", Role.ADMIN), "GET /nowhere")
