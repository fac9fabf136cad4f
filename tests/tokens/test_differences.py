"""Imported tokenizers speak as in transformers: made-up folders of every kind, ids, chats, ends and decoded texts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerFast

from glassmill.errors import UserError
from glassmill.tokens.chat import render
from glassmill.tokens.tokenizer import Tokenizer
from tests.tokens.made_folders import TEXTS, Made


def outcome(function: Callable[[], Any], failures: type[Exception]) -> Any:
    try:
        return function()
    except failures:
        return "refused"


def differences(made: Made) -> list[str]:
    """What the two say differently about one folder. (`AutoTokenizer` takes a tenth of a second.)"""
    auto = made.random.random() < 0.1 or "LlamaTokenizer" in (made.folder / "tokenizer_config.json").read_text()
    ours, theirs = (
        Tokenizer.load(made.folder),
        (AutoTokenizer if auto else PreTrainedTokenizerFast).from_pretrained(made.folder),
    )
    out: list[str] = []

    def compare(what: str, one: Any, other: Any) -> None:
        if one != other:
            out.append(f"{what}: {one!r} and {other!r}")

    names = set(ours.special)
    shown = [text for text in TEXTS if not any(name in text for name in names)]
    for text in made.random.sample(shown, 6):
        compare(f"prompt {text!r}", ours.framed(text).tolist(), theirs(text)["input_ids"])
        compare(f"text {text!r}", ours.encode(text).tolist(), theirs(text, add_special_tokens=False)["input_ids"])
    for prompt in (True, False):
        messages = made.conversation(names)
        compare(
            f"chat {messages}",
            outcome(lambda m=messages, p=prompt: render(ours, m, p).tolist(), UserError),
            outcome(
                lambda m=messages, p=prompt: theirs.apply_chat_template(m, add_generation_prompt=p, return_dict=False),
                Exception,
            ),
        )
    everything = list(range(len(theirs)))
    for _ in range(4):
        ids = [*theirs(made.random.choice(TEXTS))["input_ids"], *made.random.choices(everything, k=8)]
        ids = [number for number in ids if theirs.convert_ids_to_tokens(number) is not None] + [everything[-1]] * 2
        compare(f"decode {ids}", ours.decode(ids), theirs.decode(ids))
        answer = theirs.decode(ids, skip_special_tokens=True)
        compare(f"decode skipping {ids}", ours.decode(ids, skip_special=True), answer)
        stream, hidden = ours.stream(), ours.engine.hidden
        pieces = [stream.push(number) for number in ids if number not in hidden]
        compare(f"stream {ids}", "".join([*pieces, stream.finish()]), answer)
    compare("ends", set(ours.stop_ids) >= ends(made.folder), True)
    listed, named = ends(made.folder), config_ends(made.folder)
    wanted = (listed | {number for number in named if number in ours.special.values()} if listed else named) | {
        theirs.eos_token_id
    }
    turn = theirs.convert_tokens_to_ids(made.names["turn"])
    compare("all ends", set(ours.stop_ids) - {turn}, (wanted - {None, turn}))
    return out


def ends(folder: Path) -> set[int]:
    if not (folder / "generation_config.json").is_file():
        return set()
    named = GenerationConfig.from_pretrained(folder).eos_token_id
    return set(named) if isinstance(named, list) else {named}


def config_ends(folder: Path) -> set[int]:
    path = folder / "config.json"
    named = json.loads(path.read_text(encoding="utf-8"))["eos_token_id"] if path.is_file() else []
    return set(named) if isinstance(named, list) else {named}


def all_differences(folder: Path, seeds: range) -> list[str]:
    found: list[str] = []
    for seed in seeds:
        made = Made(folder / str(seed), seed)
        found += [f"seed {seed} ({made.kind}) {one}" for one in differences(made)]
        shutil.rmtree(made.folder)
    return found


@pytest.mark.parametrize("part", range(4))
def test_a_sample_of_made_up_folders_speaks_as_in_transformers(tmp_path: Path, part: int):
    assert all_differences(tmp_path, range(part * 25, part * 25 + 25)) == []


@pytest.mark.slow
@pytest.mark.parametrize("part", range(1, 5))
def test_two_thousand_made_up_folders_speak_as_in_transformers(tmp_path: Path, part: int):
    assert all_differences(tmp_path, range(part * 1000, part * 1000 + 500)) == []
