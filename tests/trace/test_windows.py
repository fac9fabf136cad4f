"""The windows of a step are those that training read, and what they cost is what the models say."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from glassmill.corpus.document import documents
from glassmill.errors import UserError
from glassmill.infer.folder import load_folder
from glassmill.model.attention import documents_of
from glassmill.pipeline import run_line
from glassmill.recipe import load_recipe, make_recipe
from glassmill.tokens.shards import Shards
from glassmill.trace.origins import origin_of
from glassmill.trace.windows import WindowLine, WindowReader
from glassmill.train.start import Start, start_of
from tests.line import glassmill
from tests.train.builders import SMALL_LINE, write_docs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two lines: a plain one, and one that mixes its ids with itself and attends within documents."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("windows")
        patch.chdir(folder)
        write_docs(folder / "docs", 60)
        run_line(make_recipe(SMALL_LINE, []), folder / "runs")
    return folder / "runs"


def run_of(runs: Path, stage: str) -> Path:
    (found,) = (runs / stage).glob("[!.]*")
    return found


@pytest.fixture(scope="module")
def reader(runs: Path) -> WindowReader:
    return WindowReader(origin_of(run_of(runs, "train")))


def started(train: Path, tokens: Path) -> Start:
    recipe = load_recipe(train / "recipe.toml")
    return start_of(recipe.train, recipe.seed, tokens, recipe.model)


def test_a_window_is_what_the_training_read(runs: Path, reader: WindowReader) -> None:
    batches = started(run_of(runs, "train"), run_of(runs, "tokens")).batches
    for step in (1, 2, 7, 20):
        for row in range(1, batches.rows + 1):
            window = reader.window(step, row, now=False)
            ids = batches.batch(step - 1)
            assert (
                window["ids"][:-1] == ids.ids[row - 1].tolist() and window["ids"][1:] == ids.targets[row - 1].tolist()
            )
            assert (window["steps"], window["rows"], window["now"]) == (20, batches.rows, None)


def test_documents_are_those_that_the_corpus_has_there(runs: Path, reader: WindowReader) -> None:
    kept = {document.url: document.text for document in documents(run_of(runs, "corpus"))}
    for step in range(1, 21):
        window = reader.window(step, now=False)
        starts = [document["first"] for document in window["documents"]] + [len(window["ids"])]
        assert starts[0] == 0 and starts == sorted(starts)
        for document, end in zip(window["documents"], starts[1:], strict=True):
            said = "".join(window["tokens"][document["first"] : end]).removesuffix("<|endoftext|>")
            assert document["url"] is not None and said in kept[document["url"]]
            ids = reader.tokenizer.encode(kept[document["url"]])
            assert document["tokens"] == len(ids) + 1
            here = window["ids"][document["first"] : end]
            assert ids.tolist()[document["skipped"] :][: len(here)] == here[: len(ids) - document["skipped"]]


@torch.no_grad()
def test_what_a_token_cost_then_and_now_is_what_the_first_and_the_last_model_say(
    runs: Path, reader: WindowReader
) -> None:
    train, start = run_of(runs, "train"), started(run_of(runs, "train"), run_of(runs, "tokens"))
    window, batch = reader.window(1), start.batches.batch(0)
    assert window["measured"] == [1, 2, 3, 5, 9, 17] and window["now_by"] == f"train/{train.name}"
    for model, losses in ((start.model(), window["then"]), (load_folder(train / "model").model, window["now"])):
        assert losses == pytest.approx(model.eval()(batch.ids[:1], batch.targets[:1])[0].tolist(), abs=0.02)
    assert window["then"] and window["now"] and sum(window["now"]) < sum(window["then"])
    assert reader.window(4, now=False)["then"] is None and reader.window(1, 2, now=False)["then"] is None
    mean = reader.window(4, now=False)["mean"]
    measured = [float(np.mean(reader.window(step, now=False)["then"])) for step in window["measured"]]  # type: ignore[arg-type]
    assert mean is not None and mean["first"] <= 4 <= mean["last"] and min(measured) < mean["loss"] < max(measured)


@pytest.mark.slow
@torch.no_grad()
def test_of_a_mixture_each_window_is_found_in_its_own_ids_and_attention_starts_anew_at_documents(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, own = shutil.copytree(runs, tmp_path / "runs"), run_of(runs, "tokens")
    other = shutil.copytree(own, tmp_path / "other")
    monkeypatch.chdir(runs.parent)
    words = [f'train.mixture={{"{other}"=0.4}}', "train.document_attention=true", "train.steps=5"]
    base = next((copy / "tokenizer").iterdir())
    run_line(make_recipe({**SMALL_LINE, "name": "mixed"}, [*words, f"tokenizer.base={base}"]), copy)
    (train,) = (copy / "train").glob("mixed-*")
    origin = origin_of(train)
    reader, start = WindowReader(origin), started(train, origin.tokens)
    windows = [reader.window(step) for step in range(1, 6)]
    assert {window["part"] for window in windows} == {"", f"{tmp_path.name}/other"}
    for window in windows:
        batch = start.batches.batch(window["step"] - 1)
        assert window["ids"][:-1] == batch.ids[0].tolist()
        assert all((one["url"] is None) == bool(window["part"]) for one in window["documents"])
    window, batch = windows[0], start.batches.batch(0)
    whole = documents_of(batch.ids[:1], Shards(origin.tokens).eos_id)
    for model, losses in ((start.model(), window["then"]), (load_folder(train / "model").model, window["now"])):
        found = model.eval()(batch.ids[:1], batch.targets[:1], documents_BT=whole)[0]
        assert losses == pytest.approx(found.tolist(), abs=0.02)
    shutil.rmtree(other)
    with pytest.raises(UserError, match=r"other, which the training read, is not here any more"):
        WindowReader(origin)


@pytest.mark.slow
def test_the_command_shows_documents_losses_and_the_costliest_tokens(runs: Path) -> None:
    train = f"train/{run_of(runs, 'train').name}"
    done = glassmill("windows", train, "--step", "2", "--runs", str(runs))
    assert done.returncode == 0, done.stderr
    for said in (f"{train}: step 2 of 20, row 1 of 4", ".txt", "before that step it cost", "it costs", "place"):
        assert said in done.stdout
    other = glassmill("windows", train, "--step", "4", "--row", "2", "--runs", str(runs)).stdout
    assert re.search(r"was not measured; steps 1 to 20 cost \d\.\d{3} nats a token on average", other)
    window: WindowLine = json.loads(glassmill("windows", train, "--json", "--runs", str(runs)).stdout)
    assert len(window["ids"]) == len(window["tokens"]) == len(window["now"] or ()) + 1


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        ("tokens", r"the tokens run that it was trained on is not here"),
        ("tokens/*/shards/train-*.bin", r"train-.*\.bin is missing"),
        ("tokenizer", ""),
        ("train/*/model", ""),
        ("corpus", ""),
    ],
)
def test_what_is_gone_is_told_in_one_line(runs: Path, tmp_path: Path, gone: str, says: str) -> None:
    left = shutil.copytree(runs, tmp_path / "runs")
    for path in list(left.glob(gone)):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    try:
        window = WindowReader(origin_of(run_of(left, "train"))).window(3)
    except UserError as error:
        assert says and re.search(says, str(error)) and "\n" not in str(error)
        return
    assert not says and (window["now"] is None) == (gone == "train/*/model") == (window["now_by"] == "")
    assert (window["corpus"] is None) == (gone == "corpus") == (window["documents"][0]["url"] is None)


@pytest.mark.parametrize(("step", "row", "says"), [(0, 1, "step 0"), (21, 1, "1 to 20"), (1, 5, "rows are 1 to 4")])
def test_a_window_that_no_step_read_is_refused(reader: WindowReader, step: int, row: int, says: str) -> None:
    with pytest.raises(UserError, match=says):
        reader.window(step, row)


def test_personal_data_is_masked_token_by_token_and_no_id_says_what_it_was(reader: WindowReader) -> None:
    said = "Write to ada.miller@mills.de today."
    ids = np.asarray(reader.tokenizer.encode(said), np.int64)
    shown, masked = reader._told(ids, clear=False)
    assert len(masked) == len(ids) and "".join(masked).split() == ["Write", "to", "[email]", "today."]
    assert reader.tokenizer.decode(np.asarray([one for one in shown if one is not None])).split() == [
        "Write",
        "to",
        "today.",
    ]
    shown, clear = reader._told(ids, clear=True)
    assert (shown, "".join(clear)) == (ids.tolist(), said)
