"""Where a data server is and how to greet it, read from the URLs that people write in settings.

Only words are read here; nothing connects. Secrets stay out of `str(address)`, so it may be logged.

    redis://[user:password@]host[:6379][/db]      rediss://... the same over TLS
    unix://[user:password@]/path/to.sock[?db=0]
    redis+sentinel://[user:password@]h1[:26379],h2/service[/db]      rediss+sentinel://...
    redis+cluster://[user:password@]h1[:6379],h2                     rediss+cluster://...

TLS options in the query: `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile` (paths), `ssl_check_hostname=false`,
`ssl_cert_reqs=none`. The sentinels' own log-in: `sentinel_user`, `sentinel_password`.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

REDIS_PORT, SENTINEL_PORT = 6379, 26379
_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname", "ssl_cert_reqs")
_OPTIONS = {"db", "user", "password", "sentinel_user", "sentinel_password", *_TLS_OPTIONS}
_NO = {"0", "no", "off", "none", "false"}


@dataclass(frozen=True)
class Tls:
    """How to check the server and to show who we are. An empty `ca` means the system's authorities."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    check_host: bool = True
    verify: bool = True

    def context(self) -> ssl.SSLContext:
        """The TLS settings of a client connection. Raises OSError when a file cannot be read."""
        context = ssl.create_default_context(cafile=self.ca or None)
        context.check_hostname = self.check_host and self.verify
        if not self.verify:
            context.verify_mode = ssl.CERT_NONE
        if self.cert:
            context.load_cert_chain(self.cert, self.key or None)
        return context


@dataclass(frozen=True)
class Address:
    """One data server: a host and a port or a unix socket's `path`, and the log-in."""

    host: str = "127.0.0.1"
    port: int = REDIS_PORT
    path: str = ""
    user: str = ""
    password: str = ""
    db: int = 0
    tls: Tls | None = None

    @classmethod
    def from_url(cls, url: str) -> Address:
        """The address in a `redis://`, `rediss://` or `unix://` URL. Raises ValueError for any other."""
        place = read(url)
        if place.kind != "single":
            raise ValueError(f"{redacted(url)} names more than one server")
        return place.addresses[0]

    def at(self, host: str, port: int) -> Address:
        """The same log-in and TLS at another host and port."""
        return replace(self, host=host, port=port, path="")

    def greeting(self) -> tuple[tuple[str | int, ...], ...]:
        """The commands that open a connection: AUTH and SELECT, where they are needed."""
        commands: list[tuple[str | int, ...]] = []
        if self.password:
            commands.append(("AUTH", self.user, self.password) if self.user else ("AUTH", self.password))
        if self.db:
            commands.append(("SELECT", self.db))
        return tuple(commands)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"unix:{self.path}" if self.path else f"{host}:{self.port}"

    __repr__ = __str__


class Place(NamedTuple):
    """A URL as read. `kind`: single, sentinel or cluster; `template` is the log-in of the data servers."""

    kind: str
    addresses: tuple[Address, ...]
    template: Address
    service: str = ""


def redacted(url: str) -> str:
    """The URL without its password and without its query, fit for a log."""
    scheme, mark, rest = url.partition("://")
    rest, hidden, _ = rest.partition("?")
    login, at, where = rest.rpartition("@")
    user = login.partition(":")[0]
    return f"{scheme}{mark}{user + ':***@' if at and login else ''}{where}{'?...' if hidden else ''}"


def read(url: str) -> Place:
    """What a Redis URL says. Raises ValueError, without secrets in it, when it cannot be understood."""
    try:
        return _read(url)
    except ValueError as error:
        raise ValueError(f"{redacted(url)}: {error}") from None


def _read(url: str) -> Place:
    try:
        parts = urlsplit(url)
    except ValueError:  # its text may hold the password
        raise ValueError("this is not a URL") from None
    scheme, _, kind = parts.scheme.partition("+")
    if (
        scheme not in ("redis", "rediss", "unix")
        or kind not in ("", "sentinel", "cluster")
        or (scheme == "unix" and kind)
    ):
        raise ValueError("understood are redis, rediss, unix, redis+sentinel and redis+cluster")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := options.keys() - _OPTIONS:
        raise ValueError(f"unknown option {', '.join(sorted(unknown))}")
    login, _, where = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    template = Address(
        user=unquote(user) or options.get("user", ""),
        password=unquote(password) or options.get("password", ""),
        db=_whole(options.get("db", "0"), "db"),
        tls=_tls(options) if scheme == "rediss" else None,
    )
    if scheme == "unix":
        path = unquote((where if where.startswith("/") else "") + parts.path)
        if not path.startswith("/") or (where and not where.startswith("/")):
            raise ValueError("a unix URL needs an absolute path: unix:///path/to.sock")
        address = replace(template, path=path)
        return Place("single", (address,), address)
    segments = [unquote(text) for text in parts.path.strip("/").split("/") if text]
    service = segments.pop(0) if kind == "sentinel" and segments else ""
    if segments:
        template = replace(template, db=_whole(segments.pop(0), "database"))
    if segments:
        raise ValueError("nothing may follow the database")
    hosts = [_host(text, SENTINEL_PORT if kind == "sentinel" else REDIS_PORT) for text in where.split(",")]
    if kind == "":
        if len(hosts) != 1:
            raise ValueError("several hosts need redis+sentinel or redis+cluster")
        address = template.at(*hosts[0])
        return Place("single", (address,), address)
    if kind == "cluster":
        if template.db:
            raise ValueError("a cluster has database 0 only")
        return Place("cluster", tuple(template.at(*host) for host in hosts), template)
    if not service:
        raise ValueError("a sentinel URL ends with the name of the service: redis+sentinel://host/service")
    asked = Address(
        user=options.get("sentinel_user", ""), password=options.get("sentinel_password", ""), tls=template.tls
    )
    return Place("sentinel", tuple(asked.at(*host) for host in hosts), template, service)


def _host(text: str, port: int) -> tuple[str, int]:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        given = rest.removeprefix(":")
    else:
        host, _, given = text.partition(":")
    number = _whole(given, "port") if given else port
    if not host and given:
        raise ValueError("a port without a host")
    if not 0 < number < 65536:
        raise ValueError("a port is between 1 and 65535")
    return host or "127.0.0.1", number


def _whole(text: str, what: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"the {what} is not a number")
    return int(text)


def _tls(options: dict[str, str]) -> Tls:
    return Tls(
        ca=options.get("ssl_ca_certs", ""),
        cert=options.get("ssl_certfile", ""),
        key=options.get("ssl_keyfile", ""),
        check_host=options.get("ssl_check_hostname", "true").lower() not in _NO,
        verify=options.get("ssl_cert_reqs", "required").lower() not in _NO,
    )
