"""The verb: from a base model to one that answers, on the same loop as pretraining."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glassmill.errors import UserError
from glassmill.infer.folder import load_folder
from glassmill.infer.torch_decoder import TorchDecoder
from glassmill.recipe import SftSettings
from glassmill.run import kinds
from glassmill.tokens.chat import render
from glassmill.train import train
from glassmill.train.checkpoint import newest_checkpoint
from glassmill.train.samples import continue_greedily
from glassmill.tune import sft
from tests.tokens.builders import run_stage
from tests.train.builders import MODEL, TRAIN, write_tokens

JOBS = {"Ada": "miller", "Bruno": "baker", "Clara": "smith", "Doris": "weaver"}
SETTINGS = SftSettings(
    steps=60,
    batch_tokens=512,
    length=64,
    pages=0.25,
    peak_lr=0.02,
    embedding_lr=0.01,
    held_out=0.1,
    reports=3,
    threads=1,
)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A base model, its tokens, and a folder with conversations."""
    folder = tmp_path_factory.mktemp("town")
    tokens, tokenizer = write_tokens(folder)
    settings = TRAIN.model_copy(update={"steps": 80})
    model = MODEL.model_copy(update={"context_length": 64, "tie_embeddings": True})
    run_stage(train, folder / "base", settings, tokens=tokens, tokenizer=tokenizer, model_settings=model)
    web = folder / "web"
    web.mkdir()
    lines = []
    for name, job in JOBS.items():
        for question in (f"What is {name}?", f"Tell me the job of {name}.", f"{name}?"):
            messages = [{"role": "user", "content": question}, {"role": "assistant", "content": f"A {job}."}]
            lines.append(json.dumps({"messages": messages, "kind": "fact"}))
    (web / "conversations.jsonl").write_text("\n".join(lines) + "\n")
    return {"base": folder / "base", "web": web, "tokens": tokens}


def tune(town: dict[str, Path], folder: Path, **changes: Any) -> list[kinds.Event]:
    return run_stage(sft, folder, SETTINGS.model_copy(update=changes), **town)


def weights_hash(folder: Path) -> str:
    return hashlib.sha256((folder / "model" / "model.safetensors").read_bytes()).hexdigest()


def test_the_assistant_answers_what_it_was_taught(town: dict[str, Path], tmp_path: Path) -> None:
    events = tune(town, tmp_path / "sft", reports=20)  # the first after 3 steps: later ones are all near their end
    scores = [event.value for event in events if isinstance(event, kinds.Score)]
    assert len(scores) == 20 and scores[-1] < 0.25 * scores[0]
    loaded = load_folder(tmp_path / "sft")
    right = 0
    for name, job in JOBS.items():
        prompt = render(loaded.tokenizer, [{"role": "user", "content": f"What is {name}?"}])
        stop = loaded.tokenizer.special["<|im_end|>"]
        answer = continue_greedily(TorchDecoder(loaded.model), [int(i) for i in prompt], 12, [stop])
        right += loaded.tokenizer.decode(answer) == f"A {job}."
    assert right == len(JOBS)


def test_a_cut_off_sft_continues_to_the_same_bits(
    town: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tune(town, tmp_path / "undisturbed", steps=20)
    trainer = sft.fit.__globals__["Trainer"]
    step = trainer.step

    def failing(self: Any, number: int, *rest: Any) -> Any:
        if number == 12:
            raise RuntimeError("power cut")
        return step(self, number, *rest)

    monkeypatch.setattr(trainer, "step", failing)
    with pytest.raises(RuntimeError, match="power cut"):
        tune(town, tmp_path / "cut", steps=20, checkpoint_seconds=0.0)
    monkeypatch.undo()
    saved = newest_checkpoint(tmp_path / "cut" / "checkpoints")
    assert saved is not None and 8 <= saved.step <= 12  # written beside the training: the last may be missing
    tune(town, tmp_path / "cut", steps=20)
    assert weights_hash(tmp_path / "cut") == weights_hash(tmp_path / "undisturbed")


def test_the_assistant_that_did_best_on_held_out_talk_is_kept(town: dict[str, Path], tmp_path: Path) -> None:
    changes = {
        "steps": 24,
        "reports": 6,
        "keep_best": True,
        "pages": 0.0,
        "peak_lr": 0.05,
        "checkpoint_seconds": 3600.0,
    }
    events = tune(town, tmp_path / "sft", **changes, held_out=0.3)
    losses = [(event.value, event.step) for event in events if isinstance(event, kinds.Score) and event.step]
    assert losses[-1] == min(losses[:6]) and losses[-1][1] < 24
    assert load_folder(tmp_path / "sft").meta["kept_step"] == losses[-1][1]
    assert json.loads((tmp_path / "sft" / "stats.json").read_text())["held_out_loss"] == losses[-1][0]
    with pytest.raises(UserError, match=r"^sft.keep_best = true, but no conversations are held out .*sft.held_out$"):
        tune(town, tmp_path / "none", **changes, held_out=0.0)


def test_epochs_are_passes_over_the_conversations(town: dict[str, Path], tmp_path: Path) -> None:
    tune(town, tmp_path / "sft", steps=None, epochs=3.0, pages=0.0, batch_tokens=64)
    assert json.loads((tmp_path / "sft" / "stats.json").read_text())["epochs"] == pytest.approx(3.0, abs=0.5)


def test_an_imported_llama_learns_with_small_steps_of_adamw(town: dict[str, Path], tmp_path: Path) -> None:
    loaded = load_folder(town["base"])
    sft.start_markers_as_line_ends(loaded.model, loaded.tokenizer)
    before = {name: weight.clone() for name, weight in loaded.model.state_dict().items()}
    tune(town, tmp_path / "sft", steps=2, optimizer="adamw", peak_lr=1e-5, embedding_lr=1e-5)
    after = load_folder(tmp_path / "sft").model.state_dict()
    changes = [float((after[name] - weight).abs().max()) for name, weight in before.items()]
    assert 0 < max(changes) < 5e-5
    assert all(torch.isfinite(weight).all() for weight in after.values())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("not json", "line 13 is not valid JSON"),
        ('{"prompt": "x"}', "line 13 is not a conversation: it needs"),
    ],
)
def test_a_line_that_is_no_conversation_is_named(
    town: dict[str, Path], tmp_path: Path, line: str, message: str
) -> None:
    web = tmp_path / "web"
    web.mkdir()
    (web / "conversations.jsonl").write_text((town["web"] / "conversations.jsonl").read_text() + line + "\n")
    with pytest.raises(UserError, match=message):
        tune({**town, "web": web}, tmp_path / "sft")


def test_what_is_missing_is_told_with_what_to_do(town: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^sft has no model to start from; add the stage train .*sft\.base"):
        run_stage(sft, tmp_path / "a", SETTINGS, web=town["web"])
    with pytest.raises(UserError, match=r"no conversations; set sft\.conversations"):
        run_stage(sft, tmp_path / "b", SETTINGS, base=town["base"])
    with pytest.raises(UserError, match=r"sft\.epochs and sft\.steps both set the length"):
        tune(town, tmp_path / "c", epochs=1.0)


def test_what_the_base_model_never_saw_begins_as_a_line_end(town: dict[str, Path]) -> None:
    loaded = load_folder(town["base"])
    sft.start_markers_as_line_ends(loaded.model, loaded.tokenizer)
    (line_end,) = loaded.tokenizer.encode("\n")
    weight = loaded.model.head_weight
    for name in ("<|user|>", "<|assistant|>", "<|tool_call|>"):
        assert torch.equal(weight[loaded.tokenizer.special[name]], weight[int(line_end)])
    assert not torch.equal(weight[loaded.tokenizer.eos_id], weight[int(line_end)])


def notes(events: list[kinds.Event]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, kinds.Note | kinds.Warned))


def test_it_says_what_is_learned_by_which_rates_and_what_became_of_the_pages(
    town: dict[str, Path], tmp_path: Path
) -> None:
    events = tune(town, tmp_path / "sft", steps=4)
    text = notes(events)
    assert "11 conversations to learn from, 1 held out; the assistant's words are" in text
    assert "trained here: muon, sft.peak_lr = 0.02, sft.embedding_lr = 0.01, 512 tokens a step" in text
    assert "pages: " in text and "nats a token before" in text
    stats = json.loads((tmp_path / "sft" / "stats.json").read_text())
    assert stats["found"]["taught"] == 11 and stats["optimizer"] == "muon"
    assert stats["known_text_loss_before"] > 0 and stats["known_text_loss_after"] > 0


def test_an_import_that_forgets_is_warned_of(town: dict[str, Path], tmp_path: Path) -> None:
    imported = tmp_path / "imported"
    shutil.copytree(town["base"] / "model", imported)
    note = {"imported_from": "x.gguf", "integrity": None}
    (imported / "glassmill.json").write_text(json.dumps(note))
    given = {**town, "base": imported, "tokens": None}
    given.pop("tokens")
    gentle = run_stage(sft, tmp_path / "gentle", SETTINGS.model_copy(update=GENTLE), **given)
    assert "imported: adamw, sft.peak_lr = 0.0001, sft.embedding_lr = 0.0001" in notes(gentle)
    assert "general text: " in notes(gentle) and "forgot" not in notes(gentle)
    rough = {**GENTLE, "optimizer": "muon", "peak_lr": 0.3, "embedding_lr": 0.3, "steps": 20}
    assert "the model forgot some of what it knew" in notes(
        run_stage(sft, tmp_path / "rough", SETTINGS.model_copy(update=rough), **given)
    )


GENTLE = {"optimizer": "auto", "peak_lr": None, "embedding_lr": None, "steps": 3}


def test_few_conversations_are_not_repeated_within_a_batch(town: dict[str, Path], tmp_path: Path) -> None:
    tune(town, tmp_path / "sft", steps=2, pages=0.0, batch_tokens=4096)
    assert json.loads((tmp_path / "sft" / "stats.json").read_text())["tokens_seen"] < 2 * 1024


def test_without_held_out_conversations_there_is_a_warning_and_no_loss(town: dict[str, Path], tmp_path: Path) -> None:
    events = tune(town, tmp_path / "sft", steps=2, held_out=0.0)
    assert "no conversation is held out" in notes(events)
    assert json.loads((tmp_path / "sft" / "stats.json").read_text(), parse_constant=str)["held_out_loss"] is None


def test_pages_of_another_vocabulary_of_equal_size_are_refused(town: dict[str, Path], tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    shutil.copytree(town["tokens"], tokens)
    lengths = np.load(tokens / "token_bytes.npy")
    lengths[-40:] = np.roll(lengths[-40:], 1) + 1
    np.save(tokens / "token_bytes.npy", lengths)
    with pytest.raises(UserError, match=r"another vocabulary .* of equal size; set sft.pages=0"):
        tune({**town, "tokens": tokens}, tmp_path / "sft")


def test_a_rate_that_ruins_the_model_publishes_nothing(town: dict[str, Path], tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(UserError, match=r"sft stopped: .* step .*sft\.peak_lr = 1e\+30"):
            tune(town, tmp_path / "sft", optimizer="adamw", peak_lr=1e30, embedding_lr=1e30, steps=5)
        assert not (tmp_path / "sft" / "model").exists() and not (tmp_path / "sft" / "DONE").exists()
