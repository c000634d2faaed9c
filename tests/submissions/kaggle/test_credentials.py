from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from compete.submissions.kaggle.credentials import find_credentials, redacted

TOKEN, KEY = "KGAT_0123456789abcdef", "fedcba9876543210"
NAME_AND_KEY = json.dumps({"username": "ann", "key": KEY})
LOGIN = json.dumps({"refresh_token": "refresh-me", "access_token": "short-lived", "username": "ann"})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def lay(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def found(home: Path, **environment: str) -> list[tuple[str, str]]:
    """Kind and place of everything that is found, in its order."""
    return [(each.kind, each.place) for each in find_credentials(environment, home)]


def secrets(home: Path, **environment: str) -> list[tuple[str, ...]]:
    return [each.secrets for each in find_credentials(environment, home)]


def test_without_credentials_nothing_is_found_and_nothing_is_made(home: Path) -> None:
    assert found(home) == []
    assert list(home.iterdir()) == []


def test_a_token_in_the_environment(home: Path) -> None:
    assert found(home, KAGGLE_API_TOKEN=TOKEN) == [("access token", "the variable KAGGLE_API_TOKEN")]
    assert secrets(home, KAGGLE_API_TOKEN=TOKEN) == [(TOKEN,)]


def test_a_token_that_is_no_possible_file_name_is_a_token_still(home: Path) -> None:
    assert secrets(home, KAGGLE_API_TOKEN="t" * 10_000) == [("t" * 10_000,)]


def test_a_file_that_the_environment_names(home: Path, tmp_path: Path) -> None:
    path = str(lay(tmp_path / "mine", f"{TOKEN}\n"))
    assert found(home, KAGGLE_API_TOKEN=path) == [("access token", "the file that KAGGLE_API_TOKEN names")]
    assert secrets(home, KAGGLE_API_TOKEN=path) == [(TOKEN,)]


@pytest.mark.parametrize("name", ["access_token", "access_token.txt"])
def test_a_token_in_a_file(home: Path, name: str) -> None:
    lay(home / ".kaggle" / name, f"\n{TOKEN}  \n")
    assert found(home) == [("access token", f"~/.kaggle/{name}")]
    assert secrets(home) == [(TOKEN,)]


@pytest.mark.parametrize("name", ["access_token", "kaggle.json", "credentials.json"])
@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe\x00"])
def test_a_file_without_a_secret_is_no_credential(home: Path, name: str, content: bytes) -> None:
    lay(home / ".kaggle" / name, "").write_bytes(content)
    assert found(home) == []


@pytest.mark.parametrize("name", ["kaggle.json", "credentials.json"])
@pytest.mark.parametrize("content", ['["key"]', "{}", '{"username": "ann", "key": ""}', '{"refresh_token": null}'])
def test_json_that_holds_no_secret_is_no_credential(home: Path, name: str, content: str) -> None:
    lay(home / ".kaggle" / name, content)
    assert found(home) == []


def test_the_token_of_a_notebook_needs_a_notebook(home: Path, tmp_path: Path) -> None:
    path = str(lay(tmp_path / "token", TOKEN))
    assert found(home, KAGGLE_API_V1_TOKEN=path) == []
    inside = {"KAGGLE_API_V1_TOKEN": path, "KAGGLE_KERNEL_RUN_TYPE": "Interactive"}
    assert found(home, **inside) == [("access token", "the notebook's own token")]


def test_name_and_key_in_the_environment(home: Path) -> None:
    expected = [("user name and key", "the variables KAGGLE_USERNAME and KAGGLE_KEY")]
    assert found(home, KAGGLE_USERNAME="ann", KAGGLE_KEY=KEY) == expected
    sent = base64.b64encode(f"ann:{KEY}".encode()).decode()  # as every request carries them
    assert secrets(home, KAGGLE_USERNAME="ann", KAGGLE_KEY=KEY) == [tuple(sorted((KEY, sent)))]


@pytest.mark.parametrize("half", [{"KAGGLE_USERNAME": "ann"}, {"KAGGLE_KEY": KEY}])
def test_half_of_name_and_key_is_nothing(home: Path, half: dict[str, str]) -> None:
    assert found(home, **half) == []


def test_kaggle_json_is_read_from_one_folder_alone(home: Path, tmp_path: Path) -> None:
    """KAGGLE_CONFIG_DIR, else ~/.kaggle if that is there, else XDG's; the others are not looked at."""
    xdg, moved = tmp_path / "xdg", tmp_path / "moved"
    lay(home / ".config" / "kaggle" / "kaggle.json", NAME_AND_KEY)
    assert found(home) == [("user name and key", "~/.config/kaggle/kaggle.json")]
    assert found(home, XDG_CONFIG_HOME=str(xdg)) == []
    path = lay(xdg / "kaggle" / "kaggle.json", NAME_AND_KEY)
    assert found(home, XDG_CONFIG_HOME=str(xdg)) == [("user name and key", str(path))]
    (home / ".kaggle").mkdir()
    assert found(home, XDG_CONFIG_HOME=str(xdg)) == []
    lay(home / ".kaggle" / "kaggle.json", NAME_AND_KEY)
    assert found(home, XDG_CONFIG_HOME=str(xdg)) == [("user name and key", "~/.kaggle/kaggle.json")]
    assert found(home, KAGGLE_CONFIG_DIR=str(moved)) == []
    path = lay(moved / "kaggle.json", NAME_AND_KEY)
    assert found(home, KAGGLE_CONFIG_DIR=str(moved)) == [("user name and key", str(path))]


def test_a_variable_goes_before_its_half_of_kaggle_json(home: Path) -> None:
    lay(home / ".kaggle" / "kaggle.json", NAME_AND_KEY)
    ((_, place),) = found(home, KAGGLE_KEY="another key")
    assert "~/.kaggle/kaggle.json" in place and "KAGGLE_KEY" in place and "KAGGLE_USERNAME" not in place
    ((*both,),) = secrets(home, KAGGLE_KEY="another key")
    assert {"another key", KEY} <= set(both)  # what waits behind the variable is a secret too
    assert KEY in secrets(home, KAGGLE_USERNAME="ben")[0]


def test_a_login(home: Path) -> None:
    lay(home / ".kaggle" / "credentials.json", LOGIN)
    assert found(home) == [("login", "~/.kaggle/credentials.json")]
    assert secrets(home) == [("refresh-me", "short-lived")]


def test_the_folder_of_kaggle_json_moves_neither_token_nor_login(home: Path, tmp_path: Path) -> None:
    lay(tmp_path / "moved" / "access_token", TOKEN)
    lay(tmp_path / "moved" / "credentials.json", LOGIN)
    assert found(home, KAGGLE_CONFIG_DIR=str(tmp_path / "moved")) == []


def everything(home: Path) -> dict[str, str]:
    """The environment of a user who has put a secret into every place there is."""
    folder = home / ".kaggle"
    lay(folder / "access_token", "token-in-file")
    lay(folder / "access_token.txt", "token-in-txt")
    lay(folder / "kaggle.json", NAME_AND_KEY)
    lay(folder / "credentials.json", LOGIN)
    return {
        "KAGGLE_API_TOKEN": TOKEN,
        "KAGGLE_KERNEL_RUN_TYPE": "Batch",
        "KAGGLE_API_V1_TOKEN": str(lay(home / "notebook", "token-of-notebook")),
    }


def test_all_are_found_in_the_order_of_the_client(home: Path) -> None:
    assert [place for _, place in found(home, **everything(home))] == [
        "the notebook's own token",
        "the variable KAGGLE_API_TOKEN",
        "~/.kaggle/access_token",
        "~/.kaggle/access_token.txt",
        "~/.kaggle/kaggle.json",
        "~/.kaggle/credentials.json",
    ]


def test_no_secret_is_shown(home: Path) -> None:
    credentials = find_credentials(everything(home), home)
    known = [secret for each in credentials for secret in each.secrets]
    assert len(known) == 8  # name and key also as they are sent
    shown = f"{credentials!r} {' '.join(map(str, credentials))}"
    assert "~/.kaggle/access_token.txt" in shown  # the control
    assert [secret for secret in known if secret in shown] == []


def test_every_secret_is_taken_out_of_a_text_and_the_rest_stays(home: Path) -> None:
    environment = everything(home)
    known = [secret for each in find_credentials(environment, home) for secret in each.secrets]
    text = "; ".join(f"Kaggle refused {secret}!" for secret in known)
    assert redacted(text, environment, home) == "; ".join(["Kaggle refused ***!"] * len(known))


def test_a_secret_within_another_leaves_no_rest(home: Path) -> None:
    lay(home / ".kaggle" / "access_token", TOKEN)
    environment = {"KAGGLE_API_TOKEN": f"{TOKEN}-and-more"}
    assert redacted(f"Bearer {TOKEN}-and-more", environment, home) == "Bearer ***"


@pytest.mark.parametrize("name", ["KAGGLE_KEY", "KAGGLE_TOKEN", "KAGGLE_IAP_TOKEN"])
def test_a_secret_that_is_no_login_is_redacted_too(home: Path, name: str) -> None:
    assert redacted("it said hush-hush", {name: "hush-hush"}, home) == "it said ***"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("via http://ann:pass%20word@proxy:3128/x", "via http://***@proxy:3128/x"),
        ("socks5h://a:b@h and https://c:d@i", "socks5h://***@h and https://***@i"),
        ("https://www.kaggle.com:443/c/toy?x=a:b@c", "https://www.kaggle.com:443/c/toy?x=a:b@c"),
        ("write to ann@example.com", "write to ann@example.com"),
    ],
)
def test_passwords_in_addresses_are_taken_out(home: Path, text: str, expected: str) -> None:
    assert redacted(text, {}, home) == expected


def test_a_text_is_not_torn_apart_by_a_tiny_secret(home: Path) -> None:
    assert redacted("a day at the sea", {"KAGGLE_KEY": "a"}, home) == "a day at the sea"
