"""Files are what was written, or it is said: in finished runs, in models that were copied, in checkpoints."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from glassmill.cli import app
from glassmill.errors import UserError
from glassmill.infer.folder import load_folder, save_folder
from glassmill.model.config import ModelConfig
from glassmill.model.transformer import Transformer
from glassmill.pipeline import run_line
from glassmill.recipe import find_recipe, load_recipe
from glassmill.run import hashes, kinds
from glassmill.run.files import atomic_json, sha256_file
from glassmill.run.finished import read_manifest, run_damage
from glassmill.run.inputs import digest_files, input_files
from glassmill.run.integrity import Damage, damage, sealed_damage
from glassmill.train.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from tests.tokens.builders import small_tokenizer

SMALL = ("miniweb.pages=120", "miniweb.people=8", "miniweb.conversations=40", "tokenizer.vocab_size=400")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GLASSMILL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hashes.sqlite"


def flip(path: Path, place: int = -1) -> None:
    """One bit of one byte."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def settle(path: Path) -> None:
    """Makes a file look as if it was written a while ago, as far as its own clock goes."""
    past = time.time() - 60
    os.utime(path, (past, past))


def test_files_that_are_missing_longer_or_changed_are_told_apart(tmp_path: Path, cache: Path) -> None:
    for name in ("good", "longer", "changed", "gone"):
        (tmp_path / name).write_bytes(b"content")
    expected = {name: sha256_file(tmp_path / name) for name in ("good", "longer", "changed", "gone")}
    (tmp_path / "longer").write_bytes(b"content and more")
    flip(tmp_path / "changed")
    (tmp_path / "gone").unlink()
    assert damage(tmp_path, expected, dict.fromkeys(expected, 7)) == [
        Damage("changed", "has other bytes than were written"),
        Damage("gone", "is missing"),
        Damage("longer", "has 16 bytes instead of 7"),
    ]


def test_a_file_is_hashed_once_until_it_changes(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "SETTLED_NS", -(10**18))
    hashed: list[Path] = []
    monkeypatch.setattr(hashes, "_hashed", lambda path: hashed.append(path) or sha256_file(path))
    file = tmp_path / "file"
    file.write_bytes(b"content")
    expected = {"file": sha256_file(file)}
    for again, times in ((False, 1), (False, 1), (True, 2)):
        assert damage(tmp_path, expected, again=again) == [] and len(hashed) == times
    stamp = file.stat().st_mtime_ns
    flip(file)
    os.utime(file, ns=(stamp, stamp))  # the change time still tells
    assert damage(tmp_path, expected) == [Damage("file", "has other bytes than were written")]
    assert len(hashed) == 4  # before it is called damaged, once more
    cache.write_bytes(b"torn" * 1000)
    file.write_bytes(b"content")
    assert damage(tmp_path, expected) == [] and len(hashed) == 5
    assert damage(tmp_path, expected) == [] and len(hashed) == 5  # what was torn is gone


def test_a_file_changed_just_now_is_never_remembered(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    file = tmp_path / "file"
    assert damage(tmp_path, {"file": sha256_file(file)}) == []
    assert hashes._remembered({file: hashes.stamp_of(file)}) == {}


def test_inputs_are_hashed_once_and_how_far_it_is_is_told(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "SETTLED_NS", -(10**18))
    hashed: list[Path] = []
    monkeypatch.setattr(hashes, "_hashed", lambda path: hashed.append(path) or sha256_file(path))
    for number in range(20):
        (tmp_path / f"{number:02}.txt").write_text("x" * number)
    told: list[tuple[int, int]] = []
    files = input_files([str(tmp_path / "*.txt")])
    digest = digest_files(files, lambda done, total: told.append((done, total)))
    assert len(hashed) == 20 and told[-1] == (190, 190) and told == sorted(told)
    assert digest_files(files) == digest and len(hashed) == 20
    (tmp_path / "07.txt").write_text("y" * 7)
    assert digest_files(files) != digest and len(hashed) == 21
    cache.unlink()
    cache.mkdir()  # cannot be written: it costs time and nothing else
    (tmp_path / "07.txt").write_text("x" * 7)
    assert digest_files(files) == digest and len(hashed) == 41


def test_json_that_is_written_holds_no_nan(tmp_path: Path) -> None:
    atomic_json(tmp_path / "x.json", {"loss": [float("nan"), float("inf"), 1.5]})
    assert json.loads((tmp_path / "x.json").read_text()) == {"loss": [None, None, 1.5]}


# --- finished runs ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of the small stages of the demo, finished."""
    runs = tmp_path_factory.mktemp("runs")
    run_line(load_recipe(find_recipe("demo"), SMALL), runs, until="tokens")
    return runs


def a_copy(line: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(line, tmp_path / "runs"))


def run_again(runs: Path) -> tuple[dict[str, str], list[str]]:
    """Stage -> state, and the warnings, of running the same recipe again."""
    told: list[str] = []

    def listen(event: kinds.Event, *_: object) -> None:
        inner = getattr(event, "event", event)
        if isinstance(inner, kinds.Warned):
            told.append(inner.text)

    run_line(load_recipe(find_recipe("demo"), SMALL), runs, (listen,), until="tokens")
    (line,) = (runs / "lines").glob("demo-*.json")
    states = json.loads(line.read_text())["stages"]
    return {entry["stage"]: entry["status"] for entry in states}, told


def contents(runs: Path) -> dict[str, str]:
    return {path.parent.parent.name: read_manifest(path.parent)["content"] for path in runs.glob("*/*/manifest.json")}


DAMAGES = {
    "a page": ("miniweb", "warc/*.warc.gz", "flip"),
    "a shard of documents": ("corpus", "shards/documents-*.parquet", "flip"),
    "the vocabulary": ("tokenizer", "vocab.tiktoken", "cut"),
    "a shard of ids": ("tokens", "shards/train-*.bin", "flip"),
    "the index": ("tokens", "index.json", "remove"),
    "the manifest": ("tokens", "manifest.json", "flip"),
    "the manifest, cut": ("tokens", "manifest.json", "cut"),
    "what says it is done": ("tokens", "DONE", "flip"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_finished_stage_is_made_again_and_the_others_stay(
    case: str, line: Path, tmp_path: Path, cache: Path
) -> None:
    runs = a_copy(line, tmp_path)
    stage, pattern, kind = DAMAGES[case]
    (file, *_) = sorted(next(runs.glob(f"{stage}/demo-*")).glob(pattern))
    if kind == "flip":
        flip(file, file.stat().st_size // 2)
    else:
        file.write_bytes(file.read_bytes()[:-9]) if kind == "cut" else file.unlink()
    states, told = run_again(runs)
    assert states == {name: "done" if name == stage else "skipped" for name in states}
    assert (
        len(told) == (1 if file.name != "DONE" or kind == "flip" else 0) and f"the stage {stage} runs again" in told[0]
    )
    assert contents(runs) == contents(line)
    assert run_again(runs) == (dict.fromkeys(states, "skipped"), [])


def test_what_is_read_is_checked_first(line: Path, tmp_path: Path, cache: Path) -> None:
    from glassmill.tokens.documents import document_texts
    from glassmill.tokens.shards import Shards
    from glassmill.tokens.tokenizer import Tokenizer

    runs = a_copy(line, tmp_path)
    corpus, tokenizer, tokens = (next(runs.glob(f"{stage}/demo-*")) for stage in ("corpus", "tokenizer", "tokens"))
    assert Shards(tokens) and Tokenizer.load(tokenizer) and list(document_texts(corpus, 10))
    for file in (
        next(corpus.glob("shards/documents-*")),
        tokenizer / "vocab.tiktoken",
        next(tokens.glob("shards/train-*.bin")),
    ):
        flip(file, file.stat().st_size // 2)
    for read in (lambda: Shards(tokens), lambda: Tokenizer.load(tokenizer), lambda: list(document_texts(corpus, 10))):
        with pytest.raises(UserError, match="has other bytes than were written; the run is damaged: `glassmill run`"):
            read()


def test_verify_hashes_everything_and_names_what_changed(line: Path, tmp_path: Path, cache: Path) -> None:
    runs, command = a_copy(line, tmp_path), CliRunner()
    good = command.invoke(app, ["verify", "--runs", str(runs)])
    assert good.exit_code == 0 and "4 folders" in good.output and "all as they were written" in good.output
    file = next(runs.glob("tokens/*/shards/train-*.bin"))
    flip(file)
    bad = command.invoke(app, ["verify", "tokens", "--runs", str(runs), "--json"])
    assert bad.exit_code == 2
    assert json.loads(bad.output)["damaged"] == [f"{file} has other bytes than were written"]
    nothing = command.invoke(app, ["verify", str(tmp_path / "cache"), "--runs", str(runs)])
    assert isinstance(nothing.exception, UserError)


# --- models -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path, cache: Path) -> Path:
    tokenizer = small_tokenizer()
    torch.manual_seed(1)
    shape = ModelConfig(tokenizer.vocab_size, 16, 1, 2, 2, 8, 16, 64)
    save_folder(tmp_path / "model", Transformer(shape), tokenizer, {"steps": 3})
    return tmp_path / "model"


def test_a_copied_model_in_which_any_file_has_a_bit_flipped_is_refused(model: Path, tmp_path: Path) -> None:
    assert load_folder(model).meta == {"steps": 3}
    for file in sorted(model.iterdir()):
        copy = Path(shutil.copytree(model, tmp_path / f"copy-{file.name}"))
        flip(copy / file.name, (copy / file.name).stat().st_size // 2)
        with pytest.raises(UserError, match=r"damaged|is not JSON|gives the key|is not UTF-8") as refused:
            load_folder(copy)
        assert "\n" not in str(refused.value)
    (model / "tokenizer_config.json").unlink()
    with pytest.raises(
        UserError, match="tokenizer_config.json is missing: the model is damaged; copy, import or train"
    ):
        load_folder(model)


@pytest.mark.parametrize("how", ["lost", "missing"])
def test_a_model_that_lost_its_checksums_is_damaged(model: Path, how: str) -> None:
    if how == "lost":
        (model / "glassmill.json").write_text('{"steps": 3}')
    else:
        (model / "glassmill.json").unlink()
    with pytest.raises(UserError, match=r"glassmill.json (has lost its checksums|is missing): the model is damaged"):
        load_folder(model)


def test_a_model_changed_on_purpose_is_opened_once_its_checksums_are_null(model: Path) -> None:
    config = json.loads((model / "tokenizer_config.json").read_text()) | {"chat_template": "{{ messages }}"}
    (model / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match='if you changed it on purpose, write "integrity": null in glassmill.json'):
        load_folder(model)
    note = json.loads((model / "glassmill.json").read_text())
    (model / "glassmill.json").write_text(json.dumps(note | {"integrity": None}))
    assert load_folder(model).meta == {"steps": 3} and sealed_damage(model) == []


def test_a_damaged_checkpoint_is_skipped_for_an_older_one(tmp_path: Path) -> None:
    for step in (1, 2):
        state = {"w": torch.full((8,), float(step))}
        save_checkpoint(tmp_path, Checkpoint(step, state, state))
    newest = tmp_path / "step-00000002"
    for name in ("weights.safetensors", "optimizer.safetensors", "state.json"):
        before = (newest / name).read_bytes()
        flip(newest / name)
        found = newest_checkpoint(tmp_path)
        assert found is not None and found.step == 1
        (newest / name).write_bytes(before)
    found = newest_checkpoint(tmp_path)
    assert found is not None and found.step == 2


def test_a_damaged_manifest_is_damage_not_a_crash(line: Path, tmp_path: Path, cache: Path) -> None:
    run = next(a_copy(line, tmp_path).glob("tokens/*"))
    for content in (b"", b"[]", b"{}", b'{"files": 3}', b"\xff\xfe", b"[" * 10_000):
        (run / "manifest.json").write_bytes(content)
        (found,) = run_damage(run)
        assert found.name == "manifest.json"
