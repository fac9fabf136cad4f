"""Speculation by prompt lookup: guess that a text goes on as it did before, and check several guesses at once.

Whoever quotes, edits or loops writes the same tokens again. If the last tokens of a row occurred before, those that
followed are drafted, the decoder reads them in one piece, and the row takes them as long as it would have chosen the
same ones itself: the sampler sees the same logits with the same random numbers, so a draft never changes the text.

It pays if enough guesses are right: one costs a fraction of a step, which is measured. Rows that guess badly stop.
Sources: prompt lookup (Saxena 2023; vLLM's n-gram proposer); a match of two or three tokens loses on ordinary text.
"""

from __future__ import annotations

MATCH = 8
"""Tokens that must have occurred before."""
LONGEST, SHORTEST = 32, 4
"""Tokens of a draft: it doubles while all are right."""
INDEXED_TOKENS = 1 << 15
"""So many tokens before the first draft are looked through."""
FIRST_REST, LONGEST_REST = 16, 1024
"""Steps without a draft after guesses that did not pay: twice as many each time."""


class Drafts:
    """The guesses of one row.

    Args:
        ids: The row's tokens; the row appends to this list.
    """

    def __init__(self, ids: list[int]) -> None:
        self._ids = ids
        self._ends: dict[tuple[int, ...], int] = {}  # MATCH tokens -> where their last occurrence ends
        self._indexed = max(MATCH, len(ids) - INDEXED_TOKENS)
        self._length = SHORTEST
        self._rest, self._resting = FIRST_REST, 0
        self._right = self._tried = float(SHORTEST)  # of the last drafts; at first, hope

    def next(self, room: int, break_even: float) -> list[int]:
        """The tokens that may come next, at most `room`; `break_even`: the share that must be right to pay."""
        if self._resting:
            self._resting -= 1
            return []
        if self._right < break_even * self._tried:
            self._resting, self._rest = self._rest, min(2 * self._rest, LONGEST_REST)
            self._length = SHORTEST
            self._right = self._tried = float(SHORTEST)
            return []
        return self._looked_up(min(self._length, room))

    def judge(self, num_drafted: int, num_right: int) -> None:
        """What became of a draft."""
        self._right = 0.75 * self._right + num_right
        self._tried = 0.75 * self._tried + num_drafted
        if num_right == num_drafted:
            self._length = min(2 * self._length, LONGEST)
            self._rest = FIRST_REST
        else:
            self._length = max(self._length // 2, SHORTEST)

    def _looked_up(self, length: int) -> list[int]:
        """What followed the last occurrence of the last tokens; if that runs into the end, it goes round."""
        ids, ends = self._ids, self._ends
        for end in range(self._indexed, len(ids)):
            ends[tuple(ids[end - MATCH : end])] = end
        self._indexed = max(self._indexed, len(ids))
        start = ends.get(tuple(ids[-MATCH:]))
        if start is None:
            return []
        period = len(ids) - start
        return [ids[start + i % period] for i in range(length)]


class Pace:
    """What steps take, as measured; from it, what a guess must be worth, and how much of a prompt to read at once."""

    def __init__(self) -> None:
        self._plain_s: dict[int, float] = {}  # rows of a step -> its seconds, if each read one token
        self._extra_s = 0.0  # one token more
        self._prompt_s = 0.0  # a prompt's token

    def measure(self, num_rows: int, num_extra: int, seconds: float, reading: bool) -> None:
        """A step was made: one token for each row and `num_extra` more; `reading`: some belong to prompts."""
        plain_s = self._plain_s.get(num_rows, seconds)
        if reading:
            prompt_s = seconds / (num_rows + num_extra)
            self._prompt_s += (prompt_s - self._prompt_s) * (0.3 if self._prompt_s else 1.0)
        elif num_extra:
            extra_s = max(0.0, seconds - plain_s) / num_extra
            self._extra_s += (extra_s - self._extra_s) * 0.2
        else:
            self._plain_s[num_rows] = min(1.1 * plain_s, seconds)  # a slow one counts little: others had the cores

    def break_even(self, num_rows: int) -> float:
        """The share of guesses that must be right, so that they cost less than the steps they save.

        A draft delays all rows of a step and spares one row some: with more rows, more must be right. Above 1 nothing
        pays; so it is before the first plain step with so many rows.
        """
        plain_s = self._plain_s.get(num_rows)
        return 2.0 if plain_s is None else self._extra_s * num_rows / plain_s

    def prompt_tokens(self, seconds: float, most: int) -> int:
        """Prompt tokens that are read in so many seconds: a power of 2, at least 32, at most `most`."""
        tokens = most
        while tokens > 32 and tokens * self._prompt_s > seconds:
            tokens //= 2
        return tokens
