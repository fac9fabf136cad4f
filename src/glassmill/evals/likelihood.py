"""Log-probabilities of many texts that begin alike, computed together.

In: groups of texts, such as a question with each of its answers, as token ids. Out: the log-probability of every token
from a given place on. What the texts of a group have in common is read once, and the rest in a fork of that row; groups
are read side by side. Where a whole task begins alike (the same examples before every question), that is read once.

    W answered positions, V vocabulary
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from glassmill.infer.decoder import Decoder, Piece
from glassmill.infer.prefixes import MIN_SHARED
from glassmill.infer.sampling import Floats, log_normalizers

ROWS = 96
"""Rows that a decoder for this should have."""
WAVE_TOKENS = 2048
"""Tokens of the groups that are read side by side."""
PASS_TOKENS, PASS_LOGITS = 512, 256
"""Tokens of a forward pass, and how many of them may be answered: logits take 4 V bytes a position."""

Doubles = npt.NDArray[np.float64]


class Text(NamedTuple):
    """Token ids, and the index of the first one that is scored; at least 1, because nothing predicts the first."""

    ids: list[int]
    start: int


class Scored(NamedTuple):
    """What a model makes of the tokens `ids[start:]` of a text.

    Attributes:
        log_probabilities: Of each, in nats.
        greedy: How likely greedy decoding writes them: 1 if each is the likeliest, 0 if one is not; where `m` tokens
            are equally likely, each has its chance of `1 / m`.
    """

    log_probabilities: Doubles
    greedy: float


@dataclass(slots=True)
class _Reading:
    """Tokens for a row, and for each of the last positions the tokens of which its answer is wanted."""

    row: int
    ids: list[int]
    wanted: list[list[int]]
    num_read: int = 0
    found: list[tuple[Doubles, Doubles]] = field(default_factory=list)

    def next_piece(self, tokens: int, logits: int) -> Piece | None:
        """As many of the next tokens as fit; None if nothing fits."""
        first = len(self.ids) - len(self.wanted)
        end = min(len(self.ids), self.num_read + tokens)
        end = min(end, max(first, self.num_read) + logits)
        if end <= self.num_read:
            return None
        ids = self.ids[self.num_read : end]
        return Piece(self.row, ids, want=max(0, end - max(first, self.num_read)))

    def take(self, piece: Piece, logits_WV: Floats) -> None:
        self.num_read += len(piece.ids)
        if not piece.want:
            return
        wanted = self.wanted[len(self.found) : len(self.found) + piece.want]
        normalizers, best = log_normalizers(logits_WV), logits_WV.max(axis=1)
        for logits_V, tokens, normalizer, most in zip(logits_WV, wanted, normalizers, best, strict=True):
            values = logits_V[tokens]
            is_best = values == most
            ties = np.count_nonzero(logits_V == most) if is_best.any() else 1
            self.found.append((values.astype(np.float64) - normalizer, is_best / ties))


def score(decoder: Decoder, groups: Sequence[Sequence[Text]]) -> Iterator[list[Scored]]:
    """The texts of each group, scored, in order.

    Args:
        decoder: Has no open rows, and `max_rows` of at least the texts of a group and two more.
        groups: Each at least one text. A text has more tokens than its `start`, and at most one more than the context.

    Raises:
        ValueError: a text is longer, or a group has more texts than the decoder has rows.
    """
    trunk: tuple[int, list[int]] | None = None
    try:
        done = 0
        while done < len(groups):
            wave = _wave(groups, done, decoder.info.max_rows - 1)
            done += len(wave)
            found, row, ids = _score_wave(decoder, wave, trunk)
            keeps = trunk is None and done < len(groups) and _common([Text(ids, 1), groups[done][0]]) >= MIN_SHARED
            if keeps:
                trunk = (row, ids)
            else:
                decoder.close_row(row)
            yield from found
    finally:
        if trunk is not None:
            decoder.close_row(trunk[0])


def _wave(groups: Sequence[Sequence[Text]], done: int, rows: int) -> list[Sequence[Text]]:
    """The next groups that are read together: as many as there are rows and tokens for, and at least one."""
    wave: list[Sequence[Text]] = []
    tokens = 0
    for number in range(done, len(groups)):
        group = groups[number]
        rows -= 1 + len(group)
        tokens += len(group[0].ids)
        if wave and (rows < 0 or tokens > WAVE_TOKENS):
            break
        wave.append(group)
    return wave


def _score_wave(
    decoder: Decoder, wave: Sequence[Sequence[Text]], trunk: tuple[int, list[int]] | None
) -> tuple[list[list[Scored]], int, list[int]]:
    """The scores, and the row that has read the first group's beginning, which stays open, with its ids."""
    opened: list[int] = []
    try:
        beginnings, shared = [], []
        for group in wave:
            length, start = _common(group), min(text.start for text in group)
            ids = group[0].ids[:length]
            wanted = [[ids[place + 1]] for place in range(start - 1, length - 1)]
            if start <= length:
                wanted.append([text.ids[length] for text in group])
            row, known = _begin(decoder, ids, length - len(wanted), trunk)
            opened.append(row)
            shared.append(length)
            beginnings.append(_Reading(row, ids[known:], wanted))
        _read(decoder, beginnings)
        endings: list[list[_Reading | None]] = []
        for group, length, beginning in zip(wave, shared, beginnings, strict=True):
            endings.append([])
            for text in group:
                rest = text.ids[length:-1]
                if not rest:
                    endings[-1].append(None)
                    continue
                opened.append(decoder.fork(beginning.row, length))
                wanted = [[text.ids[place + 1]] for place in range(max(length, text.start - 1), len(text.ids) - 1)]
                endings[-1].append(_Reading(opened[-1], rest, wanted))
        _read(decoder, [ending for group_endings in endings for ending in group_endings if ending])
    except BaseException:
        for row in opened:
            decoder.close_row(row)
        raise
    for row in opened[1:]:
        decoder.close_row(row)
    found = [
        [_joined(text, beginning, ending, place) for place, (text, ending) in enumerate(zip(group, last, strict=True))]
        for group, beginning, last in zip(wave, beginnings, endings, strict=True)
    ]
    return found, opened[0], wave[0][0].ids[: shared[0]]


def _joined(text: Text, beginning: _Reading, ending: _Reading | None, place: int) -> Scored:
    parts = [(values[min(place, len(values) - 1)], best[min(place, len(best) - 1)]) for values, best in beginning.found]
    parts += [(values[0], best[0]) for values, best in ending.found] if ending else []
    parts = parts[-(len(text.ids) - text.start) :]
    values = np.array([value for value, _ in parts], dtype=np.float64)
    return Scored(values, float(np.prod([best for _, best in parts])))


def _common(group: Sequence[Text]) -> int:
    """Tokens that the texts begin with, of those that a row reads: the last token of a text is never read."""
    first, longest = group[0].ids, min(len(text.ids) for text in group) - 1
    length = longest
    for text in group[1:]:
        if text.ids[:length] != first[:length]:
            length = next(i for i in range(length) if text.ids[i] != first[i])
    return length


def _begin(decoder: Decoder, ids: list[int], most: int, trunk: tuple[int, list[int]] | None) -> tuple[int, int]:
    """A row for these ids, and how many of them, at most `most`, it has read already."""
    if trunk is not None and len(ids) > MIN_SHARED:
        row, known = trunk
        length = min(_common([Text(ids, 1), Text([*known, -1], 1)]), most)
        if length >= MIN_SHARED:
            return decoder.fork(row, length), length
    return decoder.open_row(), 0


def _read(decoder: Decoder, readings: Sequence[_Reading]) -> None:
    """Reads all of them, in forward passes of bounded size."""
    waiting = [reading for reading in readings if reading.ids]
    while waiting:
        tokens, logits, chosen = PASS_TOKENS, PASS_LOGITS, []
        for reading in waiting:
            piece = reading.next_piece(tokens, logits)
            if piece is None:
                break
            chosen.append((reading, piece))
            tokens, logits = tokens - len(piece.ids), logits - piece.want
            if tokens <= 0:
                break
        for (reading, piece), answer in zip(chosen, decoder.forward([piece for _, piece in chosen]), strict=True):
            reading.take(piece, answer.logits_WV)
        waiting = [reading for reading in waiting if reading.num_read < len(reading.ids)]
