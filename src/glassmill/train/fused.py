"""Forward and backward pass of the Transformer by hand, in float32 or bfloat16, on a CPU.

On two cores, only half of an autograd step of a small model is matrix multiplication; the rest is memory traffic: fresh
buffers for every result, norms in five passes, a causal kernel whose backward pass takes three times its forward. Here
every buffer is allocated once, gains of norms are folded into the weights behind them, queries, keys and values (and
gate and up) are one multiplication, weights are rounded once a batch, and what lies between two multiplications is one
kernel (`kernels`). Residuals, sums and gradients of weights are float32 whatever the type of the products. The plain
twin is `Transformer.forward` under autograd; tests hold the gradients of the two equal.

It reads the weights of a plain `Transformer` and calls none of its modules. Whatever it would miss is refused:
adapters, frozen weights, wrappers, hooks, other types and devices.

    B rows of a micro-batch, T positions, M = B T, D d_model, F d_ff, V vocabulary, W width of queries, keys and values
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glassmill import native
from glassmill.model.attention import documents_of
from glassmill.model.config import ModelConfig
from glassmill.model.layers import RMSNorm
from glassmill.model.loss import CHUNK_ROWS
from glassmill.model.transformer import Block, Transformer
from glassmill.train.fused_attention import AttentionScratch, FusedAttention
from glassmill.train.kernels import MOST_CHANNELS, Kernels

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
GLOBAL_HOOKS = tuple(f"_global{hooks}" for hooks in HOOKS)
PARAMETER_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def reason_against(model: nn.Module) -> str | None:
    """Why `FusedStep` can't compute the gradients of `model`; None if it can."""
    if not native.trains():
        return "the native core is missing"
    if type(model) is not Transformer:
        return f"the model is wrapped ({type(model).__name__})"
    for name, parameter in model.named_parameters():
        if parameter.device.type != "cpu":
            return f"the model is on {parameter.device}, not on the CPU"
        if parameter.dtype != torch.float32:
            return f"{name} is {str(parameter.dtype).removeprefix('torch.')}, not float32"
    if model.config.qkv_bias:
        return "its queries, keys and values have biases"
    if model.config.head_dim > MOST_CHANNELS:
        return f"its heads have more than {MOST_CHANNELS} channels"
    return _strange_module(model, _plain_model(model.config))


def _plain_model(config: ModelConfig) -> Transformer:
    with torch.device("meta"):
        return Transformer(config)


def _strange_module(model: Transformer, plain: Transformer) -> str | None:
    """What differs from a plain `Transformer`: another class, other or shared weights, a hook, a patched forward, a
    frozen weight."""
    modules, plain_modules = dict(model.named_modules()), dict(plain.named_modules())
    for name, module in modules.items():
        if type(plain_modules.get(name)) is not type(module):
            return f"{name} is a {type(module).__name__}, which it would ignore"
    weights, plain_weights = dict(model.named_parameters()), dict(plain.named_parameters())
    for name in sorted(weights.keys() ^ plain_weights.keys()):
        return f"{name} {'would be ignored' if name in weights else 'is missing or shared with another weight'}"
    for name, weight in weights.items():
        if weight.shape != plain_weights[name].shape:
            return f"{name} has shape {tuple(weight.shape)}, which is not that of the model's config"
    if any(getattr(torch.nn.modules.module, hooks) for hooks in GLOBAL_HOOKS):
        return "torch has hooks for all modules, which would never run"
    for name, module in modules.items():
        if any(getattr(module, hooks) for hooks in HOOKS) or "forward" in vars(module):
            return f"{name or 'the model'} has a hook, which would never run"
        for own, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad:
                return f"{f'{name}.{own}'.strip('.')} is frozen"
            if any(getattr(parameter, hooks, None) for hooks in PARAMETER_HOOKS):
                return f"{f'{name}.{own}'.strip('.')} has a hook, which would never run"
    missing = plain_modules.keys() - modules.keys()
    return f"the model has no {min(missing)}" if missing else None


class FusedStep:
    """Adds the gradients of micro-batches of one fixed shape to `parameter.grad`.

    Call `begin`, then `add` for every micro-batch of the batch.

    Args:
        dtype: Of products and of what is kept between them, float32 or bfloat16.
        document_end: The id at which attention starts anew; None: it sees the whole row.

    Raises:
        ValueError: it can't compute this model's gradients; `begin` raises it too, if the model was changed since.
    """

    def __init__(
        self,
        model: nn.Module,
        rows: int,
        length: int,
        dtype: torch.dtype = torch.float32,
        document_end: int | None = None,
    ) -> None:
        reason = reason_against(model)
        if reason is not None or not isinstance(model, Transformer):
            raise ValueError(f"the fused step cannot be used: {reason}")
        self.model, self.rows, self.length, self.dtype = model, rows, length, dtype
        self.document_end = document_end
        self.kernels = Kernels(dtype, torch.get_num_threads())
        config = model.config
        self.plain = _plain_model(config)
        M, D = rows * length, config.d_model
        self.x_MD, self.grad_MD, self.nats_M = torch.empty(M, D), torch.empty(M, D), torch.empty(M)
        self.low_MD, self.product_MD = self.empty(M, D), self.empty(M, D)
        self.final = _Normed(M, D, self)
        self.scratch = _Scratch(config, M, self)
        self.attention_scratch = AttentionScratch(config, rows, length, self.kernels)
        self.layers = [_FusedBlock(block, self) for block in model.model.layers]  # type: ignore[arg-type]
        self.head_VD, self.grad_head_VD = (self.empty(config.vocab_size, D) for _ in range(2))
        self.logits = self.empty(min(M, CHUNK_ROWS), config.vocab_size)

    def empty(self, *shape: int) -> Tensor:
        """A buffer of values between products."""
        return torch.empty(*shape, dtype=self.dtype)

    @torch.no_grad()
    def begin(self) -> None:
        """Fold and round the current weights, and clear older gradients."""
        reason = _strange_module(self.model, self.plain)
        if reason is not None:
            raise ValueError(f"the fused step cannot be used: {reason}")
        for parameter in self.model.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            else:
                parameter.grad.zero_()
        for layer in self.layers:
            layer.fold()
        self.kernels.fold(self.model.head_weight, self.model.model.norm.weight, self.head_VD)

    @torch.no_grad()
    def add(self, ids_BT: Tensor, targets_BT: Tensor, weights_BT: Tensor) -> float:
        """Weighted sum of nats of one micro-batch; its gradient is added."""
        ids_M, embedding = ids_BT.reshape(-1), self.model.model.embed_tokens.weight
        if self.document_end is not None:
            self.attention_scratch.separate(documents_of(ids_BT, self.document_end))
        torch.index_select(embedding, 0, ids_M, out=self.x_MD)
        behind = None
        for layer in self.layers:
            behind = layer.forward(self.x_MD, behind)
        self.final.forward(self.x_MD, behind, self.model.config.rms_norm_eps)
        self._head(targets_BT.reshape(-1), weights_BT.reshape(-1))
        self.grad_MD.zero_()
        self.final.backward(self.product_MD, self.grad_MD, self.low_MD)
        for layer in reversed(self.layers):
            layer.backward(self.grad_MD, self.low_MD)
        by_token = torch.ops.aten.embedding_dense_backward(self.grad_MD, ids_M, len(embedding), -1, False)
        _grad(embedding).add_(by_token)
        return float(self.nats_M.sum())

    def _head(self, targets_M: Tensor, weights_M: Tensor) -> None:
        """Nats, and the gradients of head, last norm and (in `product_MD`) its output; a chunk at a time."""
        norm, head = self.model.model.norm.weight, self.model.head_weight
        for start in range(0, len(targets_M), CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            hidden, logits = self.final.normed[rows], self.logits[: len(targets_M[rows])]
            torch.mm(hidden, self.head_VD.t(), out=logits)
            self.kernels.cross_entropy(logits, targets_M[rows], weights_M[rows], self.nats_M[rows])
            torch.mm(logits, self.head_VD, out=self.product_MD[rows])
            torch.mm(logits.t(), hidden, out=self.grad_head_VD)
            self.kernels.unfold(self.grad_head_VD, head, norm, _grad(head), _grad(norm))


class _Normed:
    """One RMSNorm without its gain, `normed = x / rms(x)`; both are kept for the backward pass."""

    def __init__(self, M: int, D: int, step: FusedStep) -> None:
        self.normed, self.inverse_M, self.kernels = step.empty(M, D), torch.empty(M), step.kernels

    def forward(self, x: Tensor, add: Tensor | None, eps: float) -> None:
        """Add what is still to be added to `x`, and normalise it."""
        self.kernels.norm(x, add, self.normed, self.inverse_M, eps)

    def backward(self, grad_normed: Tensor, grad_x: Tensor, low: Tensor) -> None:
        """Add to `grad_x`, whose rounded value is then `low`."""
        self.kernels.norm_back(grad_x, grad_normed, self.normed, self.inverse_M, low)


class _Scratch:
    """Buffers that no layer needs once it is done."""

    def __init__(self, config: ModelConfig, M: int, step: FusedStep) -> None:
        heads = config.num_heads * config.head_dim
        D, F, W = config.d_model, config.d_ff, heads + 2 * config.num_kv_heads * config.head_dim
        self.grad_mixed, self.grad_qkv = step.empty(M, heads), step.empty(M, W)
        self.grad_gate_up, self.grad_inner = step.empty(M, 2 * F), step.empty(M, F)
        self.grad_w_qkv, self.grad_w_gate_up = step.empty(W, D), step.empty(2 * F, D)
        self.grad_w_o, self.grad_w_down = step.empty(D, heads), step.empty(D, F)


class _FusedBlock:
    """One layer: its folded weights, and what it keeps for the backward pass."""

    def __init__(self, block: Block, step: FusedStep) -> None:
        self.block, self.step = block, step
        config, M, scratch = step.model.config, step.rows * step.length, step.scratch
        D, F = config.d_model, config.d_ff
        self.eps = config.rms_norm_eps
        self.attention = FusedAttention(block.self_attn, step.attention_scratch)
        self.norm1, self.norm2 = _Normed(M, D, step), _Normed(M, D, step)
        self.w_qkv, self.w_gate_up = (torch.empty_like(w) for w in (scratch.grad_w_qkv, scratch.grad_w_gate_up))
        self.w_o, self.w_down = torch.empty_like(scratch.grad_w_o), torch.empty_like(scratch.grad_w_down)
        self.gate_up, self.inner = step.empty(M, 2 * F), step.empty(M, F)

    def fold(self) -> None:
        """Put the gains of norms into the weights that follow them, and round."""
        for folded, weights, norm, _ in self._products():
            gain = None if norm is None else norm.weight
            parts = torch.split(folded, [len(weight) for weight in weights])
            for weight, part in zip(weights, parts, strict=True):
                self.step.kernels.fold(weight, gain, part)

    def forward(self, x_MD: Tensor, behind: Tensor | None) -> Tensor:
        """Add `behind` and this layer's first half to `x_MD`; its second half is returned, to be added by the next."""
        step = self.step
        self.norm1.forward(x_MD, behind, self.eps)
        torch.mm(self.norm1.normed, self.w_qkv.t(), out=self.attention.qkv)
        self.attention.forward()
        torch.mm(self.attention.mixed, self.w_o.t(), out=step.product_MD)
        self.norm2.forward(x_MD, step.product_MD, self.eps)
        torch.mm(self.norm2.normed, self.w_gate_up.t(), out=self.gate_up)
        step.kernels.swiglu(self.gate_up, self.inner)
        return torch.mm(self.inner, self.w_down.t(), out=step.product_MD)

    def backward(self, grad_MD: Tensor, low_MD: Tensor) -> None:
        """Turn the gradient of this layer's output, and its rounded value, into those of its input, in place."""
        step, scratch = self.step, self.step.scratch
        torch.mm(low_MD.t(), self.inner, out=scratch.grad_w_down)
        torch.mm(low_MD, self.w_down, out=scratch.grad_inner)
        step.kernels.swiglu_back(self.gate_up, scratch.grad_inner, scratch.grad_gate_up)
        torch.mm(scratch.grad_gate_up.t(), self.norm2.normed, out=scratch.grad_w_gate_up)
        torch.mm(scratch.grad_gate_up, self.w_gate_up, out=step.product_MD)
        self.norm2.backward(step.product_MD, grad_MD, low_MD)
        torch.mm(low_MD.t(), self.attention.mixed, out=scratch.grad_w_o)
        torch.mm(low_MD, self.w_o, out=scratch.grad_mixed)
        self.attention.backward(scratch.grad_mixed, scratch.grad_qkv)
        torch.mm(scratch.grad_qkv.t(), self.norm1.normed, out=scratch.grad_w_qkv)
        torch.mm(scratch.grad_qkv, self.w_qkv, out=step.product_MD)
        self.norm1.backward(step.product_MD, grad_MD, low_MD)
        self._unfold()

    def _unfold(self) -> None:
        """Add the gradients of weights and gains from those of their products."""
        for _, weights, norm, folded in self._products():
            gain, grad_gain = (None, None) if norm is None else (norm.weight, _grad(norm.weight))
            parts = torch.split(folded, [len(weight) for weight in weights])
            for weight, part in zip(weights, parts, strict=True):
                self.step.kernels.unfold(part, weight, gain, _grad(weight), grad_gain)

    def _products(self) -> list[tuple[Tensor, list[Tensor], RMSNorm | None, Tensor]]:
        """Each rounded matrix, the weights in it, the norm before it, and its gradient."""
        attention, mlp, block, scratch = self.block.self_attn, self.block.mlp, self.block, self.step.scratch
        qkv = [attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]
        gate_up = [mlp.gate_proj.weight, mlp.up_proj.weight]
        return [
            (self.w_qkv, qkv, block.input_layernorm, scratch.grad_w_qkv),
            (self.w_gate_up, gate_up, block.post_attention_layernorm, scratch.grad_w_gate_up),
            (self.w_o, [attention.o_proj.weight], None, scratch.grad_w_o),
            (self.w_down, [mlp.down_proj.weight], None, scratch.grad_w_down),
        ]


def _grad(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
