"""Where webhooks may go, and for which events they are."""

from __future__ import annotations

import pytest

from qserver.domain.errors import Refusal
from qserver.domain.events import KINDS
from qserver.hooks import kinds, targets


@pytest.mark.parametrize(
    "url",
    [
        "https://oa.example/hook",
        "http://oa.example:8080/hook?key=%E4%B8%AD&x=1",
        "https://[2606:4700:4700::1111]/",
        "http://8.8.8.8",
        "HTTPS://OA.EXAMPLE/",
    ],
)
def test_urls_that_are_taken(url: str) -> None:
    targets.check_url(url, "public")


@pytest.mark.parametrize(
    "url",
    [
        "", "oa.example/hook", "//oa.example", "ftp://oa.example/", "file:///etc/passwd", "gopher://x/", "unix:///x",
        "javascript:alert(1)", "http://", "http:///path", "http://:80/", "http://user@oa.example/",
        "http://user:secret@oa.example/", "http://@oa.example/", "http://oa.example/#part", "http://oa.example:0/",
        "http://oa.example:99999/", "http://oa.example:x/", "http://oa .example/", "http://oa.example/\r\nX: y",
        "http://oa.example\\@evil/", "http://[::1/", "http://中.example/", "http://oa.example/" + "x" * 2000,
    ],
)  # fmt: skip
def test_urls_that_are_not(url: str) -> None:
    with pytest.raises(Refusal) as refused:
        targets.check_url(url, "any")
    assert refused.value.code == "validation" and refused.value.data == {"field": "url"}


LAN = ["10.1.2.3", "172.16.0.1", "192.168.1.1", "fd00::1", "::ffff:192.168.1.1", "64:ff9b::10.0.0.1"]
CLOSED = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "169.254.169.254", "100.100.100.200", "224.0.0.1", "255.255.255.255",
    "240.0.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "ff02::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1",
    "2002:7f00:1::", "192.0.2.1", "2001:db8::1", "fec0::1",
]  # fmt: skip


def test_public_addresses_are_open_to_all() -> None:
    for reach in ("public", "lan", "any"):
        assert targets.allowed("1.1.1.1", reach)
        assert targets.allowed("2606:4700:4700::1111", reach)
        assert targets.allowed("64:ff9b::1.1.1.1", reach)


@pytest.mark.parametrize("address", LAN)
def test_private_addresses_are_for_who_says_so(address: str) -> None:
    assert not targets.allowed(address, "public")
    assert targets.allowed(address, "lan") and targets.allowed(address, "any")


@pytest.mark.parametrize("address", CLOSED)
def test_this_machine_and_what_is_no_peer_are_closed_also_on_a_lan(address: str) -> None:
    assert not targets.allowed(address, "public") and not targets.allowed(address, "lan")
    assert targets.allowed(address, "any")


def test_an_address_in_the_url_is_judged_at_once() -> None:
    for url in ("http://127.0.0.1/", "http://[::1]:8080/", "http://169.254.169.254/latest"):
        with pytest.raises(Refusal, match="webhook_targets is lan"):
            targets.check_url(url, "lan")
    targets.check_url("http://10.0.0.7/", "lan")


def test_kinds_by_name_by_family_and_all() -> None:
    assert kinds.chosen(["review.opened"]) == {"review.opened"}
    assert kinds.chosen(["overtime.*", "ticket.called"]) == {
        "overtime.warned", "overtime.wait", "overtime.service", "overtime.case", "ticket.called"
    }  # fmt: skip
    assert kinds.chosen(["*"]) == set(KINDS)
    assert kinds.chosen(["of.another.version"]) == frozenset()
    kinds.check(["*", "review.*", "day.closed"])
    for wrong in ("review", "review.", "over*", "nothing.*", "ticket.flown", "**"):
        with pytest.raises(Refusal) as refused:
            kinds.check(["*", wrong])
        assert refused.value.data == {"field": "kinds"}
