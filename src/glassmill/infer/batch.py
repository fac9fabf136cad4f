"""Many completions at once: rows of a decoder that join and leave at any step, each at its own position."""

from __future__ import annotations

from collections import deque

from glassmill.infer.completion import Completion
from glassmill.infer.compose import Composer, Delta, Vocabulary
from glassmill.infer.decoder import Answer, Decoder, Piece
from glassmill.infer.sampling import Sampler, TokenLogprobs, prompt_logprobs

SCORE_TOKENS = 128
"""Prompt positions whose logits are in memory at once."""


class Row:
    """A completion that is being computed.

    Attributes:
        number: Its row in the decoder.
        num_read: Tokens of the prompt that the decoder has read.
        next_id: The token that the next decode step reads; already part of the text.
        longest: Prompt and answer together at most.
    """

    def __init__(self, completion: Completion, number: int, tokenizer: Vocabulary, max_length: int) -> None:
        self.completion, self.number = completion, number
        self.prompt = completion.prompt
        self.longest = longest(completion, max_length)
        self.sampler = Sampler(completion.params, self.prompt)
        before = self.prompt if completion.params.continues else ()
        self.composer = Composer(tokenizer, completion.params, self.longest - len(self.prompt), before)
        self.greedy = completion.params.is_plain_greedy
        self.num_read = 0
        self.next_id = -1

    @property
    def done(self) -> bool:
        """Whether the last delta is out."""
        return self.completion.done

    @property
    def is_reading(self) -> bool:
        """Whether part of the prompt has not been read yet."""
        return self.num_read < len(self.prompt)

    @property
    def scores_prompt(self) -> bool:
        """Whether the log-probabilities of the prompt were asked for."""
        return self.completion.params.echo_logprobs

    def prompt_piece(self, max_tokens: int) -> Piece:
        """The next part of the prompt."""
        ids = self.prompt[self.num_read : self.num_read + max_tokens]
        if self.scores_prompt:
            return Piece(self.number, ids, want=len(ids))
        ends_here = self.num_read + len(ids) == len(self.prompt) < self.longest
        return Piece(self.number, ids, want=int(ends_here), greedy=self.greedy)

    def score_prompt(self, answer: Answer, num_tokens: int) -> None:
        """Log-probabilities of the prompt tokens that follow the `num_tokens` just read."""
        out = self.completion.prompt_logprobs
        if not out:
            out.append(None)
        following = self.prompt[len(out) : len(out) + num_tokens]
        out.extend(prompt_logprobs(answer.logits_WV[: len(following)], following, self.completion.params.logprobs or 0))

    def choose(self, answer: Answer) -> None:
        """Take the token that the calculator forces, or the likeliest, or draw one; tell the caller what it shows."""
        forced: deque[int] = self.composer.forced
        if self.greedy:
            self._take(forced.popleft() if forced else answer.ids[-1], None)
            return
        logits_V = answer.logits_WV[-1]
        token = forced.popleft() if forced else self.sampler.choose(logits_V)
        self._take(token, self.sampler.logprobs(logits_V, token))

    def _take(self, token: int, logprobs: TokenLogprobs | None) -> None:
        self.next_id = token
        self.sampler.saw(token)
        delta = self.composer.push(token, logprobs)
        self.completion.num_tokens = self.composer.num_tokens
        if delta is not None:
            self.completion.publish(delta)


def longest(completion: Completion, max_length: int) -> int:
    """Tokens of prompt and answer together at most. An answer longer than the context is cut there, not refused."""
    wanted = completion.params.max_tokens
    return max_length if wanted is None else min(len(completion.prompt) + wanted, max_length)


class Batch:
    """The rows being computed.

    Args:
        decoder: Computes them, and decides how many there may be.
        tokenizer: Its tokenizer.
    """

    def __init__(self, decoder: Decoder, tokenizer: Vocabulary) -> None:
        self.decoder, self.tokenizer = decoder, tokenizer
        self.max_rows, self.max_length = decoder.info.max_rows, decoder.info.context_length
        self.rows: list[Row] = []
        self.num_new_tokens = 0

    @property
    def reading(self) -> list[Row]:
        """The rows whose prompts are partly read."""
        return [row for row in self.rows if row.is_reading]

    def has_room(self, completions: list[Completion]) -> bool:
        """Whether these fit beside the running rows now; one alone always does."""
        lengths = [row.longest for row in self.rows] + [longest(one, self.max_length) for one in completions]
        return len(lengths) == 1 or self.decoder.fits(lengths)

    def join(self, completions: list[Completion]) -> None:
        """Take new rows in; `prefill` reads their prompts."""
        for completion in completions:
            self.rows.append(Row(completion, self.decoder.open_row(), self.tokenizer, self.max_length))

    def prefill(self, max_tokens: int) -> None:
        """Read at most `max_tokens` of every prompt that is not read yet; choose a token where it now is."""
        rows = self.reading
        num_scored = sum(row.scores_prompt for row in rows)
        scored_tokens = min(max_tokens, max(1, SCORE_TOKENS // max(1, num_scored)))
        pieces = [row.prompt_piece(scored_tokens if row.scores_prompt else max_tokens) for row in rows]
        for row, piece, answer in zip(rows, pieces, self.decoder.forward(pieces), strict=True):
            row.num_read += len(piece.ids)
            if row.scores_prompt:
                row.score_prompt(answer, len(piece.ids))
            if row.is_reading:
                continue
            if row.longest == len(row.prompt):  # asked for the prompt's log-probabilities only
                row.completion.publish(Delta(finish_reason="length"))
                continue
            self.num_new_tokens += 1
            row.choose(answer)
        self._leave_done()

    def decode(self) -> None:
        """One new token for every row whose prompt has been read."""
        rows = [row for row in self.rows if not row.is_reading]
        if not rows:
            return
        pieces = [Piece(row.number, (row.next_id,), greedy=row.greedy) for row in rows]
        answers = self.decoder.forward(pieces)
        self.num_new_tokens += len(rows)
        for row, answer in zip(rows, answers, strict=True):
            row.choose(answer)
        self._leave_done()

    def drop_cancelled(self) -> None:
        """End the rows whose callers have left."""
        for row in self.rows:
            if row.completion.cancelled and not row.done:
                row.completion.publish(Delta(finish_reason="cancelled"))
        self._leave_done()

    def fail(self, error: BaseException) -> None:
        """End every row with an error."""
        for row in self.rows:
            if not row.done:
                row.completion.error = error
                row.completion.publish(Delta(finish_reason="error"))
        self._leave_done()

    def _leave_done(self) -> None:
        for row in self.rows:
            if row.done:
                self.decoder.close_row(row.number)
        self.rows = [row for row in self.rows if not row.done]
