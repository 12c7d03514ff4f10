"""Redis URLs as people write them."""

from __future__ import annotations

import pytest

from qserver.store.address import Address, Tls, read, redacted


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://", Address()),
        ("redis://h", Address("h")),
        ("redis://h:7000/2", Address("h", 7000, db=2)),
        ("redis://h:7000?db=2", Address("h", 7000, db=2)),
        ("redis://:p%40ss@h", Address("h", password="p@ss")),
        ("redis://me:secret@[::1]:7000", Address("::1", 7000, user="me", password="secret")),
        ("rediss://h", Address("h", tls=Tls())),
        ("rediss://h?ssl_ca_certs=/ca&ssl_check_hostname=no", Address("h", tls=Tls(ca="/ca", check_host=False))),
        ("rediss://h?ssl_cert_reqs=none", Address("h", tls=Tls(verify=False))),
        ("unix:///run/a%20b.sock", Address(path="/run/a b.sock")),
        ("unix://me:secret@/run/s?db=1", Address(path="/run/s", user="me", password="secret", db=1)),
        ("unix:///run/s?password=secret", Address(path="/run/s", password="secret")),
    ],
)
def test_one_server(url: str, address: Address) -> None:
    assert Address.from_url(url) == address


def test_sentinels_have_a_log_in_of_their_own() -> None:
    place = read("redis+sentinel://me:secret@a,b:7000/hall/1?sentinel_password=other")
    assert place.kind == "sentinel" and place.service == "hall"
    assert place.addresses == (Address("a", 26379, password="other"), Address("b", 7000, password="other"))
    assert place.template.at("c", 1) == Address("c", 1, user="me", password="secret", db=1)


def test_a_cluster_has_seeds() -> None:
    place = read("rediss+cluster://:secret@a,b:7000")
    assert place.kind == "cluster"
    assert place.addresses == (
        Address("a", password="secret", tls=Tls()),
        Address("b", 7000, password="secret", tls=Tls()),
    )


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://h", "understood are"),
        ("unix+cluster:///s", "understood are"),
        ("h:6379", "understood are"),
        ("redis://a,b", "several hosts"),
        ("redis://h:99999", "port"),
        ("redis://h:x", "port"),
        ("redis://h/one", "database"),
        ("redis://h/1/2", "nothing may follow"),
        ("redis://h?databse=1", "unknown option databse"),
        ("unix://run/s", "absolute path"),
        ("unix://", "absolute path"),
        ("redis+sentinel://h", "name of the service"),
        ("redis+cluster://h/3", "database 0"),
    ],
)
def test_mistakes_are_named_and_secrets_are_not(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read(url)
    scheme, _, rest = url.partition("://")
    with pytest.raises(ValueError) as caught:
        read(f"{scheme}://:geheim@{rest}")
    assert "geheim" not in str(caught.value)


def test_a_url_of_several_servers_is_not_one_address() -> None:
    with pytest.raises(ValueError, match="more than one"):
        Address.from_url("redis+cluster://a,b")


def test_nothing_secret_is_shown() -> None:
    address = Address.from_url("redis://me:geheim@h:7000/2")
    assert str(address) == repr(address) == "h:7000"
    assert redacted("redis://me:geheim@h?password=x") == "redis://me:***@h?..."
    assert address.greeting() == (("AUTH", "me", "geheim"), ("SELECT", 2))
    assert Address.from_url("redis://:p@h").greeting() == (("AUTH", "p"),)
