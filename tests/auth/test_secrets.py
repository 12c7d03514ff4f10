"""Secrets come out the same every time, and none can be made without the key."""

from __future__ import annotations

import pytest

from qserver.auth import secrets

KEY, OTHER = b"k" * 32, b"o" * 32


def test_a_token_is_the_same_every_time_and_no_other_key_makes_it() -> None:
    text = secrets.token_text(KEY, "guide-1")
    assert text == secrets.token_text(KEY, "guide-1")
    assert text.startswith("qs_guide-1_")
    assert text != secrets.token_text(OTHER, "guide-1")
    assert text != secrets.token_text(KEY, "guide-2")


@pytest.mark.parametrize("changed", ["id", "mac", "short", "long", "empty", "newline"])
def test_only_own_tokens_are_own(changed: str) -> None:
    text = secrets.token_text(KEY, "t1")
    assert secrets.is_own_token(KEY, text)
    bad = {
        "id": text.replace("_t1_", "_t2_"),
        "mac": text[:-1] + ("A" if text[-1] != "A" else "B"),
        "short": text[:-1],
        "long": text + "A",
        "empty": "",
        "newline": text + "\n",
    }[changed]
    assert not secrets.is_own_token(KEY, bad)
    assert not secrets.is_own_token(OTHER, text)


def test_a_ticket_secret_gives_back_hall_and_ticket() -> None:
    secret = secrets.ticket_secret(KEY, "h1", "20261122-A001")
    assert secrets.read_ticket_secret(KEY, secret) == ("h1", "20261122-A001")
    assert secrets.read_ticket_secret(OTHER, secret) is None
    assert secrets.read_ticket_secret(KEY, secret.replace("h1", "h2", 1)) is None
    assert secrets.read_ticket_secret(KEY, secret.replace("A001", "A002")) is None
    assert secrets.read_ticket_secret(KEY, secret + "\n") is None
    assert secrets.read_ticket_secret(KEY, "") is None


def test_secrets_of_different_kinds_never_meet() -> None:
    made = {secrets.token_text(KEY, "x").split("_")[-1][:24], secrets.pairing_code(KEY, "x").split(".")[-1]}
    assert len(made) == 2


def test_a_person_is_another_one_in_another_hall() -> None:
    assert secrets.person_hash(KEY, "h1", "p") == secrets.person_hash(KEY, "h1", "p")
    assert secrets.person_hash(KEY, "h1", "p") != secrets.person_hash(KEY, "h2", "p")
    assert secrets.person_hash(KEY, "h1", "p") != "p"
    assert secrets.person_hash(KEY, "h1", "") == ""
