"""A second decoder, in numpy, from the same folder: the proof that nothing outside a decoder knows torch.

It shares no code with the torch one but the protocol: no Transformer, no KVCache, one row after the other.

    T new positions, S positions of keys, D d_model, N heads, K kv heads, H channels per head
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

from glassmill.infer.decoder import Answer, Decoder, DecoderInfo, Piece, check_pieces
from glassmill.infer.find import read_config

Array = npt.NDArray[np.float32]


class NumpyDecoder(Decoder):
    """Qwen3 and Llama in float32. A row is a list with one array of keys and one of values for each layer."""

    def __init__(self, folder: Path, max_rows: int) -> None:
        self.config = read_config(folder)
        self.weights: dict[str, Array] = load_file(folder / "model.safetensors")
        per_token = 2 * self.config.num_layers * self.config.num_kv_heads * self.config.head_dim
        self._info = DecoderInfo(self.config.vocab_size, self.config.context_length, max_rows, 4 * per_token)
        self.rows: dict[int, list[tuple[Array, Array]]] = {}
        self.opened = 0

    @property
    def info(self) -> DecoderInfo:
        return self._info

    @property
    def cache_bytes(self) -> int:
        return sum(array.nbytes for row in self.rows.values() for layer in row for array in layer)

    def open_row(self) -> int:
        if len(self.rows) == self._info.max_rows:
            raise ValueError(f"all {self._info.max_rows} rows are open")
        self.opened += 1
        empty = np.zeros((0, self.config.num_kv_heads, self.config.head_dim), dtype=np.float32)
        self.rows[self.opened] = [(empty, empty)] * self.config.num_layers
        return self.opened

    def close_row(self, row: int) -> None:
        self.length(row)
        del self.rows[row]

    def length(self, row: int) -> int:
        if row not in self.rows:
            raise ValueError(f"row {row} is not open")
        return len(self.rows[row][0][0])

    def truncate(self, row: int, length: int) -> None:
        self.rows[row] = self._start_of(row, length)

    def fork(self, row: int, length: int) -> int:
        start = self._start_of(row, length)
        fork = self.open_row()
        self.rows[fork] = start
        return fork

    def _start_of(self, row: int, length: int) -> list[tuple[Array, Array]]:
        if not 0 <= length <= self.length(row):
            raise ValueError(f"row {row} has {self.length(row)} tokens, not {length}")
        return [(keys[:length].copy(), values[:length].copy()) for keys, values in self.rows[row]]

    def fits(self, lengths: Sequence[int]) -> bool:
        return len(lengths) <= self._info.max_rows

    def forward(self, pieces: Sequence[Piece]) -> list[Answer]:
        check_pieces(pieces, {row: self.length(row) for row in self.rows}, self._info)
        return [self._read(piece) for piece in pieces]

    def _read(self, piece: Piece) -> Answer:
        x_TD = self.weights["model.embed_tokens.weight"][np.asarray(piece.ids)]
        positions_T = self.length(piece.row) + np.arange(len(x_TD))
        for layer in range(self.config.num_layers):
            x_TD = x_TD + self._attend(layer, self._norm(x_TD, layer, "input_layernorm"), piece.row, positions_T)
            h_TD = self._norm(x_TD, layer, "post_attention_layernorm")
            gate_TF, up_TF = (self._linear(h_TD, layer, f"mlp.{name}_proj") for name in ("gate", "up"))
            x_TD = x_TD + self._linear(gate_TF / (1 + np.exp(-gate_TF)) * up_TF, layer, "mlp.down_proj")
        head = "model.embed_tokens.weight" if self.config.tie_embeddings else "lm_head.weight"
        last_WD = self._rms(x_TD, self.weights["model.norm.weight"])[len(x_TD) - piece.want :]
        logits_WV = last_WD @ self.weights[head].T
        return Answer(ids=tuple(logits_WV.argmax(-1).tolist())) if piece.greedy else Answer(logits_WV)

    def _attend(self, layer: int, x_TD: Array, row: int, positions_T: npt.NDArray[Any]) -> Array:
        q_TNH, k_TKH, v_TKH = (
            self._linear(x_TD, layer, f"self_attn.{name}_proj").reshape(len(x_TD), -1, self.config.head_dim)
            for name in "qkv"
        )
        if self.config.qk_norm:
            q_TNH = self._norm(q_TNH, layer, "self_attn.q_norm")
            k_TKH = self._norm(k_TKH, layer, "self_attn.k_norm")
        q_TNH, k_TKH = self._turn(q_TNH, positions_T), self._turn(k_TKH, positions_T)
        keys, values = self.rows[row][layer]
        keys, values = np.concatenate([keys, k_TKH]), np.concatenate([values, v_TKH])
        self.rows[row][layer] = (keys, values)
        group = self.config.num_heads // self.config.num_kv_heads
        scores_NTS = np.einsum("tnh,snh->nts", q_TNH, keys.repeat(group, axis=1)) / np.sqrt(self.config.head_dim)
        scores_NTS[:, positions_T[:, None] < np.arange(len(keys))] = -np.inf
        weights_NTS = np.exp(scores_NTS - scores_NTS.max(-1, keepdims=True))
        weights_NTS /= weights_NTS.sum(-1, keepdims=True)
        mixed_TNH = np.einsum("nts,snh->tnh", weights_NTS, values.repeat(group, axis=1))
        return self._linear(mixed_TNH.reshape(len(x_TD), -1).astype(np.float32), layer, "self_attn.o_proj")

    def _turn(self, x_TNH: Array, positions_T: npt.NDArray[Any]) -> Array:
        half = self.config.head_dim // 2
        angles_TH = positions_T[:, None] / self.config.rope_theta ** (np.arange(half) / half)
        cos, sin = np.cos(angles_TH)[:, None], np.sin(angles_TH)[:, None]
        a, b = x_TNH[..., :half], x_TNH[..., half:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1).astype(np.float32)

    def _linear(self, x_TD: Array, layer: int, name: str) -> Array:
        return x_TD @ self.weights[f"model.layers.{layer}.{name}.weight"].T

    def _norm(self, x: Array, layer: int, name: str) -> Array:
        return self._rms(x, self.weights[f"model.layers.{layer}.{name}.weight"])

    def _rms(self, x: Array, scale: Array) -> Array:
        return x / np.sqrt(np.square(x).mean(-1, keepdims=True) + self.config.rms_norm_eps) * scale
