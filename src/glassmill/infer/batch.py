"""Many completions in one forward pass: rows that join and leave at any step, each at its own position.

The rows of the KV cache that are in use are always the first ones, `0 .. len(rows) - 1`; at most the last of them is
still reading its prompt. A row that ends is replaced by the last one, so no forward pass computes an empty row.

    B rows, T new tokens of a row, D d_model, V vocabulary
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from glassmill.infer.completion import Completion
from glassmill.infer.compose import Composer, Delta, Vocabulary
from glassmill.infer.sampling import Floats, Sampler, TokenLogprobs, token_logprobs
from glassmill.model.cache import KVCache
from glassmill.model.transformer import Transformer

FIRST_TOKENS = 256
"""Positions of the first cache; it doubles when a row needs more."""
SCORE_TOKENS = 128
"""Prompt positions whose logits are in memory at once."""


class Row:
    """A completion that is being computed.

    Attributes:
        num_read: Tokens of the prompt that are in the cache.
        next_id: The token that the next decode step reads; already part of the text.
        longest: Prompt and answer together at most.
    """

    def __init__(self, completion: Completion, tokenizer: Vocabulary, max_length: int) -> None:
        self.completion = completion
        self.prompt = completion.prompt
        self.longest = longest(completion, max_length)
        self.sampler = Sampler(completion.params, self.prompt)
        self.composer = Composer(tokenizer, completion.params, self.longest - len(self.prompt))
        self.num_read = 0
        self.next_id = -1

    @property
    def done(self) -> bool:
        """Whether the last delta is out."""
        return self.completion.done

    def take(self, token: int, logprobs: TokenLogprobs | None) -> None:
        """Make `token` the next one of the text and tell the caller what it makes visible."""
        self.next_id = token
        self.sampler.saw(token)
        delta = self.composer.push(token, logprobs)
        self.completion.num_tokens = self.composer.num_tokens
        if delta is not None:
            self.completion.publish(delta)

    def choose(self, logits_V: Floats) -> None:
        """Draw the next token, or take the one that the calculator forces."""
        forced = self.composer.forced
        token = forced.popleft() if forced else self.sampler.choose(logits_V)
        wanted = self.completion.params.logprobs
        self.take(token, None if wanted is None else token_logprobs(logits_V, token, wanted))


def longest(completion: Completion, max_length: int) -> int:
    """Tokens of prompt and answer together at most. An answer longer than the context is cut there, not refused."""
    wanted = completion.params.max_tokens
    return max_length if wanted is None else min(len(completion.prompt) + wanted, max_length)


class Batch:
    """The rows being computed and their cache.

    Args:
        model: In eval mode.
        tokenizer: Its tokenizer.
        max_rows: Rows at most.
        max_length: Tokens a row may hold.
        max_cache_bytes: Rows are taken in only while their longest possible cache stays below; a single one always is.
    """

    def __init__(
        self, model: Transformer, tokenizer: Vocabulary, max_rows: int, max_length: int, max_cache_bytes: int
    ) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.max_rows, self.max_length = max_rows, max_length
        self.rows: list[Row] = []
        self.num_new_tokens = 0
        weight = model.head_weight
        self.dtype, self.device = weight.dtype, weight.device
        config = model.config
        token_bytes = 2 * config.num_layers * config.num_kv_heads * config.head_dim * weight.element_size()
        self.max_cache_tokens = max_cache_bytes // token_bytes
        self.cache = self._new_cache(1, min(FIRST_TOKENS, max_length))

    def has_room(self, completions: list[Completion]) -> bool:
        """Whether these fit beside the running rows now."""
        num_rows = len(self.rows) + len(completions)
        tokens = max([row.longest for row in self.rows] + [longest(one, self.max_length) for one in completions])
        return num_rows == 1 or (num_rows <= self.max_rows and num_rows * tokens <= self.max_cache_tokens)

    # --- prefill ------------------------------------------------------------------------------------------------------

    @property
    def reading(self) -> Row | None:
        """The row whose prompt is partly read."""
        return self.rows[-1] if self.rows and self.rows[-1].num_read < len(self.rows[-1].prompt) else None

    def join(self, completions: list[Completion]) -> None:
        """Take new rows in; `prefill` reads their prompts."""
        if not completions:
            return
        self.rows.extend(Row(completion, self.tokenizer, self.max_length) for completion in completions)
        self._reserve(len(self.rows), max(len(row.prompt) for row in self.rows) + 1)
        for index in range(len(self.rows) - len(completions), len(self.rows)):
            self.cache.lengths_B[index] = 0

    @torch.inference_mode()
    def prefill(self, max_tokens: int) -> None:
        """Read what is left of the last rows' prompts, at most `max_tokens` of each, and start those that are read."""
        start = next(i for i, row in enumerate(self.rows) if row.num_read < len(row.prompt))
        rows = self.rows[start:]
        pieces = [row.prompt[row.num_read : row.num_read + max_tokens] for row in rows]
        ids_BT = np.zeros((len(rows), max(map(len, pieces))), dtype=np.int64)
        for row_ids, piece in zip(ids_BT, pieces, strict=True):
            row_ids[: len(piece)] = piece
        self._reserve(len(self.rows), max(row.num_read for row in rows) + ids_BT.shape[1])
        hidden_BTD = self._forward(ids_BT, start)
        for row, piece in zip(rows, pieces, strict=True):
            row.num_read += len(piece)
        self.cache.rows(start, len(self.rows)).set_lengths([row.num_read for row in rows])
        for row, piece, hidden_TD in zip(rows, pieces, hidden_BTD, strict=True):
            if row.completion.params.echo_logprobs:
                self._score_prompt(row, hidden_TD[: len(piece)])
        finished = [i for i, row in enumerate(rows) if row.num_read == len(row.prompt)]
        for row in (rows[i] for i in finished if rows[i].longest == len(rows[i].prompt)):
            row.completion.publish(Delta(finish_reason="length"))  # asked for the prompt's log-probabilities only
        finished = [i for i in finished if not rows[i].done]
        if finished:
            last_BD = torch.stack([hidden_BTD[i, len(pieces[i]) - 1] for i in finished])
            self._choose([rows[i] for i in finished], last_BD)
        self._leave_done()

    def _score_prompt(self, row: Row, hidden_TD: Tensor) -> None:
        """Log-probabilities of the prompt tokens that stand after the positions of `hidden_TD`."""
        out = row.completion.prompt_logprobs
        if not out:
            out.append(None)
        for some_TD in torch.split(hidden_TD, SCORE_TOKENS):
            following = row.prompt[len(out) : len(out) + len(some_TD)]
            if following:
                logits_TV = self.model.logits(some_TD[: len(following)]).float()
                out.extend(prompt_logprobs(logits_TV, following, row.completion.params.logprobs or 0))

    # --- decode -------------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def decode(self) -> None:
        """One new token for every row whose prompt has been read."""
        rows = self.rows if self.reading is None else self.rows[:-1]
        if not rows:
            return
        self._reserve(len(self.rows), int(self.cache.lengths_B[: len(rows)].max()) + 1)
        ids_B1 = np.array([[row.next_id] for row in rows], dtype=np.int64)
        self._choose(rows, self._forward(ids_B1, 0)[:, 0])
        self._leave_done()

    def _forward(self, ids_BT: np.ndarray[tuple[int, int], np.dtype[np.int64]], start: int) -> Tensor:
        cache = self.cache.rows(start, start + len(ids_BT))
        return self.model.hidden(torch.from_numpy(ids_BT).to(self.device), cache)

    def _choose(self, rows: list[Row], hidden_BD: Tensor) -> None:
        logits_BV = self.model.logits(hidden_BD)
        self.num_new_tokens += len(rows)
        if all(row.completion.params.is_plain_greedy for row in rows):
            for row, token in zip(rows, logits_BV.argmax(dim=-1).tolist(), strict=True):
                row.take(row.composer.forced.popleft() if row.composer.forced else token, None)
            return
        for row, logits_V in zip(rows, _numpy(logits_BV), strict=True):
            row.choose(logits_V)

    # --- rows that leave ----------------------------------------------------------------------------------------------

    def drop_cancelled(self) -> None:
        """Let go of the rows whose callers have left."""
        for row in self.rows:
            if row.completion.cancelled and not row.done:
                row.completion.publish(Delta(finish_reason="cancelled"))
        self._leave_done()

    def fail(self, error: BaseException) -> None:
        """End every row with an error and start afresh."""
        for row in self.rows:
            if not row.done:
                row.completion.error = error
                row.completion.publish(Delta(finish_reason="error"))
        self.rows.clear()

    def _leave_done(self) -> None:
        """Close the gaps of finished rows; a row that is still reading stays the last."""
        index = 0
        while index < len(self.rows):
            if not self.rows[index].done:
                index += 1
                continue
            last_reading = self.reading is not None and index < len(self.rows) - 1
            source = len(self.rows) - 2 if last_reading else len(self.rows) - 1
            self._move(source, index)
            if last_reading:
                self._move(len(self.rows) - 1, source)
            self.rows.pop()

    def _move(self, source: int, target: int) -> None:
        if source != target:
            self.cache.copy_row(source, target)
            self.rows[target] = self.rows[source]

    # --- memory -------------------------------------------------------------------------------------------------------

    def _new_cache(self, num_rows: int, num_tokens: int) -> KVCache:
        return KVCache(self.model.config, num_rows, num_tokens, self.dtype, self.device)

    def _reserve(self, num_rows: int, num_tokens: int) -> None:
        """Make the cache hold so many rows of so many tokens; what it holds stays."""
        old = self.cache
        if num_rows <= old.batch and num_tokens <= old.max_length:
            return
        batch = old.batch if num_rows <= old.batch else min(self.max_rows, max(num_rows, 2 * old.batch))
        length = old.max_length
        if num_tokens > length:
            length = max(num_tokens, min(2 * length, self.max_length))
        self.cache = self._new_cache(batch, length)
        self.cache.keys_LBSKH[:, : old.batch, : old.max_length] = old.keys_LBSKH
        self.cache.values_LBSKH[:, : old.batch, : old.max_length] = old.values_LBSKH
        self.cache.lengths_B[: old.batch] = old.lengths_B


def _numpy(logits: Tensor) -> Floats:
    array: Floats = logits.float().cpu().numpy()
    return array


def prompt_logprobs(logits_TV: Tensor, following: Sequence[int], num_top: int) -> list[TokenLogprobs]:
    """What the model thought, at every position, of the token that follows: `sampling.token_logprobs` for many rows."""
    normalizers_T1 = logits_TV.logsumexp(dim=-1, keepdim=True)
    chosen_T1 = logits_TV.gather(1, torch.tensor(following, device=logits_TV.device)[:, None]) - normalizers_T1
    top = logits_TV.topk(min(num_top, logits_TV.shape[1]), dim=-1)
    values, ids = (top.values - normalizers_T1).tolist(), top.indices.tolist()
    return [
        TokenLogprobs(logprob, tuple(zip(row_ids, row_values, strict=True)))
        for logprob, row_ids, row_values in zip(chosen_T1[:, 0].tolist(), ids, values, strict=True)
    ]
