"""Memorisation: what is counted as continued word for word, how passages are drawn, the command and the papers."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import glassmill.cli  # noqa: F401  (registers the commands)
from glassmill.cli.base import app
from glassmill.evals.memorised import (
    LENGTH,
    PREFIX,
    TIMES,
    continue_passage,
    draw_passages,
    held_out_passages,
    memorised,
)
from glassmill.infer.decoder import Answer, DecoderInfo, Piece
from glassmill.infer.generate import Model
from glassmill.recipe import Recipe, TokenizerSettings, TokensSettings
from glassmill.run.finished import read_manifest
from glassmill.run.folder import Identity, open_run
from glassmill.tokens import tokens, vocabulary
from glassmill.tokens.shards import Shards
from glassmill.tokens.suffixes import SuffixIndex, build
from glassmill.tokens.tokenizer import Tokenizer
from tests.evals.test_tasks import Constant
from tests.random_models import save_random
from tests.tokens.builders import write_corpus

COPIES = (1, 3, 3, 7, 7, 40, 180)
"""How often each planted text stands in the corpus, of which a fifth is held out."""
WORDS = ("amber", "birch", "copper", "dune", "ember", "fjord", "garnet", "heron", "iris", "juniper", "kelp", "lichen")


def planted(seed: int, words: int = 150) -> str:
    """Words that stand together nowhere else."""
    return " ".join(np.random.default_rng(seed).choice(WORDS, words))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with planted copies between other texts, its vocabulary, ids with their index."""
    folder = tmp_path_factory.mktemp("memorised") / "runs"
    texts = [planted(number) for number, copies in enumerate(COPIES) for _ in range(copies)]
    corpus = write_corpus(folder / "corpus", [[*(planted(100 + n) for n in range(40)), *texts]])
    with open_run(folder / "tokenizer/r-1", Identity("tokenizer", 1, {}), Recipe()) as run:
        vocabulary.make(run, TokenizerSettings(vocab_size=300), corpus)
    inputs = {"tokenizer": read_manifest(folder / "tokenizer/r-1")["content"]}
    with open_run(folder / "tokens/r-1", Identity("tokens", 1, {}, inputs), Recipe()) as run:
        tokens.make(run, TokensSettings(validation_share=0.2, workers=1), corpus, folder / "tokenizer/r-1")
    build(folder / "tokens/r-1")
    return folder


@pytest.fixture(scope="module")
def model(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Random weights, with the vocabulary of the ids."""
    tokenizer = Tokenizer.load(runs / "tokenizer/r-1")
    return Model.load(save_random(tmp_path_factory.mktemp("models") / "tiny", tokenizer, 128, seed=3), device="cpu")


class Recites(Constant):
    """Continues some texts as they are; after anything else it finds all tokens equally likely."""

    def __init__(self, vocab_size: int, known: list[np.ndarray]) -> None:
        super().__init__(vocab_size)
        self.known = {tuple(ids[:length].tolist()): int(ids[length]) for ids in known for length in range(1, LENGTH)}

    @property
    def info(self) -> DecoderInfo:
        return DecoderInfo(self.vocab_size, 4096, 4, 1)

    def forward(self, pieces: list[Piece]) -> list[Answer]:  # type: ignore[override]
        (piece,) = pieces
        logits = np.zeros((piece.want, self.vocab_size), dtype=np.float32)
        for place in range(piece.want):
            read = tuple(piece.ids[: len(piece.ids) - piece.want + place + 1])
            logits[place, self.known.get(read, 0)] += 30.0
        return [Answer(logits)]


def test_passages_of_every_class_are_found_with_the_number_of_their_copies(runs: Path) -> None:
    index = SuffixIndex(runs / "tokens/r-1")
    groups, drawn = draw_passages(index, 5, seed=1)
    assert [(group.low, group.high) for group in groups] == list(TIMES)
    assert sum(group.of_text or 0 for group in groups) == pytest.approx(1)
    assert drawn > 0 and all(group.ids for group in groups)
    for group in groups:
        assert len(group.ids) <= 5
        for ids in group.ids:
            assert len(ids) == LENGTH and group.low <= index.count(ids) <= (group.high or 10**9)
            assert index.shards.eos_id not in ids
    again, _ = draw_passages(index, 5, seed=1)
    assert all(np.array_equal(one.ids, other.ids) for one, other in zip(groups, again, strict=True))


def test_passages_do_not_overlap_and_none_is_taken_twice(runs: Path) -> None:
    index = SuffixIndex(runs / "tokens/r-1")
    groups, drawn = draw_passages(index, 1000, seed=2)
    places = sorted(index.places(ids, most=1)[0] for group in groups for ids in group.ids)
    for one, other in itertools.pairwise(places):
        assert one.shard != other.shard or other.first - one.first >= LENGTH
    firsts = index.shards.documents_of(0)[:, 0]
    lengths = np.diff(firsts, append=index.shards.entries[0]["tokens"]) - 1
    assert drawn == int(np.maximum(0, lengths - LENGTH + 1).sum())  # few enough that each was looked at once


def test_held_out_passages_stand_nowhere_in_the_training_ids(runs: Path) -> None:
    index = SuffixIndex(runs / "tokens/r-1")
    group = held_out_passages(index, Shards(runs / "tokens/r-1", "validation"), 50, seed=1)
    assert (group.low, group.high) == (0, 0) and group.ids
    assert all(index.count(ids) == 0 for ids in group.ids)


def test_a_model_that_knows_a_passage_continues_it_and_no_other(runs: Path) -> None:
    index = SuffixIndex(runs / "tokens/r-1")
    (known, *others) = [ids for group in draw_passages(index, 5, seed=1)[0] for ids in group.ids]
    decoder = Recites(index.shards.vocab_size, [known])
    found = continue_passage(decoder, known)
    assert found.verbatim and found.bits < 1e-6
    assert not any(continue_passage(decoder, ids).verbatim for ids in others)
    broken = known.copy()
    broken[-1] = (broken[-1] + 1) % 256
    assert not continue_passage(decoder, broken).verbatim
    assert not decoder.rows


def test_one_pass_says_the_same_as_greedy_decoding(model: Model) -> None:
    generator = np.random.default_rng(5)
    for number in range(6):
        prefix = generator.integers(260, size=PREFIX).tolist()
        written = model.complete(prefix, max_tokens=LENGTH - PREFIX, temperature=0.0, ignore_eos=True).tokens
        ids = [*prefix, *(token.token for token in written)]
        if number % 2:  # a wrong token anywhere
            ids[PREFIX + int(generator.integers(LENGTH - PREFIX))] = 0
        same = ids[PREFIX:] == [token.token for token in written]
        found = model.engine.call(lambda decoder, ids=ids: continue_passage(decoder, ids))  # type: ignore[misc]
        assert found.verbatim is same


def test_a_model_that_has_learned_nothing_has_nothing_by_heart(runs: Path, model: Model) -> None:
    told: list[tuple[int, int]] = []
    found = memorised(model, runs / "tokens/r-1", 5, 1, lambda *pair: told.append(pair), str)
    assert [one["low"] for one in found["classes"]] == [0, *(low for low, _ in TIMES)]
    for one in found["classes"]:
        assert one["passages"] and one["verbatim"] == 0 and one["interval"][0] == 0 < one["interval"][1] < 1
        assert one["bits"] is not None and 5 < one["bits"] < 12
    total = sum(one["passages"] for one in found["classes"])
    assert told == [(number, total) for number in range(1, total + 1)] and not found["examples"]


def test_the_command_shows_the_curve_and_says_what_it_cannot_do(runs: Path, model: Model, tmp_path: Path) -> None:
    asked = ["eval", str(model.path), "--memorised", "--limit", "5", "--runs", str(runs)]
    out = tmp_path / "scores.json"
    shown = CliRunner().invoke(app, [*asked, "--tokens", "tokens/r-1", "--out", str(out)])
    assert shown.exit_code == 0, shown.output
    assert "10 to 99 times" in shown.output and "held out" in shown.output
    report = json.loads(out.read_text(encoding="utf-8"))
    assert report["memorised"]["tokens_run"] == "tokens/r-1" and len(report["memorised"]["classes"]) == 6
    with pytest.raises(Exception, match="is not a run of glassmill's"):
        CliRunner().invoke(app, asked, catch_exceptions=False)
    short = save_random(tmp_path / "short", model.tokenizer, 64, seed=3)
    with pytest.raises(Exception, match="a context of 64 tokens; passages of 100"):
        CliRunner().invoke(app, ["eval", str(short), *asked[2:], "--tokens", "tokens/r-1"], catch_exceptions=False)
