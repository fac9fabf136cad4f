"""What a text shares with the training documents, against the documents themselves."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from glassmill.corpus.document import documents
from glassmill.errors import UserError
from glassmill.recipe import TokensSettings
from glassmill.tokens import tokens
from glassmill.tokens.suffixes import SuffixIndex, build
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.trace.origins import Origin, find_run, origin_of, reading_of, steps_reading
from glassmill.trace.stretches import stretches
from glassmill.trace.tracer import Tracer
from glassmill.train.batches import WindowBatches
from tests.line import glassmill
from tests.studio.replay import RUN_OF, copy_recorded, encode_again
from tests.tokens.builders import run_stage, write_corpus


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded line with its ids and their index."""
    folder = tmp_path_factory.mktemp("traced")
    copy_recorded(folder)
    build(encode_again(folder))
    return folder


@pytest.fixture(scope="module")
def tracer(runs: Path) -> Tracer:
    return Tracer(origin_of(runs / RUN_OF["sft"]))


@pytest.fixture(scope="module")
def texts(runs: Path, tracer: Tracer) -> list[str]:
    """The training documents."""
    kept = {(document.url, document.text) for document in documents(runs / RUN_OF["corpus"])}
    tokenizer, shards = tracer.tokenizer, tracer.shards
    found = []
    for number in range(len(shards.entries)):
        ids, firsts = shards.shard(number), shards.documents_of(number)[:, 0]
        found += [tokenizer.decode(np.asarray(part[:-1], np.uint32)) for part in np.split(ids, firsts[1:])]
    assert set(found) <= {text for _, text in kept}
    return found


def sentence(texts: list[str], number: int = 3) -> str:
    """A sentence from the middle of some training document, with its full stop."""
    return next(found[0] for text in texts[number:] if (found := re.search(r"(?<=\. )[A-Z][^.\n]{40,}\.(?= )", text)))


def test_a_sentence_of_a_document_is_one_stretch_with_every_page_that_has_it(
    runs: Path, tracer: Tracer, texts: list[str]
) -> None:
    said = sentence(texts)
    traced = tracer.trace(said, pages=1000)
    (stretch,) = traced["stretches"]
    assert (stretch["start"], stretch["end"], stretch["text"]) == (0, len(said), said)
    having = [document for document in documents(runs / RUN_OF["corpus"]) if said in document.text]
    assert {page["url"] for page in stretch["pages"]} <= {document.url for document in having}
    trained = [text for text in texts if said in text]
    assert stretch["documents"] == len(trained) == len(stretch["pages"])
    assert stretch["count"] == sum(page["times"] for page in stretch["pages"]) == sum(t.count(said) for t in trained)
    for page in stretch["pages"]:
        (text,) = (document.text for document in having if document.url == page["url"])
        assert page["before"] + page["text"] + page["after"] in text and page["text"] == said


def test_stretches_are_the_longest_whole_words_and_say_how_often_they_stand(tracer: Tracer, texts: list[str]) -> None:
    one, two = (sentence(texts, number) for number in (3, 40))
    cut = " ".join(two.split()[1:-1])
    said = f"{one} Quixotic zebras. So they say {cut} xylophonically"
    found = stretches(tracer.index, tracer.tokenizer, said)
    assert {said[f.start : f.end] for f in found} >= {one} and any(cut in said[f.start : f.end] for f in found)
    for f in found:
        words = said[f.start : f.end]
        assert sum(text.count(words) for text in texts) >= f.count > 0
        assert not said[f.start - 1 : f.start].isalnum() and not said[f.end : f.end + 1].isalnum()
        assert not any(other is not f and other.start <= f.start and f.end <= other.end for other in found)
    assert [f.bits for f in found] == sorted((f.bits for f in found), reverse=True)


@pytest.mark.parametrize("text", ["", " ", "\n\n", "?!", "zzqx", "\ud800", "日本語", "a", "🦓" * 50, "the " * 2000])
def test_any_text_can_be_traced(tracer: Tracer, text: str) -> None:
    traced = tracer.trace(text)
    for stretch in traced["stretches"]:
        assert stretch["text"] == text[stretch["start"] : stretch["end"]] != "" and stretch["count"] > 0
    json.dumps(traced)


def test_words_at_the_start_of_a_text_are_found_inside_sentences_too(tracer: Tracer, texts: list[str]) -> None:
    inside = next(word for text in texts for word in text.split()[1:] if len(word) > 6 and word.isalpha())
    (stretch,) = stretches(tracer.index, tracer.tokenizer, inside)
    assert len(stretch.forms) in (1, 2)
    assert stretch.count == sum(tracer.index.count(np.array(ids, np.uint32)) for ids in stretch.forms) > 0


def test_the_steps_are_those_whose_batches_hold_the_words(runs: Path, tracer: Tracer) -> None:
    shards = tracer.shards
    reading = reading_of(runs / RUN_OF["train"], shards)
    assert reading is not None
    batches = WindowBatches(shards, reading.rows, reading.order.length, reading.order.seed)
    assert reading.steps == 60
    targets = [batches.batch(step).targets.numpy().ravel().tolist() for step in range(reading.steps)]
    for number in range(len(shards.entries)):
        ids = shards.shard(number).tolist()
        for first in range(0, len(ids) - 40, len(ids) // 5):
            rare = ids[first : first + 24]
            steps = steps_reading(reading, shards, number, first, len(rare))
            whole = [step + 1 for step, read in enumerate(targets) if _holds(read, rare[1:])]
            assert set(whole) <= set(steps) or len(SuffixIndex(tracer.origin.tokens).places(rare[1:])) > 1
            assert all(any(one in targets[step - 1] for one in rare) for step in steps)
            assert len(steps) <= 2 * -(-reading.steps * reading.rows // reading.order.windows_per_epoch)


def _holds(read: list[int], wanted: list[int]) -> bool:
    return any(read[at : at + len(wanted)] == wanted for at in range(len(read)))


def test_a_model_leads_to_its_tokens_by_path_by_name_and_as_a_folder(runs: Path) -> None:
    wanted = runs / RUN_OF["tokens"]
    for word in (RUN_OF["sft"], f"{RUN_OF['sft']}/model", RUN_OF["train"], RUN_OF["tokens"], str(wanted)):
        assert origin_of(find_run(word, runs)).tokens == wanted
    assert origin_of(wanted).train is None and origin_of(runs / RUN_OF["sft"]).train == runs / RUN_OF["train"]


def test_without_the_corpus_the_matches_remain(runs: Path, tmp_path: Path, texts: list[str]) -> None:
    left = shutil.copytree(runs, tmp_path / "runs")
    said = sentence(texts)
    shutil.rmtree(left / "corpus")
    done = glassmill("trace", RUN_OF["sft"], said, "--runs", str(left))
    assert done.returncode == 0 and "the corpus run is gone" in done.stdout and said in done.stdout, done
    shutil.rmtree(left / "tokenizer")  # the model has one
    traced = Tracer(origin_of(left / RUN_OF["sft"])).trace(said)
    assert traced["corpus"] is None and traced["stretches"][0]["pages"][0]["url"] is None
    with pytest.raises(UserError, match="the tokenizer that it was encoded with is not here"):
        origin_of(left / RUN_OF["tokens"])
    shutil.rmtree(left / "tokens")
    with pytest.raises(UserError, match=r"the tokens run that it was trained on is not here; give a run"):
        origin_of(left / RUN_OF["sft"])


def test_the_command_makes_the_index_and_shows_pages_with_their_ways(
    runs: Path, tmp_path: Path, texts: list[str]
) -> None:
    copy = shutil.copytree(runs, tmp_path / "runs")
    shutil.rmtree(copy / RUN_OF["tokens"] / "suffixes")
    said = sentence(texts)
    asked = ("trace", RUN_OF["sft"], said, "--runs", str(copy))
    done = glassmill(*asked)
    assert done.returncode == 0 and "building the index" in done.stderr, done.stderr
    for shown in (said, "http", "checks in", "step"):
        assert shown in done.stdout
    again = glassmill(*asked, "--json", "--pages", "1")
    assert "building" not in again.stderr
    (page,) = json.loads(again.stdout)["stretches"][0]["pages"]
    assert page["way"].startswith("passed ") and page["steps"]["count"] >= 0


def test_what_cannot_be_traced_is_refused_in_one_line(runs: Path, tmp_path: Path) -> None:
    refused = glassmill("trace", RUN_OF["sft"], "--runs", str(runs))
    assert refused.returncode == 2 and "give the text to trace" in refused.stderr
    for word, says in (
        (RUN_OF["corpus"], r"is a run of the stage corpus, and the tokens run .* is not here"),
        (str(tmp_path), "is not a run of glassmill's"),
        ("sft/none", "no such folder, and no run of that name"),
    ):
        with pytest.raises(UserError, match=says):
            origin_of(find_run(word, runs))


@pytest.mark.slow
def test_an_imported_tokenizer_traces_too(tmp_path: Path) -> None:
    lines = [
        "Ada is the miller of the town, and she likes plums.",
        "Bruno is the baker; Ada is the miller of the town.",
    ]
    corpus = write_corpus(tmp_path / "corpus", [lines])
    Tokenizer.load("cl100k_base").save(tmp_path / "tokenizer")
    run = tmp_path / "tokens"
    run_stage(
        tokens,
        run,
        TokensSettings(workers=1, validation_share=0.01),
        documents=corpus,
        tokenizer=tmp_path / "tokenizer",
    )
    build(run)
    index = SuffixIndex(run)
    assert index.shards.dtype == np.dtype("<u4")
    said = "I heard Ada is the miller of the town today"
    found = stretches(index, Tokenizer.load(tmp_path / "tokenizer"), said)
    assert said[found[0].start : found[0].end] == "Ada is the miller of the town"


def test_personal_data_that_a_corpus_kept_is_shown_to_nobody_who_did_not_ask_for_it(tmp_path: Path) -> None:
    lines = [f"Ada is the miller. Write to ada.miller{number}@mills.de for flour." for number in range(8)]
    corpus, run = write_corpus(tmp_path / "corpus", [lines]), tmp_path / "tokens"
    Tokenizer.load("cl100k_base").save(tmp_path / "tokenizer")
    settings = TokensSettings(workers=1, validation_share=0.01)
    run_stage(tokens, run, settings, documents=corpus, tokenizer=tmp_path / "tokenizer")
    build(run)
    tracer = Tracer(Origin(run, tmp_path / "tokenizer", None, None))
    (masked,), (clear,) = (tracer.trace("Ada is the miller", clear=clear)["stretches"] for clear in (False, True))
    assert "@mills.de" not in json.dumps(masked) and "[email]" in masked["pages"][0]["after"]
    assert "@mills.de" in clear["pages"][0]["after"]
