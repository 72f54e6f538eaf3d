"""Every command line and option that a page shows is one that the program takes."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.exceptions import TyperException

from chromweave.cli import main as cli

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAM = typer.main.get_command(cli.app)
FENCED = re.compile(r"^```\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def command_lines(text):
    """Lines in fences and code spans that begin with the program's name, as words without it."""
    fenced = "\n".join(FENCED.findall(text)).replace("\\\n", " ")
    spans = re.findall(r"`(chromweave [^`]+)`", FENCED.sub("", text))
    lines = [line for line in fenced.splitlines() if line.startswith("chromweave ")]
    return [shlex.split(line)[1:] for line in lines], [shlex.split(span)[1:] for span in spans]


def found(words):
    """The command that the first words name, its name, and the rest; None where there is no such command."""
    command, name = PROGRAM, []
    while words and words[0] in getattr(command, "commands", {}):
        command, name, words = command.commands[words[0]], [*name, words[0]], words[1:]
    return (None if command is PROGRAM else command), " ".join(name), words


def options(command):
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def every_option(command=PROGRAM):
    """Of the program, and of the benchmarks' scripts, which pages name as well."""
    scripts = "".join(path.read_text() for path in (ROOT / "benchmarks").glob("*.py"))
    known = options(command).union(*map(every_option, getattr(command, "commands", {}).values()))
    return known | {"--help"} | set(re.findall(r'"(--[a-z0-9-]+)"', scripts))


def _typed(word):
    word = word.strip("[]").split("|")[0]
    return "1" if word == "N" else word


def wrong(words, whole):
    """What is wrong with a command line; empty if nothing is. Only a `whole` one must have all it needs."""
    command, name, rest = found(words)
    if command is None:
        return f"there is no command {' '.join(words)}"
    # As a user would type it: no brackets, the first of a|b, a number for N.
    rest = [_typed(word) for word in rest if word not in (*cli._EVERYWHERE, "...")]
    if unknown := {word for word in rest if word.startswith("--")} - options(command) - {"--help"}:
        return f"{name}: no option {', '.join(sorted(unknown))}"
    if "--help" in rest or (hasattr(command, "commands") and not rest):
        return ""
    try:
        command.make_context(name, rest)
    except TyperException as error:
        if whole or not error.format_message().startswith("Missing"):
            return f"{name}: {error.format_message()}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_taken(page):
    lines, spans = command_lines(page.read_text())
    # What is in a fence can be typed; in a sentence or a table a command may leave out what it needs.
    errors = [wrong(words, "..." not in words) for words in lines] + [wrong(words, False) for words in spans]
    assert [error for error in errors if error] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_options_named_alone_exist(page):
    spans = re.findall(r"`(--[a-z][^`]*)`", FENCED.sub("", page.read_text()))
    named = {word.split("=")[0] for span in spans for word in span.split() if word.startswith("--")}
    assert named - every_option() == set()


def test_the_pages_show_commands():
    _, spans = command_lines((ROOT / "README.md").read_text())
    lines, _ = command_lines((ROOT / "docs" / "tasks.md").read_text())
    assert {found(words)[1] for words in spans} > {"windows", "experiment few-shot", "loops call", "perturb"}
    assert {found(words)[1] for words in lines} > {"windows", "finetune", "predict contacts", "screen"}


@pytest.mark.parametrize(
    ("line", "whole", "sentence"),
    [
        ("predict contacts OUT.mcool --model RUN --store S", True, ""),
        ("experiment few-shot OUT ...", False, ""),
        ("experiment", True, ""),
        ("simulate OUT --preset tiny|small [--seed N]", False, ""),
        ("windows --protocol strict", False, ""),
        ("windows --protocol stern", False, "stern"),
        ("predict contacts OUT.mcool --model RUN", True, "--store"),
        ("predict contacts --far", False, "no option --far"),
        ("predicts contacts", False, "no command"),
        ("thin OUT.store --store S --fraction half", False, "'--fraction'"),
    ],
)
def test_what_is_not_taken_is_found(line, whole, sentence):
    assert (sentence in wrong(line.split(), whole)) if sentence else (wrong(line.split(), whole) == "")
