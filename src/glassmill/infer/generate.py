"""A model as a Python object: load it, give it a prompt or a conversation, get text, logits or answers.

>>> model = Model.load("runs/sft/demo-77ab01")                               # doctest: +SKIP
>>> model.chat("What is 12 times 7?")                                        # doctest: +SKIP
'12 times 7 is 84.'

Everything goes through one `Engine`, so threads may share a `Model`, and a list of questions is answered as a batch.
What computes is a `Decoder`; torch is imported only where its own one is loaded.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy.typing as npt

from glassmill.errors import UserError
from glassmill.infer.choose import DecoderName, chosen_device, load_decoder
from glassmill.infer.completion import Reply
from glassmill.infer.compose import ToolUse
from glassmill.infer.conversation import Fitted, fit
from glassmill.infer.decoder import Decoder, whole_logits
from glassmill.infer.engine import PREFIX_CACHE_BYTES, Engine
from glassmill.infer.find import check_embedded, find_model, read_config, read_meta
from glassmill.infer.sampling import Floats, Ids, SamplingParams
from glassmill.model.config import ModelConfig
from glassmill.model.sizes import num_parameters
from glassmill.tokens.chat import render
from glassmill.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    import torch

Message = Mapping[str, Any]
"""`{"role": "user", "content": "..."}`; content may be a list of parts, see `glassmill.tokens.chat`."""

DecoderFactory = Callable[[Path, int], Decoder]
"""Loads the weights of a model folder for a number of rows."""


class Sampling(TypedDict, total=False):
    """How to draw, as keywords of `Model`'s methods. See `SamplingParams` for what each means."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    seed: int | None
    stop: str | Sequence[str]
    stop_token_ids: tuple[int, ...]
    ignore_eos: bool
    presence_penalty: float
    frequency_penalty: float
    repetition_penalty: float
    logit_bias: Mapping[int, float]
    logprobs: int | None
    processed_logprobs: bool
    echo_logprobs: bool
    tools: bool


class Model:
    """A loaded model.

    Args:
        decoder: What computes. It belongs to the model's engine now: other threads reach it through `engine.call`.
        path: The model folder, for its tokenizer, shape and provenance.
        prefix_cache_bytes, speculate: See `Engine`.
        tokenizer: The folder's, if it has been read.

    Attributes:
        name: How the API calls it: the name of its run or folder.
        path: Its folder.
        decoder, tokenizer, config: Its parts.
        meta: Its `glassmill.json`, empty for a model from elsewhere.
    """

    def __init__(
        self,
        decoder: Decoder,
        path: Path,
        prefix_cache_bytes: int = PREFIX_CACHE_BYTES,
        speculate: bool = True,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        self.path, self.name = path, model_name(path)
        self.decoder = decoder
        self.tokenizer: Tokenizer = Tokenizer.load(path) if tokenizer is None else tokenizer
        self.config: ModelConfig = read_config(path)
        check_embedded(path, self.config, self.tokenizer)
        self.meta = read_meta(path)
        self.engine = Engine(decoder, self.tokenizer, prefix_cache_bytes=prefix_cache_bytes, speculate=speculate)
        self.close = weakref.finalize(self, self.engine.close)

    @property
    def num_parameters(self) -> int:
        """Number of trained parameters."""
        return num_parameters(self.config)

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str | None = None,
        dtype: torch.dtype | None = None,
        max_batch: int = 32,
        decoder: DecoderFactory | DecoderName | None = None,
        prefix_cache_bytes: int = PREFIX_CACHE_BYTES,
        speculate: bool = True,
    ) -> Model:
        """Open a model folder, a run that has one, or a run by its name under `runs/`.

        Args:
            path: Where it is.
            device: Where it is computed; by default as GLASSMILL_DEVICE says, or on the CPU.
            dtype: In what; by default what is fastest on a CPU, and as stored on other devices.
            max_batch: Requests computed at once.
            decoder: What computes it: "native", "graph", "torch", or by default as `glassmill.infer.choose` says; or a
                function that loads another one, for which `device` and `dtype` mean nothing.
            prefix_cache_bytes: Keys and values kept of finished requests, for prompts that begin alike; 0: none.
            speculate: Whether tokens are guessed where a text repeats itself. The text is the same.

        Raises:
            UserError: There is no model, its folder is damaged, or there is no such decoder here.
        """
        folder = find_model(path)

        def load() -> Decoder:
            if callable(decoder):
                return decoder(folder, max_batch)
            return load_decoder(folder, max_batch, decoder, chosen_device(device), dtype)

        with ThreadPoolExecutor(1) as pool:  # weights are packed while the tokenizer is read
            loading = pool.submit(load)
            try:
                tokenizer = Tokenizer.load(folder)
            except UserError:
                loading.result()  # what is wrong with the folder as a whole says more
                raise
            return cls(loading.result(), folder, prefix_cache_bytes, speculate, tokenizer)

    # --- text ---------------------------------------------------------------------------------------------------------

    def generate(self, prompt: str, max_tokens: int | None = 128, **sampling: Unpack[Sampling]) -> str:
        """The model's continuation of `prompt`.

        Args:
            prompt: Plain text; nothing in it becomes a control token.
            max_tokens: Maximum number of new tokens; `None`: as many as the context holds.
            **sampling: `temperature` (default 1), `top_k`, `top_p`, `min_p`, `seed`, `stop`, ... of `SamplingParams`.

        Raises:
            ContextOverflow: The prompt is longer than the context.
            ValueError: A sampling value out of its bounds.
        """
        return self.complete(self.prompt_ids(prompt), max_tokens=max_tokens, **sampling).text

    def stream(self, prompt: str, max_tokens: int | None = 128, **sampling: Unpack[Sampling]) -> Iterator[str]:
        """`generate` in pieces as they come; leaving the loop cancels the rest."""
        params = continuing(max_tokens, sampling)
        for delta in self.engine.submit(self.prompt_ids(prompt), params):
            if delta.text:
                yield delta.text

    def chat(
        self, messages: str | Sequence[Message], max_tokens: int | None = None, **sampling: Unpack[Sampling]
    ) -> str:
        """The assistant's next message: greedy, unless a `temperature` is given."""
        return self.reply(messages, max_tokens=max_tokens, **sampling).text

    def reply(
        self, messages: str | Sequence[Message], max_tokens: int | None = None, **sampling: Unpack[Sampling]
    ) -> Reply:
        """Like `chat`, with the uses of the calculator, the tokens and the finish reason."""
        return self.engine.submit(self.chat_ids(messages), answer_params(max_tokens, sampling)).reply()

    def stream_parts(
        self, messages: str | Sequence[Message], max_tokens: int | None = None, **sampling: Unpack[Sampling]
    ) -> Iterator[str | ToolUse]:
        """`chat` in pieces as they come: text, and uses of the calculator where they occur."""
        for delta in self.engine.submit(self.chat_ids(messages), answer_params(max_tokens, sampling)):
            if delta.tool is not None:
                yield delta.tool
            if delta.text:
                yield delta.text

    def stream_chat(
        self, messages: str | Sequence[Message], max_tokens: int | None = None, **sampling: Unpack[Sampling]
    ) -> Iterator[str]:
        """`stream_parts` as text only; a use of the calculator reads `[calculator: 12*7 = 84] `."""
        for part in self.stream_parts(messages, max_tokens, **sampling):
            yield part if isinstance(part, str) else f"[calculator: {part.expression} = {part.result}] "

    def complete(
        self, prompt: Sequence[int] | npt.NDArray[Any], max_tokens: int | None = None, **sampling: Unpack[Sampling]
    ) -> Reply:
        """Continue token ids."""
        return self.engine.submit([int(token) for token in prompt], continuing(max_tokens, sampling)).reply()

    def answer_all(self, conversations: Iterable[Sequence[Message]], max_tokens: int = 64) -> list[str]:
        """The greedy answer to each conversation, in order; computed as a batch."""
        return [reply.text for reply in self.reply_all(conversations, max_tokens)]

    def reply_all(
        self, conversations: Iterable[Sequence[Message]], max_tokens: int = 64, **sampling: Unpack[Sampling]
    ) -> list[Reply]:
        """`reply` to each conversation, in order; computed as a batch."""
        prompts = [self.chat_ids(messages) for messages in conversations]
        params = answer_params(max_tokens, sampling)
        completions = self.engine.submit_all(prompts, [params] * len(prompts), may_exceed_queue=True)
        return [completion.reply() for completion in completions]

    # --- ids and numbers ----------------------------------------------------------------------------------------------

    def prompt_ids(self, prompt: str) -> list[int]:
        """Ids of plain text, behind what the model's tokenizer puts in front; an empty prompt starts a document."""
        return [int(token) for token in self.tokenizer.prompt_ids(prompt)]

    def chat_ids(
        self,
        messages: str | Sequence[Message],
        continue_last: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> list[int]:
        """Ids of a conversation up to where the assistant's turn starts, or goes on.

        Args:
            messages: The conversation, or one question.
            continue_last: If the last message is the assistant's, it has not ended: the model is to go on with it.
            options: Variables of an imported model's template, see `tokens.chat.render`.
        """
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        plain = [dict(message) for message in messages]
        return [int(token) for token in render(self.tokenizer, plain, continue_last=continue_last, options=options)]

    def fit(
        self,
        messages: Sequence[Message],
        max_tokens: int | None = None,
        continue_last: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> Fitted:
        """The part of a conversation that fits into the context, see `glassmill.infer.conversation`."""

        def prompt_ids(some: Sequence[Message]) -> list[int]:
            return self.chat_ids(some, continue_last, options)

        return fit(messages, prompt_ids, self.engine.max_length, max_tokens)

    def logits(self, ids: Sequence[int] | npt.NDArray[Any]) -> Floats:
        """Logits `(T, V)`, float32: row t is about the token after `ids[t]`."""
        numbers = [int(token) for token in ids]
        return self.engine.call(lambda decoder: whole_logits(decoder, numbers))

    def token_losses(self, windows_BT: Ids) -> Floats:
        """Loss, in nats, of every token but the first of each window, `(B, T - 1)`."""
        return self.engine.call(lambda decoder: decoder.token_losses(windows_BT))


def assistant_message(parts: Iterable[str | ToolUse]) -> dict[str, Any]:
    """What the assistant said as a message, with its uses of the calculator, to continue the conversation."""
    content: list[dict[str, str]] = []
    for part in parts:
        if isinstance(part, ToolUse):
            content.append({"type": "tool_call", "expression": part.expression})
            content.append({"type": "tool_result", "text": part.result})
        elif content and content[-1]["type"] == "text":
            content[-1]["text"] += part
        else:
            content.append({"type": "text", "text": part})
    return {"role": "assistant", "content": content}


def sampling_params(max_tokens: int | None, sampling: Sampling) -> SamplingParams:
    """`SamplingParams` from keywords; `stop` may be a single string."""
    stop = sampling.get("stop") or ()
    stops = (stop,) if isinstance(stop, str) else tuple(stop)
    return SamplingParams(**{**sampling, "stop": stops, "max_tokens": max_tokens})  # type: ignore[arg-type]


def continuing(max_tokens: int | None, sampling: Sampling) -> SamplingParams:
    """The same for the continuation of a text."""
    return dataclasses.replace(sampling_params(max_tokens, sampling), continues=True)


def answer_params(max_tokens: int | None, sampling: Sampling) -> SamplingParams:
    """The same for an assistant's answer: greedy by default, with the calculator."""
    return sampling_params(max_tokens, {"temperature": 0.0, "tools": True, **sampling})


def model_name(folder: Path) -> str:
    """A short name: the folder's, or that of the run it is in."""
    folder = folder.resolve()
    return folder.parent.name if folder.name == "model" else folder.name
