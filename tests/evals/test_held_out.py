"""Held-out text is the same text for every vocabulary."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from glassmill.errors import UserError
from glassmill.evals.held_out import held_out
from glassmill.recipe import Recipe, TokenizerSettings, TokensSettings
from glassmill.run.finished import read_manifest
from glassmill.run.folder import Identity, open_run
from glassmill.tokens import tokens, vocabulary
from glassmill.tokens.tokenizer import Tokenizer
from tests.tokens.builders import PROSE, write_corpus


def encoded(runs: Path, corpus: Path, vocab_size: int) -> tuple[Path, Tokenizer]:
    """A tokens run of the corpus in a vocabulary of its own, which lies among the same runs."""
    learned, ids = runs / f"tokenizer/r-{vocab_size}", runs / f"tokens/r-{vocab_size}"
    with open_run(learned, Identity("tokenizer", 1, {}), Recipe()) as run:
        vocabulary.make(run, TokenizerSettings(vocab_size=vocab_size), corpus)
    inputs = {"tokenizer": read_manifest(learned)["content"]}
    with open_run(ids, Identity("tokens", 1, {}, inputs), Recipe()) as run:
        tokens.make(run, TokensSettings(validation_share=0.2, workers=1), corpus, learned)
    return ids, Tokenizer.load(learned)


def test_text_of_another_vocabulary_is_encoded_again_and_refused_where_that_vocabulary_is_gone(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", [[f"{number}. {text}" for number in range(10) for text in PROSE]])
    small, large = (encoded(tmp_path / "runs", corpus, size) for size in (320, 448))
    own, lengths = held_out(*small)[:2]
    again, its_lengths = held_out(large[0], small[1])[:2]
    assert len(own) > 100 and np.array_equal(own, again) and np.array_equal(lengths, its_lengths)
    other, other_lengths = held_out(*large)[:2]
    assert len(other) < len(own) and other_lengths[other].sum() == lengths[own].sum()
    shutil.rmtree(tmp_path / "runs/tokenizer")
    with pytest.raises(UserError, match="another vocabulary than the model's, and the tokenizer run"):
        held_out(large[0], small[1])
