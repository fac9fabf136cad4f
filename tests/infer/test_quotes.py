"""A quotation begins with a given text, ends behind one of its sentences, and has no word of its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassmill.infer.quotes import Quotes
from glassmill.search.lines import leads, sentences
from glassmill.tokens.specials import special_ids
from glassmill.tokens.split import OWN_PATTERN, PATTERNS
from glassmill.tokens.tokenizer import Tokenizer

BYTES = [bytes([byte]) for byte in range(256)]
TOKENIZER = Tokenizer.from_ranks(
    {s: i for i, s in enumerate([*BYTES, b"th", b"the", b" t"])}, PATTERNS[OWN_PATTERN], special_ids(259)
)
TEXTS = st.lists(
    st.text(alphabet="the .?\né", min_size=1, max_size=30).filter(str.strip), min_size=1, max_size=3, unique=True
)


@given(texts=TEXTS, seed=st.integers(0, 100))
def test_whatever_a_model_prefers_it_quotes_whole_sentences(texts: list[str], seed: int) -> None:
    chance = np.random.default_rng(seed)
    quotes = Quotes(TOKENIZER, texts)
    state, said = quotes.begin(), []
    while True:
        logits = chance.normal(size=TOKENIZER.vocab_size).astype(np.float32)
        state.mask(logits)
        token = int(logits.argmax())
        assert np.isfinite(logits[token])
        if token in quotes.end_ids:
            break
        said.append(token)
        state.accept(token)
    quoted = TOKENIZER.decode(said)
    beginnings = [text[sentences(text)[0][0] : end] for text in texts for _, end in sentences(text)]
    assert quoted in beginnings
    start, end = sentences(quoted)[-1]
    answers = not leads(quoted[start:end]) and not quoted[start:end].endswith("?")
    assert answers or any(text.rstrip().endswith(quoted.rstrip()) for text in texts)


def test_a_text_without_a_word_cannot_be_quoted() -> None:
    logits = np.zeros(TOKENIZER.vocab_size, dtype=np.float32)
    state = Quotes(TOKENIZER, ["  "]).begin()
    state.mask(logits)
    assert set(np.flatnonzero(np.isfinite(logits))) == set(Quotes(TOKENIZER, ["  "]).end_ids)


@pytest.mark.parametrize("text", ["One. Two", "One.\n\nTwo", "--option\n  Two words"])
def test_the_whole_text_can_be_quoted(text: str) -> None:
    quotes = Quotes(TOKENIZER, [text])
    assert TOKENIZER.decode(quotes.texts[0].ids) == text
