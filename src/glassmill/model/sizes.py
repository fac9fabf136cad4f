"""What a model of a given shape costs, before it is built: parameters, FLOPs, bytes.

FLOPs count a multiplication and an addition as two and leave out norms and activations (under 2 % at any size worth
planning for). A backward pass costs twice its forward pass (Kaplan et al. 2020, arXiv 2001.08361, table 1).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from glassmill.model.config import ModelConfig


def num_attention_parameters(config: ModelConfig) -> int:
    """Of the matrices of one layer's attention."""
    return config.d_model * config.head_dim * 2 * (config.num_heads + config.num_kv_heads)


def num_feed_forward_parameters(config: ModelConfig) -> int:
    """Of the matrices of one feed-forward layer."""
    return 3 * config.d_model * config.d_ff


def num_matrix_parameters(config: ModelConfig) -> int:
    """Parameters that every token is multiplied by: the matrices of the blocks, and the head."""
    block = num_attention_parameters(config) + num_feed_forward_parameters(config)
    return config.num_layers * block + config.vocab_size * config.d_model


def num_parameters(config: ModelConfig) -> int:
    """All trained numbers; tied embeddings count once."""
    norms = config.num_layers * (2 * config.d_model + (2 * config.head_dim if config.qk_norm else 0)) + config.d_model
    biases = config.num_layers * config.head_dim * (config.num_heads + 2 * config.num_kv_heads) * config.qkv_bias
    embedding = 0 if config.tie_embeddings else config.vocab_size * config.d_model
    return num_matrix_parameters(config) + norms + biases + embedding


def parameter_shapes(config: ModelConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of every parameter, in the order of a state dict, with nothing built."""
    D, F, H = config.d_model, config.d_ff, config.head_dim
    queries, keys = config.num_heads * H, config.num_kv_heads * H
    yield "model.embed_tokens.weight", (config.vocab_size, D)
    for layer in range(config.num_layers):
        block = f"model.layers.{layer}."
        yield f"{block}input_layernorm.weight", (D,)
        for name, width in (("q", queries), ("k", keys), ("v", keys)):
            yield f"{block}self_attn.{name}_proj.weight", (width, D)
            if config.qkv_bias:
                yield f"{block}self_attn.{name}_proj.bias", (width,)
        yield f"{block}self_attn.o_proj.weight", (D, queries)
        if config.qk_norm:
            yield f"{block}self_attn.q_norm.weight", (H,)
            yield f"{block}self_attn.k_norm.weight", (H,)
        yield f"{block}post_attention_layernorm.weight", (D,)
        yield f"{block}mlp.gate_proj.weight", (F, D)
        yield f"{block}mlp.up_proj.weight", (F, D)
        yield f"{block}mlp.down_proj.weight", (D, F)
    yield "model.norm.weight", (D,)
    if not config.tie_embeddings:
        yield "lm_head.weight", (config.vocab_size, D)


def adapter_parameters(config: ModelConfig, rank: int, targets: Collection[str]) -> int:
    """Numbers in the low-rank adapters of these layers of every block."""
    shapes = ((name.removesuffix(".weight").rpartition(".")[2], shape) for name, shape in parameter_shapes(config))
    return sum(rank * sum(shape) for layer, shape in shapes if layer in targets and len(shape) == 2)


def num_tensors(config: ModelConfig) -> int:
    """How many names `parameter_shapes` gives, without counting them one by one."""
    block = 9 + 2 * config.qk_norm + 3 * config.qkv_bias
    return 2 + config.num_layers * block + (not config.tie_embeddings)


def forward_flops_per_token(config: ModelConfig, context: int) -> int:
    """FLOPs to read one token that attends to `context` tokens on average."""
    attention = config.num_layers * 4 * context * config.num_heads * config.head_dim
    return 2 * num_matrix_parameters(config) + attention


def training_flops_per_token(config: ModelConfig) -> int:
    """FLOPs of one training token, forward and backward, in full windows (which attend to half of the context)."""
    return 3 * forward_flops_per_token(config, config.context_length // 2)


def weight_bytes(config: ModelConfig, bytes_per_number: int = 4) -> int:
    """Size of the weights, on disk and in memory."""
    return num_parameters(config) * bytes_per_number


def cache_bytes(config: ModelConfig, rows: int, length: int, bytes_per_number: int = 4) -> int:
    """Size of a KV cache for `rows` texts of `length` tokens."""
    return 2 * config.num_layers * rows * length * config.num_kv_heads * config.head_dim * bytes_per_number


def training_bytes(
    config: ModelConfig,
    rows: int,
    length: int,
    optimizer: str = "muon",
    *,
    step: str = "fused",
    dtype: str = "float32",
    recompute: bool = False,
    adapters: int = 0,
) -> int:
    """Peak memory of training: weights, gradients, optimizer state, what a step keeps, and the copy that is saved.

    By hand, all buffers of a step live with the gradients (`glassmill.train.fused`). By autograd, what the forward pass
    keeps goes as gradients come, so the larger of the two counts. What Python, torch and their libraries take comes on
    top (`bench/memory.py`).

    Args:
        rows: Rows of a micro-batch.
        length: Tokens in a row.
        optimizer: `muon` or `adamw`.
        step: `fused` or `autograd`.
        dtype: Of matrix products, `float32` or `bfloat16`; weights and gradients are float32.
        recompute: Activation checkpointing.
        adapters: Numbers of the adapters that learn instead of the weights (`adapter_parameters`), by autograd; 0: the
            weights learn.
    """
    parameters, tokens = num_parameters(config), rows * length
    if adapters:
        logits_bytes = 8 * min(tokens, LOSS_ROWS) * config.vocab_size
        kept = int(SLACK * activation_bytes(config, tokens, dtype, recompute)) + logits_bytes
        cast = 0 if dtype == "float32" else 2 * parameters  # autocast keeps the frozen matrices in that type, too
        return 4 * (parameters + 7 * adapters) + max(kept + cast, 4 * parameters)  # merged and saved as a copy
    groups, head = _matrices_by_shape(config), config.vocab_size * config.d_model
    momenta = 2 * parameters - (sum(groups.values()) if optimizer == "muon" else 0)
    orthogonalising = 4 * max(groups.values()) if optimizer == "muon" else 0
    saved = parameters + momenta  # a checkpoint's copy, while it is written beside the training
    size = 4 if dtype == "float32" else 2
    if step == "fused":
        buffers = _buffers_of_a_step_by_hand(config, rows, length, size)
        return 4 * (2 * parameters + momenta + saved + max(head, orthogonalising)) + int(TOUCHED * buffers)
    logits_bytes = 8 * min(tokens, LOSS_ROWS) * config.vocab_size
    forward = int(SLACK * activation_bytes(config, tokens, dtype, recompute)) + (8 - size) * head + logits_bytes
    backward = 4 * (parameters + max(orthogonalising, head))
    return 4 * (parameters + momenta + saved) + max(forward, backward)


def activation_bytes(config: ModelConfig, tokens: int, dtype: str = "float32", recompute: bool = False) -> int:
    """What autograd keeps of a forward pass, to the last tensor but the head's: the types are those under autocast.

    A block keeps inputs and outputs of its norms, of attention and of the feed-forward layer; in bfloat16 also its
    matrices in that type.

    Args:
        tokens: Of a micro-batch.
        dtype: Of matrix products, `float32` or `bfloat16`.
        recompute: Blocks keep their input alone, but for the one that is computed again.
    """
    D, F, N, K = config.d_model, config.d_ff, config.num_heads, config.num_kv_heads
    queries, keys = N * config.head_dim, K * config.head_dim
    norms = 4 * (2 + 2 * N + K)  # one number a vector: of the four norms, and of the softmax
    if dtype == "float32":
        block = tokens * (4 * (6 * D + 4 * queries + 4 * keys + 4 * F) + norms)
    else:
        in_float32, in_bfloat16 = 4 * D + queries + keys, 5 * D + 3 * queries + 3 * keys + 4 * F
        matrices = 2 * (2 * D * (queries + keys) + 3 * D * F)
        block = tokens * (4 * in_float32 + 2 * in_bfloat16 + norms) + matrices
    ends = tokens * (3 * D * 4)
    if recompute:
        return ends + block + config.num_layers * 4 * tokens * D
    return ends + config.num_layers * block


TOUCHED = 1.0
"""Share of a step's buffers in memory at the peak, measured: some are never full, some live one after another."""
SLACK = 1.25
"""What autograd takes for each byte that it keeps, measured: a block's gradients on the way back, and freed pieces that
don't fit what comes next."""
LOSS_ROWS, ATTENTION_BLOCK, KEPT_LENGTH = 1024, 64, 1024
"""As in `glassmill.model.loss` and `glassmill.train.fused_attention`, which import torch."""


def _matrices_by_shape(config: ModelConfig) -> dict[tuple[int, ...], int]:
    """Shape of matrices in the blocks -> how many numbers they have together; Muon handles them at once."""
    groups: dict[tuple[int, ...], int] = {}
    for name, shape in parameter_shapes(config):
        if ".layers." in name and len(shape) == 2:
            key = tuple(sorted(shape))
            groups[key] = groups.get(key, 0) + shape[0] * shape[1]
    return groups


def _buffers_of_a_step_by_hand(config: ModelConfig, rows: int, length: int, size: int) -> int:
    """Bytes in the buffers of `glassmill.train.fused`; names as there. `size`: of a number between products."""
    M, D, F = rows * length, config.d_model, config.d_ff
    queries, keys = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
    matrices, W = 2 * D * (queries + keys) + 3 * D * F, queries + 2 * keys
    starts = range(0, length, ATTENTION_BLOCK)
    bounds = [(start, min(start + ATTENTION_BLOCK, length)) for start in starts]
    scores = rows * config.num_heads * sum((end - start) * end for start, end in bounds)
    kept = length <= KEPT_LENGTH
    one = scores if kept else rows * config.num_heads * ATTENTION_BLOCK * length
    layer = M * (2 * D + 3 * F + W + 2 * queries + 2 * keys) + matrices + scores * kept
    shared = M * (3 * D + 3 * F + W + 3 * queries + 2 * keys) + matrices + 2 * one
    head = config.vocab_size * (2 * D + min(M, LOSS_ROWS))
    in_float32 = M * (2 * D + config.num_layers * (2 + config.num_heads + config.num_kv_heads))
    return size * (config.num_layers * layer + shared + head) + 4 * in_float32
