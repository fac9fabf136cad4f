"""The verb `dpo`: of two answers to a question, the better one becomes likelier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from glassmill.errors import UserError
from glassmill.infer.folder import load_folder
from glassmill.infer.generate import Model
from glassmill.recipe import DpoSettings
from glassmill.run import kinds
from glassmill.tokens.chat import render_with_mask
from glassmill.train.gradients import make_gradients
from glassmill.train.plan import set_up
from glassmill.tune import dpo
from glassmill.tune.packing import Rendered
from glassmill.tune.preferences import Preferences, RenderedPair, answer_logprobs
from tests.tokens.builders import run_stage
from tests.train.builders import interrupt
from tests.tune.conftest import JOBS, NO_START, QUICK, write_rows

SETTINGS = DpoSettings(steps=30, batch_pairs=4, reports=2, **QUICK)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The bare job is better than the sentence."""
    rows = [{"prompt": f"What is {name}?", "chosen": job, "rejected": f"A {job}."} for name, job in JOBS.items()]
    return write_rows(tmp_path_factory.mktemp("pairs") / "pairs.jsonl", rows)


def prefer(tuned: Path, pairs: str, folder: Path, **changes: Any) -> list[kinds.Event]:
    return run_stage(dpo, folder, SETTINGS.model_copy(update={"pairs": (pairs,), **changes}), base=tuned)


def test_the_preferred_answer_is_the_one_that_is_given(tuned: Path, pairs: str, tmp_path: Path) -> None:
    prefer(tuned, pairs, tmp_path / "dpo", sft=1.0, steps=60)
    stats = json.loads((tmp_path / "dpo" / "stats.json").read_text())
    assert stats["learned_accuracy"] == 1.0 and stats["learned_margin"] > 0.5 and stats["learned_loss"] < 0.6
    before, after = (Model.load(folder) for folder in (tuned, tmp_path / "dpo"))
    asked = [[{"role": "user", "content": f"What is {name}?"}] for name in JOBS]
    assert all(text.startswith("A") for text in before.answer_all(asked))
    assert sum(text == job for text, job in zip(after.answer_all(asked), JOBS.values(), strict=True)) >= 3
    assert after.meta["stage"] == "dpo"


@pytest.mark.parametrize("sft", [0.0, 0.7])
@pytest.mark.parametrize("way", ["fused", "autograd"])
def test_a_step_has_the_gradient_of_the_plain_loss(tuned: Path, way: Any, sft: float) -> None:
    loaded, reference = load_folder(tuned), load_folder(tuned)
    drift = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in loaded.model.parameters():
            weight += 0.05 * weight.std() * torch.randn(weight.shape, generator=drift)
    setup = set_up(SETTINGS, loaded.config.d_model)._replace(step=way)
    rendered = [
        RenderedPair(
            *(
                Rendered(*render_with_mask(loaded.tokenizer, [{"role": "user", "content": f"What is {name}?"}, said]))
                for said in ({"role": "assistant", "content": text} for text in (job, f"A {job}, they say."))
            )
        )
        for name, job in JOBS.items()
    ]
    length, pad = max(len(side.ids) for pair in rendered for side in pair), loaded.tokenizer.eos_id
    told = answer_logprobs(reference.model, rendered, length, pad, setup, 64)
    preferences = Preferences(rendered, told, 3, length, pad, beta=0.4, sft=sft, seed=5, micro_batch_tokens=64)
    preferences.attach(loaded.model, setup)
    batch = preferences.batch(1)
    make_gradients(loaded.model, 6, length, 4096, setup.device.torch_dtype, way)(batch)
    found = {name: weight.grad.clone() for name, weight in loaded.model.named_parameters() if weight.grad is not None}

    loaded.model.zero_grad(set_to_none=True)
    losses = []
    for number in preferences.numbers(1):
        margin, nats = torch.zeros(()), torch.zeros(())
        for sign, side in zip((1, -1), rendered[number], strict=True):
            ids, mask = torch.from_numpy(side.ids.astype("int64")), torch.from_numpy(side.mask[1:])
            p, q = (
                torch.log_softmax(model(ids[None, :-1])[0], -1).gather(1, ids[1:, None])[:, 0][mask]
                for model in (loaded.model, reference.model)
            )
            margin = margin + sign * 0.4 * (p.sum() - q.detach().sum())
            nats = nats - p.mean() if sign > 0 else nats
        losses.append(-F.logsigmoid(margin) + sft * nats)
    loss = torch.stack(losses).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    assert preferences.loss == pytest.approx(float(loss.detach()), rel=1e-3)
    for name, weight in loaded.model.named_parameters():
        assert weight.grad is not None
        scale = float(weight.grad.abs().max())
        torch.testing.assert_close(found[name], weight.grad, rtol=0.02, atol=0.01 * scale + 1e-7, msg=name)


def test_a_cut_off_dpo_continues_to_the_same_bits(
    tuned: Path, pairs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefer(tuned, pairs, tmp_path / "undisturbed", steps=10)
    trainer = dpo.fit.__globals__["Trainer"]
    step = trainer.step

    def failing(self: Any, number: int, *rest: Any) -> Any:
        if number == 6:
            interrupt()
        return step(self, number, *rest)

    monkeypatch.setattr(trainer, "step", failing)
    with pytest.raises(KeyboardInterrupt):
        prefer(tuned, pairs, tmp_path / "cut", steps=10, checkpoint_seconds=0.0)
    monkeypatch.undo()
    prefer(tuned, pairs, tmp_path / "cut", steps=10)
    one, other = (tmp_path / name / "model" / "model.safetensors" for name in ("undisturbed", "cut"))
    assert one.read_bytes() == other.read_bytes()


def test_adapters_learn_preferences_and_held_out_pairs_are_measured(tuned: Path, pairs: str, tmp_path: Path) -> None:
    lora = SETTINGS.lora.model_copy(update={"rank": 2})
    events = prefer(tuned, pairs, tmp_path / "dpo", steps=None, epochs=2.0, batch_pairs=1, held_out=0.25, lora=lora)
    stats = json.loads((tmp_path / "dpo" / "stats.json").read_text())
    assert (stats["steps"], stats["pairs"], stats["held_out"]) == (6, 3, 1)
    scores = {event.name for event in events if isinstance(event, kinds.Score)}
    assert scores == {f"held_out_{name}" for name in ("loss", "accuracy", "margin", "chosen_nats")}
    assert (tmp_path / "dpo" / "adapter" / "adapter_model.safetensors").exists()


def test_pairs_that_are_too_long_are_left_out_and_told(tuned: Path, pairs: str, tmp_path: Path) -> None:
    long = tmp_path / "long.jsonl"
    long.write_text(json.dumps({"prompt": "What is Ada?", "chosen": "a " * 60, "rejected": "b"}) + "\n")
    events = run_stage(dpo, tmp_path / "dpo", SETTINGS.model_copy(update={"pairs": (pairs, str(long)), "steps": 1}),
                       base=tuned)  # fmt: skip
    told = [event.text for event in events if isinstance(event, kinds.Warned)]
    assert any(
        text.startswith("1 of 5 pairs are longer than 64 tokens") and "long.jsonl, line 1" in text for text in told
    )
    with pytest.raises(UserError, match=r"^dpo has nothing to learn: 1 of 1 pairs are longer than 64 tokens"):
        prefer(tuned, str(long), tmp_path / "none")


def test_what_is_missing_is_told_with_what_to_do(tuned: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"^dpo {NO_START} dpo\.base to a model folder$"):
        run_stage(dpo, tmp_path / "a", SETTINGS)
    with pytest.raises(UserError, match=r"^dpo has no pairs; set dpo\.pairs"):
        run_stage(dpo, tmp_path / "b", SETTINGS, base=tuned)
