"""The verb `sft`: a base model and conversations -> an assistant.

Only what the assistant says is learned; a share of every batch are still pages, so that what they taught is not
forgotten while the manner of answering is learned. The loop, its checkpoints and its promises are those of `train`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from glassmill.errors import UserError
from glassmill.infer.find import find_model_folder
from glassmill.infer.folder import LoadedModel, load_folder, save_folder
from glassmill.infer.torch_decoder import TorchDecoder
from glassmill.model.sizes import num_parameters
from glassmill.model.transformer import Transformer
from glassmill.recipe import SftSettings
from glassmill.run import kinds
from glassmill.run.folder import RunFolder
from glassmill.run.inputs import expand
from glassmill.tokens.chat import render, render_with_mask
from glassmill.tokens.shards import Shards
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.train.batches import WindowBatches, permuted
from glassmill.train.loop import fit
from glassmill.train.loss import sum_of_nats
from glassmill.train.samples import continue_greedily
from glassmill.tune.packing import MixedBatches, PackedConversations, Rendered

VERSION = 1
SAMPLES = 3
HELD_OUT_ROWS = 64


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
        UserError: no base model or no conversations, a line that is no conversation, or no length, or both steps
            and epochs.
    """
    folder = _base_folder(settings, base)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    start = load_folder(folder, device, torch.float32)
    conversations = list(_read(settings, web))
    learned, held_out = _split([messages for messages, _ in conversations], settings.held_out, seed)
    length = min(settings.length, start.config.context_length)
    pad = start.tokenizer.eos_id
    packed = PackedConversations(_rendered(start.tokenizer, learned), length, pad, seed)
    rows = max(1, settings.batch_tokens // length)
    batches = MixedBatches(packed, _pages(start, tokens, rows, length, seed, settings.pages), rows, settings.pages)
    settings = _with_steps(settings, packed, batches)

    def fresh_model() -> Transformer:
        loaded = load_folder(folder, device, torch.float32)
        if loaded.meta.get("stage") == "train":
            begin_markers_as_line_ends(loaded.model, loaded.tokenizer)
        return loaded.model

    reporter = _Reporter(run, start.tokenizer, held_out, length, seed)
    model, plan = fit(run, fresh_model, batches, settings, reporter.report)
    epochs = plan.steps * batches.conversation_rows / packed.rows_per_epoch
    tokens_seen = plan.steps * rows * length
    provenance = {"run": run.path.name, "stage": "sft", "steps": plan.steps, "tokens_seen": tokens_seen, "seed": seed}
    save_folder(run.path / "model", model, start.tokenizer, provenance | {"base": start.meta})
    stats = {"parameters": num_parameters(start.config), "steps": plan.steps, "tokens_seen": tokens_seen}
    run.finish(stats | {"epochs": round(epochs, 2), "held_out_loss": reporter.loss, "conversations": len(learned)})


@torch.no_grad()
def begin_markers_as_line_ends(model: Transformer, tokenizer: Tokenizer) -> None:
    """Give the control tokens, which a base model never saw, the vectors of a line end.

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


def _read(settings: SftSettings, web: Path | None) -> Iterator[tuple[list[dict[str, Any]], str]]:
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
                        f'{path}, line {number} is no conversation: each line must be JSON with "messages"'
                    ) from None


def _split(conversations: list[Any], share: float, seed: int) -> tuple[list[Any], list[Any]]:
    """Conversations to learn, and a random few that only measure."""
    if not conversations:
        raise UserError("there are no conversations in the files of sft.conversations")
    held_out = int(len(conversations) * share)
    shuffled = [conversations[permuted(i, len(conversations), seed, -1)] for i in range(len(conversations))]
    return shuffled[held_out:], shuffled[:held_out]


def _rendered(tokenizer: Tokenizer, conversations: list[Any]) -> list[Rendered]:
    return [Rendered(*render_with_mask(tokenizer, messages)) for messages in conversations]


def _pages(
    start: LoadedModel, tokens: Path | None, rows: int, length: int, seed: int, share: float
) -> WindowBatches | None:
    """Windows of the tokens run, if there is one and it was made with this model's vocabulary."""
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
        raise UserError("sft: epochs and steps say the same in two ways; give one of them")
    steps = math.ceil(settings.epochs * packed.rows_per_epoch / batches.conversation_rows)
    return settings.model_copy(update={"steps": max(1, steps)})


class _Reporter:
    """Loss on held-out conversations, and the answers to a few of their questions."""

    def __init__(self, run: RunFolder, tokenizer: Tokenizer, held_out: list[Any], length: int, seed: int) -> None:
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
        nats += sum_of_nats(model.hidden(ids[None])[0], model.head_weight, targets, mask)
        learned += int(mask.sum())
    return nats / max(1, learned)
