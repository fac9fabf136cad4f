"""Many completions at once: rows of a decoder that join and leave at any step, each at its own position.

A step is one forward pass: a piece of every prompt that is not read yet, and for every other row its newest token,
with a draft of what may follow where that pays.
"""

from __future__ import annotations

import logging
import time
from collections import deque

from glassmill.infer.completion import Completion
from glassmill.infer.compose import Composer, Delta, Vocabulary
from glassmill.infer.decoder import Answer, Decoder, Piece
from glassmill.infer.drafts import Drafts, Pace
from glassmill.infer.prefixes import MIN_SHARED, PrefixCache, common_length
from glassmill.infer.sampling import Sampler, TokenLogprobs, prompt_logprobs

log = logging.getLogger(__name__)

SCORE_TOKENS = 128
"""Prompt positions whose logits are in memory at once."""


class Row:
    """A completion that is being computed.

    Attributes:
        number: Its row in the decoder.
        ids: Its tokens, the prompt's first. The decoder has read all but the last one, once the prompt is read.
        num_read: Tokens of the prompt that the decoder has read.
        longest: Prompt and answer together at most.
        num_guessed: Of the newest piece.
    """

    def __init__(
        self, completion: Completion, number: int, num_read: int, tokenizer: Vocabulary, max_length: int
    ) -> None:
        self.completion, self.number, self.num_read = completion, number, num_read
        self.prompt, self.ids = completion.prompt, list(completion.prompt)
        self.longest = longest(completion, max_length)
        self.sampler = Sampler(completion.params, self.prompt)
        before = self.prompt if completion.params.continues else ()
        self.composer = Composer(tokenizer, completion.params, self.longest - len(self.prompt), before)
        self.drafts, self.num_guessed = Drafts(self.ids), 0
        self.greedy = completion.params.is_plain_greedy

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

    @property
    def read_ids(self) -> list[int]:
        """The tokens that the decoder has read."""
        return self.ids[: self.num_read if self.is_reading else -1]

    def prompt_piece(self, max_tokens: int) -> Piece:
        """The next part of the prompt."""
        ids = self.prompt[self.num_read : self.num_read + max_tokens]
        if self.scores_prompt:
            return Piece(self.number, ids, want=len(ids))
        ends_here = self.num_read + len(ids) == len(self.prompt) < self.longest
        return Piece(self.number, ids, want=int(ends_here), greedy=self.greedy)

    def next_piece(self, break_even: float | None) -> Piece:
        """The newest token, and a draft of the next ones: those that the calculator forces, or a guess that pays."""
        newest, room, self.num_guessed = self.ids[-1], self.longest - len(self.ids) - 1, 0
        draft: list[int] = []
        if self.composer.forced:
            draft = list(self.composer.forced)[:room]
        elif break_even is not None:
            draft = self.drafts.next(room, break_even)
            self.num_guessed = len(draft)
        return Piece(self.number, (newest, *draft), 1 + len(draft), self.greedy)

    def take_prompt(self, piece: Piece, answer: Answer) -> None:
        """Part of the prompt was read; at its end, choose the first token."""
        self.num_read += len(piece.ids)
        if self.scores_prompt:
            self._score(answer, len(piece.ids))
        if self.is_reading:
            return
        if self.longest == len(self.prompt):  # asked for the prompt's log-probabilities only
            self.completion.publish(Delta(finish_reason="length"))
            return
        self._choose(answer, -1)

    def take(self, piece: Piece, answer: Answer) -> int:
        """Choose the next token, and one more for every drafted one that was right; how many were."""
        num_right, num_drafted = 0, len(piece.ids) - 1
        self._choose(answer, 0)
        while num_right < num_drafted and not self.done and self.ids[-1] == piece.ids[1 + num_right]:
            num_right += 1
            self._choose(answer, num_right)
        return num_right

    def _score(self, answer: Answer, num_tokens: int) -> None:
        """Log-probabilities of the prompt tokens that follow the `num_tokens` just read."""
        out = self.completion.prompt_logprobs
        if not out:
            out.append(None)
        following = self.prompt[len(out) : len(out) + num_tokens]
        out.extend(prompt_logprobs(answer.logits_WV[: len(following)], following, self.completion.params.logprobs or 0))

    def _choose(self, answer: Answer, place: int) -> None:
        """Take the token that the calculator forces, or the likeliest, or draw one; tell the caller what it shows."""
        forced: deque[int] = self.composer.forced
        if self.greedy:
            self._say(forced.popleft() if forced else answer.ids[place], None)
            return
        logits_V = answer.logits_WV[place]
        token = forced.popleft() if forced else self.sampler.choose(logits_V)
        self._say(token, self.sampler.logprobs(logits_V, token))

    def _say(self, token: int, logprobs: TokenLogprobs | None) -> None:
        self.ids.append(token)
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
        prefix_cache_bytes: Keys and values kept of rows that are done.
        speculate: Whether rows may draft.

    Attributes:
        num_new_tokens: Of all completions so far.
        num_drafted, num_right: Guesses so far, and those that were taken.
    """

    def __init__(
        self, decoder: Decoder, tokenizer: Vocabulary, prefix_cache_bytes: int = 0, speculate: bool = False
    ) -> None:
        self.decoder, self.tokenizer, self.speculate = decoder, tokenizer, speculate
        self.max_rows, self.max_length = decoder.info.max_rows, decoder.info.context_length
        self.rows: list[Row] = []
        self.prefixes = PrefixCache(decoder, prefix_cache_bytes)
        self.pace = Pace()
        self.num_new_tokens = self.num_drafted = self.num_right = 0

    @property
    def reading(self) -> list[Row]:
        """The rows whose prompts are partly read."""
        return [row for row in self.rows if row.is_reading]

    def has_room(self, completions: list[Completion]) -> bool:
        """Whether these fit beside the running rows now; one alone always does. Kept rows make way."""
        lengths = [row.longest for row in self.rows] + [longest(one, self.max_length) for one in completions]
        return len(lengths) == 1 or self.decoder.fits(lengths)

    def will_be_read(self, completion: Completion, joining: list[Completion]) -> bool:
        """Whether a row that is still reading, or about to, will soon hold a beginning of its prompt worth waiting for.

        Such are the `n` choices of one request, and many questions behind one system message.
        """
        if not self.prefixes.max_bytes or completion.params.echo_logprobs or len(completion.prompt) <= MIN_SHARED:
            return False
        ids = completion.prompt_ids[:-1]
        others = [(row.completion.prompt_ids, row.num_read) for row in self.reading]
        others += [(one.prompt_ids, 0) for one in joining]
        return any(common_length(other, ids) >= num_read + MIN_SHARED for other, num_read in others)

    def join(self, completions: list[Completion]) -> None:
        """Take new rows in; the next steps read their prompts. One that cannot begin ends alone, with its error."""
        for completion in completions:
            try:
                self.rows.append(self._begun(completion))
            except Exception as error:
                log.exception("a request could not begin")
                completion.error = error
                completion.publish(Delta(finish_reason="error"))

    def _begun(self, completion: Completion) -> Row:
        running = [(row.number, row.completion.prompt_ids[: row.num_read], row.longest) for row in self.rows]
        # every position of a scored prompt needs its logits, so nothing of it may have been read before
        known = completion.prompt_ids[: 0 if completion.params.echo_logprobs else None]
        number, num_read = self.prefixes.begin(known, longest(completion, self.max_length), running)
        completion.num_cached = num_read
        try:
            return Row(completion, number, num_read, self.tokenizer, self.max_length)
        except BaseException:
            self.decoder.close_row(number)
            raise

    def step(self, prompt_tokens: int) -> None:
        """One forward pass: the next token of every row whose prompt has been read, a part of it for the others.

        Args:
            prompt_tokens: Prompt tokens at most; the prompts get equal shares.
        """
        if not self.rows:
            return
        start, reading = time.perf_counter(), self.reading
        share = max(1, prompt_tokens // max(1, len(reading)))
        num_scored = sum(row.scores_prompt for row in reading)
        scored_share = min(share, max(1, SCORE_TOKENS // max(1, num_scored)))
        break_even = self.pace.break_even(len(self.rows)) if self.speculate and not reading else None
        pieces = [
            row.prompt_piece(scored_share if row.scores_prompt else share)
            if row.is_reading
            else row.next_piece(break_even)
            for row in self.rows
        ]
        for row, piece, answer in zip(self.rows, pieces, self.decoder.forward(pieces), strict=True):
            num_before = len(row.ids)
            if row.is_reading:
                row.take_prompt(piece, answer)
            else:
                num_right = row.take(piece, answer)
                if row.num_guessed:
                    self._judge(row, num_right)
            self.num_new_tokens += len(row.ids) - num_before
        num_extra = sum(len(piece.ids) for piece in pieces) - len(pieces)
        self.pace.measure(len(self.rows), num_extra, time.perf_counter() - start, reading=bool(reading))
        self._leave_done()

    def _judge(self, row: Row, num_right: int) -> None:
        """Count a row's guesses, and take back those that were wrong."""
        self.num_drafted += row.num_guessed
        self.num_right += num_right
        if row.done:
            return
        row.drafts.judge(row.num_guessed, num_right)
        if num_right < row.num_guessed:
            self.decoder.truncate(row.number, len(row.ids) - 1)

    def drop_cancelled(self) -> None:
        """End the rows whose callers have left."""
        for row in self.rows:
            if row.completion.cancelled and not row.done:
                row.completion.publish(Delta(finish_reason="cancelled"))
        self._leave_done()

    def fail(self, error: BaseException) -> None:
        """End every row with an error, and keep nothing."""
        for row in self.rows:
            self.decoder.close_row(row.number)
            if not row.done:
                row.completion.error = error
                row.completion.publish(Delta(finish_reason="error"))
        self.rows = []
        self.prefixes.clear()

    def free_a_row(self) -> None:
        """Make one row free for a caller that wants one, at the cost of a kept one."""
        if len(self.rows) + len(self.prefixes) >= self.max_rows:
            self.prefixes.drop_oldest()

    def _leave_done(self) -> None:
        done = [row for row in self.rows if row.done]
        if not done:
            return
        for row in done:
            read = row.read_ids
            if self.decoder.length(row.number) > len(read):
                self.decoder.truncate(row.number, len(read))
            self.prefixes.keep(row.number, read)
        self.rows = [row for row in self.rows if not row.done]
