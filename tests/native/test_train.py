"""The native trainer against rustbpe, Hugging Face and the plain Python twin: the same merges in the same order."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import rustbpe
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from glassmill import native
from glassmill.tokens import plain_bpe
from glassmill.tokens.formats import from_alphabet
from tests.native.strings import LLAMA3, random_strings, real_texts

TEXTS = [f"{text} the cat and the hat, 1234 abab aaaa\n" for text in random_strings(10, 300)]


def trained(documents: Sequence[str], num_symbols: int, tie_break: str = "bytes", threads: int = 1) -> list[bytes]:
    trainer = native.Trainer("llama3", tie_break=tie_break, threads=threads)
    trainer.add(documents)
    return symbols_of(trainer.train(num_symbols)[0])


def symbols_of(merges: np.ndarray) -> list[bytes]:
    symbols = [bytes([value]) for value in range(256)]
    for left, right in merges.tolist():
        symbols.append(symbols[left] + symbols[right])
    return symbols


def trained_by_rustbpe(documents: Sequence[str], num_symbols: int) -> list[bytes]:
    trainer = rustbpe.Tokenizer()
    trainer.train_from_iterator(iter(documents), num_symbols, pattern=LLAMA3)
    return [bytes(symbol) for symbol, _ in sorted(trainer.get_mergeable_ranks(), key=lambda entry: entry[1])]


def merged_by_hugging_face(documents: Sequence[str], num_symbols: int) -> list[bytes]:
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(LLAMA3), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=num_symbols, special_tokens=[], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(documents, trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [(from_alphabet(left) or b"") + (from_alphabet(right) or b"") for left, right in merges]


def test_merges_are_rustbpes():
    assert trained(TEXTS, 2000) == trained_by_rustbpe(TEXTS, 2000)


def test_merges_are_hugging_faces_with_its_way_to_break_ties():
    ours, theirs = trained(TEXTS, 2000, "hf"), merged_by_hugging_face(TEXTS, 2000)
    assert ours[256:] == theirs
    assert ours != trained(TEXTS, 2000, "bytes")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(alphabet="ab \nñ'1", max_size=60), max_size=6), st.integers(256, 320))
def test_merges_are_those_of_the_plain_twin(documents: list[str], num_symbols: int):
    assert trained(documents, num_symbols) == plain_bpe.train(documents, num_symbols, LLAMA3)


def test_counts_are_how_often_each_pair_stood_in_the_text():
    trainer = native.Trainer("whitespace", threads=1)
    trainer.add(["abab abab", "aaaa"])
    merges, counts = trainer.train(300)
    assert [tuple(pair) for pair in merges[:2].tolist()] == [(97, 98), (97, 97)]
    assert counts[:2].tolist() == [4, 3]
    assert (np.diff(counts.astype(np.int64)) <= 0).all()


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_neither_threads_nor_the_order_of_documents_change_anything(threads: int):
    assert trained(TEXTS[::-1], 1500, threads=threads) == trained(TEXTS, 1500)


@pytest.mark.parametrize("scheme", native.SCHEMES)
def test_one_long_document_is_cut_without_changing_its_pieces(scheme: str):
    """Documents of over 2^18 characters are shared among the threads; each part must end where a piece ends."""
    text = "\n".join(f"{text} \n" for text in TEXTS * 40)
    assert len(text) > 2 * 2**18
    cut, whole = native.Trainer(scheme, threads=3), native.Trainer("none")
    cut.add([text])
    ends, _ = native.split(text, scheme)
    whole.add_pieces(text.encode(), ends)
    assert cut.stats() == whole.stats()
    assert np.array_equal(cut.train(600)[0], whole.train(600)[0])


def test_documents_are_streamed_and_counted():
    def documents() -> Iterator[str]:
        yield from TEXTS

    trainer = native.Trainer("llama3", threads=2)
    trainer.add(documents())
    trainer.add(["more"])
    assert trainer.stats()["bytes"] == sum(len(text.encode()) for text in TEXTS) + 4
    assert trainer.stats()["pieces"] == sum(len(native.split(text, "llama3")[0]) for text in TEXTS) + 1


def test_an_error_of_the_documents_reaches_the_caller():
    def documents() -> Iterator[str]:
        yield "fine" * 100
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        native.Trainer("llama3").add(documents())
    with pytest.raises(TypeError, match="text must be str or bytes, not int"):
        native.Trainer("llama3").add([5])  # type: ignore[list-item]


def test_progress_is_told_and_can_stop_the_training():
    seen: list[int] = []

    def stop(done: int) -> None:
        seen.append(done)
        if len(seen) == 2:
            raise KeyboardInterrupt

    trainer = native.Trainer("llama3")
    trainer.add(TEXTS)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(5000, stop)
    assert seen == [512, 1024]


@pytest.mark.parametrize("num_symbols", [256, 257])
def test_the_smallest_vocabularies(num_symbols: int):
    assert len(trained(TEXTS, num_symbols)) == num_symbols
    assert len(trained([], num_symbols)) == 256


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="at least 256"):
        native.Trainer("llama3").train(255)
    with pytest.raises(ValueError, match="tie_break must be 'bytes' or 'hf', not 'coin'"):
        native.Trainer("llama3", tie_break="coin")


def test_a_million_letters_without_a_space_are_trained_on_like_any_others():
    text = "".join(random.Random(11).choices("abcdefghijklmnopqrstuvwxyzéñß", k=1_000_000))
    start = time.process_time()
    assert len(trained([text], 5000)) == 5000
    assert time.process_time() - start < 10


@pytest.mark.slow
@pytest.mark.parametrize("megabytes", [10, 100])
def test_real_text_and_32000_symbols_like_rustbpe_and_hugging_face(shared_data: Path, megabytes: int):
    documents = list(real_texts(shared_data, megabytes))
    assert sum(len(text.encode()) for text in documents) >= megabytes * 1_000_000
    assert trained(documents, 32_000, threads=2) == trained_by_rustbpe(documents, 32_000)
    ours = trained(documents, 32_000, "hf", threads=2)[256:]
    assert ours == merged_by_hugging_face(documents, 32_000)
