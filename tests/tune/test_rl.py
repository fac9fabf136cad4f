"""The verb `rl`: answers that are better than others to the same question become likelier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from glassmill.errors import UserError
from glassmill.infer.compose import Composer
from glassmill.infer.folder import load_folder
from glassmill.infer.generate import Model
from glassmill.infer.sampling import SamplingParams
from glassmill.infer.torch_decoder import TorchDecoder
from glassmill.model.config import ModelConfig
from glassmill.recipe import Recipe, RlSettings
from glassmill.run import kinds
from glassmill.run.folder import Identity, open_run
from glassmill.tokens.chat import render, render_with_mask
from glassmill.train.gradients import make_gradients
from glassmill.train.plan import set_up
from glassmill.tune import rl
from glassmill.tune.before import width_of_start
from glassmill.tune.groups import GroupPolicy
from glassmill.tune.rollouts import Drawing, decoder_of, draw
from glassmill.tune.tasks import task_of
from tests.tokens.builders import run_stage
from tests.train.builders import interrupt
from tests.tune.conftest import JOBS, NO_START, QUICK, write_rows
from tests.tune.test_policy import plain_loss

SETTINGS = RlSettings(steps=12, prompts=4, answers=6, max_tokens=12, reports=1, **QUICK)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the people of the town are, in two wordings."""
    rows = [
        {"prompt": question.format(name), "answer": f"A {job}.", "kind": "job"}
        for name, job in JOBS.items()
        for question in ("What is {}?", "Tell me the job of {}.")
    ]
    return write_rows(tmp_path_factory.mktemp("tasks") / "tasks.jsonl", rows)


def practise(tuned: Path, tasks: str, folder: Path, **changes: Any) -> list[kinds.Event]:
    return run_stage(rl, folder, SETTINGS.model_copy(update={"tasks": (tasks,), **changes}), base=tuned)


def stats(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "stats.json").read_text())
    return found


def artefacts(folder: Path) -> dict[str, bytes]:
    paths = [folder / "model" / "model.safetensors", *(folder / "rollouts").iterdir()]
    return {path.name: path.read_bytes() for path in paths}


def test_practice_makes_right_answers_likelier(tuned: Path, tasks: str, tmp_path: Path) -> None:
    events = practise(tuned, tasks, tmp_path / "rl", steps=40)
    rewards = [event.value for event in events if isinstance(event, kinds.Score) and event.name == "reward"]
    assert len(rewards) == 40
    assert sum(rewards[-8:]) / 8 > sum(rewards[:8]) / 8 + 0.15


def test_an_event_shows_a_group_with_rewards_and_advantages_and_a_file_all_of_them(
    tuned: Path, tasks: str, tmp_path: Path
) -> None:
    events = practise(tuned, tasks, tmp_path / "rl", steps=2)
    shown = [event for event in events if isinstance(event, kinds.Rollouts)]
    assert shown
    for event in shown:
        assert kinds.from_json(json.loads(json.dumps(kinds.to_json(event)))) == event
        assert len(event.texts) == len(event.rewards) == len(event.advantages) == 6
        assert sum(event.advantages) == pytest.approx(0, abs=1e-3)
        assert max(event.advantages) == event.advantages[event.rewards.index(max(event.rewards))]
    round_0 = json.loads((tmp_path / "rl" / "rollouts" / "round-00000.json").read_text())
    assert any(group["learned"] for group in round_0)
    for group in round_0:
        rewards = {answer["reward"] for answer in group["answers"]}
        assert (len(rewards) > 1) >= group["learned"]
        job = next(job for name, job in JOBS.items() if name in group["prompt"])
        assert all(one["reward"] == (one["text"].strip().rstrip(".") == f"A {job}") for one in group["answers"])


@pytest.mark.parametrize("updates", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_cut_off_practice_continues_to_the_same_bits(
    tuned: Path, tasks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, updates: int
) -> None:
    changes: dict[str, Any] = {"steps": 8, "updates": updates, "kl": 0.02}
    practise(tuned, tasks, tmp_path / "undisturbed", **changes)
    trainer = rl.fit.__globals__["Trainer"]
    step = trainer.step

    def failing(self: Any, number: int, *rest: Any) -> Any:
        if number == 5:  # in the middle of a round of three
            interrupt()
        return step(self, number, *rest)

    monkeypatch.setattr(trainer, "step", failing)
    with pytest.raises(KeyboardInterrupt):
        practise(tuned, tasks, tmp_path / "cut", checkpoint_seconds=0.0, **changes)
    monkeypatch.undo()
    practise(tuned, tasks, tmp_path / "cut", **changes)
    assert artefacts(tmp_path / "cut") == artefacts(tmp_path / "undisturbed")


def test_a_task_that_nobody_solves_is_shown_its_solution(tuned: Path, tmp_path: Path) -> None:
    parts = [
        {"type": "tool_call", "expression": "12+7"},
        {"type": "tool_result", "text": "19"},
        {"type": "text", "text": "19."},
    ]
    file = tmp_path / "tasks.jsonl"
    file.write_text(json.dumps({"prompt": "12 and 7?", "calculates": 19, "solution": parts}) + "\n")
    with_it, without = tmp_path / "with", tmp_path / "without"
    practise(tuned, str(file), with_it, steps=40, prompts=1, tries=1, show=True, max_tokens=24)
    practise(tuned, str(file), without, steps=1, prompts=1, tries=1, max_tokens=24)
    (group,) = json.loads((with_it / "rollouts" / "round-00000.json").read_text())
    assert group["shown"] and [answer["reward"] for answer in group["answers"]] == [0, 0, 0, 0, 0, 1]
    (group,) = json.loads((without / "rollouts" / "round-00000.json").read_text())
    assert not group["shown"] and not group["learned"]
    reply = Model.load(with_it).reply("12 and 7?")
    assert (reply.text, [use.expression for use in reply.parts if not isinstance(use, str)]) == ("19.", ["12+7"])


def test_the_calculators_tokens_are_not_the_models(tuned: Path) -> None:
    tokenizer = load_folder(tuned).tokenizer
    parts = [
        {"type": "text", "text": "So "},
        {"type": "tool_call", "expression": "12*7"},
        {"type": "tool_result", "text": "84"},
        {"type": "text", "text": "84."},
    ]
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": parts}]
    begin = len(render(tokenizer, messages[:1]))
    ids, mask = render_with_mask(tokenizer, messages)
    composer, own = Composer(tokenizer, SamplingParams(tools=True), len(ids)), list[bool]()
    for token in ids[begin:].tolist():
        assert not composer.forced or composer.forced.popleft() == token
        delta = composer.push(token)
        own += [not record.forced for record in delta.tokens] if delta else []
    assert own == list(map(bool, mask[begin:])) and not all(own)


def test_equal_weights_and_seeds_give_equal_answers_by_every_decoder(tuned: Path, tmp_path: Path) -> None:
    loaded = load_folder(tuned)
    prompts = [[int(token) for token in render(loaded.tokenizer, [{"role": "user", "content": f"What is {name}?"}])]
               for name in (*JOBS, *JOBS)]  # fmt: skip
    how = Drawing(12)
    with decoder_of(loaded.model, tmp_path, 1) as decoder:
        first = draw(decoder, loaded.tokenizer, prompts, range(8), how)
        alone = [draw(decoder, loaded.tokenizer, [prompt], [seed], how)[0] for seed, prompt in enumerate(prompts)]
    assert first == alone
    assert first == draw(TorchDecoder(loaded.model, 4), loaded.tokenizer, prompts, range(8), how)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("way", ["fused", "autograd"])
def test_a_step_has_the_gradient_of_the_plain_loss(tuned: Path, tmp_path: Path, way: Any) -> None:
    loaded, old = load_folder(tuned), load_folder(tuned)
    drift = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in loaded.model.parameters():
            weight += 0.03 * weight.std() * torch.randn(weight.shape, generator=drift)
    asked = [task_of({"prompt": f"What is {name}?", "answer": f"A {job}."}) for name, job in JOBS.items()]
    prompts = [[int(token) for token in render(loaded.tokenizer, task.messages)] for task in asked]
    settings = SETTINGS.model_copy(update={"kl": 0.1, "updates": 2, "seed": 3, "temperature": 1.5})
    setup = set_up(settings, loaded.config.d_model)._replace(step=way)
    length = max(map(len, prompts)) + settings.max_tokens
    with open_run(tmp_path / "run", Identity("rl", 1, {}, {}), Recipe()) as run:
        policy = GroupPolicy(
            run, loaded.tokenizer, asked, prompts, settings, length, reference=load_folder(tuned).model
        )
        policy.attach(old.model, setup)
        policy.batch(0)  # draws the round from the old weights
        policy.attach(loaded.model, setup)
        batch = policy.batch(1)
    gradients = make_gradients(loaded.model, len(batch.ids), length, 4096, setup.device.torch_dtype, way)
    gradients(batch)
    found = {name: weight.grad.clone() for name, weight in loaded.model.named_parameters() if weight.grad is not None}

    rows = [(group, one) for group in policy.groups for one in range(6)][1::2]
    own = torch.zeros(batch.ids.shape)
    for place, (group, one) in enumerate(rows):
        begin = len(prompts[group.task]) - 1
        own[place, begin : begin + len(group.answers[one].ids)] = torch.tensor(group.answers[one].chosen).float()
    loaded.model.zero_grad(set_to_none=True)
    now, before, reference = (
        torch.log_softmax(model(batch.ids), -1).gather(2, batch.targets[..., None])[..., 0]
        for model in (loaded.model, old.model, load_folder(tuned).model)
    )
    better = torch.tensor([group.advantages[one] for group, one in rows])
    clip = (settings.clip_low, settings.clip_high)
    loss = plain_loss(now, before.detach(), better, own, reference.detach(), 0.1, clip)
    loss.backward()  # type: ignore[no-untyped-call]
    assert policy.loss == pytest.approx(float(loss.detach()), abs=1e-4)
    for name, weight in loaded.model.named_parameters():
        assert weight.grad is not None
        scale = float(weight.grad.abs().max())
        torch.testing.assert_close(found[name], weight.grad, rtol=0.02, atol=0.01 * scale + 1e-7, msg=name)


def test_the_windows_of_pages_count_beside_the_answers(
    town: tuple[Path, Path], tuned: Path, tasks: str, tmp_path: Path
) -> None:
    settings = SETTINGS.model_copy(update={"tasks": (tasks,), "pages": 0.5, "steps": 2})
    run_stage(rl, tmp_path / "rl", settings, base=tuned, tokens=town[0])
    practise(tuned, tasks, tmp_path / "without", steps=2)
    one, other = (load_folder(tmp_path / name).model.state_dict() for name in ("rl", "without"))
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_adapters_practise_too(tuned: Path, tasks: str, tmp_path: Path) -> None:
    lora = SETTINGS.lora.model_copy(update={"rank": 2})
    practise(tuned, tasks, tmp_path / "rl", steps=3, lora=lora)
    assert (tmp_path / "rl" / "adapter" / "adapter_model.safetensors").exists()


def test_what_is_missing_is_told_with_what_to_do(tuned: Path, tasks: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"^rl {NO_START} rl\.base to a model folder$"):
        run_stage(rl, tmp_path / "a", SETTINGS)
    with pytest.raises(UserError, match=r"^rl has no tasks; set rl\.tasks"):
        run_stage(rl, tmp_path / "b", SETTINGS, base=tuned)
    with pytest.raises(UserError, match=r"no task that leaves room for 60 tokens .* lower rl\.max_tokens$"):
        practise(tuned, tasks, tmp_path / "c", max_tokens=60)
    with pytest.raises(UserError, match=r"rl\.dropout = 0\.1: .* set it to 0$"):
        practise(tuned, tasks, tmp_path / "d", dropout=0.1)


def test_the_width_is_that_of_the_last_base_before_the_stage(tmp_path: Path) -> None:
    for width in (96, 192):
        (tmp_path / f"{width}").mkdir()
        (tmp_path / f"{width}/config.json").write_text(json.dumps(ModelConfig(512, width, 1, 1, 1, 64, 64, 64).to_hf()))
    narrow, wide = ({"base": str(tmp_path / name)} for name in ("96", "192"))
    recipe = Recipe(stages=("sft", "dpo", "rl"), model={"d_model": 64}, sft=narrow, dpo=wide)  # type: ignore[arg-type]
    assert [width_of_start(recipe, stage) for stage in ("sft", "dpo", "rl")] == [96, 192, 192]
    assert width_of_start(recipe.model_copy(update={"stages": ("sft", "rl")}), "rl") == 96
    assert width_of_start(recipe.model_copy(update={"stages": ("rl",)}), "rl") == 64
