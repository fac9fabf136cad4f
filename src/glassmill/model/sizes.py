"""What a model of a given shape costs, before it is built: parameters, FLOPs, bytes.

FLOPs count a multiplication and an addition as two and leave out norms and activations (under 2 % at any size worth
planning for). A backward pass costs twice its forward pass (Kaplan et al. 2020, arXiv 2001.08361, table 1).
"""

from __future__ import annotations

from collections.abc import Iterator

from glassmill.model.config import ModelConfig


def num_matrix_parameters(config: ModelConfig) -> int:
    """Parameters that every token is multiplied by: the matrices of the blocks, and the head."""
    attention = config.d_model * config.head_dim * 2 * (config.num_heads + config.num_kv_heads)
    feed_forward = 3 * config.d_model * config.d_ff
    return config.num_layers * (attention + feed_forward) + config.vocab_size * config.d_model


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


def training_bytes(config: ModelConfig, rows: int, length: int, optimizer: str = "muon") -> int:
    """Peak memory of training: weights, gradients, optimizer state, and the buffers of `glassmill.train.fused`.

    Autograd needs about as much. What Python, torch and their libraries take comes on top (`bench/memory.py`).

    Args:
        rows: Rows of a micro-batch.
        length: Tokens in a row.
        optimizer: `muon` or `adamw`.
    """
    parameters, tokens = num_parameters(config), rows * length
    groups, head = _matrices_by_shape(config), config.vocab_size * config.d_model
    momenta = 2 * parameters - (sum(groups.values()) if optimizer == "muon" else 0)
    orthogonalising = 4 * max(groups.values()) if optimizer == "muon" else 0
    logits = 2 * min(tokens, LOSS_ROWS) * config.vocab_size
    step = _step_numbers(config, rows, length) + 2 * head + max(logits, head, orthogonalising)
    return 4 * int(2 * parameters + momenta + TOUCHED * step)


TOUCHED = 0.79
"""Share of a step's buffers in memory at the peak, measured: some are never full, some live one after another."""
LOSS_ROWS, ATTENTION_BLOCK = 1024, 64
"""As in `glassmill.model.loss` and `glassmill.train.fused_attention`, which import torch."""


def _matrices_by_shape(config: ModelConfig) -> dict[tuple[int, ...], int]:
    """Shape of matrices in the blocks -> how many numbers they have together; Muon handles them at once."""
    groups: dict[tuple[int, ...], int] = {}
    for name, shape in parameter_shapes(config):
        if ".layers." in name and len(shape) == 2:
            key = tuple(sorted(shape))
            groups[key] = groups.get(key, 0) + shape[0] * shape[1]
    return groups


def _step_numbers(config: ModelConfig, rows: int, length: int) -> int:
    """Numbers in the buffers of a step by hand, see `glassmill.train.fused`; names as there."""
    M, D, F, N, K, H = (
        rows * length,
        config.d_model,
        config.d_ff,
        config.num_heads,
        config.num_kv_heads,
        config.head_dim,
    )
    J, W = N + K, (N + 2 * K) * H
    blocks = -(-length // ATTENTION_BLOCK)
    scores = (
        rows
        * N
        * sum(
            min(ATTENTION_BLOCK, length - start) * min(start + ATTENTION_BLOCK, length)
            for start in (block * ATTENTION_BLOCK for block in range(blocks))
        )
    )
    layer = M * (2 * D + W + J + J * H + 2 * K * H + 2 * N * H + 4 * F) + scores + 2 * D * (W + 2 * F)
    shared = M * (5 * D + W + N * H + 4 * F) + scores + M * H * (2 * N + 2 * K + 3 * J)
    return config.num_layers * layer + shared
