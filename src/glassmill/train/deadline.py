"""A time box as a deadline: when the clock says that the planned steps don't fit, the run is cut to those that do.

A cut is made as late as it can be, when the cool-down of a shorter run has to begin, because a machine that is busy now
may be quiet later. It is written to the plan before the next step, so that a killed run repeats it. The clock counts
from the start of the stage; a resumed run continues the clock of its checkpoint.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

RESERVE = 0.01
"""Share of the box that is kept for publishing the model, at least."""
FEWER = 0.02
"""Share of the steps that are left by which a run is too long before it is cut again."""
RECENT = 0.2
"""The pace of a step is the mean over the last steps of so large a part of the time so far."""
FIRST_STEPS = 4


class Deadline:
    """The clock of one training.

    Args:
        minutes: The time box; None: there is none.
        clock: Seconds from anywhere.

    Attributes:
        used: Seconds on the clock of earlier attempts, up to the checkpoint that this one continues.
    """

    def __init__(self, minutes: float | None, clock: Callable[[], float] = time.perf_counter) -> None:
        self.box = math.inf if minutes is None else 60 * minutes
        self.clock, self.began, self.used = clock, clock(), 0.0
        self.longest_break = 0.0
        self._ends: deque[tuple[float, int]] = deque()
        self._idle = 0.0

    def elapsed(self) -> float:
        """Seconds since the stage started."""
        return self.used + self.clock() - self.began

    def left(self) -> float:
        """Seconds until the deadline."""
        return self.box - self.elapsed()

    def count(self, done: int) -> None:
        """Note that `done` steps are finished."""
        now = self.clock() - self.began - self._idle
        self._ends.append((now, done))
        while len(self._ends) > FIRST_STEPS and self._ends[1][0] < now * (1 - RECENT):
            self._ends.popleft()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Time in here is for checkpoints and reports: it doesn't count towards the pace of a step."""
        begin = self.clock()
        yield
        spent = self.clock() - begin
        self._idle += spent
        self.longest_break = max(self.longest_break, spent)

    def fitting(self, done: int, breaks: int) -> float:
        """How many steps in all fit, after `done`, with so many breaks to come; infinite while nobody can say.

        Args:
            breaks: Checkpoints with reports that are still to come; the last is followed by writing the model.
        """
        if self.box == math.inf or len(self._ends) < 2:
            return math.inf
        (first_time, first), (last_time, last) = self._ends[0], self._ends[-1]
        pace = (last_time - first_time) / (last - first)
        left = self.left() - max(RESERVE * self.box, (breaks + 1) * self.longest_break)
        return done + max(0, math.floor(left / max(pace, 1e-9)))

    def cut(self, done: int, steps: int, decay_share: float, breaks: int) -> int | None:
        """How many steps in all the run is cut to after `done` of `steps`; None if it goes on as it is."""
        fitting = self.fitting(done, breaks)
        if fitting >= steps or (steps - fitting <= FEWER * (steps - done) and fitting > done):
            return None
        if fitting > done and done < math.floor((1 - decay_share) * fitting):
            return None  # the rate would be the same for now
        return int(fitting)
