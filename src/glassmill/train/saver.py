"""Checkpoints written beside the training: the state is copied between two steps, a thread writes the copy.

A kill while the thread writes loses nothing: the checkpoint before it is complete, and deleted only after the new one
is. A checkpoint costs one copy of weights and optimizer state in memory while it is written.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from glassmill.train.checkpoint import Checkpoint, drop_shares
from glassmill.train.ranks import Ranks


class Saver:
    """Writes one checkpoint at a time. Use as a context: whoever leaves it by an error leaves no thread that writes.

    Args:
        folder: Of the checkpoints.
        ranks: Who saves; all of them call the methods at the same steps.
        save: `save_checkpoint`.
        keep: How many checkpoints stay.
    """

    def __init__(self, folder: Path, ranks: Ranks, save: Callable[..., None], keep: int) -> None:
        self.folder, self.ranks, self.save, self.keep = folder, ranks, save, keep
        self.attempt = ranks.tell(secrets.token_hex(4))
        self._thread: threading.Thread | None = None
        self._failed: BaseException | None = None
        if ranks.rank == 0:
            drop_shares(folder)
        ranks.meet()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if error is not None and self._thread is not None and self.ranks.size == 1:
            self._thread.join()  # of several ranks one may wait for the share of one that is gone

    @property
    def busy(self) -> bool:
        """Whether a checkpoint is being written."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, checkpoint: Checkpoint) -> None:
        """Start to write a checkpoint; waits for the one before.

        Args:
            checkpoint: This rank's share. Training may change it as soon as this returns.

        Raises:
            UserError: the disk is full, now or for the checkpoint before.
        """
        self.wait()
        copied = checkpoint.copied()
        self._thread = threading.Thread(target=self._write, args=(copied,), name="saver", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return when nothing is being written by this rank.

        Raises:
            UserError: the disk is full.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._failed is not None:
            failed, self._failed = self._failed, None
            raise failed

    def _write(self, checkpoint: Checkpoint) -> None:
        try:
            self.save(self.folder, checkpoint, self.ranks.rank, self.ranks.size, self.attempt, self.keep)
        except BaseException as error:  # raised again in the thread that trains
            self._failed = error
