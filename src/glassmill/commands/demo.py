"""`glassmill demo`: the built-in recipe, watched in the browser while it runs, and its report.

A process of its own serves the page, so that it opens at once and takes no time from the training.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path

from glassmill.commands.report import LineReport, line_report
from glassmill.commands.terminal import Screen
from glassmill.errors import UserError
from glassmill.pipeline import run_line
from glassmill.recipe import Recipe, find_recipe, load_recipe
from glassmill.run.files import atomic_json
from glassmill.run.finished import is_done, read_manifest, read_stats
from glassmill.run.folder import open_run
from glassmill.run.line import stage_identity
from glassmill.stages import STAGES, stage_named

UNFILTERED = (
    "name=demo-unfiltered",
    "corpus.url.enabled=false",
    "corpus.gopher_repetition.enabled=false",
    "corpus.gopher_quality.enabled=false",
    "corpus.c4.enabled=false",
    "corpus.fineweb.enabled=false",
)
"""Settings that let the spam in; language, dedup and PII stay as they are."""


def run_demo(runs: Path, overrides: Sequence[str], port: int | None, compare_unfiltered: bool = False) -> LineReport:
    """Runs the demo recipe under `runs`, writes `runs/report.json`, and returns it.

    Args:
        runs: The folder for the run folders.
        overrides: Settings such as `train.minutes=2`.
        port: Where to serve the page; 0 picks a free port, None serves nothing. With a page, the call returns when the
            user stops it (Ctrl-C).
        compare_unfiltered: Run a second line with the spam filters off, for as many steps; its report is
            `unfiltered`.

    Raises:
        UserError: a bad setting, or the port is in use.
    """
    recipe = load_recipe(find_recipe("demo"), overrides)
    with _page(runs, port) as page:
        begin = time.perf_counter()
        report = _run(recipe, runs)
        report["seconds"]["wall"] = round(time.perf_counter() - begin, 1)
        if compare_unfiltered:
            unfiltered = [*overrides, *UNFILTERED, *_as_long(report, runs)]
            report["unfiltered"] = _run(load_recipe(find_recipe("demo"), unfiltered), runs)
        atomic_json(runs / "report.json", report)
        if page:
            sys.stderr.write(
                f"\nTalk to it: {page.url}   (Ctrl-C stops the server; `glassmill studio` opens it again)\n"
            )
            with contextlib.suppress(KeyboardInterrupt):
                page.process.wait()
    return report


def write_miniweb(out: Path, overrides: Sequence[str]) -> None:
    """The demo's web alone, as a finished run in the folder `out`.

    Raises:
        UserError: a bad setting, or `out` holds something else.
    """
    from glassmill.miniweb import make

    recipe = load_recipe(find_recipe("demo"), overrides)
    identity = stage_identity(stage_named("miniweb"), recipe, {})
    if is_done(out) and read_manifest(out)["digest"] == identity.digest:
        return
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UserError(f"{out} is not empty; name another folder with --out")
    with Screen() as screen, open_run(out, identity, recipe, (screen,)) as run:
        make.make(run, recipe.miniweb, recipe.seed)


def _run(recipe: Recipe, runs: Path) -> LineReport:
    with Screen() as screen:
        return line_report(run_line(recipe, runs, (screen,)))


def _as_long(report: LineReport, runs: Path) -> list[str]:
    """Overrides to train for as many steps as that line did: a time box may allow other numbers the second time."""
    overrides = []
    for stage in STAGES:
        if stage.model and stage.name in report["runs"]:
            steps = read_stats(runs / report["runs"][stage.name])["steps"]
            overrides += [f"{stage.name}.minutes=none", f"{stage.name}.steps={steps}"]
    return [*overrides, "sft.epochs=none"]


class _Page:
    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.url = url


@contextlib.contextmanager
def _page(runs: Path, port: int | None) -> Iterator[_Page | None]:
    """The studio in a child process for the length of the block, opened in the browser if there is one."""
    if port is None:
        yield None
        return
    port = port or _free_port()
    _check_free(port)
    runs.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "glassmill", "studio", "--runs", str(runs), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    page = _Page(process, f"http://127.0.0.1:{port}/")
    try:
        _wait_until_open(page, port)
        sys.stderr.write(f"Watch it: {page.url}\n")
        with contextlib.suppress(webbrowser.Error):
            webbrowser.get()
            webbrowser.open(page.url)
        yield page
    finally:
        process.terminate()
        process.wait()


def _wait_until_open(page: _Page, port: int, patience_s: float = 30.0) -> None:
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if page.process.poll() is not None:
            raise UserError(f"the page's server stopped immediately; run `glassmill studio --port {port}` to see why")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
            return
        time.sleep(0.05)
    raise UserError(f"the page did not open within {patience_s:.0f} s; run with --no-serve")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(
                f"port {port} cannot be used ({error.strerror}); choose another with --port, or --port 0"
            ) from None
