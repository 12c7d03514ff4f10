"""`qserver check-config FILE`: every mistake of a settings file or a hall file, with its line or path."""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any

from qserver import config, mistakes
from qserver.domain import hall as halls


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its options."""
    found = commands.add_parser("check-config", help="检查配置或大厅文件 check a settings or hall file")
    found.add_argument("file", type=Path, metavar="FILE")
    found.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the mistakes, or that there are none; 2 when there are some."""
    path: Path = options.file
    found = mistakes_of(path)
    for one in found:
        print(one)
    if not found:
        print(f"{path}: 没有错误 no mistakes")
    return 2 if found else 0


def mistakes_of(path: Path) -> list[str]:
    """The mistakes of a file of either kind; one of halls has `services` or `[[halls]]` at its top level."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return [f"{path}: {error}"]
    several = data.get("halls")
    if (
        "services" in data
        or "windows" in data
        or (isinstance(several, list) and any(isinstance(h, dict) for h in several))
    ):
        return hall_mistakes(path)[1]
    try:
        settings = config.load(path, {})
    except config.ConfigError as error:
        return error.mistakes
    return [one for hall in settings.halls for one in hall_mistakes(Path(hall))[1]]


def hall_mistakes(path: Path) -> tuple[list[halls.Hall], list[str]]:
    """The halls of a file, or everything that is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
        data: dict[str, Any] = tomllib.loads(text)
    except (OSError, ValueError) as error:
        return [], [f"{path}: {error}"]
    found: list[mistakes.Mistake] = []
    several = data.get("halls")
    if several is None:
        found += mistakes.find(data, halls.Hall)
    elif isinstance(several, list):
        for n, one in enumerate(several):
            found += mistakes.find(one, halls.Hall, f"$.halls[{n}]")
    if not found:
        try:
            return halls.load(path), []
        except halls.HallError as error:  # what no type can say
            found += [mistakes.Mistake(where, what) for where, what in error.mistakes]
    return [], [_sentence(path, text, mistake) for mistake in found]


def _sentence(path: Path, text: str, mistake: mistakes.Mistake) -> str:
    number = mistakes.line(text, mistake.path)
    return f"{path}{f' line {number}' if number else ''}: {mistake.path}: {mistake.what}"
