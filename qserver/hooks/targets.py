"""Where webhooks may go: which URLs, and which addresses once a name was looked up. Pure.

A server that posts wherever it is told can be made to ask things it alone can reach (SSRF). So a URL's form is looked
at when it is given, and every address when a connection is made, for a name may lead elsewhere by then.
"""

from __future__ import annotations

import ipaddress
from typing import Literal
from urllib.parse import urlsplit

from qserver.domain.errors import Refusal

Reach = Literal["public", "lan", "any"]
"""`public`: addresses of the internet; `lan`: private ones too; `any`: also this machine's own and link-local ones."""
LONGEST = 2000
_NEVER = frozenset(' \\<>"^`{|}')

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_PRIVATE = [
    ipaddress.ip_network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
]  # RFC 1918 and 4193
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def check_url(url: str, reach: Reach) -> None:
    """Refused (validation): a URL that is not one of http or https, carries a password, or names a closed address."""
    what = _mistake(url, reach)
    if what:
        raise Refusal("validation", f"url: {what}", field="url")


def _mistake(url: str, reach: Reach) -> str:
    if len(url) > LONGEST or not (url.isascii() and url.isprintable()) or set(url) & _NEVER:
        return f"at most {LONGEST} characters that a URL may hold"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "this is not a URL"
    if parts.scheme not in ("http", "https"):
        return "http:// or https:// only"
    if not parts.hostname or port == 0:
        return "a host is needed"
    if "@" in parts.netloc:
        return "names and passwords do not belong in a URL; receivers know us by the signature"
    if "#" in url:
        return "a fragment is never sent"
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return ""  # a name: looked at when it is looked up
    return "" if allowed(address, reach) else closed(reach)


def closed(reach: Reach) -> str:
    """What is said of an address that is not allowed."""
    return f"the address is not allowed: webhook_targets is {reach}"


def allowed(address: _Address | str, reach: Reach) -> bool:
    """Whether a connection may be made to an address; an IPv4 one wrapped in an IPv6 one is judged as what it is."""
    if isinstance(address, str):
        address = ipaddress.ip_address(address.partition("%")[0])
    if reach == "any":
        return True
    if isinstance(address, ipaddress.IPv6Address):
        address = _wrapped(address) or address
    if isinstance(address, ipaddress.IPv6Address) and address.is_site_local:  # withdrawn (RFC 3879), and never public
        return False
    if reach == "lan" and any(address in net for net in _PRIVATE if net.version == address.version):
        return True
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _wrapped(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
