"""What is printed holds names as text and no password."""

import io

import pytest
from rich.markup import escape
from rich.table import Table

from trainer.terminal import PlainConsole, without_credentials

NASTY = "\x1b[31m:warning: [red]x[/] \u202ey"


def test_codes_emoji_and_markup_of_a_name_are_printed_as_they_are() -> None:
    file = io.StringIO()
    console = PlainConsole(file=file, force_terminal=False, width=200)
    table = Table("name")
    table.add_row(escape(NASTY))

    console.print(NASTY, markup=False)
    console.print(table)

    assert file.getvalue().count("\\x1b[31m:warning: [red]x[/] \\x202ey") == 2
    assert "\x1b" not in file.getvalue()


def test_a_password_in_an_address_is_not_printed() -> None:
    file = io.StringIO()
    PlainConsole(file=file, width=200).print("at postgresql://bridge:s3cr:et@db:5432/x, it failed")

    assert file.getvalue() == "at postgresql://***@db:5432/x, it failed\n"
    assert without_credentials("http://host:8080/a@b") == "http://host:8080/a@b"


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("Authorization: Bearer a.b-c_9", "Authorization: Bearer ***"),
        ('{"authorization": "Basic bWU6cHc="}', '{"authorization": "Basic ***"}'),
        ('{\\"Authorization\\": \\"Token 77\\"}', '{\\"Authorization\\": \\"Token ***\\"}'),
        ("proxy-authorization=abc", "proxy-authorization=***"),
        (
            "authorization failed; see authorization.md",
            "authorization failed; see authorization.md",
        ),
    ],
)
def test_what_signs_a_request_is_not_printed(told: str, shown: str) -> None:
    assert without_credentials(told) == shown
