"""The ``chromweave`` command: finds the subcommand, installs progress, turns errors into exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from .._version import __version__
from ..errors import ChromweaveError, InterruptedTraining, TrainingError
from ..files import is_first_process
from ..progress import reporting
from . import analyse, annotate, benchmark, data, experiment, loops, perturb, predict, train
from .terminal import Terminal

__all__ = ["app", "main"]

_EVERYWHERE = ("--quiet", "-q", "--json", "--debug")

app = typer.Typer(
    name="chromweave",
    help="Contact maps and signal tracks in one store, and two models on top of it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="--quiet, --json and --debug may also stand after the command.",
)
data.register(app)
train.register(app)
predict.register(app)
perturb.register(app)
loops.register(app)
annotate.register(app)
analyse.register(app)
experiment.register(app)
benchmark.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"chromweave {__version__}")
        raise typer.Exit


@app.callback()
def _everywhere(
    context: typer.Context,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress; results and errors only.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one JSON object on stdout.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    terminal = Terminal(quiet=quiet, as_json=as_json, debug=debug)
    context.obj = terminal
    context.with_resource(reporting(terminal.reporter()))


def _flags_first(arguments: Sequence[str]) -> list[str]:
    """Move the flags that hold for every command to the front, so that they may stand anywhere."""
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    flags = [word for word in arguments[:end] if word in _EVERYWHERE]
    rest = [word for word in arguments[:end] if word not in _EVERYWHERE]
    return [*flags, *rest, *arguments[end:]]


def run(arguments: Sequence[str]) -> int:
    """Run one command line; 0 when done, 2 on bad input, 1 on a defect, 130 by Ctrl-C, 143 by SIGTERM.

    Processes that train together end together: what stops all of them, the first one says, and the others
    end with 0, so that nobody takes them for crashed.
    """
    words = _flags_first(arguments)
    terminal = Terminal("--quiet" in words or "-q" in words, "--json" in words, "--debug" in words)
    try:
        outcome = app(words, standalone_mode=False)
    except (InterruptedTraining, TrainingError) as error:
        if terminal.debug and isinstance(error, TrainingError):
            raise
        if not is_first_process():
            return 0
        terminal.fail(type(error).__name__, str(error))
        if isinstance(error, TrainingError):
            return 2
        return 143 if error.signal == "SIGTERM" else 130
    except ChromweaveError as error:
        if terminal.debug:
            raise
        terminal.fail(type(error).__name__, str(error))
        return 2
    except TyperException as error:
        return _misused(terminal, error)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(terminal)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if terminal.debug:
            raise
        terminal.fail(
            type(error).__name__,
            f"{type(error).__name__}: {error}. This is a defect of chromweave: please report it with what "
            "the same command prints with --debug.",
        )
        return 1
    if outcome == _CTRL_C:  # typer turns a KeyboardInterrupt into this
        return _interrupted(terminal)
    return outcome if isinstance(outcome, int) else 0


_CTRL_C = 130


def _interrupted(terminal: Terminal) -> int:
    terminal.fail(
        "Interrupted",
        "interrupted; nothing half-written was kept. An experiment goes on with the same command.",
    )
    return _CTRL_C


def _misused(terminal: Terminal, error: TyperException) -> int:
    """A wrong option or argument; a command without any shows its help instead."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:
        print(context.get_help())
        return 2
    hint = f" See '{context.command_path} --help'." if context is not None else ""
    message = str(getattr(error, "format_message", error.__str__)()).rstrip(".")
    terminal.fail("UsageError", f"{message}.{hint}")
    return 2


def main() -> None:
    """Entry point of the console script."""
    # Threads that spin while they wait make a training many times slower where others use the machine too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
