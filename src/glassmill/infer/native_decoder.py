"""The native decoder: the whole step in C++ (`glassmill.native`, `model/`), in bfloat16 or float32, without torch.

In: a model folder, whose weights are read through a memory map and packed for the processor's instructions. Out: the
protocol of `glassmill.infer.decoder`. Keys and values have the type of the weights; a row takes pages of 64 tokens, and
a fork shares its origin's pages until one of the two writes. A row's numbers do not depend on the rows beside it.

Keys and values can be kept in 8 bits (`cache="q8"`, or GLASSMILL_KV=q8 for every command), in 55 % of bfloat16's bytes
at heads of 64 channels. That is not exact: every 32 channels of a key, and every head's value, are rounded to 127 steps
of their largest number, so tokens may differ from the plain decoder's. `tests/infer/test_cache_in_8_bits.py` bounds the
loss. Queries and the weights of attention are rounded to 15 bits then, which is finer than bfloat16.

    H channels per head
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from glassmill import native
from glassmill.errors import UserError
from glassmill.infer.decoder import NO_LOGITS, Answer, Decoder, DecoderInfo, Piece, check_pieces
from glassmill.infer.find import find_model_folder, read_config
from glassmill.infer.sampling import Floats
from glassmill.infer.weights import Claim, checked_claims
from glassmill.model.blocks import FORMATS as BLOCK_FORMATS
from glassmill.model.blocks import dequantize
from glassmill.model.config import ModelConfig
from glassmill.run.device import LARGE_BYTES
from glassmill.run.integrity import check_sealed

WeightFormat = Literal["float32", "bfloat16"]
CacheFormat = Literal["q8"]
FORMATS: dict[WeightFormat, str] = {"float32": "f32", "bfloat16": "bf16"}
"""Names as torch has them, and as the core has them."""
PACKED = ("Q8_0", "Q4_0", "Q4_1", "Q4_K")
"""Blocks that stay as they are; others get the type of the rest."""
KEY_GROUP = 32
"""Channels of a key that share a scale, where keys are kept in 8 bits."""

NAMES = {
    "input_layernorm.weight": "input_norm",
    "post_attention_layernorm.weight": "post_norm",
    "self_attn.q_norm.weight": "q_norm",
    "self_attn.k_norm.weight": "k_norm",
    "self_attn.o_proj.weight": "o",
    "mlp.gate_proj.weight": "gate",
    "mlp.up_proj.weight": "up",
    "mlp.down_proj.weight": "down",
} | {
    f"self_attn.{name}_proj.{kind}": short
    for name in "qkv"
    for kind, short in (("weight", name), ("bias", f"{name}_bias"))
}
"""Parameters of a layer: the folder's names, and the core's."""
OUTER_NAMES = {"model.embed_tokens.weight": "embedding", "model.norm.weight": "norm", "lm_head.weight": "head"}


class NativeDecoder(Decoder):
    """A decoder over the weights in a model folder.

    Args:
        folder: The model folder.
        max_rows: Rows that may be open at once.
        weights: How weights, and keys and values, lie in memory; by default as `default_format` says.
        max_length: Tokens of a row; by default, and at most, the model's context.
        max_cache_bytes: What `fits` allows for keys and values.
        threads: 0 is one for every processor that this process may use.
        cache: `q8` keeps keys and values in 8 bits, which is not exact; by default they have the type of the weights.

    Raises:
        UserError: The folder is damaged, see `glassmill.infer.folder.load_folder`; there is no native core; or `q8` is
            asked of a model whose heads are no multiple of 32 channels.
    """

    def __init__(
        self,
        folder: Path,
        max_rows: int = 1,
        weights: WeightFormat | None = None,
        max_length: int | None = None,
        max_cache_bytes: int = 2 << 30,
        threads: int = 0,
        cache: CacheFormat | None = None,
    ) -> None:
        if not native.available():
            raise UserError("the native decoder needs the native core, which was not built: take decoder=torch")
        config = read_config(folder)
        claims = checked_claims(folder, config)
        self.weights: WeightFormat = weights or default_format(claims)
        self.max_cache_bytes = max_cache_bytes
        if cache == "q8" and config.head_dim % KEY_GROUP:
            raise UserError(
                f"{folder}: its heads have {config.head_dim} channels; keys and values in 8 bits (GLASSMILL_KV=q8) "
                f"need a multiple of {KEY_GROUP}"
            )
        kept = "q8_0" if cache == "q8" else FORMATS[self.weights]
        self._core = _load_core(folder, config, claims, FORMATS[self.weights], kept, threads or _num_processors())
        context_length = min(max_length or config.context_length, config.context_length)
        token_bytes = self._core.page_bytes // native.PAGE_TOKENS
        self._info = DecoderInfo(config.vocab_size, context_length, max_rows, token_bytes)
        self._lengths: dict[int, int] = {}
        self._num_opened = 0

    @property
    def info(self) -> DecoderInfo:
        return self._info

    @property
    def cache_bytes(self) -> int:
        return self._core.cache_bytes

    def open_row(self) -> int:
        if len(self._lengths) >= self._info.max_rows:
            raise ValueError(f"all {self._info.max_rows} rows are open")
        self._num_opened += 1
        self._core.open_row(self._num_opened)
        self._lengths[self._num_opened] = 0
        return self._num_opened

    def close_row(self, row: int) -> None:
        self.length(row)
        del self._lengths[row]
        self._core.close_row(row)

    def length(self, row: int) -> int:
        if row not in self._lengths:
            raise ValueError(f"row {row} is not open")
        return self._lengths[row]

    def truncate(self, row: int, length: int) -> None:
        self._check_length(row, length)
        self._core.truncate(row, length)
        self._lengths[row] = length

    def fork(self, row: int, length: int) -> int:
        self._check_length(row, length)
        if len(self._lengths) >= self._info.max_rows:
            raise ValueError(f"all {self._info.max_rows} rows are open")
        self._num_opened += 1
        self._core.fork(row, self._num_opened, length)
        self._lengths[self._num_opened] = length
        return self._num_opened

    def _check_length(self, row: int, length: int) -> None:
        if not 0 <= length <= self.length(row):
            raise ValueError(f"row {row} has {self._lengths[row]} tokens, not {length}")

    def fits(self, lengths: Sequence[int]) -> bool:
        num_pages = sum(-(-length // native.PAGE_TOKENS) for length in lengths)
        return len(lengths) <= self._info.max_rows and num_pages * self._core.page_bytes <= self.max_cache_bytes

    def forward(self, pieces: Sequence[Piece]) -> list[Answer]:
        check_pieces(pieces, self._lengths, self._info)
        found = self._core.forward(pieces)
        for row, ids, _, _ in pieces:
            self._lengths[row] += len(ids)
        return [Answer(NO_LOGITS, one) if isinstance(one, tuple) else Answer(one) for one in found]


def _load_core(
    folder: Path, config: ModelConfig, claims: dict[str, Claim], format: str, cache: str, threads: int
) -> native._core.Decoder:
    arrays = {name: (_mapped(claim), claim.dtype) for name, claim in claims.items()}
    tied = config.tie_embeddings
    if tied and "lm_head.weight" in arrays:  # as transformers 5: two different matrices are not tied
        tied = np.array_equal(arrays["lm_head.weight"][0], arrays["model.embed_tokens.weight"][0])
        if tied:
            del arrays["lm_head.weight"]
    core = native._core.Decoder(
        vocab_size=config.vocab_size,
        d_model=config.d_model,
        layers=config.num_layers,
        heads=config.num_heads,
        kv_heads=config.num_kv_heads,
        head_dim=config.head_dim,
        d_ff=config.d_ff,
        eps=config.rms_norm_eps,
        qk_norm=config.qk_norm,
        qkv_bias=config.qkv_bias,
        tied=tied,
        frequencies=rotary_frequencies(config).tolist(),
        rotary_scale=config.rope_scaling.attention_factor if config.rope_scaling else 1.0,
        cache=cache,
        threads=threads,
    )
    for name, (array, stored) in arrays.items():
        short, layer = _short_name(name)
        if short is None:
            continue
        try:
            own = stored.lower() if stored in PACKED else format
            core.set(short, layer, array.reshape(-1, array.shape[-1]), stored, own)
        except ValueError as error:
            count = int((~np.isfinite(_floats(array, stored))).sum())
            if not count:
                raise UserError(f"{folder}: {name}: {error}") from None
            raise UserError(
                f"{folder}: {name} has {count:,} numbers that are NaN or infinite; the weights are damaged"
            ) from None
    core.check_complete()
    return core


def _short_name(name: str) -> tuple[str | None, int]:
    """The core's name of a parameter, and its layer."""
    if name in OUTER_NAMES:
        return OUTER_NAMES[name], 0
    _, _, inner = name.partition("model.layers.")
    layer, _, inner = inner.partition(".")
    return NAMES.get(inner), int(layer) if layer.isdecimal() else 0


def _mapped(claim: Claim) -> npt.NDArray[Any]:
    """A tensor in its file, as numpy can hold it: bfloat16 and float16 as their bits."""
    with claim.file.open("rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little") + claim.begin
    kind = np.dtype({"F32": "<f4", "F16": "<u2", "BF16": "<u2"}.get(claim.dtype, "u1"))
    shape = (claim.shape[0], -1) if kind.itemsize == 1 else claim.shape
    if start % kind.itemsize:  # allowed by the format, written by nobody
        with claim.file.open("rb") as file:
            file.seek(start)
            return np.frombuffer(file.read(claim.end - claim.begin), kind).reshape(shape)
    count = (claim.end - claim.begin) // kind.itemsize
    return np.memmap(claim.file, kind, "r", start, (count,)).reshape(shape)


def _floats(array: npt.NDArray[Any], stored: str) -> npt.NDArray[Any]:
    if array.dtype == np.uint8:
        return dequantize(array, BLOCK_FORMATS[stored.lower()])
    if stored == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.view(np.float16) if stored == "F16" else array


def rotary_frequencies(config: ModelConfig) -> Floats:
    """How far every pair of channels turns from one position to the next, `(H/2,)`: `glassmill.model.rope` in numpy."""
    H, theta, scaling = config.head_dim, config.rope_theta, config.rope_scaling
    pairs = np.arange(0, H, 2, dtype=np.float32)
    plain: Floats = (1.0 / np.float32(theta) ** (pairs / np.float32(H))).astype(np.float32)
    if scaling is None:
        return plain
    divided = plain / np.float32(scaling.factor)
    if scaling.kind == "linear":
        return divided
    if scaling.kind == "llama3":
        turns = scaling.original_context / (2 * math.pi / plain)
        slow, fast = scaling.low_freq_factor, scaling.high_freq_factor
        kept = ((turns - slow) / (fast - slow)).clip(0, 1)
    else:
        first, last = (
            H * math.log(scaling.original_context / (turns * 2 * math.pi)) / (2 * math.log(theta))
            for turns in (scaling.beta_fast, scaling.beta_slow)
        )
        if scaling.truncate:
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, H - 1)
        kept = 1 - ((np.arange(H // 2) - first) / ((last - first) or 0.001)).clip(0, 1)
    blended: Floats = ((1 - kept) * divided + kept * plain).astype(np.float32)
    return blended


def default_format(claims: dict[str, Claim]) -> WeightFormat:
    """bfloat16 for weights that are too large for a processor's caches, else float32; as torch's decoder chooses."""
    in_blocks = any(claim.dtype in map(str.upper, BLOCK_FORMATS) for claim in claims.values())
    num_bytes = sum(claim.end - claim.begin for claim in claims.values())
    return "bfloat16" if in_blocks or num_bytes >= LARGE_BYTES else "float32"


def _num_processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_native_decoder(
    folder: Path, max_rows: int, weights: WeightFormat | None = None, cache: CacheFormat | None = None
) -> NativeDecoder:
    """The decoder of a model folder, whose files are those that were written.

    Raises:
        UserError: See `NativeDecoder`.
    """
    folder = find_model_folder(folder)
    check_sealed(folder)
    return NativeDecoder(folder, max_rows, weights, cache=cache)
