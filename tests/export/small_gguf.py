"""A one-layer GGUF file, as others would write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np

SPELLINGS = [*map(chr, range(33, 127)), "Ġ", "Ċ", "ab", "<|endoftext|>"]


def write_small(path: Path, changes: dict[str, Any] | None = None, tensors: dict[str, Any] | None = None) -> Path:
    """A one-layer Llama file by the library's writer, with metadata or tensors changed; None leaves an entry out."""
    metadata: dict[str, Any] = {
        "llama.context_length": 64,
        "llama.embedding_length": 8,
        "llama.block_count": 1,
        "llama.feed_forward_length": 8,
        "llama.attention.head_count": 2,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "dbrx",
        "tokenizer.ggml.tokens": SPELLINGS,
        "tokenizer.ggml.token_type": [1] * 97 + [3],
        "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.eos_token_id": 97,
        **(changes or {}),
    }
    shapes: dict[str, Any] = {"token_embd.weight": (98, 8), "output_norm.weight": (8,)}
    names = ("attn_norm", "ffn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    shapes |= {f"blk.0.{name}.weight": (8,) if name.endswith("norm") else (8, 8) for name in names}
    shapes |= tensors or {}
    writer = gguf.GGUFWriter(path, metadata.pop("general.architecture", "llama"))
    for key, value in metadata.items():
        if value is None:
            continue
        kinds = {str: writer.add_string, float: writer.add_float32, int: writer.add_uint32, list: writer.add_array}
        kinds[type(value)](key, value)
    for name, shape in shapes.items():
        if shape is not None:
            writer.add_tensor(name, np.full(shape, 0.5, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
