"""The commands. Each reads its arguments, calls one function and shows the result; the work is in `commands`.

A `UserError` ends the program with one line and exit code 2; Ctrl-C with 130; anything else is a bug and shows
its traceback. Importing a module adds its commands to `app`; `--help` shows them in the order of the imports.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from glassmill.cli import collecting, line, models, runs  # noqa: F401
from glassmill.cli.base import app
from glassmill.errors import UserError, Waiting


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
    """The entry point: user errors become one line and exit code 2."""
    # A terminated command still stops what it started: workers, the page's server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        app()
    except UserError as error:
        sys.stderr.write(f"glassmill: {error}\n")
        raise SystemExit(2) from None
    except Waiting as wait:
        sys.stderr.write(f"glassmill: {wait}\n")
    except KeyboardInterrupt:
        sys.stderr.write("\nglassmill: stopped; run the same command again to continue\n")
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(0) from None
    except OSError as error:
        import errno

        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            from glassmill.run.files import disk_full

            sys.stderr.write(f"glassmill: {disk_full(Path(error.filename or 'the run folder'))}\n")
            raise SystemExit(2) from None
        raise
