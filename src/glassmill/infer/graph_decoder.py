"""The decoder for GPUs: torch's, with a cache that stays where it is and steps that are recorded as CUDA graphs.

A model of 135M parameters reads its weights in less time than it takes to launch a thousand kernels, so a step is
recorded once for every rounded shape (`glassmill.infer.graphs`) and then launched as a whole. Rows that get one token
lie in front in the cache and are read there; what lies between them is computed and thrown away. Longer pieces are read
wherever they lie. What is only padding writes to positions that no row uses, behind the longest row.

On a device without graphs it computes the same by plain calls. Numbers are `TorchDecoder`'s up to the order of sums:
logits of a model with weights of unit scale differ by less than 2e-4 in float32 (`tests/infer/test_graph_decoder.py`).

    B rows of a step, T tokens of its longest piece, S positions that attention looks at, V vocabulary
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from glassmill.infer.decoder import NO_LOGITS, Answer, Piece
from glassmill.infer.folder import load_folder
from glassmill.infer.graphs import Buffers, Capture, Shape, Step, captures_for, rounded, rounded_rows
from glassmill.infer.sampling import Floats
from glassmill.infer.torch_decoder import TorchDecoder, default_dtype
from glassmill.model.cache import KVCache
from glassmill.model.static_pass import Inputs, StaticPass
from glassmill.model.transformer import Transformer

SPARE = 16
"""Positions behind every row of the cache, for padding; so many that S can be a multiple of 16, as kernels like it."""
MAX_PIECE = 2048
"""Tokens of a step's row: what every token may look at is a matrix, and that of a longer piece would be large."""
START_TOKENS = 1024
"""Of every row, in the first cache, if they are allowed."""
MAX_STEPS = 64
"""Shapes that are kept recorded; the one used longest ago is forgotten."""


class StaticCache(KVCache):
    """A cache with `SPARE` positions more than `max_length` in every row."""

    @property
    def max_length(self) -> int:
        return self.keys_LBSKH.shape[2] - SPARE


class GraphDecoder(TorchDecoder):
    """A decoder over a Transformer in memory whose weights are not replaced while it lives.

    Args:
        model: In eval mode, on its device, without adapters. It stays usable: its layers become views of joined ones.
        max_rows: Rows that may be open at once.
        max_length: Tokens of a row; by default, and at most, the model's context.
        max_cache_bytes: What `fits` allows for keys and values.
        capture: How a step is recorded; by default as CUDA graphs on a GPU, and not at all elsewhere.
    """

    def __init__(
        self,
        model: Transformer,
        max_rows: int = 1,
        max_length: int | None = None,
        max_cache_bytes: int = 2 << 30,
        capture: Capture | None = None,
    ) -> None:
        super().__init__(model, max_rows, max_length, max_cache_bytes)
        self._pass = StaticPass(model, self._info.context_length + SPARE)
        self._steps: dict[Shape, Step] = {}  # the one used longest ago first
        self._given, self._capture = capture, capture or captures_for(self.device)
        tokens = min(START_TOKENS, self._info.context_length)
        if self.fits([tokens] * max_rows):  # one that seldom grows: growth forgets what was recorded
            self._cache = self._new_cache(max_rows, tokens)

    def _new_cache(self, num_rows: int, num_tokens: int) -> KVCache:
        return StaticCache(self.model.config, num_rows, num_tokens + SPARE, self.dtype, self.device)

    def _reserve(self, num_rows: int, num_tokens: int) -> None:
        old = self._cache
        super()._reserve(num_rows, num_tokens)
        if self._cache is not old:  # what was recorded has the old addresses
            self._steps.clear()
            self._capture = self._given or captures_for(self.device)

    def _read(self, pieces: list[Piece]) -> dict[int, Answer]:
        longest = max(len(piece.ids) for piece in pieces)
        if longest > MAX_PIECE:
            return self._read_in_parts(pieces)
        rows, max_rows = [piece.row for piece in pieces], self._info.max_rows
        end = max(self._lengths[piece.row] + len(piece.ids) for piece in pieces)
        self._reserve(max(len({*self._slots, *rows}), rounded_rows(len(rows), max_rows)), end)
        max_keys = -(-self._cache.max_length // SPARE) * SPARE
        shape = rounded(len(rows), longest, end, max_rows, max_keys)
        if longest == 1:
            places = self._bring_to_front(rows, shape.rows)
        else:
            self._place(rows)
            places = list(range(len(rows)))
        step = self._step(shape)
        self._fill(step.buffers, pieces, places)
        found = step.run()
        for piece in pieces:
            self._lengths[piece.row] += len(piece.ids)
        return self._answers(pieces, found[0]) if longest > 1 else _single_answers(pieces, places, *found)

    def _read_in_parts(self, pieces: list[Piece]) -> dict[int, Answer]:
        """Pieces whose mask would be large: each as several steps."""
        answers: dict[int, Answer] = {}
        for row, ids, want, greedy in pieces:
            logits, best = list[Floats](), list[int]()
            for start in range(0, len(ids), MAX_PIECE):
                part = ids[start : start + MAX_PIECE]
                wanted = min(len(part), max(0, want - (len(ids) - start - len(part))))
                answer = self._read([Piece(row, part, wanted, greedy)])[row]
                best.extend(answer.ids)
                logits.extend([answer.logits_WV] if len(answer.logits_WV) else [])
            answers[row] = Answer(np.concatenate(logits) if logits else NO_LOGITS, tuple(best))
        return answers

    def _fill(self, buffers: Buffers, pieces: Sequence[Piece], places: Sequence[int]) -> None:
        """Inputs of a step; what no piece fills is padding."""
        buffers.host_ids_BT.fill(0)
        buffers.host_positions_BT.fill(self._cache.max_length)
        buffers.host_rows_B.fill(0)
        for piece, place in zip(pieces, places, strict=True):
            num_new, length = len(piece.ids), self._lengths[piece.row]
            buffers.host_ids_BT[place, :num_new] = piece.ids
            buffers.host_positions_BT[place, :num_new] = range(length, length + num_new)
            buffers.host_rows_B[place] = self._slots[piece.row]
        ids_BT = buffers.host_ids_BT
        if ids_BT.min() < 0 or ids_BT.max() >= self._info.vocab_size:  # a GPU would lose its whole context over it
            raise IndexError(f"token ids must be from 0 to {self._info.vocab_size - 1}")

    def _step(self, shape: Shape) -> Step:
        step = self._steps.pop(shape, None)
        if step is None:
            buffers, cache = Buffers(shape, self.device), self._cache
            if len(self._steps) >= MAX_STEPS:
                del self._steps[next(iter(self._steps))]

            def single() -> tuple[Tensor, ...]:
                hidden_B1D = self._pass.hidden(Inputs(buffers.ids_BT, buffers.positions_BT), cache, shape.keys)
                logits_BV = self.model.logits(hidden_B1D[:, 0])
                return logits_BV, logits_BV.argmax(dim=-1)

            def longer() -> tuple[Tensor, ...]:
                inputs = Inputs(buffers.ids_BT, buffers.positions_BT, buffers.rows_B)
                return (self._pass.hidden(inputs, cache, shape.keys),)

            step = Step(buffers, single if shape.tokens == 1 else longer, self._capture)
        self._steps[shape] = step
        return step

    # --- memory -------------------------------------------------------------------------------------------------------

    def _place(self, rows: list[int]) -> None:
        """Give every row that has no place yet a free one."""
        free = sorted(set(range(self._cache.batch)) - set(self._slots.values()), reverse=True)
        for row in rows:
            if row not in self._slots:
                self._slots[row] = free.pop()

    def _bring_to_front(self, rows: list[int], num_front: int) -> list[int]:
        """Make `rows` lie among the first `num_front` places; where each lies then."""
        coming = [row for row in rows if self._slots.get(row, num_front) >= num_front]
        if coming:
            taken = set(self._slots.values())
            places = [place for place in range(num_front) if place not in taken]
            idle = [row for row, slot in self._slots.items() if slot < num_front and row not in rows]
            leaving = sorted(idle, key=lambda row: self._lengths[row])[: max(0, len(coming) - len(places))]
            places += [self._slots[row] for row in leaving]
            left = {self._slots[row] for row in coming if row in self._slots}
            outside = [place for place in range(num_front, self._cache.batch) if place in left or place not in taken]
            moves = [*zip(coming, places, strict=False), *zip(leaving, outside, strict=False)]
            holding = [(row, place) for row, place in moves if self._lengths[row]]
            if holding:
                sources, targets = [self._slots[row] for row, _ in holding], [place for _, place in holding]
                self._cache.copy_rows(sources, targets, max(self._lengths[row] for row, _ in holding))
            self._slots.update(moves)
        return [self._slots[row] for row in rows]


def _single_answers(pieces: list[Piece], places: list[int], logits_BV: Tensor, best_B: Tensor) -> dict[int, Answer]:
    """Answers to pieces of one token, which lie at `places` of the batch; what nobody wants stays on the device."""
    kinds = {piece.greedy for piece in pieces if piece.want}
    ids_B: list[int] = best_B.tolist() if True in kinds else []
    floats_BV: Floats = logits_BV.float().cpu().numpy() if False in kinds else NO_LOGITS
    answers: dict[int, Answer] = {}
    for piece, place in zip(pieces, places, strict=True):
        if not piece.want:
            answers[piece.row] = Answer()
        elif piece.greedy:
            answers[piece.row] = Answer(ids=(ids_B[place],))
        else:
            answers[piece.row] = Answer(floats_BV[place : place + 1])
    return answers


def load_graph_decoder(
    folder: Path, max_rows: int, device: torch.device | str = "cuda", dtype: torch.dtype | None = None
) -> GraphDecoder:
    """The decoder of a model folder; weights are `dtype`, or as stored. On a GPU half of its free memory is for the
    cache: where that grows, the old and the new one are there at once.

    Raises:
        UserError: See `glassmill.infer.folder.load_folder`.
    """
    model = load_folder(folder, device, dtype or default_dtype(folder, device)).model
    if model.head_weight.device.type != "cuda":
        return GraphDecoder(model, max_rows)
    free, _ = torch.cuda.mem_get_info(model.head_weight.device)
    return GraphDecoder(model, max_rows, max_cache_bytes=free // 2)
