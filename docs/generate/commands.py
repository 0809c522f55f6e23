"""The reference of the commands, from the Typer applications."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from cvat_bridge.cli.app import app as bridge
from docs.generate.tables import code, table
from trainer.cli.app import app as trainer

PROGRAMS = {"cvat-bridge": bridge, "trainer": trainer}
INTRODUCTION = """# Commands

Two programs are installed, `cvat-bridge` and `trainer`; the function host is a module. Results go
to standard output, progress and logs to standard error. `--install-completion` sets up completion
for your shell, `--version` prints the version.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | failed; the error is named, see [Errors](errors.md) |
| 2 | wrong use: an option, a setting or the configuration cannot be used |
| 3 | nothing to do |

`cvat-bridge annotate` also ends with 4 when all is done but some frames could not be annotated
(they are named), and with 130 or 143 when it was stopped by Ctrl-C or SIGTERM.
"""


def command_paths() -> Iterator[tuple[str, Any]]:
    """Give every command that runs something, with what is typed to call it."""
    for program, app in PROGRAMS.items():
        yield from _walk(program, typer.main.get_command(app))


def page() -> str:
    """Return the page."""
    parts = [INTRODUCTION]
    program = ""
    for path, command in command_paths():
        if path.split()[0] != program:
            program = path.split()[0]
            parts.append(f"## {program}\n")
        parts.append(_section(path, command))
    parts.append(_function_host())
    return "\n".join(parts)


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, child in inner.items():
        if not child.hidden:
            yield from _walk(f"{path} {name}", child)


def _section(path: str, command: Any) -> str:
    rows, arguments = [], []
    for parameter in command.params:
        if getattr(parameter, "hidden", False) or parameter.name == "help":
            continue
        is_argument = parameter.param_type_name == "argument"
        shown = str(parameter.name).upper() if is_argument else ", ".join(parameter.opts)
        if is_argument:
            arguments.append(shown)
        rows.append(
            (
                code(shown),
                "required" if parameter.required else _default(parameter),
                str(getattr(parameter, "help", "") or ""),
            )
        )
    usage = " ".join([path, "[OPTIONS]" if len(rows) > len(arguments) else "", *arguments]).strip()
    text = _paragraphs(command.help or "")
    options = table(("option", "default", "meaning"), rows) if rows else ""
    return f"### {path}\n\n{text}\n\n```sh\n{' '.join(usage.split())}\n```\n\n{options}\n"


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _default(parameter: Any) -> str:
    value = parameter.default
    if value is None or callable(value) or value in ((), [], "") or value is False:
        return ""
    return code(value)


def _function_host() -> str:
    from serverless.host.options import parser

    made = parser()
    rows = [
        (code(", ".join(action.option_strings)), _host_default(action.default), action.help or "")
        for action in made._actions  # noqa: SLF001 - argparse offers no other list
        if action.dest != "help"
    ]
    return (
        "## cvat-functions\n\n"
        "The function host (also `python -m serverless.host`): it answers CVAT in Nuclio's place, "
        "with the models of a store.\n\n"
        f"{table(('option', 'default', 'meaning'), rows)}\n"
    )


def _host_default(value: object) -> str:
    return "" if value in (None, False) else code(value)
