"""How a command asks a running server: one request after the other, over HTTP, with a token found where people keep it.

Only the transport lives here; what is asked is each command's own.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from qserver.config import TOKEN_FILE, ConfigError, data_directory

URL = "http://127.0.0.1:8080"
TIMEOUT_S = 60.0
PAGE = 1000
"""So many of a list are asked for at once."""


class CommandError(Exception):
    """A command cannot go on; the text is for people, `code` is the exit code."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


class Answered(NamedTuple):
    """An answer below 400."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command that asks a server."""
    parser.add_argument(
        "--url",
        default=os.environ.get("QSERVER_URL") or URL,
        help=f"服务器地址 the server (QSERVER_URL, default {URL})",
    )
    parser.add_argument(
        "--data-dir", metavar="DIR", help="数据目录，内有首次启动生成的管理员令牌 where the first admin token is kept"
    )


def command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    help_: str,
) -> argparse.ArgumentParser:
    """A command that asks a server, with the options of all such."""
    parser = commands.add_parser(name, help=help_)
    parser.set_defaults(run=run)
    add_options(parser)
    return parser


def minute(at_ms: int) -> str:
    """An instant by the clock of this machine, to the minute."""
    return datetime.fromtimestamp(at_ms / 1000).strftime("%Y-%m-%d %H:%M")


class Client:
    """Asks the server that the options name."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.url: str = options.url.rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise CommandError(f"{self.url} is not an http:// or https:// address", 2)
        self._token = find_token(options.data_dir)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        accept: str = "application/json",
        timeout_s: float = TIMEOUT_S,
    ) -> Answered:
        """Ask. `path` is below `/api/v1` and already encoded. Raises CommandError for every refusal."""
        given = {name: value for name, value in (query or {}).items() if value not in (None, "")}
        url = f"{self.url}/api/v1{path}" + (f"?{urlencode(given)}" if given else "")
        headers = {"Authorization": f"Bearer {self._token}", "Accept": accept}
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            request = urllib.request.Request(url, data=data, headers=headers, method=method)
            with urllib.request.urlopen(request, timeout=timeout_s) as response:
                return Answered(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            with error:
                raise CommandError(_problem(error)) from None
        except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise CommandError(
                f"no answer from {self.url}: {reason}; is the server running? (--url, QSERVER_URL)"
            ) from None

    def print_all(self, path: str, of: str) -> None:
        """Everything of a list that comes in pages, one line of JSON each. Raises CommandError."""
        after: str | None = ""
        while after is not None:
            page = self.request("GET", path, query={"limit": PAGE, "after": after}).json()
            for one in page[of]:
                print(json.dumps(one, ensure_ascii=False))
            after = page["next"]


def part(text: str) -> str:
    """A name as one part of a path."""
    return quote(text, safe="")


def find_token(data_dir: str | None) -> str:
    """The token to come with: QSERVER_TOKEN, QSERVER_ADMIN_TOKEN (or their `_FILE`), else the data directory's.

    Raises CommandError when there is none.
    """
    for name in ("QSERVER_TOKEN", "QSERVER_ADMIN_TOKEN"):
        if text := os.environ.get(name):
            return text
        if path := os.environ.get(f"{name}_FILE"):
            return _read(Path(path))
    try:
        kept = data_directory(data_dir or os.environ.get("QSERVER_DATA_DIR", "")) / TOKEN_FILE
    except ConfigError as error:
        raise CommandError(str(error), 2) from error
    if kept.exists():
        return _read(kept)
    raise CommandError(f"no token: set QSERVER_TOKEN, or name the server's --data-dir (there is no {kept})", 2)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: {error}", 2) from error


def _problem(error: urllib.error.HTTPError) -> str:
    """What a problem document says, for people."""
    try:
        problem = json.loads(error.read())
        text = f"{problem['detail']} ({problem['code']})"
        mistakes = problem.get("mistakes", [])
        return "\n".join([text, *(f"  {one['path']}: {one['what']}" for one in mistakes)])
    except (ValueError, KeyError, TypeError, OSError):
        return f"the server answers {error.code} {error.reason}"
