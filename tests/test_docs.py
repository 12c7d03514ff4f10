"""What the documents say is what the code does: pictures, tables, commands, names and links."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from qserver import cli, config
from qserver.domain import privacy
from qserver.domain.lifecycle import picture

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.zh-CN.md")
DOCUMENTS = (*READMES, "CHANGELOG.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md"))))


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", READMES)
def test_the_picture_is_drawn_from_the_table(name: str) -> None:
    assert f"```mermaid\n{picture()}\n```" in text(name)


def test_who_sees_what_is_the_table() -> None:
    assert privacy.table() in text("docs/evaluation.md"), "paste `qserver.domain.privacy.table()`"


def test_the_settings_are_those_of_the_code() -> None:
    assert config.table() in text("docs/operations.md"), "paste `qserver.config.table()`"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text(name)):
        if "://" not in target:
            assert ((ROOT / name).parent / target).exists(), target


@pytest.mark.parametrize("name", READMES)
def test_both_languages_say_the_same(name: str) -> None:
    def bones(document: str) -> list[str]:
        """Links, commands and how many headings, whatever the language."""
        links = [link for link in re.findall(r"\]\(([^)]+)\)", document) if not link.startswith("README")]
        lines = [
            line.partition("#")[0].strip()
            for line in document.splitlines()
            if line.strip().startswith(("scripts/", ".venv/"))
        ]
        return [*links, *lines, str(len(re.findall(r"^#+ ", document, re.M)))]

    assert bones(text(name)) == bones(text(READMES[0]))


def commands() -> dict[str, argparse.ArgumentParser]:
    """Every command with its parser: `{"hall apply": ...}`."""
    found: dict[str, argparse.ArgumentParser] = {}

    def walk(parser: argparse.ArgumentParser, path: tuple[str, ...]) -> None:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, child in action.choices.items():
                    found[" ".join((*path, name))] = child
                    walk(child, (*path, name))

    walk(cli.parser(), ())
    return found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_in_the_documents_exist_with_their_options(name: str) -> None:
    known = commands()
    for line in re.findall(r"^\s*(?:ExecStart=\S*/|\.venv/bin/)?qserver ([a-z][^#\n]*)", text(name), re.M):
        words = line.split()
        command = next((c for c in (" ".join(words[:2]), words[0]) if c in known), None)
        assert command is not None, line
        if command == "simulate":
            continue  # has a parser of its own
        for option in (word for word in words if word.startswith("--")):
            assert option in known[command]._option_string_actions, line


@pytest.mark.parametrize("name", DOCUMENTS)
def test_scripts_in_the_documents_exist(name: str) -> None:
    for script in re.findall(r"scripts/([a-z]+)", text(name)):
        assert (ROOT / "scripts" / script).exists(), script


@pytest.mark.parametrize("name", DOCUMENTS)
def test_names_in_the_environment_are_settings(name: str) -> None:
    known = {config.PREFIX + one.upper() for one in config.names()} | config.CLIENT
    known |= {f"{config.PREFIX}{one.upper()}_FILE" for one in config.SECRETS}
    for variable in re.findall(r"QSERVER_[A-Z_]+", text(name)):
        assert variable.rstrip("_") in known | {"QSERVER"}, variable


def test_the_changelog_keeps_its_form() -> None:
    changelog = text("CHANGELOG.md")
    assert changelog.startswith("# Changelog\n")
    assert "## [Unreleased]" in changelog
    kinds = set(re.findall(r"^### (.+)$", changelog, re.M))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_every_file_of_ours_says_what_it_is_for() -> None:
    for path in sorted((ROOT / "qserver").rglob("*.py")):
        assert path.read_text(encoding="utf-8").startswith('"""'), path


def test_every_command_of_the_contract_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    out = capsys.readouterr().out
    listed = {line.split()[0] for line in out.splitlines() if line.startswith("    ")}
    wanted = "serve hall token staff simulate events webhook report doctor check-config"
    assert listed >= set(wanted.split())
