"""Keys and values of the tokens already read, so that a new token costs one position and not the whole text again.

Every row has its own length: rows of one forward pass may stand at different positions (continuous batching), and a
prompt shorter than its batch is padded on the right. Padding is written too, past the row's length, where no query
looks and where the row's next token overwrites it.

    B rows, S positions a row can hold, K kv heads, H channels per head, L layers
"""

from __future__ import annotations

import torch
from torch import Tensor

from glassmill.model.config import ModelConfig


class KVCache:
    """Room for `batch` rows of at most `max_length` tokens.

    Attributes:
        lengths_B: Tokens that each row holds, int64 on the CPU. The model adds the tokens it reads; after a padded
            prefill, put the true lengths back with `set_lengths`.
    """

    def __init__(
        self,
        config: ModelConfig,
        batch: int,
        max_length: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        shape = (config.num_layers, batch, max_length, config.num_kv_heads, config.head_dim)
        self.keys_LBSKH = torch.zeros(shape, dtype=dtype, device=device)
        self.values_LBSKH = torch.zeros(shape, dtype=dtype, device=device)
        self.lengths_B = torch.zeros(batch, dtype=torch.int64)

    @property
    def batch(self) -> int:
        """Rows."""
        return self.keys_LBSKH.shape[1]

    @property
    def max_length(self) -> int:
        """Tokens that a row can hold."""
        return self.keys_LBSKH.shape[2]

    @property
    def size_bytes(self) -> int:
        """Memory that keys and values take."""
        return 2 * self.keys_LBSKH.numel() * self.keys_LBSKH.element_size()

    def rows(self, start: int, stop: int) -> KVCache:
        """Rows `start .. stop - 1` as a cache of their own that shares this one's memory and lengths."""
        view = object.__new__(KVCache)
        view.keys_LBSKH = self.keys_LBSKH[:, start:stop]
        view.values_LBSKH = self.values_LBSKH[:, start:stop]
        view.lengths_B = self.lengths_B[start:stop]
        return view

    def copy_rows(self, sources: list[int], targets: list[int], num_tokens: int) -> None:
        """Make every target hold the first `num_tokens` of its source. Rows may swap places: all are read first."""
        self.keys_LBSKH[:, targets, :num_tokens] = self.keys_LBSKH[:, sources, :num_tokens]
        self.values_LBSKH[:, targets, :num_tokens] = self.values_LBSKH[:, sources, :num_tokens]
        self.lengths_B[targets] = self.lengths_B[sources].clamp(max=num_tokens)

    def set_lengths(self, lengths_B: Tensor | list[int]) -> None:
        """Declare how many tokens of each row are true; what lies behind them will be overwritten."""
        assert len(lengths_B) == len(self.lengths_B) and max(lengths_B) <= self.max_length
        self.lengths_B.copy_(torch.as_tensor(lengths_B, dtype=torch.int64))

    def next_positions(self, num_tokens: int) -> Tensor:
        """Positions `(B, num_tokens)` that the next tokens of each row take."""
        return self.lengths_B[:, None] + torch.arange(num_tokens)

    def write(self, layer: int, k_BTKH: Tensor, v_BTKH: Tensor, positions_BT: Tensor) -> None:
        """Store keys and values of one layer at their rows' positions."""
        num_rows, num_tokens = positions_BT.shape
        if num_rows == 1:
            start = int(positions_BT[0, 0])
            self.keys_LBSKH[layer, 0, start : start + num_tokens] = k_BTKH[0]
            self.values_LBSKH[layer, 0, start : start + num_tokens] = v_BTKH[0]
            return
        index = (torch.arange(num_rows, device=positions_BT.device)[:, None], positions_BT)
        self.keys_LBSKH[layer][index] = k_BTKH.to(self.keys_LBSKH.dtype)
        self.values_LBSKH[layer][index] = v_BTKH.to(self.values_LBSKH.dtype)
