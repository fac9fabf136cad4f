"""A model as a Python object: load it, give it a prompt or a conversation, read text, logits or answers.

>>> model = Model.load("runs/sft/demo-77ab01")                               # doctest: +SKIP
>>> model.chat("What is 12 times 7?")                                        # doctest: +SKIP
'12 times 7 is 84.'

Everything goes through one `Engine`, so threads may share a `Model`, and a list of questions is answered as a batch.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from glassmill.infer.completion import Reply
from glassmill.infer.compose import ToolUse
from glassmill.infer.engine import Engine
from glassmill.infer.find import find_model
from glassmill.infer.folder import LoadedModel, load_folder
from glassmill.infer.sampling import SamplingParams
from glassmill.model.config import ModelConfig
from glassmill.model.sizes import num_parameters
from glassmill.model.transformer import Transformer
from glassmill.tokens.chat import render
from glassmill.tokens.tokenizer import Tokenizer

Message = Mapping[str, Any]
"""`{"role": "user", "content": "..."}`; content may be a list of parts, see `glassmill.tokens.chat`."""

LARGE_BYTES = 100_000_000
"""Weights of this size do not fit into a processor's caches."""


class Model:
    """A model that is ready to write.

    Attributes:
        name: How the API calls it: the name of its run or folder.
        path: Its folder.
        transformer, tokenizer, config: Its parts.
        meta: Its `glassmill.json`, empty for a model from elsewhere.
    """

    def __init__(self, loaded: LoadedModel, path: Path, max_batch: int = 32) -> None:
        self.path, self.name = path, model_name(path)
        self.transformer: Transformer = loaded.model
        self.tokenizer: Tokenizer = loaded.tokenizer
        self.config: ModelConfig = loaded.config
        self.meta = loaded.meta
        self.engine = Engine(loaded.model, loaded.tokenizer, max_batch=max_batch)
        self.close = weakref.finalize(self, self.engine.close)

    @property
    def num_parameters(self) -> int:
        """Trained numbers."""
        return num_parameters(self.config)

    @classmethod
    def load(
        cls, path: str | Path, device: str = "cpu", dtype: torch.dtype | None = None, max_batch: int = 32
    ) -> Model:
        """Open a model folder, a run that has one, or a run by its name under `runs/`.

        Args:
            path: Where it is.
            device: Where it computes.
            dtype: In what; by default what is fastest on `device`, see `default_dtype`.
            max_batch: Requests computed at once.

        Raises:
            UserError: There is no model, or its folder is damaged.
        """
        folder = find_model(path)
        return cls(load_folder(folder, device, dtype or default_dtype(folder, device)), folder, max_batch)

    # --- text ---------------------------------------------------------------------------------------------------------

    def generate(self, prompt: str, max_tokens: int | None = 128, **sampling: Any) -> str:
        """What follows `prompt`, as the model has it.

        Args:
            prompt: Plain text; nothing in it becomes a control token.
            max_tokens: New tokens at most; `None`: as many as the context holds.
            **sampling: `temperature` (default 1), `top_k`, `top_p`, `min_p`, `seed`, `stop`, ... of `SamplingParams`.

        Raises:
            ContextOverflow: The prompt is longer than the context.
            ValueError: A sampling value out of its bounds.
        """
        return self.complete(self.prompt_ids(prompt), max_tokens=max_tokens, **sampling).text

    def stream(self, prompt: str, max_tokens: int | None = 128, **sampling: Any) -> Iterator[str]:
        """`generate` in pieces as they come; leaving the loop stops the engine."""
        params = sampling_params(max_tokens=max_tokens, **sampling)
        for delta in self.engine.submit(self.prompt_ids(prompt), params):
            if delta.text:
                yield delta.text

    def chat(self, messages: str | Sequence[Message], max_tokens: int | None = None, **sampling: Any) -> str:
        """The assistant's next message. The likeliest one, unless a `temperature` is given."""
        return self.reply(messages, max_tokens=max_tokens, **sampling).text

    def reply(self, messages: str | Sequence[Message], max_tokens: int | None = None, **sampling: Any) -> Reply:
        """Like `chat`, with the uses of the calculator, the tokens, and why it ended."""
        chosen: dict[str, Any] = {"temperature": 0.0, "tools": True, **sampling}
        return self.complete(self.chat_ids(messages), max_tokens=max_tokens, **chosen)

    def stream_parts(
        self, messages: str | Sequence[Message], max_tokens: int | None = None, **sampling: Any
    ) -> Iterator[str | ToolUse]:
        """`chat` in pieces as they come: text, and uses of the calculator where they stand."""
        chosen: dict[str, Any] = {"temperature": 0.0, "tools": True, **sampling}
        params = sampling_params(max_tokens=max_tokens, **chosen)
        for delta in self.engine.submit(self.chat_ids(messages), params):
            if delta.tool is not None:
                yield delta.tool
            if delta.text:
                yield delta.text

    def stream_chat(
        self, messages: str | Sequence[Message], max_tokens: int | None = None, **sampling: Any
    ) -> Iterator[str]:
        """`stream_parts` as text alone, a use of the calculator shown as `[calculator: 12*7 = 84] `."""
        for part in self.stream_parts(messages, max_tokens, **sampling):
            yield part if isinstance(part, str) else f"[calculator: {part.expression} = {part.result}] "

    def complete(self, prompt: Sequence[int] | npt.NDArray[Any], **sampling: Any) -> Reply:
        """Continue token ids."""
        return self.engine.submit([int(token) for token in prompt], sampling_params(**sampling)).reply()

    def answer_all(self, conversations: Iterable[Sequence[Message]], max_tokens: int = 64) -> list[str]:
        """The likeliest answer to each conversation, computed together; in the order of the conversations."""
        prompts = [self.chat_ids(messages) for messages in conversations]
        params = SamplingParams(max_tokens=max_tokens, temperature=0.0, tools=True)
        completions = self.engine.submit_all(prompts, [params] * len(prompts), may_exceed_queue=True)
        return [completion.reply().text for completion in completions]

    # --- ids and numbers ----------------------------------------------------------------------------------------------

    def prompt_ids(self, prompt: str) -> list[int]:
        """Ids of plain text; an empty prompt is the beginning of a document."""
        return [int(token) for token in self.tokenizer.encode(prompt)] or [self.tokenizer.eos_id]

    def chat_ids(self, messages: str | Sequence[Message]) -> list[int]:
        """Ids of a conversation up to where the assistant begins to speak."""
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        return [int(token) for token in render(self.tokenizer, [dict(message) for message in messages])]

    @torch.inference_mode()
    def logits(self, ids: Sequence[int] | npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Logits `(T, V)`, float32: row t is about the token after `ids[t]`."""
        device = self.transformer.head_weight.device
        ids_1T = torch.tensor([[int(token) for token in ids]], dtype=torch.int64, device=device)
        logits: npt.NDArray[np.float32] = self.transformer(ids_1T)[0].float().cpu().numpy()
        return logits


def assistant_message(parts: Iterable[str | ToolUse]) -> dict[str, Any]:
    """What the assistant said, as a message to go on from: with its uses of the calculator, as the model wrote them."""
    content: list[dict[str, str]] = []
    for part in parts:
        if isinstance(part, ToolUse):
            content.append({"type": "tool_call", "expression": part.expression})
            content.append({"type": "tool_result", "text": part.result})
        else:
            content.append({"type": "text", "text": part})
    return {"role": "assistant", "content": content}


def sampling_params(**sampling: Any) -> SamplingParams:
    """`SamplingParams` from keywords; one stop string may stand without a tuple."""
    stop = sampling.get("stop") or ()
    return SamplingParams(**{**sampling, "stop": (stop,) if isinstance(stop, str) else tuple(stop)})


def default_dtype(folder: Path, device: str) -> torch.dtype | None:
    """bfloat16 for large weights on a CPU that multiplies it, else float32; as stored on other devices.

    Large weights are read from memory for every token, and half the bytes are read in half the time. A small model
    lives in the caches: there float32 is faster. Without the instructions (AVX512-BF16) bfloat16 reads prompts at half
    the speed.
    """
    if torch.device(device).type != "cpu":
        return None
    num_bytes = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    multiplies = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return torch.bfloat16 if num_bytes >= LARGE_BYTES and multiplies() else torch.float32


def model_name(folder: Path) -> str:
    """A short name: that of the folder, or of the run it lies in."""
    folder = folder.resolve()
    return folder.parent.name if folder.name == "model" else folder.name
