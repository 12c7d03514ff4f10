"""The server's settings: defaults, then `qserver.toml`, then the environment `QSERVER_*`, then options.

`Settings` names every setting once, with its unit and meaning; the page docs/operations.md shows the same table. An
unknown name is a mistake wherever it stands, never a wish to be ignored. Only words are read here; nothing connects.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from qserver.domain.errors import QserverError
from qserver.hooks.targets import Reach
from qserver.store import address

from . import mistakes

PREFIX = "QSERVER_"
FILE = "qserver.toml"
TOKEN_FILE = "admin-token"
"""Where in the data directory an admin token that was made here is kept, for the commands on this machine."""
SECRETS = frozenset({"admin_token", "redis_url"})
"""Settings that may hold a secret: they may also come from a file named by `QSERVER_*_FILE`, and are never shown."""
CLIENT = frozenset({"QSERVER_URL", "QSERVER_TOKEN", "QSERVER_TOKEN_FILE", "QSERVER_CONFIG"})
"""Names in the environment that commands read, but not the server."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a server process is told."""

    host: Annotated[str, Meta(description="address to listen on; `0.0.0.0` and `::` mean all of the machine's")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65535, description="port for pages, API and sockets; 0 takes a free one")] = 8080
    workers: Annotated[int, Meta(ge=1, le=128, description="processes that share the port; about one per core")] = 1
    tls_cert: Annotated[str, Meta(description="file with the certificate chain (PEM); read again on SIGHUP")] = ""
    tls_key: Annotated[str, Meta(description="file with its private key (PEM)")] = ""
    redis_url: Annotated[
        str,
        Meta(
            description="data server: `redis://`, `rediss://`, `unix://`, `redis+sentinel://h1,h2/service`, "
            "`redis+cluster://h1,h2`; empty runs the embedded Valkey"
        ),
    ] = ""
    partitions: Annotated[
        int,
        Meta(ge=1, le=1024, description="hash tags the halls are spread over; fixed when a data server is first used"),
    ] = 16
    data_dir: Annotated[
        str,
        Meta(
            description="directory of the embedded data server and of the archive; empty means "
            "`$XDG_DATA_HOME/qserver`, and with `redis_url` no archive"
        ),
    ] = ""
    halls: Annotated[
        list[str], Meta(description="hall files applied at start; in the environment separated by `:`")
    ] = []
    demo: Annotated[bool, Meta(description="add the demo hall and print a link per screen")] = False
    admin_token: Annotated[
        str,
        Meta(max_length=400, description="the first admin token; empty makes one at first start and prints it once"),
    ] = ""
    rate_limit_per_token: Annotated[float, Meta(ge=0, description="requests per second of one token; 0 = no limit")] = (
        200
    )
    rate_limit_per_address: Annotated[
        float, Meta(ge=0, description="requests per second of one address without a valid token; 0 = no limit")
    ] = 50
    login_rate_per_minute: Annotated[
        float, Meta(ge=0, description="tries to log in per minute of one address; 0 = no limit")
    ] = 60
    login_wrong_max: Annotated[
        int, Meta(ge=1, le=1000, description="wrong passwords in a row after which nobody may log in as that person")
    ] = 5
    login_lock_s: Annotated[
        int, Meta(ge=1, le=86_400, description="for how long then, seconds; so long wrong passwords count, too")
    ] = 900
    session_s: Annotated[
        int, Meta(ge=60, le=31_536_000, description="how long whoever logged in stays so, seconds")
    ] = 43_200
    requests_in_flight: Annotated[
        int,
        Meta(
            ge=16,
            description="requests worked on at one time, per process, while a disk stalls; a quarter of it once so "
            "many wait though answers flow; more are told to come again (503)",
        ),
    ] = 1024
    webhook_targets: Annotated[
        Reach,
        Meta(
            description="addresses webhooks may go to: `public`; `lan` for private ones too; "
            "`any` for this machine's own and link-local ones too"
        ),
    ] = "public"
    log_format: Annotated[Literal["text", "json"], Meta(description="one line each: for people or for machines")] = (
        "text"
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="the least important lines to write")
    ] = "info"
    access_log_sample: Annotated[
        int, Meta(ge=0, description="of the requests that went well write every n-th; 0 writes none; the others always")
    ] = 100

    @property
    def directory(self) -> Path:
        """The data directory."""
        return data_directory(self.data_dir)

    @property
    def archive(self) -> Path | None:
        """Where days gone by are archived; None: with a data server of one's own and no directory named, nowhere."""
        return self.directory / "archive" if self.data_dir or not self.redis_url else None


class ConfigError(QserverError):
    """Settings with mistakes; `mistakes` are sentences that each name the place."""

    def __init__(self, found: list[str]) -> None:
        super().__init__("\n".join(found))
        self.mistakes = found


def data_directory(name: str = "") -> Path:
    """The data directory of that name, or the default one."""
    if name:
        return Path(name).expanduser().absolute()
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(home) / "qserver"


def names() -> list[str]:
    """All settings."""
    return [field.name for field in msgspec.structs.fields(Settings)]


def load(
    file: Path | None = None, environment: Mapping[str, str] | None = None, options: Mapping[str, Any] | None = None
) -> Settings:
    """The settings of a server. Raises ConfigError with every mistake.

    Without `file` the one named by QSERVER_CONFIG, or `qserver.toml` in the working directory if there is one.
    `options` that are None were not given.
    """
    environment = os.environ if environment is None else environment
    if file is None:
        named = environment.get("QSERVER_CONFIG")
        file = Path(named) if named else Path(FILE) if Path(FILE).is_file() else None
    found: list[str] = []
    values = read_file(file, found) if file else {}
    values |= _from_environment(environment, found)
    values |= {name: value for name, value in (options or {}).items() if value is not None}
    if not found:
        found += [f"{mistake.path.removeprefix('$.')}: {mistake.what}" for mistake in mistakes.find(values, Settings)]
    if found:
        raise ConfigError(found)
    settings = msgspec.convert(values, Settings)
    found = [f"{name}: {what}" for name, what in _contradictions(settings)]
    if found:
        raise ConfigError(found)
    return settings


def read_file(path: Path, found: list[str]) -> dict[str, Any]:
    """What a settings file says. Mistakes go to `found` with file and line. Paths count from the file's folder."""
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        found.append(f"{path}: {error}")
        return {}
    wrong = list(mistakes.find(data, Settings))
    for mistake in wrong:
        number = mistakes.line(text, mistake.path)
        found.append(f"{path}{f' line {number}' if number else ''}: {mistake.path.removeprefix('$.')}: {mistake.what}")
    if wrong:
        return {}
    for name in ("tls_cert", "tls_key", "data_dir"):
        if data.get(name):
            data[name] = _beside(path, data[name])
    if "halls" in data:
        data["halls"] = [_beside(path, one) for one in data["halls"]]
    return data


def _beside(file: Path, name: str) -> str:
    return str(file.absolute().parent / Path(name).expanduser())


def _from_environment(environment: Mapping[str, str], found: list[str]) -> dict[str, Any]:
    fields = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    allowed = {PREFIX + name.upper() for name in fields} | CLIENT
    allowed |= {f"{PREFIX}{name.upper()}_FILE" for name in SECRETS}
    values: dict[str, Any] = {}
    for name, text in environment.items():
        if not name.startswith(PREFIX) or name in CLIENT:
            continue
        setting = name.removeprefix(PREFIX).lower()
        if name not in allowed:
            found.append(f"{name}: unknown name{mistakes.suggestion(name, sorted(allowed))}")
        elif setting not in fields:
            setting = setting.removesuffix("_file")
            if PREFIX + setting.upper() in environment:
                found.append(f"{name}: stands beside {PREFIX}{setting.upper()}; one of them must go")
                continue
            try:
                values[setting] = Path(text).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                found.append(f"{name}: {error}")
        else:
            given: object = [one for one in text.split(os.pathsep) if one] if setting == "halls" else text
            try:
                values[setting] = msgspec.convert(given, fields[setting], strict=False)
            except msgspec.ValidationError as error:
                found.append(f"{name}: {error}")
    return values


def _contradictions(settings: Settings) -> list[tuple[str, str]]:
    """What each setting alone cannot show."""
    found: list[tuple[str, str]] = []
    if bool(settings.tls_cert) != bool(settings.tls_key):
        found.append(("tls_cert", "certificate and key come together: set tls_cert and tls_key, or neither"))
    for name in ("tls_cert", "tls_key"):
        path = getattr(settings, name)
        if path and not os.access(path, os.R_OK):
            found.append((name, f"{path} cannot be read"))
    found += [("halls", f"{path} cannot be read") for path in settings.halls if not os.access(path, os.R_OK)]
    if settings.redis_url:
        try:
            address.read(settings.redis_url)
        except ValueError as error:
            found.append(("redis_url", str(error)))
    token = settings.admin_token
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        found.append(("admin_token", "a token is printable ASCII without spaces"))
    return found


def table() -> str:
    """All settings as a Markdown table, as docs/operations.md shows them."""
    rows = ["| setting | environment | default | meaning |", "|---|---|---|---|"]
    for field in msgspec.structs.fields(Settings):
        value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
        default = "" if value in ("", []) else f"`{str(value).lower() if isinstance(value, bool) else value}`"
        variable = f"`{PREFIX}{field.name.upper()}`" + (" (or `_FILE`)" if field.name in SECRETS else "")
        meaning = next(
            meta.description for meta in field.type.__metadata__ if isinstance(meta, Meta) and meta.description
        )
        rows.append(f"| `{field.name}` | {variable} | {default} | {meaning} |")
    return "\n".join(rows)
