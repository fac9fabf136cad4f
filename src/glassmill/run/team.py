"""The processes that torchrun started for one command: rank 0 runs the line, the others help it to train.

    torchrun --nproc-per-node 2 -m glassmill train RECIPE

Rank 0 does what a single process does: reads the recipe, makes documents and tokens, writes events and artefacts. The
others wait, and where rank 0 comes to a stage on which all ranks work (`Stage.together`), it tells them which: they
call the stage's verb on a run folder that writes nothing. Messages are JSON in torchrun's store, and all ranks see the
same files. If a process dies, torchrun ends the others and, with `--max-restarts`, starts all again.
"""

from __future__ import annotations

import functools
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from glassmill.errors import UserError
from glassmill.recipe import Recipe
from glassmill.run import kinds
from glassmill.run.device import place_from
from glassmill.run.folder import Identity, RunFolder
from glassmill.stages import stage_named

LOOK_S = 2.0
"""How long a waiting rank waits at once; then it waits again."""
LISTEN_S = 0.01
"""Between two looks for helpers."""


@functools.cache
def store() -> Any:
    """The key-value store that torchrun keeps for all processes of this attempt.

    Raises:
        UserError: there is none: WORLD_SIZE was set by hand.
    """
    from torch._C._distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    try:
        found, rank, size = next(rendezvous("env://"))
    except ValueError as error:
        raise UserError(
            f"WORLD_SIZE = {place_from(os.environ).world_size}, but {error}; start the command with torchrun"
        ) from None
    return PrefixStore(attempt_of(found, rank, size), found)


def attempt_of(shared: Any, rank: int, size: int) -> str:
    """A name that the processes of this attempt agree on, and that none of an earlier one knew.

    torchrun keeps one store over all its restarts, so what the dead wrote is still there: the addresses of their
    sockets, for example. Each helper writes a word of its own and waits for the answer to just that word; rank 0
    answers all words, those of the dead as well, until every helper that lives has said that it knows the name.
    """
    own = secrets.token_hex(8)
    if rank:
        shared.set(f"words/{shared.add('words', 1)}", own)
        name: str = shared.get(f"answers/{own}").decode()
        shared.add(f"known/{name}", 1)
        return name
    answered: set[int] = set()
    while shared.add(f"known/{own}", 0) < size - 1:
        for number in set(range(1, shared.add("words", 0) + 1)) - answered:
            if shared.check([f"words/{number}"]):  # a helper may have died before it wrote
                shared.set(f"answers/{shared.get(f'words/{number}').decode()}", own)
                answered.add(number)
        time.sleep(LISTEN_S)
    return own


def follows() -> bool:
    """Whether this process is one that only helps."""
    return place_from(os.environ).rank > 0


def follow() -> None:
    """Do what rank 0 announces, until it says that nothing follows."""
    from torch.distributed import DistNetworkError, DistStoreError

    number = 0
    while True:
        try:
            store().wait([f"work/{number}"], timedelta(seconds=LOOK_S))
        except DistNetworkError:  # rank 0 kept the store itself, and is gone
            return
        except DistStoreError:
            continue
        work = json.loads(store().get(f"work/{number}"))
        if not work:
            return
        _help(work)
        number += 1


def _help(work: Mapping[str, Any]) -> None:
    recipe = Recipe.model_validate(work["recipe"])
    run = Silent(Path(work["folder"]), Identity(work["stage"], 0, {}), recipe)
    stage = stage_named(work["stage"])
    stage.make(run, recipe, {name: Path(path) for name, path in work["given"].items()})


class Leader:
    """Rank 0's side; alone it says nothing."""

    def __init__(self) -> None:
        self.alone, self.number = place_from(os.environ).world_size == 1, 0

    def call(self, stage: str, folder: Path, given: Mapping[str, Path], recipe: Recipe) -> None:
        """Tell the other ranks to work on a stage with this one."""
        self.say(
            {
                "stage": stage,
                "folder": str(folder),
                "given": {name: str(path) for name, path in given.items()},
                "recipe": recipe.model_dump(mode="json"),
            }
        )

    def say(self, work: Mapping[str, object]) -> None:
        """Give the other ranks their next work; nothing: that there is no more."""
        if not self.alone:
            store().set(f"work/{self.number}", json.dumps(work))
            self.number += 1


@contextmanager
def leading() -> Iterator[Leader]:
    """Rank 0's part; at the end the other ranks may go."""
    leader = Leader()
    try:
        yield leader
    finally:
        leader.say({})


class Silent(RunFolder):
    """A run folder in which another process writes."""

    def __init__(self, path: Path, identity: Identity, recipe: Recipe) -> None:
        self.path, self.identity, self._engine = path, identity, recipe.run

    def emit(self, event: kinds.Event) -> None:
        """Nothing: rank 0 tells."""

    def write_json(self, name: str, value: Any) -> None:
        """Nothing: rank 0 writes."""

    def finish(self, stats: Mapping[str, Any], counts: Mapping[str, Any] | None = None) -> None:
        """Nothing: rank 0 publishes."""
