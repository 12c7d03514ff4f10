"""A pad in a terminal, for small boxes and for trying: `python -m evaluator --url URL --hall HALL --window W`.

Lines on standard input are touches: 5 .. 1 press a face; after 2 or 1 the numbers of reasons and words, or an empty
line, or 0 to take the face back; r rates after all. The token comes from a file or from QSERVER_TOKEN, never from an
argument, where everybody on the machine could read it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import sys
import threading
from pathlib import Path

from .client import Pad, Refused
from .prompt import View
from .sender import http_url
from .spool import SpoolUnusable

LEVELS = {
    5: "非常满意 Very satisfied",
    4: "满意 Satisfied",
    3: "基本满意 Fairly satisfied",
    2: "不满意 Dissatisfied",
    1: "非常不满意 Very dissatisfied",
}
REASONS = ("服务效率", "服务水平", "服务态度")
_ENGLISH = ("Efficiency", "Competence", "Attitude")
_WORDS = {
    "waiting": "正在连接 Connecting",
    "closed": "窗口未开放 Window closed",
    "idle": "欢迎 Welcome",
    "called": "请到窗口 Please come",
    "serving": "办理中 In service",
    "paused": "暂停服务 Paused",
    "thanks": "感谢您的评价 Thank you",
}


class Terminal:
    """Writes what the pad shows, once per change, and reads touches."""

    def __init__(self) -> None:
        self._shown: object = None

    def show(self, pad: Pad) -> None:
        """There may be something new."""
        view = pad.view()
        now = (view.screen, view.score, view.may_rate, pad.live, len(pad.spool), pad.sender.problem)
        if now != self._shown:
            self._shown = now
            print(self._line(pad, view), flush=True)

    def _line(self, pad: Pad, view: View) -> str:
        window = pad.state.window if pad.state is not None and pad.state.window else None
        name = window.name if window else pad.window
        marks = "" if pad.live else " · 离线 offline"
        if len(pad.spool):
            marks += f" · 待发送 {len(pad.spool)} to send"
            marks += f" ({pad.sender.problem})" if pad.sender.problem else ""
        return f"[{name}{marks}] {self._said(view, window.ticket if window else None)}"

    @staticmethod
    def _said(view: View, ticket: str | None) -> str:
        if view.screen == "ask":
            faces = "  ".join(f"{level} {words}" for level, words in LEVELS.items())
            return f"请评价 Please rate ({view.left_ms // 1000} s): {faces}"
        if view.screen == "why":
            named = "  ".join(f"{n} {zh} {en}" for n, (zh, en) in enumerate(zip(REASONS, _ENGLISH, strict=True), 1))
            return f"{LEVELS[view.score]} · 请说明原因 What was wrong? {named} · 0 重选 choose again"
        offered = " · r 评价 rate" if view.may_rate else ""
        return f"{_WORDS[view.screen]}{f' {ticket}' if ticket else ''}{offered}"

    @staticmethod
    def touch(pad: Pad, line: str) -> None:
        """One line that was typed."""
        words = line.split()
        screen = pad.view().screen
        if screen == "ask" and line in ("1", "2", "3", "4", "5"):
            pad.press(int(line))
        elif screen == "why" and line == "0":
            pad.back()
        elif screen == "why":
            chosen = [REASONS[int(w) - 1] for w in words if w.isdecimal() and 0 < int(w) <= len(REASONS)]
            pad.submit(chosen, " ".join(w for w in words if not w.isdecimal()))
        elif line == "r":
            pad.again()


def _read_lines(loop: asyncio.AbstractEventLoop, pad: Pad) -> None:
    """Hands lines to the loop until the input ends; the pad goes on without a keyboard."""
    for line in sys.stdin:
        with contextlib.suppress(RuntimeError):  # the loop is gone
            loop.call_soon_threadsafe(Terminal.touch, pad, line.strip())


def _token(path: str) -> str:
    text = Path(path).read_text().strip() if path else os.environ.get("QSERVER_TOKEN", "").strip()
    if not text:
        raise SystemExit("请提供令牌 no token: give --token-file or set QSERVER_TOKEN")
    return text


def _default_spool(hall: str, window: str) -> Path:
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(home) / "qserver" / f"pad-{hall}-{window}.spool"


async def _run(args: argparse.Namespace, token: str) -> None:
    spool = Path(args.spool) if args.spool else _default_spool(args.hall, args.window)
    pad = Pad(args.url, token, args.hall, args.window, spool, device=args.device, on_change=Terminal().show)
    threading.Thread(target=_read_lines, args=(asyncio.get_running_loop(), pad), daemon=True).start()
    try:
        await pad.run()
    finally:
        pad.close()


def main() -> int:
    """Runs until interrupted; 1 when the server or the disk refuses the pad, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m evaluator", description="评价器 evaluator pad in a terminal")
    parser.add_argument("--url", required=True, help="the server, http://host:port")
    parser.add_argument("--hall", required=True)
    parser.add_argument("--window", required=True)
    parser.add_argument("--token-file", default="", help="file with the pad's token; else QSERVER_TOKEN")
    parser.add_argument("--spool", default="", help="file that keeps ratings until the server has them")
    parser.add_argument("--device", default="", help="the device's own name")
    args = parser.parse_args()
    try:
        http_url(args.url)
    except ValueError as error:
        parser.error(str(error))
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    try:
        asyncio.run(_run(args, _token(args.token_file)))
    except Refused as refused:
        print(f"服务器拒绝了此评价器 the server refused this pad: {refused.code}", file=sys.stderr)
        return 1
    except SpoolUnusable as error:
        print(f"无法使用评价暂存文件 the spool cannot be used: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
