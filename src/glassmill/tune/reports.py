"""What is measured while a model is tuned: the loss on held-out conversations, and answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from glassmill.errors import UserError
from glassmill.infer.compose import Composer
from glassmill.infer.decoder import Piece, new_row
from glassmill.infer.sampling import SamplingParams
from glassmill.infer.torch_decoder import TorchDecoder
from glassmill.model.transformer import Transformer
from glassmill.run import kinds
from glassmill.run.folder import RunFolder
from glassmill.tokens.chat import render
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.train.known_text import for_measuring
from glassmill.tune.packing import PackedConversations, Rendered

SAMPLES = 3
SAMPLE_TOKENS = 48
HELD_OUT_ROWS = 64


class Reporter:
    """Loss on held-out conversations, and the answers to a few of their questions.

    Attributes:
        loss: The last held-out loss, in nats per token; None where nothing is held out.
    """

    def __init__(
        self,
        run: RunFolder,
        tokenizer: Tokenizer,
        questions: Sequence[Sequence[dict[str, Any]]],
        held_out: Sequence[Rendered],
        length: int,
        seed: int,
    ) -> None:
        self.run, self.tokenizer = run, tokenizer
        self.loss: float | None = None
        self.step = 0
        self.questions = questions[:SAMPLES]
        self.packed = PackedConversations(held_out, length, tokenizer.eos_id, seed) if held_out else None
        self.tokens = min(self.packed.rows_per_epoch, HELD_OUT_ROWS) * length if self.packed else 0

    def report(self, model: Transformer, step: int) -> float | None:
        """Emit the loss.

        Raises:
            UserError: the loss is not finite.
        """
        if self.packed is not None:
            loss = held_out_loss(model, self.packed)
            if not math.isfinite(loss):
                raise UserError(
                    f"sft stopped: after step {step} the loss on held-out conversations is {loss}, no finite number. "
                    "Nothing was published; lower sft.peak_lr and sft.embedding_lr"
                )
            self.loss = round(loss, 5)
            self.run.emit(kinds.Score("held_out_loss", self.loss, step))
        self.step = step
        return self.loss

    def sample(self, model: Transformer, step: int) -> None:
        """Emit the model's answers to the questions."""
        decoder = TorchDecoder(model)
        for messages in self.questions:
            prompt = [int(i) for i in render(self.tokenizer, messages)]
            if len(prompt) < model.config.context_length:
                self.run.emit(kinds.Sample(step, str(messages[-1]["content"]), self._answer(decoder, prompt)))

    def _answer(self, decoder: TorchDecoder, prompt: list[int]) -> str:
        """The likeliest answer, with the sums that the calculator did for it."""
        longest = min(SAMPLE_TOKENS, decoder.info.context_length - len(prompt))
        composer = Composer(self.tokenizer, SamplingParams(temperature=0.0, tools=True), longest)
        parts, unread = [], prompt
        with new_row(decoder) as row:
            while composer.finish_reason is None:
                likeliest = decoder.forward([Piece(row, unread, greedy=True)])[0].ids[-1]
                unread = [composer.forced.popleft() if composer.forced else likeliest]
                if delta := composer.push(unread[0]):
                    parts += [f"[calculator: {delta.tool.expression} = {delta.tool.result}] "] if delta.tool else []
                    parts.append(delta.text)
        return "".join(parts)


@torch.inference_mode()
def held_out_loss(model: Transformer, packed: PackedConversations) -> float:
    """Mean nats per token of the assistant, over at most `HELD_OUT_ROWS` rows."""
    nats, learned, model = 0.0, 0, for_measuring(model)
    for row in range(min(packed.rows_per_epoch, HELD_OUT_ROWS)):
        ids, targets, mask = (part.to(model.head_weight.device) for part in packed.row(row))
        nats += float((model(ids[None], targets[None])[0] * mask).sum())
        learned += int(mask.sum())
    return nats / max(1, learned)
