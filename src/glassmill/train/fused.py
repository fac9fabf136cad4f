"""Forward and backward pass of the Transformer by hand, for float32 on a CPU.

On two cores, only half of an autograd step of a small model is matrix multiplication; the rest is memory traffic: fresh
buffers for every result, norms in five passes, a causal kernel whose backward pass takes three times its forward. Here
every buffer is allocated once, gains of norms are folded into the weights behind them, queries, keys and values (and
gate and up) are one multiplication, residuals are added by the multiplication that computes them, and what the backward
pass needs is kept. The plain twin is `Transformer.forward` under autograd; tests hold the gradients of the two equal.

It reads the weights of a plain `Transformer` and calls none of its modules. Whatever it would miss is refused:
adapters, frozen weights, wrappers, hooks, other types and devices.

    B rows of a micro-batch, T positions, M = B T, D d_model, F d_ff, V vocabulary, W width of queries, keys and values
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glassmill.model.config import ModelConfig
from glassmill.model.loss import accumulate_loss
from glassmill.model.transformer import Block, Transformer
from glassmill.train.fused_attention import AttentionScratch, FusedAttention

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
GLOBAL_HOOKS = tuple(f"_global{hooks}" for hooks in HOOKS)
PARAMETER_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def reason_against(model: nn.Module, dtype: torch.dtype = torch.float32) -> str | None:
    """Why `FusedStep` can't compute the gradients of `model` with products in `dtype`; None if it can."""
    if dtype != torch.float32:
        return f"it computes in float32, not {str(dtype).removeprefix('torch.')}"
    if type(model) is not Transformer:
        return f"the model is wrapped ({type(model).__name__})"
    for name, parameter in model.named_parameters():
        if parameter.device.type != "cpu":
            return f"the model is on {parameter.device}, not on the CPU"
        if parameter.dtype != torch.float32:
            return f"{name} is {str(parameter.dtype).removeprefix('torch.')}, not float32"
    if model.config.qkv_bias:
        return "its queries, keys and values have biases"
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

    Call `begin`, then `add` for every micro-batch of the batch, then `finish`.

    Raises:
        ValueError: it can't compute this model's gradients; `begin` raises it too, if the model was changed since.
    """

    def __init__(self, model: nn.Module, rows: int, length: int) -> None:
        reason = reason_against(model)
        if reason is not None or not isinstance(model, Transformer):
            raise ValueError(f"the fused step cannot be used: {reason}")
        self.model, self.rows, self.length = model, rows, length
        config = model.config
        self.plain = _plain_model(config)
        M, D = rows * length, config.d_model
        self.x_MD, self.grad_MD, self.grad_normed_MD, self.product_MD = (torch.empty(M, D) for _ in range(4))
        self.final = _Normed(M, D)
        self.scratch = _Scratch(config, M)
        self.attention_scratch = AttentionScratch(config, rows, length)
        self.layers = [_FusedBlock(block, self) for block in model.model.layers]  # type: ignore[arg-type]
        self.head_VD, self.grad_head_VD = torch.empty(config.vocab_size, D), torch.empty(config.vocab_size, D)

    @torch.no_grad()
    def begin(self) -> None:
        """Fold the current weights and clear older gradients."""
        reason = _strange_module(self.model, self.plain)
        if reason is not None:
            raise ValueError(f"the fused step cannot be used: {reason}")
        for parameter in self.model.parameters():
            if parameter.grad is None:
                parameter.grad = torch.empty_like(parameter)
        for layer in self.layers:
            layer.fold()
        torch.mul(self.model.head_weight, self.model.model.norm.weight, out=self.head_VD)
        self.grad_head_VD.zero_()
        _grad(self.model.model.embed_tokens.weight).zero_()

    @torch.no_grad()
    def add(self, ids_BT: Tensor, targets_BT: Tensor, weights_BT: Tensor) -> float:
        """Weighted sum of nats of one micro-batch; its gradient is added."""
        ids_M, x = ids_BT.reshape(-1), self.x_MD
        torch.index_select(self.model.model.embed_tokens.weight, 0, ids_M, out=x)
        for layer in self.layers:
            layer.forward(x)
        self.final.forward(x, self.model.config.rms_norm_eps)
        nats = accumulate_loss(
            self.final.normed,
            self.head_VD,
            targets_BT.reshape(-1),
            weights_BT.reshape(-1),
            self.grad_normed_MD,
            self.grad_head_VD,
        )
        self.grad_MD.zero_()
        self.final.backward(self.grad_normed_MD, self.product_MD, self.grad_MD)
        for layer in reversed(self.layers):
            layer.backward(self.grad_MD)
        embedding = self.model.model.embed_tokens.weight
        by_token = torch.ops.aten.embedding_dense_backward(self.grad_MD, ids_M, len(embedding), -1, False)
        _grad(embedding).add_(by_token)
        return nats.item()

    @torch.no_grad()
    def finish(self) -> None:
        """Unfold the gradients into those of the parameters."""
        for layer in self.layers:
            layer.unfold()
        norm, head = self.model.model.norm, self.model.head_weight
        torch.sum(self.grad_head_VD * head, dim=0, out=_grad(norm.weight))
        self.grad_head_VD.mul_(norm.weight)
        if self.model.lm_head is None:
            _grad(head).add_(self.grad_head_VD)
        else:
            _grad(head).copy_(self.grad_head_VD)


class _Normed:
    """One RMSNorm without its gain, `normed = x / rms(x)`; both are kept for the backward pass."""

    def __init__(self, M: int, D: int) -> None:
        self.normed, self.inverse_M1 = torch.empty(M, D), torch.empty(M, 1)
        self.mean_D1 = torch.full((D, 1), 1.0 / D)

    def forward(self, x: Tensor, eps: float) -> None:
        inverse = self.inverse_M1
        torch.linalg.vector_norm(x, dim=-1, keepdim=True, out=inverse)
        inverse.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        torch.mul(x, inverse, out=self.normed)

    def backward(self, grad_normed: Tensor, product: Tensor, grad_x: Tensor) -> None:
        """Add `(grad - normed mean(grad normed)) / rms` to `grad_x`; overwrites `grad_normed` and `product`."""
        torch.mul(grad_normed, self.normed, out=product)
        along_M1 = product @ self.mean_D1
        grad_normed.addcmul_(self.normed, along_M1, value=-1.0)
        grad_x.addcmul_(grad_normed, self.inverse_M1)


class _Scratch:
    """Buffers that no layer needs once it is done."""

    def __init__(self, config: ModelConfig, M: int) -> None:
        heads = config.num_heads * config.head_dim
        self.grad_mixed = torch.empty(M, heads)
        self.grad_qkv = torch.empty(M, heads + 2 * config.num_kv_heads * config.head_dim)
        self.grad_gate_up, self.grad_inner = torch.empty(M, 2 * config.d_ff), torch.empty(M, config.d_ff)
        self.grad_act = torch.empty(M, config.d_ff)


class _FusedBlock:
    """One layer: its folded weights, what it keeps for the backward pass, and its folded gradients."""

    def __init__(self, block: Block, step: FusedStep) -> None:
        self.block, self.step = block, step
        config, M = step.model.config, step.rows * step.length
        D, F, W = config.d_model, config.d_ff, step.scratch.grad_qkv.shape[1]
        self.eps = config.rms_norm_eps
        self.attention = FusedAttention(block.self_attn, step.attention_scratch)
        self.norm1, self.norm2 = _Normed(M, D), _Normed(M, D)
        self.w_qkv, self.grad_w_qkv = torch.empty(W, D), torch.empty(W, D)
        self.w_gate_up, self.grad_w_gate_up = torch.empty(2 * F, D), torch.empty(2 * F, D)
        self.gate_up, self.act, self.inner = torch.empty(M, 2 * F), torch.empty(M, F), torch.empty(M, F)

    def fold(self) -> None:
        """Put the gains of norms into the weights that follow them."""
        attention, mlp = self.block.self_attn, self.block.mlp
        torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight], out=self.w_qkv)
        self.w_qkv.mul_(self.block.input_layernorm.weight)
        torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight], out=self.w_gate_up)
        self.w_gate_up.mul_(self.block.post_attention_layernorm.weight)
        self.grad_w_qkv.zero_()
        self.grad_w_gate_up.zero_()
        for weight in (attention.o_proj.weight, mlp.down_proj.weight):
            _grad(weight).zero_()
        self.attention.fold()

    def unfold(self) -> None:
        """Gradients of weights and gains from those of their products."""
        attention, mlp, block = self.block.self_attn, self.block.mlp, self.block
        pairs = (
            (self.grad_w_qkv, block.input_layernorm, (attention.q_proj, attention.k_proj, attention.v_proj)),
            (self.grad_w_gate_up, block.post_attention_layernorm, (mlp.gate_proj, mlp.up_proj)),
        )
        for folded, norm, projections in pairs:
            weight = torch.cat([projection.weight for projection in projections])
            torch.sum(folded * weight, dim=0, out=_grad(norm.weight))
            torch.mul(folded, norm.weight, out=weight)
            for projection, gradient in zip(
                projections, torch.split(weight, [p.out_features for p in projections]), strict=True
            ):
                _grad(projection.weight).copy_(gradient)
        self.attention.unfold()

    def forward(self, x_MD: Tensor) -> None:
        """Read `x_MD`, add this layer's two halves to it in place."""
        self.norm1.forward(x_MD, self.eps)
        torch.mm(self.norm1.normed, self.w_qkv.t(), out=self.attention.qkv)
        self.attention.forward()
        x_MD.addmm_(self.attention.mixed, self.block.self_attn.o_proj.weight.t())
        self.norm2.forward(x_MD, self.eps)
        torch.mm(self.norm2.normed, self.w_gate_up.t(), out=self.gate_up)
        gate, up = self.gate_up.chunk(2, dim=1)
        torch.ops.aten.silu.out(gate, out=self.act)
        torch.mul(self.act, up, out=self.inner)
        x_MD.addmm_(self.inner, self.block.mlp.down_proj.weight.t())

    def backward(self, grad_MD: Tensor) -> None:
        """Turn the gradient of this layer's output into that of its input, in place, and add those of its weights."""
        step, scratch, mlp = self.step, self.step.scratch, self.block.mlp
        _grad(mlp.down_proj.weight).addmm_(grad_MD.t(), self.inner)
        torch.mm(grad_MD, mlp.down_proj.weight, out=scratch.grad_inner)
        gate, up = self.gate_up.chunk(2, dim=1)
        grad_gate, grad_up = scratch.grad_gate_up.chunk(2, dim=1)
        torch.mul(scratch.grad_inner, self.act, out=grad_up)
        torch.mul(scratch.grad_inner, up, out=scratch.grad_act)
        torch.ops.aten.silu_backward.grad_input(scratch.grad_act, gate, grad_input=grad_gate)
        self.grad_w_gate_up.addmm_(scratch.grad_gate_up.t(), self.norm2.normed)
        torch.mm(scratch.grad_gate_up, self.w_gate_up, out=step.grad_normed_MD)
        self.norm2.backward(step.grad_normed_MD, step.product_MD, grad_MD)
        output = self.block.self_attn.o_proj.weight
        _grad(output).addmm_(grad_MD.t(), self.attention.mixed)
        torch.mm(grad_MD, output, out=scratch.grad_mixed)
        self.attention.backward(scratch.grad_mixed, scratch.grad_qkv)
        self.grad_w_qkv.addmm_(scratch.grad_qkv.t(), self.norm1.normed)
        torch.mm(scratch.grad_qkv, self.w_qkv, out=step.grad_normed_MD)
        self.norm1.backward(step.grad_normed_MD, step.product_MD, grad_MD)


def _grad(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
