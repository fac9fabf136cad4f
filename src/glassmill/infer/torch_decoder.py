"""The reference decoder: `Transformer` and `KVCache` behind the protocol of `glassmill.infer.decoder`.

The rows of one forward pass must lie side by side in the cache. They are brought together when they are read, not when
a row closes: a new row takes the place of a closed one, rows that are idle stay where they are, and where something
must move, it is the shorter side. So no forward pass computes an empty row, and a steady batch copies nothing.

    B rows of one pass, T tokens of the longest piece, D d_model, N answered positions of the pass, V vocabulary
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from glassmill.infer.decoder import NO_LOGITS, Answer, Decoder, DecoderInfo, Piece, check_pieces
from glassmill.infer.folder import load_folder
from glassmill.infer.sampling import Floats, Ids
from glassmill.model.cache import KVCache
from glassmill.model.transformer import Transformer
from glassmill.run.device import inference_dtype

FIRST_TOKENS = 256
"""Positions of the first cache; it doubles when a row needs more."""


class TorchDecoder(Decoder):
    """A decoder over a Transformer in memory.

    Args:
        model: In eval mode, on its device. It may be trained between calls, as long as no row is open.
        max_rows: Rows that may be open at once.
        max_length: Tokens of a row; by default, and at most, the model's context.
        max_cache_bytes: What `fits` allows for keys and values.
    """

    def __init__(
        self,
        model: Transformer,
        max_rows: int = 1,
        max_length: int | None = None,
        max_cache_bytes: int = 2 << 30,
    ) -> None:
        self.model, self.max_cache_bytes = model, max_cache_bytes
        config, weight = model.config, model.head_weight
        self.dtype, self.device = weight.dtype, weight.device
        context_length = min(max_length or config.context_length, config.context_length)
        token_bytes = 2 * config.num_layers * config.num_kv_heads * config.head_dim * weight.element_size()
        self._info = DecoderInfo(config.vocab_size, context_length, max_rows, token_bytes)
        self._lengths: dict[int, int] = {}
        self._slots: dict[int, int] = {}  # where in the cache a row lies that has ever held a token
        self._num_opened = 0
        self._cache = self._new_cache(1, min(FIRST_TOKENS, context_length))

    @property
    def info(self) -> DecoderInfo:
        return self._info

    @property
    def cache_bytes(self) -> int:
        return self._cache.size_bytes

    # --- rows ---------------------------------------------------------------------------------------------------------

    def open_row(self) -> int:
        if len(self._lengths) >= self._info.max_rows:
            raise ValueError(f"all {self._info.max_rows} rows are open")
        self._num_opened += 1
        self._lengths[self._num_opened] = 0
        return self._num_opened

    def close_row(self, row: int) -> None:
        self.length(row)
        del self._lengths[row]
        self._slots.pop(row, None)

    def length(self, row: int) -> int:
        if row not in self._lengths:
            raise ValueError(f"row {row} is not open")
        return self._lengths[row]

    def truncate(self, row: int, length: int) -> None:
        if not 0 <= length <= self.length(row):
            raise ValueError(f"row {row} has {self._lengths[row]} tokens, not {length}")
        self._lengths[row] = length

    @torch.inference_mode()
    def fork(self, row: int, length: int) -> int:
        if not 0 <= length <= self.length(row):
            raise ValueError(f"row {row} has {self._lengths[row]} tokens, not {length}")
        fork = self.open_row()
        if not length:
            return fork
        try:
            self._reserve(len(self._slots) + 1, length)
            self._slots[fork] = min(set(range(self._cache.batch)) - set(self._slots.values()))
            self._cache.copy_rows([self._slots[row]], [self._slots[fork]], length)
        except BaseException:  # no memory: the row is not half open
            self.close_row(fork)
            raise
        self._lengths[fork] = length
        return fork

    def fits(self, lengths: Sequence[int]) -> bool:
        num_tokens = len(lengths) * max(lengths, default=0)  # the cache is a rectangle
        return len(lengths) <= self._info.max_rows and num_tokens * self._info.token_bytes <= self.max_cache_bytes

    # --- forward ------------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def forward(self, pieces: Sequence[Piece]) -> list[Answer]:
        check_pieces(pieces, self._lengths, self._info)
        answers: dict[int, Answer] = {}
        before = dict(self._lengths)
        try:
            single = [piece for piece in pieces if len(piece.ids) == 1]
            longer = [piece for piece in pieces if len(piece.ids) > 1] if len(single) < len(pieces) else []
            for group in (single, longer):  # apart, so that no single token is padded to the length of a prompt
                if group:
                    answers |= self._read(group)
        except BaseException:
            self._lengths = before
            raise
        return [answers[piece.row] for piece in pieces]

    def _read(self, pieces: list[Piece]) -> dict[int, Answer]:
        """One pass of the model over pieces, padded on the right to the longest one."""
        longest = max(len(piece.ids) for piece in pieces)
        start = self._bring_together([piece.row for piece in pieces], longest)
        pieces = sorted(pieces, key=lambda piece: self._slots[piece.row])
        ids_BT = _padded([piece.ids for piece in pieces], longest)
        cache = self._cache.rows(start, start + len(pieces))
        cache.set_lengths([self._lengths[piece.row] for piece in pieces])
        hidden_BTD = self.model.hidden(torch.from_numpy(ids_BT).to(self.device), cache)
        for piece in pieces:
            self._lengths[piece.row] += len(piece.ids)
        return self._answers(pieces, hidden_BTD)

    def _answers(self, pieces: list[Piece], hidden_BTD: Tensor) -> dict[int, Answer]:
        num_wanted = sum(piece.want for piece in pieces)
        if not num_wanted:
            return {piece.row: Answer() for piece in pieces}
        if hidden_BTD.shape[1] == 1 and num_wanted == len(pieces):
            hidden_ND = hidden_BTD[:, 0]
        else:
            rows_N = [row for row, piece in enumerate(pieces) for _ in range(piece.want)]
            places_N = [t for piece in pieces for t in range(len(piece.ids) - piece.want, len(piece.ids))]
            hidden_ND = hidden_BTD[rows_N, places_N]
        logits_NV = self.model.logits(hidden_ND)
        greedy = {piece.greedy for piece in pieces if piece.want}
        best_N: list[int] = logits_NV.argmax(dim=-1).tolist() if True in greedy else []
        floats_NV: Floats = logits_NV.float().cpu().numpy() if False in greedy else NO_LOGITS
        answers: dict[int, Answer] = {}
        start = 0
        for piece in pieces:
            part = slice(start, start + piece.want)
            answers[piece.row] = Answer(ids=tuple(best_N[part])) if piece.greedy else Answer(floats_NV[part])
            start = part.stop
        return answers

    @torch.inference_mode()
    def token_losses(self, windows_BT: Ids) -> Floats:
        windows = torch.from_numpy(windows_BT).to(self.device)
        logits_BTV = self.model.logits(self.model.hidden(windows[:, :-1])).float()
        losses_N = F.cross_entropy(logits_BTV.flatten(0, 1), windows[:, 1:].flatten(), reduction="none")
        losses: Floats = losses_N.view(len(windows), -1).cpu().numpy()
        return losses

    # --- memory -------------------------------------------------------------------------------------------------------

    def _bring_together(self, rows: list[int], num_new: int) -> int:
        """Make `rows` lie side by side with room for `num_new` tokens more; where the first of them lies."""
        slots = [self._slots.get(row, -1) for row in rows]
        are_together = -1 not in slots and max(slots) - min(slots) == len(rows) - 1
        num_rows = 0 if are_together else len({*self._slots, *rows})
        self._reserve(num_rows, max(self._lengths[row] for row in rows) + num_new)
        if are_together:
            return min(slots)
        wanted = set(rows)

        def tokens_to_move(start: int) -> int:
            return sum(
                self._lengths[row]
                for row, slot in self._slots.items()
                if (row in wanted) != (start <= slot < start + len(rows))
            )

        start = min(range(self._cache.batch - len(rows) + 1), key=tokens_to_move)
        self._move(wanted, range(start, start + len(rows)))
        return start

    def _move(self, wanted: set[int], window: range) -> None:
        """Put `wanted` into `window` and whatever else lies there outside."""
        coming = [row for row in wanted if self._slots.get(row, -1) not in window]
        leaving = [row for row, slot in self._slots.items() if slot in window and row not in wanted]
        kept = {slot for row, slot in self._slots.items() if row not in coming and row not in leaving}
        places = [slot for slot in range(self._cache.batch) if slot not in kept]
        inside = [slot for slot in places if slot in window]
        outside = [slot for slot in places if slot not in window]
        moves = [*zip(sorted(coming), inside, strict=True), *zip(leaving, outside, strict=False)]
        holding = [(row, target) for row, target in moves if self._lengths[row]]
        if holding:
            sources = [self._slots[row] for row, _ in holding]
            self._cache.copy_rows(sources, [slot for _, slot in holding], max(self._lengths[row] for row, _ in holding))
        self._slots.update(moves)

    def _new_cache(self, num_rows: int, num_tokens: int) -> KVCache:
        return KVCache(self.model.config, num_rows, num_tokens, self.dtype, self.device)

    def _reserve(self, num_rows: int, num_tokens: int) -> None:
        """Make the cache hold so many rows of so many tokens; what it holds stays."""
        old = self._cache
        if num_rows <= old.batch and num_tokens <= old.max_length:
            return
        batch = old.batch if num_rows <= old.batch else min(self._info.max_rows, max(num_rows, 2 * old.batch))
        length = old.max_length
        if num_tokens > length:
            length = max(num_tokens, min(2 * length, self._info.context_length))
        self._cache = self._new_cache(batch, length)
        self._cache.keys_LBSKH[:, : old.batch, : old.max_length] = old.keys_LBSKH[:, :, : old.max_length]
        self._cache.values_LBSKH[:, : old.batch, : old.max_length] = old.values_LBSKH[:, :, : old.max_length]


def _padded(rows: list[Sequence[int]], longest: int) -> Ids:
    """`(B, T)`: the ids of every row and zeros up to the longest."""
    if longest == 1:
        return np.array(rows, dtype=np.int64)
    ids_BT = np.zeros((len(rows), longest), dtype=np.int64)
    for ids_T, ids in zip(ids_BT, rows, strict=True):
        ids_T[: len(ids)] = ids
    return ids_BT


def load_torch_decoder(
    folder: Path, max_rows: int, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> TorchDecoder:
    """The decoder of a model folder; `dtype` is by default what is fastest on `device`, see `default_dtype`.

    Raises:
        UserError: See `glassmill.infer.folder.load_folder`.
    """
    return TorchDecoder(load_folder(folder, device, dtype or default_dtype(folder, device)).model, max_rows)


def default_dtype(folder: Path, device: torch.device | str) -> torch.dtype | None:
    """The type that `glassmill.run.device.inference_dtype` chooses for the weights in a folder; None is as stored."""
    num_bytes = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    name = inference_dtype(torch.device(device).type, num_bytes)
    return None if name is None else getattr(torch, name)
