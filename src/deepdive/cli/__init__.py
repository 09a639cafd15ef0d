"""The command line: arguments in, words out."""

from __future__ import annotations

import os
import sys

import typer

import deepdive.cli.hardware as hardware
import deepdive.cli.imports as imports
import deepdive.cli.network as network
import deepdive.cli.training as training
from deepdive.cli.codesign import codesign
from deepdive.cli.console import words
from deepdive.cli.demo import demo
from deepdive.errors import DeepDiveError

app = typer.Typer(
    name="deepdive",
    help="From a depthwise-separable CNN in PyTorch to a verified FPGA accelerator, bit for bit.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(network.models)
app.command()(network.quantize)
app.command()(training.train)
app.command(name="import")(imports.import_)
app.command()(imports.export)
app.command()(network.evaluate)
app.command()(hardware.boards)
app.command(name="compile")(hardware.compile_)
app.command()(codesign)
app.command()(hardware.simulate)
app.command()(hardware.verify)
app.command()(hardware.synthesise)
app.command()(hardware.report)


def main() -> None:
    """Run a command; a user's mistake is one sentence and exit code 2, a failed check 1, never a traceback."""
    try:
        app()
    except DeepDiveError as error:
        words.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        words.print("stopped")
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def escape(text: str) -> str:
    """Text of a stranger, with nothing in it that rich would take for markup."""
    from rich.markup import escape as escape_markup

    return escape_markup(text)
