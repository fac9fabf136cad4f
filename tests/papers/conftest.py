"""A line from a folder to a tuned model, small enough for tests."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from glassmill.pipeline import run_line
from glassmill.recipe import find_recipe, load_recipe
from tests.corpus.pages import record
from tests.corpus.test_exclude import prose

SMALL = (
    "tokenizer.vocab_size=400", "corpus.workers=1", "model.d_model=32", "model.num_layers=1", "model.num_heads=2",
    "model.num_kv_heads=1", "model.head_dim=16", "model.d_ff=64", "model.context_length=64", "train.minutes=none",
    "train.steps=3", "train.batch_tokens=256", "train.validation_tokens=512", "train.sample_tokens=4",
    "sft.minutes=none", "sft.steps=2", "sft.batch_tokens=256", "sft.held_out=0.2",
)  # fmt: skip
HOSTILE = "<img src=x onerror=alert(1)>.txt"
PRIVATE = ("ana@old-mill.museum", "415-555-2671")
CC = '<a rel="license" href="https://creativecommons.org/licenses/by-sa/4.0/">some rights</a>'


class Milled(NamedTuple):
    """The runs, the documents that they were made from, the conversations, and the run of each stage."""

    runs: Path
    docs: Path
    chats: Path
    folders: dict[str, Path]


@pytest.fixture(scope="session")
def milled_once(tmp_path_factory: pytest.TempPathFactory) -> Milled:
    root = tmp_path_factory.mktemp("papers")
    docs = root / "docs"
    (docs / "tools").mkdir(parents=True)
    for name in ("one", "two", "three"):
        (docs / f"{name}.txt").write_text(prose(name))
    (docs / "private.txt").write_text(f"{prose('private')}\nWrite to {PRIVATE[0]} or call {PRIVATE[1]}.")
    (docs / HOSTILE).write_text(prose("hostile"))
    (docs / "tools" / "LICENSE").write_text("MIT License\n\nPermission is hereby granted, free of charge, to all.\n")
    (docs / "tools" / "code.py").write_text(f'"""{prose("code")}"""\n')
    (docs / "z-copy.txt").write_text(prose("one"))
    (docs / "broken.pdf").write_bytes(b"%PDF-1.4 rubbish")
    page = f"<html><body><article><p>{prose('page')}</p>{CC}</article></body></html>"
    plain = f"<html><body><article><p>{prose('plain')}</p></article></body></html>"
    (docs / "web.warc.gz").write_bytes(
        record("http://www.site.example/page", page) + record("http://other.example/?mail=" + PRIVATE[0], plain)
    )
    chats = root / "chats.jsonl"
    turns = [("What is it?", f"It is {number}.") for number in range(20)]
    rows = [
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]}
        for asked, said in turns
    ]
    chats.write_text("".join(json.dumps(row) + "\n" for row in rows))
    wanted = (
        'stages=["corpus","tokenizer","tokens","train","sft"]',
        f"corpus.inputs={json.dumps([str(docs)])}",
        f"sft.conversations={json.dumps([str(chats)])}",
    )
    line = run_line(load_recipe(find_recipe("documents"), [*SMALL, *wanted]), root / "runs")
    return Milled(root / "runs", docs, chats, dict(line.folders))


@pytest.fixture
def milled(milled_once: Milled, tmp_path: Path) -> Milled:
    """A copy that a test may damage; its lists of inputs name the copied files."""
    for name in ("runs", "docs"):
        shutil.copytree(getattr(milled_once, name), tmp_path / name, symlinks=True)
    shutil.copy(milled_once.chats, tmp_path / "chats.jsonl")
    old, new = milled_once.runs.parent, tmp_path
    for path in (tmp_path / "runs").glob("*/*/inputs.jsonl"):
        path.write_text(path.read_text().replace(str(old), str(new)))
    folders = {stage: tmp_path / folder.relative_to(old) for stage, folder in milled_once.folders.items()}
    return Milled(tmp_path / "runs", tmp_path / "docs", tmp_path / "chats.jsonl", folders)
