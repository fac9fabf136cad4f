"""The verb `sft`: a base model and conversations -> an assistant.

Only what the assistant says is learned. A share of every batch is still pages, so that the model doesn't forget what
they taught it while it learns how to answer. The loop, its checkpoints and its promises are those of `train`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from glassmill.errors import UserError
from glassmill.infer.find import find_model_folder
from glassmill.infer.folder import LoadedModel, load_folder, save_folder
from glassmill.infer.torch_decoder import TorchDecoder
from glassmill.model.sizes import num_parameters
from glassmill.model.transformer import Transformer
from glassmill.recipe import Recipe, SftSettings
from glassmill.run import kinds
from glassmill.run.device import Facts
from glassmill.run.folder import RunFolder
from glassmill.run.inputs import expand
from glassmill.tokens.chat import Message, render, render_with_mask
from glassmill.tokens.shards import Shards
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.train.batches import WindowBatches, permuted
from glassmill.train.loop import fit
from glassmill.train.plan import set_up
from glassmill.train.samples import continue_greedily
from glassmill.tune.packing import MixedBatches, PackedConversations, Rendered

VERSION = 2
SAMPLES = 3
HELD_OUT_ROWS = 64

Conversation = list[Message]


def resolved(recipe: Recipe) -> Facts:
    """What this machine decides and what changes the model's bytes, for the run's identity.

    Raises:
        UserError: `sft.base` names no model folder, or its config.json is damaged.
    """
    if recipe.sft.base is None:
        return set_up(recipe.sft, recipe.model.d_model).facts()
    path = find_model_folder(recipe.sft.base) / "config.json"
    try:
        d_model = int(json.loads(path.read_text(encoding="utf-8"))["hidden_size"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{path} is not valid JSON with a hidden_size") from None
    return set_up(recipe.sft, d_model).facts()


def make(
    run: RunFolder,
    settings: SftSettings,
    seed: int,
    base: Path | None = None,
    web: Path | None = None,
    tokens: Path | None = None,
) -> None:
    """Train the base model on conversations, and publish the assistant.

    Raises:
        UserError: no base model, no conversations, a line that is not a conversation, no length, both steps and
            epochs, or the run was started with another device, number of threads or torch.
    """
    folder = _base_folder(settings, base)
    start = load_folder(folder, "cpu", torch.float32)
    setup = set_up(settings, start.config.d_model)
    conversations = list(_read(settings, web))
    learned, held_out = _split([messages for messages, _ in conversations], settings.held_out, seed)
    length = min(settings.length, start.config.context_length)
    pad = start.tokenizer.eos_id
    packed = PackedConversations(_rendered(start.tokenizer, learned), length, pad, seed)
    rows = max(1, settings.batch_tokens // length)
    batches = MixedBatches(packed, _pages(start, tokens, rows, length, seed, settings.pages), rows, settings.pages)
    settings = _with_steps(settings, packed, batches)

    def fresh_model() -> Transformer:
        loaded = load_folder(folder, setup.device.torch_device, torch.float32)
        if loaded.meta.get("stage") == "train":
            start_markers_as_line_ends(loaded.model, loaded.tokenizer)
        return loaded.model

    reporter = _Reporter(run, start.tokenizer, held_out, length, seed)
    model, plan = fit(run, fresh_model, batches, settings, setup, reporter.report)
    epochs = plan.steps * batches.conversation_rows / packed.rows_per_epoch
    tokens_seen = plan.steps * rows * length
    provenance = {"run": run.path.name, "stage": "sft", "steps": plan.steps, "tokens_seen": tokens_seen, "seed": seed}
    save_folder(run.path / "model", model, start.tokenizer, provenance | {"base": start.meta})
    stats = {"parameters": num_parameters(start.config), "steps": plan.steps, "tokens_seen": tokens_seen}
    run.finish(stats | {"epochs": round(epochs, 2), "held_out_loss": reporter.loss, "conversations": len(learned)})


@torch.no_grad()
def start_markers_as_line_ends(model: Transformer, tokenizer: Tokenizer) -> None:
    """Start the control tokens, which a base model never saw, with the vector of a line end.

    Pretraining only pushed them away. As line ends they make a conversation look like a page of questions and answers.
    """
    (line_end,) = tokenizer.encode("\n")
    markers = [id for id in tokenizer.special.values() if id != tokenizer.eos_id]
    for weight in {model.model.embed_tokens.weight, model.head_weight}:
        weight[markers] = weight[int(line_end)].clone()


def _base_folder(settings: SftSettings, base: Path | None) -> Path:
    if settings.base is not None:
        return find_model_folder(settings.base)
    if base is None:
        raise UserError("sft has no base model; add the stage train to the recipe, or set sft.base to a model folder")
    return find_model_folder(base)


def _read(settings: SftSettings, web: Path | None) -> Iterator[tuple[Conversation, str]]:
    """Every conversation's messages, and its kind if the line names one."""
    files = expand(settings.conversations) if settings.conversations else [web / "conversations.jsonl"] if web else []
    if not files:
        raise UserError("sft has no conversations; set sft.conversations to JSONL files of {messages}")
    for path in files:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    value = json.loads(line)
                    yield list(value["messages"]), str(value.get("kind", ""))
                except (ValueError, KeyError, TypeError):
                    raise UserError(
                        f'{path}, line {number} is not a conversation: each line must be JSON with "messages"'
                    ) from None


def _split(conversations: list[Conversation], share: float, seed: int) -> tuple[list[Conversation], list[Conversation]]:
    """Conversations to learn from, and a random few to measure with."""
    if not conversations:
        raise UserError("there are no conversations in the files of sft.conversations")
    held_out = int(len(conversations) * share)
    shuffled = [conversations[permuted(i, len(conversations), seed, -1)] for i in range(len(conversations))]
    return shuffled[held_out:], shuffled[:held_out]


def _rendered(tokenizer: Tokenizer, conversations: Sequence[Conversation]) -> list[Rendered]:
    return [Rendered(*render_with_mask(tokenizer, messages)) for messages in conversations]


def _pages(
    start: LoadedModel, tokens: Path | None, rows: int, length: int, seed: int, share: float
) -> WindowBatches | None:
    """Windows of the tokens run, if there is one.

    Raises:
        UserError: it was made with another vocabulary than the model's.
    """
    if tokens is None or share == 0:
        return None
    shards = Shards(tokens, "train")
    if shards.vocab_size != start.config.vocab_size:
        raise UserError(
            f"{tokens} has a vocabulary of {shards.vocab_size}, the model one of {start.config.vocab_size}; "
            "set sft.pages=0 to train on conversations alone"
        )
    return WindowBatches(shards, rows, length, seed + 1)


def _with_steps(settings: SftSettings, packed: PackedConversations, batches: MixedBatches) -> SftSettings:
    """`epochs` as steps."""
    if settings.epochs is None:
        return settings
    if settings.steps is not None:
        raise UserError("sft.epochs and sft.steps both set the length; give one of them")
    steps = math.ceil(settings.epochs * packed.rows_per_epoch / batches.conversation_rows)
    return settings.model_copy(update={"steps": max(1, steps)})


class _Reporter:
    """Loss on held-out conversations, and the answers to a few of their questions."""

    def __init__(
        self, run: RunFolder, tokenizer: Tokenizer, held_out: list[Conversation], length: int, seed: int
    ) -> None:
        self.run, self.tokenizer, self.loss = run, tokenizer, float("nan")
        self.questions = [messages[:1] for messages in held_out[:SAMPLES]]
        self.packed = None
        if held_out:
            self.packed = PackedConversations(_rendered(tokenizer, held_out), length, tokenizer.eos_id, seed)

    def report(self, model: Transformer, step: int) -> None:
        """Emit the loss (nats per token) and the samples."""
        if self.packed is None:
            return
        self.loss = round(held_out_loss(model, self.packed), 5)
        self.run.emit(kinds.Score("held_out_loss", self.loss, step))
        stop = self.tokenizer.special.get("<|im_end|>", self.tokenizer.eos_id)
        decoder = TorchDecoder(model)
        for messages in self.questions:
            written = continue_greedily(decoder, [int(i) for i in render(self.tokenizer, messages)], 48, stop)
            self.run.emit(kinds.Sample(step, messages[0]["content"], self.tokenizer.decode(written)))


@torch.inference_mode()
def held_out_loss(model: Transformer, packed: PackedConversations) -> float:
    """Mean nats per token of the assistant, over at most `HELD_OUT_ROWS` rows."""
    nats, learned = 0.0, 0
    for row in range(min(packed.rows_per_epoch, HELD_OUT_ROWS)):
        ids, targets, mask = (part.to(model.head_weight.device) for part in packed.row(row))
        nats += float((model(ids[None], targets[None])[0] * mask).sum())
        learned += int(mask.sum())
    return nats / max(1, learned)
