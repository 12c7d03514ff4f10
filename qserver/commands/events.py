"""`qserver events pull`: the analytics feed on the command line, one event per line (or per MessagePack object)."""

from __future__ import annotations

import argparse
import sys

import msgspec

from .client import Client, CommandError, add_options, part

MAX = 1000
WAIT_MS = 10_000


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its options."""
    found = commands.add_parser("events", help="分析系统事件流 the analytics feed").add_subparsers(
        metavar="COMMAND", required=True
    )
    pull = found.add_parser("pull", help="读取并确认 read what follows the group's position, and acknowledge it")
    pull.add_argument("--group", required=True, metavar="G", help="读取组，首次使用时建立 made when it is first used")
    pull.add_argument(
        "--from-start", action="store_true", help="新组从最早保留的事件开始 a new group begins at the oldest kept"
    )
    pull.add_argument(
        "--format", choices=("json", "msgpack"), default="json", help="输出格式 (default json, one per line)"
    )
    pull.add_argument("--follow", action="store_true", help="持续读取 go on waiting for more")
    pull.set_defaults(run=run_pull)
    add_options(pull)


def run_pull(options: argparse.Namespace) -> int:
    """Write events to standard output; a batch is acknowledged once it is written. Raises CommandError."""
    client = Client(options)
    path = f"/events/{part(options.group)}"
    client.request("PUT", path, {"from": "start"} if options.from_start else {})
    out = sys.stdout.buffer
    while True:
        wait_ms = WAIT_MS if options.follow else 0
        batch = client.request("GET", path, query={"max": MAX, "wait_ms": wait_ms}).json()
        if batch["truncated"]:
            print(f"group {options.group} was cut: events it had not read are lost", file=sys.stderr)
        for event in batch["events"]:
            if options.format == "json":
                out.write(msgspec.json.encode(event) + b"\n")
            else:
                out.write(msgspec.msgpack.encode(event))
        try:
            out.flush()
        except BrokenPipeError:
            raise
        except OSError as error:  # not acknowledged, so nothing is lost
            raise CommandError(f"standard output cannot be written: {error}") from error
        if batch["events"]:
            client.request("POST", f"{path}/ack", {"cursor": batch["cursor"]})
        elif not options.follow:
            return 0
