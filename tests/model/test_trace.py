"""What the trace shows is what the model computes: its parts add up to the logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glassmill.model.attribution import attribute
from glassmill.model.lora import add_lora
from glassmill.model.trace import Trace, trace
from glassmill.model.transformer import Transformer
from tests.model.test_transformer import SHAPES, random_model

IDS = torch.randint(0, 97, (24,), generator=torch.Generator().manual_seed(3)).tolist()


def logits_of(model: Transformer) -> np.ndarray:
    with torch.no_grad():
        return model(torch.tensor([IDS]))[0].numpy()  # type: ignore[no-any-return]


def head_of(model: Transformer, x_TD: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model.logits(model.model.norm(torch.from_numpy(x_TD))).numpy()  # type: ignore[no-any-return]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_logits_are_those_of_the_fused_attention_and_the_sum_of_the_parts(shape: str) -> None:
    model = random_model(SHAPES[shape])
    found = trace(model, IDS)
    np.testing.assert_allclose(found.logits_TV, logits_of(model), atol=1e-4)
    parts = found.residual_RTD[0] + found.attention_out_LTD.sum(axis=0) + found.feed_forward_out_LTD.sum(axis=0)
    np.testing.assert_allclose(parts, found.residual_RTD[-1], atol=1e-4)
    np.testing.assert_allclose(head_of(model, parts), logits_of(model), atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_query_shares_its_attention_out_among_itself_and_what_is_before_it(shape: str) -> None:
    config = SHAPES[shape]
    weights_LNTS = trace(random_model(config), IDS).attention_LNTS
    assert weights_LNTS.shape == (config.num_layers, config.num_heads, 24, 24)
    np.testing.assert_allclose(weights_LNTS.sum(axis=-1), 1, atol=1e-5)
    assert (weights_LNTS >= 0).all() and not np.triu(weights_LNTS, 1).any()


def test_the_lens_after_the_last_layer_is_the_model_and_norms_are_lengths() -> None:
    model = random_model(SHAPES["qwen3"])
    found = trace(model, IDS, lens_top=3)
    assert found.lens_ids_RTK.shape == found.lens_logprobs_RTK.shape == (4, 24, 3)
    assert np.array_equal(found.lens_ids_RTK[-1, :, 0], found.logits_TV.argmax(axis=-1))
    probabilities = torch.from_numpy(found.logits_TV).softmax(dim=-1)
    expected = probabilities.gather(1, torch.from_numpy(found.lens_ids_RTK[-1])).log()
    np.testing.assert_allclose(found.lens_logprobs_RTK[-1], expected.numpy(), atol=1e-4)
    np.testing.assert_allclose(found.norms_RT, np.linalg.norm(found.residual_RTD, axis=-1), rtol=1e-5)


def test_an_adapter_shows_in_the_trace() -> None:
    model = random_model(SHAPES["qwen3"])
    add_lora(model, rank=2, alpha=4)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("lora_B"):
                parameter.normal_(generator=torch.Generator().manual_seed(4))
    np.testing.assert_allclose(trace(model, IDS).logits_TV, logits_of(model), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("count", [0, 65])
def test_a_text_that_does_not_fit_the_context_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"^{count} tokens: must be between 1 and the context of 64$"):
        trace(random_model(SHAPES["qwen3"]), [1] * count)


def test_one_token_alone_looks_at_itself() -> None:
    found: Trace = trace(random_model(SHAPES["llama"]), [5])
    assert (found.attention_LNTS == 1).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("against", [None, 3])
@pytest.mark.parametrize("adapted", [False, True])
def test_what_heads_and_layers_add_to_a_logit_is_the_logit(shape: str, against: int | None, adapted: bool) -> None:
    model = random_model(SHAPES[shape])
    if adapted:
        add_lora(model, rank=2, alpha=4)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(std=0.2)
    logits_TV = logits_of(model)
    for position, token in ((0, 5), (11, 90), (23, None)):
        found = attribute(model, trace(model, IDS), position, token, against)
        told = int(logits_TV[position].argmax()) if token is None else token
        expected = logits_TV[position][told] - (
            logits_TV[position].mean() if against is None else logits_TV[position][3]
        )
        assert found.token == told and found.total == pytest.approx(float(expected), abs=1e-4)
        terms = found.embedding + found.heads_LN.sum() + found.feed_forward_L.sum()
        assert terms == pytest.approx(found.total, abs=1e-4 * (1 + float(np.abs(found.heads_LN).sum())))
        assert found.heads_LN.shape == (SHAPES[shape].num_layers, SHAPES[shape].num_heads)


def test_a_head_that_is_taken_out_takes_its_part_along() -> None:
    """Of the last layer's heads nothing else depends on, but for the norm and the feed-forward layer behind them."""
    model = random_model(SHAPES["qwen3"])
    config, last = model.config, model.model.layers[-1]
    with torch.no_grad():
        last.mlp.down_proj.weight.zero_()
    before = attribute(model, trace(model, IDS), 23, 5, 7)
    columns = slice(config.head_dim, 2 * config.head_dim)
    with torch.no_grad():
        last.self_attn.o_proj.weight[:, columns] = 0
    after = attribute(model, trace(model, IDS), 23, 5, 7)
    scale = after.heads_LN[0, 0] / before.heads_LN[0, 0]  # the norm's own change
    assert after.heads_LN[-1, 1] == 0
    assert after.total == pytest.approx(scale * (before.total - before.heads_LN[-1, 1]), rel=1e-3)
