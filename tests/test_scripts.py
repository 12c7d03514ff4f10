"""The scripts: their form, that setting up happens once, and that what is packed and locked is complete."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = [*sorted((ROOT / "scripts").iterdir()), ROOT / ".ci" / "run"]

PYTHON = """#!/usr/bin/env bash
# Stands in for the interpreter: notes what it is asked for, and makes an environment of copies of itself.
echo "$*" >> "$NOTES"
[[ "$*" == *"${BREAKS:-nothing breaks}"* ]] && exit 1
[[ "$1 $2" == "-m venv" ]] && { mkdir -p "${@: -1}/bin"; cp "$0" "${@: -1}/bin/python"; }
exit 0
"""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_short_strict_and_runnable(script: Path) -> None:
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert lines[1].startswith("# ")
    assert "set -euo pipefail" in lines
    assert len(lines) <= 35
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)


def test_continuous_integration_runs_what_the_readme_says() -> None:
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"^scripts/test\b", readme, re.M)
    assert re.search(r"^scripts/test$", run, re.M)
    assert re.search(r"^scripts/check$", run, re.M)


class Project:
    """A copy of what scripts/setup looks at, with an interpreter that only takes notes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes = folder / "notes"
        (folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts" / "setup", folder / "scripts")
        for name in ("pyproject.toml", "requirements.lock"):
            shutil.copy(ROOT / name, folder)
        self.python = folder / "python"
        self.python.write_text(PYTHON)
        self.python.chmod(0o755)

    def setup(self, breaks: str = "") -> tuple[int, list[str]]:
        """Runs it; answers the exit code and what the interpreters were asked for."""
        self.notes.write_text("")
        environment = {"PATH": os.environ["PATH"], "PYTHON": str(self.python), "NOTES": str(self.notes)}
        environment |= {"BREAKS": breaks} if breaks else {}
        ended = subprocess.run([self.folder / "scripts" / "setup"], env=environment, check=False, capture_output=True)
        return ended.returncode, self.notes.read_text().splitlines()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_setting_up_happens_once_per_lock(project: Project) -> None:
    code, asked = project.setup()
    assert code == 0
    assert any("--require-hashes -r requirements.lock" in line for line in asked)
    assert any(
        "--no-deps" in line and "--no-build-isolation" in line and line.endswith("--editable .") for line in asked
    )
    assert project.setup() == (0, []), "nothing changed, nothing is run"
    with (project.folder / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    code, asked = project.setup()
    assert code == 0
    assert any("--require-hashes" in line for line in asked)
    assert not any("venv" in line.split() for line in asked), "the environment stays"


def test_a_set_up_that_failed_is_tried_again(project: Project) -> None:
    assert project.setup(breaks="--require-hashes")[0] != 0
    code, asked = project.setup()
    assert code == 0
    assert any("--require-hashes" in line for line in asked)


def test_an_interpreter_without_ensurepip_is_filled_from_outside(project: Project) -> None:
    # Debian's python3 without python3-venv: `venv` fails, and the environment made then has no pip.
    stand_in = PYTHON.replace("exit 0\n", '[[ "$0 $*" == *".venv/bin/python -c import pip" ]] && exit 1\nexit 0\n')
    stand_in = stand_in.replace('[[ "$1 $2"', '[[ "$*" == "-m venv .venv" ]] && exit 1\n[[ "$1 $2"')
    project.python.write_text(stand_in)
    code, asked = project.setup()
    assert code == 0
    assert "-m venv --clear --without-pip .venv" in asked
    assert any(line.startswith("-m pip --python .venv/bin/python") and "--require-hashes" in line for line in asked)


def test_the_lock_holds_every_dependency_with_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"], "setuptools"]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = {match[1].lower() for match in re.finditer(r"^([A-Za-z0-9._-]+)==[^\n]*\\\n +--hash=sha256:", lock, re.M)}
    for requirement in wanted:
        name = re.split(r"[<>=~! \[]", requirement)[0]
        assert name.lower() in locked, name


@pytest.mark.parametrize("package", ["qserver", "displays", "evaluator"])
def test_everything_a_package_needs_is_packed(package: str) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packed = {path for pattern in settings["package-data"][package] for path in (ROOT / package).glob(pattern)}
    needed = {
        path
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
    }
    assert needed <= packed
