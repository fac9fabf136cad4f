"""Commands that bring finished runs to an object store and back."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Annotated

import typer

from glassmill.cli.base import LOOK, RUNS, Json, Runs, app, notify, show_result

SECONDS_BETWEEN_LINES = 5.0


@app.command(rich_help_panel=LOOK)
def push(
    run: Annotated[str, typer.Argument(help="a finished run: its folder, or a name such as corpus/demo-3f9a1c")],
    address: Annotated[str, typer.Argument(help="where to: s3://bucket/prefix", metavar="ADDRESS")],
    runs: Runs = RUNS,
    as_json: Json = False,
) -> None:
    """Publish a finished run in an object store: others see it when it is whole, and pull it with its checksums."""
    from glassmill.commands.stores import moved_line
    from glassmill.run.finished import is_done
    from glassmill.run.names import find_folder
    from glassmill.run.published import push as publish

    folder = find_folder(run, runs, is_done, "run", "is finished")
    notify(f"pushing {folder.parent.name}/{folder.name}")
    show_result(publish(folder, address, _told()), as_json, lambda moved: moved_line(moved, "pushed"))


@app.command(rich_help_panel=LOOK)
def pull(
    address: Annotated[
        str, typer.Argument(help="what `glassmill push` printed: s3://bucket/prefix/corpus/demo-3f9a1c")
    ],
    runs: Runs = RUNS,
    as_json: Json = False,
) -> None:
    """Bring a published run here from an object store; every file is compared with its checksum."""
    from glassmill.commands.stores import moved_line
    from glassmill.run.published import pull as fetch

    notify("pulling")
    _, moved = fetch(address, runs, _told())
    show_result(moved, as_json, lambda moved: moved_line(moved, "pulled"))


def _told() -> Callable[[int, int], None]:
    """A line on standard error now and then."""
    last = time.monotonic()

    def told(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            print(f"{done / 1e6:,.0f} of {total / 1e6:,.0f} MB", file=sys.stderr, flush=True)

    return told
