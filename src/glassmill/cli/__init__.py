"""The commands. Each reads its arguments, calls one function and shows the result; the work is in `commands`.

How a command ends is decided in one place, `boundary.py`. Importing a module adds its commands to `app`; `--help`
shows them in the order of the imports.
"""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from glassmill.cli import collecting, line, models, runs, stores  # noqa: F401
from glassmill.cli.base import app
from glassmill.cli.boundary import guarded


def _print_version(wanted: bool) -> None:
    if wanted:
        import glassmill

        print(glassmill.__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options before the command."""


def main() -> None:
    """The entry point of `glassmill`."""
    # A terminated command still stops what it started: workers, the page's server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    guarded(app)
