"""The two verbs: documents to a vocabulary, documents to id shards, and the shards read back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassmill.errors import UserError
from glassmill.recipe import TokenizerSettings, TokensSettings
from glassmill.run import kinds
from glassmill.run.finished import run_damage
from glassmill.tokens import bpe, tokens
from glassmill.tokens import vocabulary as tokenizer_stage
from glassmill.tokens.documents import document_hash, document_texts
from glassmill.tokens.shards import Shards
from glassmill.tokens.split import OWN_PATTERN, PATTERNS
from glassmill.tokens.tokenizer import Tokenizer
from tests.tokens.builders import PROSE, run_stage, write_corpus

TEXTS = [[f"{number}. {text}" for number in range(30) for text in PROSE], [f"Again: {text}" for text in PROSE], []]
SMALL = TokenizerSettings(vocab_size=4096, max_bytes=9)
KEPT = ("tokenizer.json", "tokenizer_config.json", "vocab.tiktoken", "meta.json", "token_bytes.npy", "merges.jsonl")


def artefacts(folder: Path) -> dict[str, bytes]:
    """Every artefact of a finished run: name to bytes."""
    names = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    return {name: (folder / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), TEXTS)


@pytest.fixture(scope="module")
def vocabulary(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("runs") / "tokenizer"
    return folder, run_stage(tokenizer_stage, folder, TokenizerSettings(vocab_size=400), documents=corpus)


@pytest.fixture(scope="module")
def shards(corpus: Path, vocabulary: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tokens"
    run_stage(
        tokens, folder, TokensSettings(validation_share=0.1, workers=2), documents=corpus, tokenizer=vocabulary[0]
    )
    return folder


def test_the_vocabulary_is_the_one_trained_on_the_document_stream(vocabulary: tuple[Path, Any]):
    loaded = Tokenizer.load(vocabulary[0])
    symbols = bpe.train([text for shard in TEXTS for text in shard], 440, PATTERNS[OWN_PATTERN])
    assert loaded.vocab_size == 448 and loaded.special["<|endoftext|>"] == 440
    assert [loaded.token_bytes(number) for number in range(440)] == symbols
    assert {file.name for file in vocabulary[0].iterdir()} >= {*KEPT, "stats.json", "DONE"}


def test_the_merges_tell_their_history(vocabulary: tuple[Path, list[kinds.Event]]):
    folder, events = vocabulary
    lines = [json.loads(line) for line in (folder / "merges.jsonl").read_text(encoding="utf-8").splitlines()]
    counts = [line["count"] for line in lines if line["left_id"] != line["right_id"]]  # in a run, pairs overlap
    assert [line["rank"] for line in lines] == list(range(256, 440))
    assert counts == sorted(counts, reverse=True) and counts[-1] > 0
    merges = [event for event in events if isinstance(event, kinds.Merge)]
    assert 20 < len(merges) <= tokenizer_stage.EVENTS
    for merge in merges:
        assert kinds.fields_of(merge) == lines[merge.rank - 256]


def test_the_numbers_of_the_page_agree_with_the_text(vocabulary: tuple[Path, Any]):
    stats = json.loads((vocabulary[0] / "stats.json").read_text(encoding="utf-8"))
    loaded = Tokenizer.load(vocabulary[0])
    texts = [text for shard in TEXTS for text in shard]
    assert stats["tokens"] == sum(len(loaded.encode(text)) for text in texts)
    assert stats["bytes"] == sum(len(text.encode()) for text in texts)
    assert stats["compression"][-1] == [440, stats["bytes_per_token"]]


def test_a_small_corpus_gives_a_smaller_vocabulary_and_says_so(tmp_path: Path):
    corpus = write_corpus(tmp_path / "corpus", [["aa aa", "ab"]])
    events = run_stage(tokenizer_stage, tmp_path / "tokenizer", TokenizerSettings(vocab_size=4096), documents=corpus)
    warning = next(event.text for event in events if isinstance(event, kinds.Warned))
    assert warning.startswith("the corpus has only 3 pairs to merge: 259 symbols instead of 4088")
    assert Tokenizer.load(tmp_path / "tokenizer").vocab_size == 320


@pytest.mark.parametrize("verb", [tokenizer_stage, tokens])
def test_an_empty_corpus_and_a_folder_without_one_are_refused(tmp_path: Path, verb: Any, vocabulary: tuple[Path, Any]):
    settings = TokenizerSettings() if verb is tokenizer_stage else TokensSettings()
    more = {} if verb is tokenizer_stage else {"tokenizer": vocabulary[0]}
    empty = write_corpus(tmp_path / "empty", [[]])
    with pytest.raises(UserError, match="kept no documents"):
        run_stage(verb, tmp_path / "a", settings, documents=empty, **more)
    with pytest.raises(UserError, match="is not a corpus run"):
        run_stage(verb, tmp_path / "b", settings, documents=tmp_path, **more)


def test_every_document_is_in_exactly_one_split_whole_and_ended(shards: Path, vocabulary: tuple[Path, Any]):
    loaded = Tokenizer.load(vocabulary[0])
    found: list[tuple[str, int]] = []
    for split in ("train", "validation"):
        read = Shards(shards, split)
        files = {file.name: np.fromfile(file, dtype="<u2") for file in (shards / "shards").glob("*.bin")}
        for document in read.documents():
            ids = files[Path(document.file).name][document.first : document.first + document.tokens]
            text = TEXTS[int(document.corpus[10:15])][document.row]
            assert ids[-1] == loaded.eos_id and loaded.decode(ids[:-1]) == text
            found.append((document.corpus, document.row))
        assert read.num_documents == len(read.documents()) > 0
        assert read.num_bytes == int(loaded.text_lengths()[read.ids].sum())
        assert len(read) == len(read.ids)
    assert sorted(found) == [(f"documents-0000{n}.parquet", row) for n in (0, 1) for row in range(len(TEXTS[n]))]


def test_the_bytes_do_not_depend_on_the_workers(
    shards: Path, corpus: Path, vocabulary: tuple[Path, Any], tmp_path: Path
):
    settings = TokensSettings(validation_share=0.1, workers=1)
    run_stage(tokens, tmp_path / "tokens", settings, documents=corpus, tokenizer=vocabulary[0])
    assert artefacts(tmp_path / "tokens") == artefacts(shards)
    assert not run_damage(shards)


@pytest.mark.parametrize("lost", ["work/part-00000.json", "shards/train-00001.bin", "index.json"])
def test_what_a_kill_left_out_is_made_again_and_the_rest_kept(
    shards: Path, corpus: Path, vocabulary: tuple[Path, Any], tmp_path: Path, lost: str
):
    settings = TokensSettings(validation_share=0.1, workers=1)
    run_stage(tokens, tmp_path / "tokens", settings, documents=corpus, tokenizer=vocabulary[0])
    (tmp_path / "tokens" / "DONE").unlink()
    (tmp_path / "tokens" / lost).unlink()
    run_stage(tokens, tmp_path / "tokens", settings, documents=corpus, tokenizer=vocabulary[0])
    assert artefacts(tmp_path / "tokens") == artefacts(shards)


def test_windows_are_slices_of_the_shards_as_pytorch_wants_them(shards: Path):
    read = Shards(shards, "train")
    windows = read.random_windows(np.random.default_rng(3), 64, 33)
    assert windows.shape == (64, 33) and windows.dtype == np.int64
    flat = read.ids.astype(np.int64)
    assert all(any(np.array_equal(row, flat[at : at + 33]) for at in np.flatnonzero(flat == row[0])) for row in windows)
    assert np.array_equal(windows, read.random_windows(np.random.default_rng(3), 64, 33))
    begins = {tuple(read.window(place, 33)) for place in range(read.num_windows(33))}
    assert {tuple(row) for row in windows} <= begins


def test_a_window_longer_than_the_shards_is_refused(shards: Path):
    with pytest.raises(UserError, match="too few for a window of 1000000"):
        Shards(shards, "validation").random_windows(np.random.default_rng(0), 1, 1_000_000)


def test_a_missing_or_cut_shard_is_named(shards: Path, tmp_path: Path):
    for path in shards.rglob("*"):
        if path.is_file():
            (tmp_path / path.relative_to(shards)).parent.mkdir(exist_ok=True)
            (tmp_path / path.relative_to(shards)).write_bytes(path.read_bytes())
    shard = tmp_path / "shards" / "train-00000.bin"
    shard.write_bytes(shard.read_bytes()[:-2])
    with pytest.raises(UserError, match=re.escape("train-00000.bin has")):
        Shards(tmp_path)
    shard.unlink()
    with pytest.raises(UserError, match="is missing; the run is damaged: `glassmill run`"):
        Shards(tmp_path)
    with pytest.raises(UserError, match="is not a tokens run"):
        Shards(tmp_path / "shards")


def test_a_single_document_gives_its_tail_to_validation(tmp_path: Path, vocabulary: tuple[Path, Any]):
    text = "".join(f"Line {number} of the only book.\n" for number in range(500))
    corpus = write_corpus(tmp_path / "corpus", [[text]])
    run_stage(tokens, tmp_path / "tokens", TokensSettings(), documents=corpus, tokenizer=vocabulary[0])
    loaded = Tokenizer.load(vocabulary[0])
    head, tail = (loaded.decode(Shards(tmp_path / "tokens", split).ids[:-1]) for split in ("train", "validation"))
    assert head + tail == text and tail.startswith("Line 490 ")


@given(st.lists(st.integers(0, 2**64 - 1), min_size=2, unique=True), st.floats(0.001, 0.49))
def test_some_but_not_all_documents_are_held_out(hashes: list[int], share: float):
    bound = tokens.held_out_bound(hashes, share)
    assert bound is not None
    held_out = sum(number < bound for number in hashes)
    assert 1 <= held_out < len(hashes)


def test_about_the_asked_share_is_held_out():
    hashes = [document_hash(f"{number:016x}") for number in range(20_000)]
    bound = tokens.held_out_bound(hashes, 0.02)
    assert bound is not None and 0.017 < sum(number < bound for number in hashes) / 20_000 < 0.023


def test_a_vocabulary_learns_from_an_even_sample_of_a_large_corpus_and_least_from_held_out_documents(tmp_path: Path):
    texts = [[f"{shard} {row} " + "grain " * 200 for row in range(400)] for shard in range(4)]
    corpus = write_corpus(tmp_path / "corpus", texts)
    num_bytes = sum(len(text) for shard in texts for text in shard)
    drawn = list(document_texts(corpus, num_bytes // 4))
    by_shard = [sum(text.startswith(f"{shard} ") for text in drawn) for shard in range(4)]
    assert all(70 < count < 130 for count in by_shard)
    held_out = tokens.held_out_documents(corpus, 0.1)
    assert held_out and not {*held_out.values()} & {*drawn}
    assert len(list(document_texts(corpus, 1))) == 1
    assert list(document_texts(corpus, 2 * num_bytes)) == [text for shard in texts for text in shard]
