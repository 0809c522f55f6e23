"""Secrets: cleaned on the way in, never on the way out."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cvat_bridge.config import load_config, load_secrets
from cvat_bridge.errors import ConfigError
from cvat_bridge.secrecy import hide_in_log, remember_environment, without_secrets
from tests.fakes.scripted import Answer, Asked, scripted

TOKEN = "pat-0123456789-not-for-logs"
AROUND = ["{}\n", "{}\r\n", "  {}\t", "\ufeff{}\n", "\n\n{}\n\n", "\u200b{}", "\ufeff {} \r\n"]
WITHIN = [
    f"{TOKEN}\n{TOKEN}",
    f"{TOKEN} more",
    f"{TOKEN}\u00e9",
    f"a\u200b{TOKEN}",
    f"{TOKEN}\x7fb",
]


@pytest.mark.parametrize("form", AROUND)
def test_what_stands_around_a_token_is_no_part_of_it(form: str) -> None:
    secrets = load_secrets({"CVAT_ACCESS_TOKEN": form.format(TOKEN)})

    assert secrets.access_token is not None
    assert secrets.access_token.get_secret_value() == TOKEN


@pytest.mark.parametrize("form", AROUND)
def test_a_token_is_read_from_a_file(tmp_path: Path, form: str) -> None:
    path = tmp_path / "token"
    path.write_bytes(form.format(TOKEN).encode())

    secrets = load_secrets({"CVAT_ACCESS_TOKEN_FILE": f"{path}\n"})

    assert secrets.access_token is not None
    assert secrets.access_token.get_secret_value() == TOKEN


@pytest.mark.parametrize("value", WITHIN)
def test_what_cannot_be_a_token_is_refused_without_saying_it(value: str) -> None:
    with pytest.raises(ConfigError, match="CVAT_ACCESS_TOKEN") as caught:
        load_secrets({"CVAT_ACCESS_TOKEN": value})

    assert TOKEN not in str(caught.value)


def test_a_missing_file_of_a_token_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="CVAT_ACCESS_TOKEN_FILE.*absent"):
        load_secrets({"CVAT_ACCESS_TOKEN_FILE": str(tmp_path / "absent")})


def test_a_password_keeps_its_spaces_and_loses_its_line_end() -> None:
    secrets = load_secrets({"CVAT_USERNAME": "ann\n", "CVAT_PASSWORD": " my word \r\n"})

    assert secrets.username == "ann" and secrets.password is not None
    assert secrets.password.get_secret_value() == " my word "


def test_an_empty_token_is_no_token() -> None:
    with pytest.raises(ConfigError, match="no credentials"):
        load_secrets({"CVAT_ACCESS_TOKEN": " \n"})


def test_a_password_in_the_address_is_refused_without_saying_it(tmp_path: Path) -> None:
    path = tmp_path / "cvat-bridge.yaml"
    path.write_text(f"cvat: {{url: 'https://ann:{TOKEN}@cvat.example.org'}}", encoding="utf-8")

    with pytest.raises(ConfigError, match="must not hold a user or password") as caught:
        load_config(path)

    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("end", ["\\n", "\\r\\n", " "])
def test_line_ends_in_the_configuration_are_no_part_of_an_address(tmp_path: Path, end: str) -> None:
    path = tmp_path / "cvat-bridge.yaml"
    path.write_text(
        f'cvat: {{url: "http://cvat.example.org{end}", organization: "team{end}"}}',
        encoding="utf-8-sig",
    )

    config = load_config(path)

    assert config.cvat.url == "http://cvat.example.org" and config.cvat.organization == "team"


def test_secrets_are_hidden_in_texts_and_log_events() -> None:
    load_secrets({"CVAT_ACCESS_TOKEN": TOKEN, "CVAT_BRIDGE_WEBHOOK_SECRET": "hook'secret"})

    assert TOKEN not in without_secrets(f"Bearer {TOKEN}\n")
    assert without_secrets(repr("hook'secret")) == '"***"'
    assert without_secrets("postgresql://me:pw@db/x") == "postgresql://***@db/x"
    assert TOKEN not in str(hide_in_log(None, "info", {"event": f"sent {TOKEN}", "n": 3}))


@pytest.mark.parametrize("command", [["round", "--dry-run"], ["check"], ["mistakes"]])
def test_no_command_shows_a_secret(tmp_path: Path, command: list[str]) -> None:
    def refuse(asked: Asked) -> Answer:
        return Answer(401, {"detail": f"Invalid token {TOKEN}"})

    with scripted(refuse) as server:
        (tmp_path / "cvat-bridge.yaml").write_text(
            f'home: home\ncvat: {{url: "{server.url}", project: 1}}\n'
            f"mlflow_url: 'http://me:{TOKEN}@127.0.0.1:9'\n",
            encoding="utf-8",
        )
        run = subprocess.run(
            [sys.executable, "-m", "cvat_bridge.cli", *command],
            cwd=tmp_path,
            env={**os.environ, "HOME": str(tmp_path), "CVAT_ACCESS_TOKEN": f"{TOKEN}\n"},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    assert TOKEN not in run.stdout + run.stderr
    assert "Traceback" not in run.stderr


def test_a_password_in_an_address_is_hidden_as_a_header_and_decoded_too(tmp_path: Path) -> None:
    """A server that is asked with it may print in its error what it was sent."""
    path = tmp_path / "cvat-bridge.yaml"
    path.write_text("mlflow_url: 'http://me:p%2Fw-2045@mlflow.example.org'", encoding="utf-8")
    load_config(path)
    header = base64.b64encode(b"me:p/w-2045").decode()

    assert without_secrets(f"Basic {header}, p/w-2045, p%2Fw-2045") == "Basic ***, ***, ***"


def test_a_password_that_is_a_mere_word_does_not_spoil_other_texts(tmp_path: Path) -> None:
    path = tmp_path / "cvat-bridge.yaml"
    path.write_text("database_url: 'postgresql://postgres:postgres@db/x'", encoding="utf-8")
    load_config(path)

    assert without_secrets("postgresql://postgres:postgres@db/x") == "postgresql://***@db/x"


def test_secrets_of_the_environment_are_hidden_from_commands_that_do_not_use_them() -> None:
    proxy = "http://me:of-the-proxy-77@proxy:3128"
    remember_environment({"MLFLOW_TRACKING_TOKEN": " mlflow-token-77\n", "https_proxy": proxy})

    assert without_secrets("mlflow-token-77 of-the-proxy-77") == "*** ***"
