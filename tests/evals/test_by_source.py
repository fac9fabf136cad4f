"""Bits per byte by source: the parts are the whole, and every document counts under its own source."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glassmill.evals.bits_per_byte import Bits, bits_by_document, bits_per_byte
from glassmill.evals.by_source import by_source, held_out_sources
from glassmill.evals.eval import held_out_bits
from glassmill.evals.held_out import held_out
from glassmill.infer.generate import Model
from glassmill.recipe import Recipe, TokenizerSettings, TokensSettings
from glassmill.run.finished import read_manifest
from glassmill.run.folder import Identity, open_run
from glassmill.run.shards import find_shards
from glassmill.tokens import tokens, vocabulary
from glassmill.tokens.tokenizer import Tokenizer
from tests.random_models import save_random
from tests.tokens.builders import PROSE, write_corpus


class Lengthy:
    """A token costs as many nats as its place in the alphabet."""

    def token_losses(self, windows_BT: np.ndarray) -> np.ndarray:
        return windows_BT[:, 1:].astype(np.float32) / 7


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus in two shards, with its vocabulary and ids, a third of them held out."""
    folder = tmp_path_factory.mktemp("sources") / "runs"
    texts = [f"{number}. {text}" for number in range(8) for text in PROSE]
    with open_run(folder / "corpus/r-1", Identity("corpus", 1, {}), Recipe()) as run:
        corpus = write_corpus(run.path, [texts[::2], texts[1::2]])
        for shard in find_shards(corpus, "documents"):
            table = pq.read_table(shard)
            urls = [f"http://{'ab'[number % 2]}.example/{number}" for number in range(len(table))]
            for name, column in (("url", urls), ("source", ["one.warc"] * len(table))):
                table = table.append_column(name, pa.array(column, pa.string()))
            pq.write_table(table, shard)
        run.finish({})
    with open_run(folder / "tokenizer/r-1", Identity("tokenizer", 1, {}), Recipe()) as run:
        vocabulary.make(run, TokenizerSettings(vocab_size=320), corpus)
    inputs = {"tokenizer": read_manifest(folder / "tokenizer/r-1")["content"]}
    inputs |= {"documents": read_manifest(corpus)["content"]}
    with open_run(folder / "tokens/r-1", Identity("tokens", 1, {}, inputs), Recipe()) as run:
        tokens.make(run, TokensSettings(validation_share=0.3, workers=1), corpus, folder / "tokenizer/r-1")
    return folder


@pytest.mark.parametrize("length", [3, 16, 1000])
def test_the_documents_take_what_the_whole_text_takes(length: int) -> None:
    ids = np.random.default_rng(1).integers(0, 90, 700)
    ids[[40, 41, 300, 699]] = 0
    token_bytes = np.arange(90) % 5
    ends = ids == 0
    document_n = np.cumsum(ends) - ends
    bits = bits_by_document(Lengthy(), ids, token_bytes, document_n, length)
    assert bits.per_byte == bits_per_byte(Lengthy(), ids, token_bytes, length)
    assert bits.bits_D.sum() / bits.bytes_D.sum() == pytest.approx(bits.per_byte)
    read = (len(ids) - 1) // min(length, 699) * min(length, 699)
    for document in range(len(bits.bits_D)):
        its = [id for place, id in enumerate(ids.tolist()) if document_n[place] == document and 0 < place <= read]
        counted = [id for id in its if id % 5]
        assert bits.bytes_D[document] == sum(id % 5 for id in counted)
        assert bits.bits_D[document] == pytest.approx(sum(counted) / 7 / math.log(2), rel=1e-5)


def test_rows_add_up_and_small_sources_are_joined() -> None:
    sizes = np.array([100, 300, 50, 0, 20, 80])
    bits = Bits(np.array([150.0, 600, 75, 0, 10, 40]), sizes, 1.5909)
    rows = by_source(bits, ["a", "b", "a", "c", "d", "e"], most=3)
    assert [(row["source"], row["documents"], row["bytes"]) for row in rows] == [
        ("b", 1, 300), ("a", 2, 150), ("e", 1, 80), ("(2 others)", 2, 20),
    ]  # fmt: skip
    assert sum(row["bits"] for row in rows) == 875 and sum(row["bytes"] for row in rows) == sizes.sum()
    assert rows[1]["bits_per_byte"] == 1.5 and rows[1]["error"] == 0  # both take 1.5 bits a byte
    assert rows[0]["error"] is None
    assert by_source(bits, ["c"] * 6)[0]["error"] > 0


def test_every_held_out_document_has_its_source_and_the_sum_is_the_score(runs: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(runs / "tokenizer/r-1")
    model = Model.load(save_random(tmp_path / "tiny", tokenizer, 64, seed=3), device="cpu")
    ids = runs / "tokens/r-1"
    sources = held_out_sources(ids)
    assert sources is not None and len(sources) == held_out(ids, tokenizer).document_n.max() + 1
    bits = held_out_bits(model, ids)
    assert bits.sources is not None
    total = sum(row["bits"] for row in bits.sources) / sum(row["bytes"] for row in bits.sources)
    assert total == pytest.approx(bits.per_byte, abs=1e-4)
    assert {row["source"] for row in bits.sources} == {"a.example", "b.example"}
    assert held_out_bits(model, ids, tmp_path) == bits  # another corpus than that of the ids is not taken
