"""The verb `sft`: a base model and conversations -> an assistant.

Only what the assistant says is learned. A share of every batch is still pages, so that the model doesn't forget what
they taught it while it learns how to answer. The loop, its checkpoints and its promises are those of `train`.

    shapes   one row of a data set -> a conversation     rates     optimizer and rates for where the model comes from
    reading  files -> conversations                      examples  conversations -> ids and what is learned of them
    before   mistakes found before anything starts       packing   examples -> rows and batches
    reports  what is measured on the way
"""

from __future__ import annotations

import math
from pathlib import Path

import torch

from glassmill.errors import UserError
from glassmill.infer.folder import load_folder
from glassmill.model.sizes import num_parameters
from glassmill.model.transformer import Transformer
from glassmill.recipe import SftSettings
from glassmill.run import kinds
from glassmill.run.folder import RunFolder
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.train.adapting import adapt
from glassmill.train.deadline import Deadline
from glassmill.train.known_text import KnownText
from glassmill.train.loop import fit
from glassmill.train.order import permuted
from glassmill.train.plan import set_up
from glassmill.train.rates import is_own, settled
from glassmill.tune.before import check_length, start_of
from glassmill.tune.examples import Counts, examples
from glassmill.tune.model import publish
from glassmill.tune.packing import MixedBatches, PackedConversations, pages_of
from glassmill.tune.reading import Placed, read_conversations
from glassmill.tune.reports import Reporter
from glassmill.tune.sft_facts import VERSION, resolved

__all__ = ["VERSION", "make", "resolved"]


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
        UserError: no base model, no conversations or none that teaches, a row that is not a conversation, no length,
            both steps and epochs, a run that was started with another type of products, or one that diverged.
    """
    deadline = Deadline(settings.minutes)
    settings = settings.model_copy(update={"seed": seed})
    start = start_of("sft", settings.base, base, run.path.parent.parent, "train")
    check_length(settings, start.config)
    settings = settled(settings, start.config, start.meta)
    assert settings.length is not None
    length, setup = settings.length, set_up(settings, start.config.d_model)
    run.emit(kinds.Note("reading the conversations"))
    learned, held_out = _split(list(read_conversations(_files(settings, web))), settings.held_out, seed)
    taught, counts = examples(start.tokenizer, learned, length)
    measured, _ = examples(start.tokenizer, held_out, length) if held_out else ([], None)
    packed = PackedConversations(taught, length, start.tokenizer.eos_id, seed)
    rows = max(1, settings.batch_tokens // length)
    pages = pages_of(start, tokens, rows, length, seed, "sft") if settings.pages else None
    if pages is None:
        rows = min(rows, packed.rows_per_epoch)  # no conversation twice in a batch
    batches = MixedBatches(packed, pages, rows, settings.pages)
    settings = _with_steps(settings, packed, batches)
    _tell(run, settings, counts, is_own(start.meta), rows * length, len(held_out))
    known = KnownText(run, "sft", start.tokenizer, pages, start.config.context_length, is_own(start.meta))

    def fresh_model() -> Transformer:
        loaded = load_folder(start.folder, setup.device.torch_device, torch.float32)
        if math.isnan(known.before):
            known.before = known.loss(loaded.model)
        if loaded.meta.get("stage") == "train" and "base" not in loaded.meta:
            start_markers_as_line_ends(loaded.model, loaded.tokenizer)
        adapt(loaded.model, settings.lora, seed)
        return loaded.model

    questions = [placed.conversation.messages[:1] for placed in held_out]
    if settings.keep_best and not measured:
        raise UserError("sft.keep_best = true, but no conversations are held out to choose by; raise sft.held_out")
    reporter = Reporter(run, start.tokenizer, questions, measured, length, seed)
    trained = fit(run, fresh_model, batches, settings, setup, reporter, deadline)
    if trained is None:  # rank 0 publishes
        return
    model, plan = trained
    epochs = plan.steps * batches.conversation_rows / packed.rows_per_epoch
    tokens_seen = plan.steps * rows * length
    kept = {"kept_step": reporter.step} if settings.keep_best else {}
    told: dict[str, object] = {"steps": plan.steps, "tokens_seen": tokens_seen, "seed": seed, **kept}
    told |= {"data": {"conversations": len(taught)}, "results": {"held_out_loss": reporter.loss}}
    publish(run, start, settings, model, told)
    run.finish(
        {
            "parameters": num_parameters(start.config),
            "steps": plan.steps,
            "tokens_seen": tokens_seen,
            "epochs": round(epochs, 2),
            "held_out_loss": reporter.loss,
            "conversations": len(taught),
            "found": counts.stats(),
            "optimizer": settings.optimizer,
            "peak_lr": settings.peak_lr,
            "embedding_lr": settings.embedding_lr,
            **known.tell(model),
        }
    )


@torch.no_grad()
def start_markers_as_line_ends(model: Transformer, tokenizer: Tokenizer) -> None:
    """Start the control tokens, which a base model never saw, with the vector of a line end.

    Pretraining only pushed them away. As line ends they make a conversation look like a page of questions and answers.
    """
    (line_end,) = tokenizer.encode("\n")
    markers = [id for id in tokenizer.special.values() if id != tokenizer.eos_id]
    for weight in {model.model.embed_tokens.weight, model.head_weight}:
        weight[markers] = weight[int(line_end)].clone()


def _files(settings: SftSettings, web: Path | None) -> tuple[str, ...]:
    """The user's files, or the town's conversations."""
    if not settings.conversations and web is None:
        raise UserError("sft has no conversations; set sft.conversations to files of conversations, such as JSONL")
    return settings.conversations or (str(Path(web or ".") / "conversations.jsonl"),)


def _split(conversations: list[Placed], share: float, seed: int) -> tuple[list[Placed], list[Placed]]:
    """Conversations to learn from, and a random few to measure with, which have an answer."""
    if not conversations:
        raise UserError("there are no conversations in the files of sft.conversations")
    shuffled = [conversations[permuted(i, len(conversations), seed, -1)] for i in range(len(conversations))]
    held_out = int(len(conversations) * share)
    return shuffled[held_out:], [placed for placed in shuffled[:held_out] if any(placed.conversation.learned)]


def _with_steps(settings: SftSettings, packed: PackedConversations, batches: MixedBatches) -> SftSettings:
    """`epochs` as steps."""
    if settings.epochs is None:
        return settings
    if settings.steps is not None:
        raise UserError("sft.epochs and sft.steps both set the length; give one of them")
    steps = math.ceil(settings.epochs * packed.rows_per_epoch / batches.conversation_rows)
    return settings.model_copy(update={"steps": max(1, steps)})


def _tell(run: RunFolder, settings: SftSettings, counts: Counts, own: bool, batch_tokens: int, held_out: int) -> None:
    """Say what is learned and how, and what in the conversations people may not expect."""
    assert settings.length is not None
    run.emit(
        kinds.Note(
            f"{counts.taught:,} conversations to learn from, {held_out:,} held out; the assistant's words are "
            f"{counts.learned_tokens:,} tokens"
        )
    )
    run.emit(
        kinds.Note(
            f"the model was {'trained here' if own else 'imported'}: {settings.optimizer}, sft.peak_lr = "
            f"{settings.peak_lr:g}, sft.embedding_lr = {settings.embedding_lr:g}, {batch_tokens:,} tokens a step"
        )
    )
    for text in counts.warnings(settings.length):
        run.emit(kinds.Warned(text))
    if not held_out:
        run.emit(
            kinds.Warned(
                f"no conversation is held out (sft.held_out = {settings.held_out:g} of {counts.read}), so there is no "
                "loss to compare with"
            )
        )
