"""Settings: where they come from, in which order, and that every mistake is named with its place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qserver import config, mistakes
from qserver.commands import check
from qserver.config import ConfigError, Settings, load
from qserver.domain.hall import Hall

HALL = """id = "x"
nmae = "typo"

[[services]]
id = "A b"
prefix = "A"

[[services]]
id = "b"
wait_limit_s = -1

[[windows]]
id = "w"
services = ["a", 3]

[calls]
max_calls = "many"
"""


def test_nothing_given_is_the_defaults() -> None:
    settings = load(environment={})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.rate_limit_per_token, settings.rate_limit_per_address) == (
        "127.0.0.1", 8080, 200, 50,
    )  # fmt: skip


def test_options_go_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "qserver.toml"
    file.write_text('host = "::1"\nport = 1\nworkers = 3\n')
    settings = load(file, {"QSERVER_PORT": "2", "QSERVER_WORKERS": "4"}, {"port": 5, "host": None})
    assert (settings.host, settings.port, settings.workers) == ("::1", 5, 4)


def test_the_file_in_the_working_directory_or_the_one_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(environment={}).port == 8080
    Path("qserver.toml").write_text("port = 7")
    assert load(environment={}).port == 7
    Path("other.toml").write_text("port = 8")
    assert load(environment={"QSERVER_CONFIG": "other.toml"}).port == 8


def test_paths_in_a_file_count_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "hall.toml").write_text("")
    file = tmp_path / "qserver.toml"
    file.write_text('halls = ["hall.toml"]\ndata_dir = "data"\n')
    settings = load(file, {})
    assert settings.halls == [str(tmp_path / "hall.toml")]
    assert settings.directory == tmp_path / "data"


def test_every_kind_of_setting_comes_from_the_environment(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text("")
    settings = load(
        environment={
            "QSERVER_DEMO": "true",
            "QSERVER_RATE_LIMIT_PER_TOKEN": "0.5",
            "QSERVER_HALLS": f"{tmp_path}/a.toml{os.pathsep}{tmp_path}/b.toml",
            "QSERVER_LOG_FORMAT": "json",
            "QSERVER_TOKEN": "for the commands",
            "OTHER": "1",
        }
    )
    assert (settings.demo, settings.rate_limit_per_token, settings.log_format) == (True, 0.5, "json")
    assert [Path(hall).name for hall in settings.halls] == ["a.toml", "b.toml"]


def test_secrets_come_from_files(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from-a-file-01234\n")
    assert load(environment={"QSERVER_ADMIN_TOKEN_FILE": str(file)}).admin_token == "from-a-file-01234"
    file.write_text("redis://:pw@127.0.0.1\n")
    assert load(environment={"QSERVER_REDIS_URL_FILE": str(file)}).redis_url == "redis://:pw@127.0.0.1"
    with pytest.raises(ConfigError, match="QSERVER_ADMIN_TOKEN_FILE: stands beside QSERVER_ADMIN_TOKEN"):
        load(environment={"QSERVER_ADMIN_TOKEN": "x", "QSERVER_ADMIN_TOKEN_FILE": str(file)})
    with pytest.raises(ConfigError, match=r"QSERVER_ADMIN_TOKEN_FILE: .*No such file"):
        load(environment={"QSERVER_ADMIN_TOKEN_FILE": str(tmp_path / "none")})
    with pytest.raises(ConfigError, match="QSERVER_PORT_FILE: unknown name"):
        load(environment={"QSERVER_PORT_FILE": str(file)})


def test_every_mistake_of_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "qserver.toml"
    file.write_text('# ours\nprot = 80\n\nworkers = 0\nhalls = ["a", 1]\n')
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert caught.value.mistakes == [
        f"{file} line 2: prot: unknown name, did you mean port?",
        f"{file} line 4: workers: Expected `int` >= 1",
        f"{file} line 5: halls[1]: Expected `str`, got `int`",
    ]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"QSERVER_PROT": "1"}, "QSERVER_PROT: unknown name, did you mean QSERVER_PORT?"),
        ({"QSERVER_PORT": "http"}, "QSERVER_PORT: Expected `int`, got `str`"),
        ({"QSERVER_PORT": "70000"}, "QSERVER_PORT: Expected `int` <= 65535"),
        ({"QSERVER_TLS_CERT": "/nowhere"}, "certificate and key come together"),
        ({"QSERVER_HALLS": "/nowhere.toml"}, "halls: /nowhere.toml cannot be read"),
        ({"QSERVER_REDIS_URL": "http://x"}, "redis_url: http://x: understood are"),
        ({"QSERVER_ADMIN_TOKEN": "two words"}, "admin_token: a token is printable ASCII without spaces"),
    ],
)
def test_mistakes_elsewhere_are_named_too(environment: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(environment=environment)
    assert any(said in mistake for mistake in caught.value.mistakes)


def test_no_mistake_shows_a_secret() -> None:
    with pytest.raises(ConfigError) as caught:
        load(environment={"QSERVER_REDIS_URL": "nope://u:sesame@h", "QSERVER_ADMIN_TOKEN": "sesame sesame"})
    assert "sesame" not in str(caught.value)


def test_a_broken_file_is_said_with_the_parsers_line(tmp_path: Path) -> None:
    file = tmp_path / "qserver.toml"
    file.write_text("port = \n")
    with pytest.raises(ConfigError, match="line 1"):
        load(file, {})
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml", {})


def test_all_mistakes_of_a_hall_file_at_once(tmp_path: Path) -> None:
    file = tmp_path / "hall.toml"
    file.write_text(HALL)
    found = check.mistakes_of(file)
    assert found == [
        f"{file} line 2: $.nmae: unknown name, did you mean name?",
        f"{file} line 5: $.services[0].id: expected 1 to 32 lower-case letters, digits and hyphens, no hyphen first",
        f"{file} line 8: $.services[1]: prefix is missing",
        f"{file} line 10: $.services[1].wait_limit_s: Expected `float` > 0.0",
        f"{file} line 14: $.windows[0].services[1]: Expected `str`, got `int`",
        f"{file} line 17: $.calls.max_calls: Expected `int`, got `str`",
    ]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('prefix = "a1"', "one or two capital letters"),
        ('opens = "9:00"', "a time of day as HH:MM, such as 08:30"),
        ('case_limit = "3 days"', "a term such as 90s, 30m, 12h, 3d, or 5wd for working days"),
    ],
)
def test_a_text_of_the_wrong_form_is_told_its_form_in_words(tmp_path: Path, table: str, words: str) -> None:
    file = tmp_path / "hall.toml"
    prefix = "" if table.startswith("prefix") else 'prefix = "A"\n'
    file.write_text(f'id = "h"\n[[services]]\nid = "a"\n{prefix}{table}\n[[windows]]\nid = "w"\nservices = ["a"]\n')
    (found,) = check.mistakes_of(file)
    assert found.endswith(f".{table.split()[0]}: expected {words}")


def test_what_no_type_can_say_of_a_hall_and_several_halls(tmp_path: Path) -> None:
    file = tmp_path / "halls.toml"
    one = (
        '[[halls]]\nid = "x"\ntime_zone = "Mars/Base"\n[[halls.services]]\nid = "a"\nprefix = "A"\n[[halls.windows]]\n'
    )
    file.write_text(one + 'id = "w"\nservices = ["b"]\n')
    found = check.mistakes_of(file)
    assert f"{file} line 9: $.halls[0].windows[0].services: no service 'b'" in found
    assert any("line 3" in mistake and "Mars/Base" in mistake for mistake in found)


def test_lines_of_nested_tables() -> None:
    services = "[[halls.services]]\n"
    text = f'[[halls]]\n{services}[[halls]]\n{services}id = 1\n{services}"id" = 2\n[halls.calls]\n'
    assert mistakes.line(text, "$.halls[1].services[1].id") == 7
    assert mistakes.line(text, "$.halls[1].services[0].id") == 5
    assert mistakes.line(text, "$.halls[0].services[0].id") == 2
    assert mistakes.line(text, "$.halls[1].calls.max_calls") == 8
    assert mistakes.line(text, "$") is None


def test_too_few_items_are_a_mistake_of_the_list() -> None:
    found = list(mistakes.find({"id": "x", "services": [], "windows": 3}, Hall))
    assert [mistake.path for mistake in found] == ["$.services", "$.windows"]


def test_the_command_names_mistakes_and_says_2(tmp_path: Path) -> None:
    file = tmp_path / "qserver.toml"
    command = [sys.executable, "-m", "qserver", "check-config", str(file)]
    file.write_text("port = 1\n")
    assert subprocess.run(command, capture_output=True, check=True).returncode == 0
    file.write_text("prot = 1\n")
    ended = subprocess.run(command, capture_output=True, check=False, text=True)
    assert (ended.returncode, ended.stdout) == (2, f"{file} line 1: prot: unknown name, did you mean port?\n")


def test_the_data_directory_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/srv/share")
    assert Settings().directory == Path("/srv/share/qserver")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/hall")
    assert Settings().directory == Path("/home/hall/.local/share/qserver")
    assert config.data_directory("~/q") == Path("/home/hall/q")
