"""The inputs of `../shared/cases` that failed once, each as its `expect.md` says. Every kind has tests of its own with
its neighbours; here are the inputs themselves, which lie beside the checkout only on the project's machines."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SHARED_DATA
from tests.line import glassmill

CASES = SHARED_DATA.parent / "cases"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CASES.is_dir(), reason="no ../shared/cases here")]
TESTED = {
    "added-words", "at-sign-without-mail", "begin-of-text", "chat-past-context", "chunked-without-its-end",
    "crawlers-own-log", "east-asian-windows-letters", "generation-config-eos", "impossible-shapes",
    "inline-svg-math-unknown-tags", "nan", "plain-arc-over-64k", "rows-of-numbers-as-phones", "sentencepiece-llama",
    "sft-of-an-import", "sft-shapes", "short-cjk-pages", "templates-that-read-contents", "windows-text-files",
}  # fmt: skip


def files(case: str, suffix: str) -> Sequence[str]:
    """The names of a case's inputs, for a table of tests; one empty name where there are no cases."""
    return sorted(path.name for path in (CASES / case).glob(f"*{suffix}")) or [""]


def extracted(path: Path, out: Path) -> list[dict[str, Any]]:
    """What `glassmill extract` makes of an archive."""
    done = glassmill("extract", str(path), str(out))
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def told(*words: str, cwd: Path | None = None) -> str:
    """The one line of a mistake."""
    done = glassmill(*words, cwd=cwd)
    assert done.returncode == 2 and "Traceback" not in done.stderr, (done.returncode, done.stderr)
    return done.stderr


def made(case: str, script: str, out: Path) -> Path:
    """The model folder that a case's script writes."""
    subprocess.run([sys.executable, script, str(out)], cwd=CASES / case, check=True, capture_output=True)
    return out


def test_every_case_is_tested_here() -> None:
    assert {path.name for path in CASES.iterdir() if path.is_dir()} == TESTED


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", files("chunked-without-its-end", ".warc.gz"))
def test_a_chunked_body_is_read_as_far_as_it_goes(name: str, tmp_path: Path) -> None:
    case = CASES / "chunked-without-its-end"
    (page,) = extracted(case / name, tmp_path / "out.jsonl")
    (sound,) = extracted(case / "ok.warc.gz", tmp_path / "ok.jsonl")
    start = sound["text"][:60]
    assert page["text"].startswith(start) and set(page["text"].split()) <= set(sound["text"].split()) | {
        page["text"].split()[-1]
    }


@pytest.mark.parametrize("name", files("east-asian-windows-letters", ".warc.gz"))
def test_a_page_is_read_in_its_declared_encoding(name: str, tmp_path: Path) -> None:
    (page,) = extracted(CASES / "east-asian-windows-letters" / name, tmp_path / "out.jsonl")
    text = page["text"]
    assert text and "\ufffd" not in text
    assert sum("\u00a0" <= letter <= "\u024f" for letter in text) <= 0.02 * len(text), text[:80]


@pytest.mark.parametrize(("name", "pages"), [("plain-40.arc", 40), ("plain-60.arc", 60)])
def test_an_arc_is_read_to_its_last_record(name: str, pages: int, tmp_path: Path) -> None:
    assert len(extracted(CASES / "plain-arc-over-64k" / name, tmp_path / "out.jsonl")) == pages


def test_what_a_crawler_wrote_about_itself_is_no_page(tmp_path: Path) -> None:
    pages = extracted(CASES / "crawlers-own-log" / "wget.warc.gz", tmp_path / "out.jsonl")
    assert [page["url"] for page in pages] == ["https://mill.example/"]


@pytest.mark.parametrize("name", files("inline-svg-math-unknown-tags", ".html"))
def test_an_unknown_element_stays_in_the_line(name: str) -> None:
    from glassmill.corpus.extract.extract import html_to_text
    from glassmill.recipe import ExtractSettings

    page = (CASES / "inline-svg-math-unknown-tags" / name).read_text(encoding="utf-8")
    text = html_to_text(page, ExtractSettings())
    _, *lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) > 3 and all(len(line.split()) > 5 for line in lines), text


@pytest.mark.parametrize("name", files("short-cjk-pages", ".html"))
def test_a_short_page_without_blanks_is_kept(name: str) -> None:
    from glassmill.corpus.extract.extract import html_to_text
    from glassmill.recipe import ExtractSettings

    page = (CASES / "short-cjk-pages" / name).read_text(encoding="utf-8")
    assert len(html_to_text(page, ExtractSettings())) > 100


@pytest.mark.parametrize("case", ["at-sign-without-mail", "rows-of-numbers-as-phones"])
def test_nothing_here_is_personal(case: str) -> None:
    from glassmill.corpus.pii.masking import find

    text = (CASES / case / "lines.txt").read_text(encoding="utf-8")
    assert [text[span.start - 20 : span.end + 20] for span in find(text)] == []


@pytest.mark.parametrize("name", [*files("windows-text-files", ".txt"), *files("windows-text-files", ".jsonl")])
def test_a_text_of_windows_trains_a_tokenizer_or_is_refused(name: str, tmp_path: Path) -> None:
    path = CASES / "windows-text-files" / name
    done = glassmill("tokenizer", "train", str(path), "--vocab-size", "400", "--out", str(tmp_path / "out"))
    assert done.returncode in (0, 2) and "Traceback" not in done.stderr, done.stderr
    if done.returncode == 0:
        from glassmill.tokens.tokenizer import Tokenizer

        tokenizer = Tokenizer.load(tmp_path / "out")
        learned = [tokenizer.decode([one]) for one in range(256, tokenizer.vocab_size)]
        assert not any(sign in text for text in learned for sign in ("\0", "\ufeff"))


# --- foreign models ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["domain", "domain-word-added", "qwen3-think-tokens", "user-defined-html-tags"])
def test_added_words_are_text(name: str) -> None:
    from transformers import PreTrainedTokenizerFast

    from glassmill.tokens.tokenizer import Tokenizer

    folder = CASES / "added-words" / name
    ours, theirs = Tokenizer.load(folder), PreTrainedTokenizerFast.from_pretrained(folder)
    text = "The millrace feeds the tailwater pool. <think>a mill</think> <h1>mills</h1><table><td>"
    ids = theirs(text)["input_ids"]
    assert [int(one) for one in ours.encode(text)] == ids
    assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True) == text


def test_a_raw_prompt_begins_with_what_the_tokenizer_puts_in_front(tmp_path: Path) -> None:
    from glassmill.infer.generate import Model

    model = Model.load(made("begin-of-text", "make.py", tmp_path / "m"))
    assert model.prompt_ids("hi") == [256, 71, 72] and model.prompt_ids("") == [256]


def test_every_place_that_names_an_end_counts(tmp_path: Path) -> None:
    from glassmill.infer.generate import Model

    folder = made("generation-config-eos", "make.py", tmp_path / "m")
    done = glassmill("import", str(folder), "--out", str(tmp_path / "imported"))
    assert done.returncode == 0, done.stderr
    ends = json.loads((tmp_path / "imported" / "generation_config.json").read_text())["eos_token_id"]
    assert set(ends) >= {256, 258}
    assert Model.load(tmp_path / "imported").chat([{"role": "user", "content": "hi"}], max_tokens=40) == "OK"


@pytest.mark.parametrize("script", files("sentencepiece-llama", "make*.py"))
def test_a_sentencepiece_model_answers_as_in_transformers(script: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from glassmill.infer.generate import Model

    folder = made("sentencepiece-llama", script, tmp_path / "m")
    model = Model.load(folder)
    talk = [
        {"role": "user", "content": "hi there"},
        {"role": "assistant", "content": "Hello world!"},
        {"role": "user", "content": "OK"},
    ]
    theirs = AutoTokenizer.from_pretrained(folder).apply_chat_template(talk, add_generation_prompt=True)
    assert model.chat_ids(talk) == list(theirs if isinstance(theirs, list) else theirs["input_ids"])
    first = talk[:1]
    if script != "make_zephyr.py":
        assert model.chat(first, max_tokens=8) == "Hello world!"
        assert "".join(part for part in model.stream_chat(first, max_tokens=8)) == "Hello world!"


@pytest.mark.parametrize("name", ["cmpc", "len", "repl", "slice", "think"])
def test_a_template_sees_the_contents(name: str) -> None:
    from transformers import PreTrainedTokenizerFast

    from glassmill.errors import UserError
    from glassmill.tokens.chat import render
    from glassmill.tokens.tokenizer import Tokenizer

    folder = CASES / "templates-that-read-contents" / name
    theirs = PreTrainedTokenizerFast.from_pretrained(folder)
    talk = [
        {"role": "user", "content": "What is two and two?"},
        {"role": "assistant", "content": "<think>two and two</think>\nFour."},
        {"role": "user", "content": "Four."},
    ]
    ids = theirs.apply_chat_template(talk, add_generation_prompt=True, return_dict=False)
    try:
        ours = [int(one) for one in render(Tokenizer.load(folder), [dict(message) for message in talk])]
    except UserError as error:
        assert "template" in str(error)
    else:
        assert ours == ids


# --- recipes and training ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [("model.head_dim=31",), ("model.num_heads=4", "model.num_kv_heads=3")])
@pytest.mark.parametrize("command", ["plan", "run"])
def test_an_impossible_shape_is_found_before_any_stage(command: str, settings: tuple[str, ...], tmp_path: Path) -> None:
    message = told(command, "demo", *settings, "--runs", str(tmp_path / "runs"))
    assert "head" in message and not list((tmp_path).glob("runs/miniweb/*"))


(MODEL,) = (Path(__file__).parent / "studio" / "recorded").glob("sft/*/model")


def test_a_conversation_outlives_the_context(tmp_path: Path) -> None:
    questions = (CASES / "chat-past-context" / "questions.txt").read_text(encoding="utf-8")
    done = glassmill("chat", str(MODEL), input=questions, cwd=tmp_path)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert done.stdout.count("\n") >= len(questions.splitlines())


@pytest.mark.parametrize("name", files("sft-shapes", ".json*"))
def test_a_shape_of_conversations_is_read_or_refused(name: str, tmp_path: Path) -> None:
    done = _tuned(CASES / "sft-shapes" / name, tmp_path)
    if Path(name).stem in ("good", "crlf", "blankmid", "surrogate"):
        assert done.returncode == 0, done.stderr
    elif Path(name).stem in ("nullcontent", "allempty", "emptyassistant"):
        assert done.returncode == 2, done.stderr
    if done.returncode:
        assert done.returncode == 2 and (name in done.stderr or "none teaches anything" in done.stderr), done.stderr
    for stats in tmp_path.glob("runs/sft/*/stats.json"):
        json.loads(stats.read_text(), parse_constant=pytest.fail)  # NaN, Infinity


def test_prompts_that_fill_every_row_teach_nothing_and_that_is_told(tmp_path: Path) -> None:
    subprocess.run([sys.executable, CASES / "sft-shapes" / "make_longprompt.py"], cwd=tmp_path, check=True)
    done = _tuned(tmp_path / "longprompt.jsonl", tmp_path)
    assert done.returncode == 2 or "40" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_a_training_that_diverges_publishes_nothing(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for number in range(30):
        text = f"The mill of valley {number} stands by the river and grinds corn for {number} villages. " * 40
        (tmp_path / "texts" / f"{number}.txt").write_text(text)
    small = (CASES / "nan" / "small.args").read_text().split()
    unfiltered = [
        f"corpus.{name}.enabled=false" for name in ("gopher_repetition", "gopher_quality", "c4", "fineweb", "dedup")
    ]
    rates = ("train.optimizer=adamw", "train.peak_lr=1e30", "train.embedding_lr=1e30")
    line = ("run", "web", f"corpus.inputs={tmp_path}/texts", "--until", "train", "--runs", "runs")
    for _ in range(2):  # the second call does not take the first's failure for a result
        message = told(*line, *small, *rates, *unfiltered, cwd=tmp_path)
        assert "step" in message and not list(tmp_path.glob("runs/train/*/DONE")), message


def _tuned(conversations: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    recipe = CASES / "sft-shapes" / "recipe.toml"
    settings = (f"sft.base={MODEL}", "sft.length=64", f"sft.conversations=['{conversations}']")
    done = glassmill("sft", str(recipe), *settings, "--runs", str(folder / "runs"), cwd=folder)
    assert "Traceback" not in done.stderr, done.stderr
    return done
