"""Files that are whole or absent, with the modes that the user's umask asks for."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from filelock import FileLock
from safetensors.torch import save_file

from glassmill.run.files import UMASK, atomic_json, atomic_path, is_held


def test_every_file_has_the_mode_of_the_umask_whoever_wrote_it(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "model") as folder:
        folder.mkdir()
        save_file({"weight": torch.zeros(2)}, folder / "model.safetensors")  # 0600 by itself
        (folder / "config.json").write_text("{}")
    with atomic_path(tmp_path / "classifier.safetensors") as file:
        save_file({"weight": torch.zeros(2)}, file)
    atomic_json(tmp_path / "stats.json", {})
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()}
    assert set(modes.values()) == {0o666 & ~UMASK}, modes


def test_a_lock_is_held_only_while_its_process_holds_it(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert not is_held(lock) and not lock.exists()
    with FileLock(lock):
        assert is_held(lock)
    assert not is_held(lock)
    if child := os.fork():
        os.waitpid(child, 0)
    else:
        FileLock(lock).acquire()
        os._exit(9)  # as a killed process, without releasing it
    assert not is_held(lock)
