"""The user's mistakes: one clear line, exit code 2, nothing lost. Each through the real command line."""

from __future__ import annotations

import gzip
import os
import socket
import sys
from pathlib import Path

import pytest

from tests.line import SMALL, glassmill

WARC_ONLY = ("--until", "corpus", 'stages=["corpus"]')


def one_line(*words: str) -> str:
    """The message of a call that must fail as a user's mistake."""
    done = glassmill(*words)
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    lines = [line for line in done.stderr.splitlines() if line.startswith("glassmill: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


def test_a_recipe_that_is_not_there_names_the_way_to_one(tmp_path: Path) -> None:
    assert "no recipe at" in one_line("run", str(tmp_path / "absent.toml"))
    assert "no recipe 'absent'" in one_line("run", "absent")


def test_a_missing_key_a_misspelt_one_and_a_bad_value_name_the_key(tmp_path: Path) -> None:
    runs = ("--runs", str(tmp_path))
    assert "did you mean train.minutes" in one_line("run", "demo", "train.minuets=3", *runs)
    assert "tokenizer.vocab_size = 12" in one_line("run", "demo", "tokenizer.vocab_size=12", *runs)
    missing = one_line("run", "web", *runs)
    assert "corpus.inputs" in missing
    no_length = one_line("run", "demo", *SMALL, "train.steps=none", *runs)
    assert "train.minutes" in no_length and "train.steps" in no_length


def test_an_input_that_names_nothing_is_told(tmp_path: Path) -> None:
    message = one_line("run", "web", f"corpus.inputs={tmp_path}/*.warc.gz", "--runs", str(tmp_path / "runs"))
    assert "names no file" in message


def test_a_file_that_is_no_warc_is_told(tmp_path: Path) -> None:
    (tmp_path / "page.warc.gz").write_bytes(gzip.compress(b"<html><body>404 not found</body></html>"))
    message = one_line("run", "web", f"corpus.inputs={tmp_path}/page.warc.gz", "--runs", str(tmp_path / "runs"))
    assert "page.warc.gz" in message


@pytest.mark.slow
def test_an_empty_warc_among_good_ones_is_quarantined_and_the_rest_is_milled(tmp_path: Path) -> None:
    made = glassmill("miniweb", "--out", str(tmp_path / "web"), "--pages", "120", "--people", "8")
    assert made.returncode == 0, made.stderr
    (tmp_path / "web/warc/empty.warc.gz").touch()
    done = glassmill(
        "run", "web", f"corpus.inputs={tmp_path}/web/warc", "--until", "corpus", "--runs", str(tmp_path / "runs")
    )
    assert done.returncode == 0, done.stderr
    quarantine = next((tmp_path / "runs").glob("corpus/*/quarantine.jsonl")).read_text()
    assert "empty.warc.gz" in quarantine and "empty" in quarantine


def test_a_folder_for_the_runs_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = one_line("run", "demo", *SMALL, "--runs", str(tmp_path / "file" / "runs"))
    assert "cannot write in" in message and "--runs" in message


@pytest.mark.parametrize("command", ["serve", "chat", "eval"])
def test_a_model_that_is_not_there_is_told(tmp_path: Path, command: str) -> None:
    assert "absent" in one_line(command, str(tmp_path / "absent"))


def test_a_port_in_use_is_told_before_any_work_is_done(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert port in one_line("demo", "--port", port, "--runs", str(tmp_path))
        assert port in one_line("studio", "--port", port, "--runs", str(tmp_path))
    assert not list(tmp_path.glob("*/*/DONE"))


def test_another_address_than_this_machine_needs_a_key(tmp_path: Path) -> None:
    assert "--api-key" in one_line("studio", "--host", "0.0.0.0", "--runs", str(tmp_path))


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="mounts a small disk, which needs root on Linux"
)
@pytest.mark.slow
def test_a_full_disk_is_one_line_and_after_freeing_space_the_same_command_finishes(tmp_path: Path) -> None:
    import subprocess

    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount here")
    try:
        words = ("run", "demo", *SMALL, "--until", "corpus", "--runs", str(disk / "runs"))
        assert "no space left" in one_line(*words)
        subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
        assert glassmill(*words).returncode == 0
    finally:
        subprocess.run(["umount", str(disk)], check=False)
