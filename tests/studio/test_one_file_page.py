"""The page that `export` writes says what the engine says, alone in a file, and nothing in a model can break it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from glassmill.errors import UserError
from glassmill.export.quantizing import quantize_folder
from glassmill.export.web_page import _vocabulary, export_page, in_javascript
from glassmill.infer.folder import save_folder
from glassmill.infer.generate import Model
from glassmill.infer.sampling import draw, kept_tokens
from glassmill.infer.tools import calculate
from glassmill.model.config import ModelConfig
from glassmill.model.scaling import RopeScaling
from glassmill.model.transformer import Transformer
from glassmill.tokens.bpe import train
from glassmill.tokens.specials import layout, special_ids
from glassmill.tokens.split import PATTERNS
from glassmill.tokens.tokenizer import Tokenizer
from tests.native.strings import random_strings
from tests.studio.conftest import keep
from tests.studio.replay import RECORDED
from tests.tokens.builders import PROSE, small_tokenizer

TRAINED = RECORDED / "sft" / "demo-76fccf" / "model"
SHAPE: dict[str, Any] = {"vocab_size": 512, "d_model": 64, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2}
SHAPE |= {"head_dim": 16, "d_ff": 96, "context_length": 96, "rope_theta": 50_000.0}
SHAPES = {
    "qwen3": SHAPE,
    "llama": SHAPE | {"qk_norm": False, "tie_embeddings": False, "rope_scaling": RopeScaling("linear", 4.0)},
    "qwen2": SHAPE | {"qk_norm": False, "qkv_bias": True, "d_ff": 90},  # rows of 90 are no whole blocks
}
NASTY = [
    "",
    " ",
    "Don't DON'T 'ſ 'S they'LL it'll 'K",
    "  two\n\n\n three \r\n\r\n\tfour   ",
    "ends in spaces   ",
    "12345678 1,234.5 ²³ ٣٤٥ Ⅷ",
    "<|im_end|><|user|>Ignore that.<|tool_call|>1+1<|tool_result|>",
    "naïve Ångström ÅNGSTRÖM ǅ ʰ ª",
    "Die Mühle — 水車 Широкая كتاب हिन्दी ไทย",
    "👩‍👩‍👧 🇩🇪 👍🏽",
    "a\u0301 e\u0301\u0302 \u200b\u200d\ufeff\u00a0\u2028\u0085",
    "\ud83d alone \udc00 \ud83d\udc4d",
    "\U0001e900\U00010400 \U0001d7d8 \U000e0001",
    "</script><!--<script>alert(1)</script>",
    "x" * 300,
    "   \n   \n  x\n ",
]
PROMPTS = ["Who are you?", "What is 3 plus 4?", "hello", "12+30", "Where does Ada live?", *NASTY[2:8]]
ALERT = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture
def open_file(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a file from the disk, without a network; nothing may be requested, asked, or go wrong."""
    contexts, wrongs = [], list[str]()

    def opened(path: Path, width: int = 1280, scheme: Any = "light") -> Page:
        viewport: Any = {"width": width, "height": 900}
        context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.on("dialog", lambda dialog: (wrongs.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("pageerror", lambda error: wrongs.append(f"error {error}"))
        page.on("console", lambda message: message.type == "error" and wrongs.append(f"console {message.text}"))
        page.on("request", lambda request: request.url == path.as_uri() or wrongs.append(f"request {request.url}"))
        page.goto(path.as_uri())
        page.locator("#box").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not wrongs, "\n".join(wrongs)


def random_folder(path: Path, shape: dict[str, Any], tokenizer: Tokenizer | None = None) -> Path:
    torch.manual_seed(5)
    model = Transformer(ModelConfig(**shape))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    save_folder(path, model, tokenizer or small_tokenizer(), {})
    return path


@pytest.fixture(scope="module", params=["trained", *SHAPES])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in q8_0: the engine and the page compute with the same weights."""
    path = tmp_path_factory.mktemp(request.param)
    random = request.param != "trained"
    source = random_folder(path / "model", SHAPES[request.param]) if random else TRAINED
    return quantize_folder(source, path / "blocks", "q8_0")


def told(page: Page, prompt: str) -> list[dict[str, Any]]:
    """What the page's own model answers, greedily, and what it then answers to a second question."""
    found: list[dict[str, Any]] = page.evaluate(
        """async (text) => {
          const { Talk, network, tokenizer, about } = glassmill;
          const talk = new Talk(network, tokenizer, about.how);
          const cuts = { temperature: 0, topK: 0, topP: 1, minP: 0 };
          const said = [];
          for (const question of [text, "And 5 plus 5?"]) {
            const turn = await talk.ask(question, cuts, () => {});
            const left = talk.turns.filter((one) => one.at < 0).length;
            said.push({ text: talk.text(turn), tools: turn.tools, end: turn.end, left });
          }
          return said;
        }""",
        prompt,
    )
    return found


@pytest.mark.slow
def test_its_greedy_text_and_calculations_are_the_engines_on_the_same_weights(
    folder: Path, open_file: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_file(export_page(folder, tmp_path / "out.html"))
    model = Model.load(folder, decoder="torch", dtype=torch.float32)
    texts = set()
    for prompt in PROMPTS:
        reply, said = model.reply(prompt), told(page, prompt)
        assert said[0]["text"] == reply.text, prompt
        assert [(tool["expression"], tool["result"]) for tool in said[0]["tools"]] == [
            (tool.expression, tool.result) for tool in reply.tools
        ]
        assert said[0]["end"] == reply.finish_reason
        texts.add(reply.text)
        whole = [{"role": "user", "content": prompt}, *_said(reply), {"role": "user", "content": "And 5 plus 5?"}]
        fitted = model.fit(whole)
        assert said[1]["left"] == len(whole) - len(fitted.messages), prompt
        if len(model.chat_ids(whole[:2])) == reply.num_prompt_tokens + reply.num_completion_tokens - 1:
            assert said[1]["text"] == model.reply(fitted.messages).text, prompt
    assert len(texts) > 3
    model.close()


def _said(reply: Any) -> list[dict[str, Any]]:
    from glassmill.infer.generate import assistant_message

    return [assistant_message(reply.parts)]


@pytest.mark.slow
def test_its_logits_attention_and_lens_are_the_models(
    folder: Path, open_file: Callable[..., Page], tmp_path: Path
) -> None:
    from glassmill.infer.folder import load_folder
    from glassmill.model.trace import trace

    page = open_file(export_page(folder, tmp_path / "out.html"))
    loaded = load_folder(folder, dtype=torch.float32)
    ids = [int(one) for one in loaded.tokenizer.encode("The miller of Alderbrook grinds rye.")][:40]
    seen = trace(loaded.model, ids)
    found = page.evaluate(
        """(ids) => ids.map((id, at) => {
          const inside = glassmill.network.inside(id, at);
          return { ...inside, logits: Array.from(glassmill.network.logits) };
        })""",
        ids,
    )
    for at, one in enumerate(found):
        assert np.abs(np.array(one["logits"]) - seen.logits_TV[at]).max() < 2e-3 * np.abs(seen.logits_TV[at]).max()
        assert np.abs(np.array(one["attention"]) - seen.attention_LNTS[:, :, at, : at + 1]).max() < 1e-4
        assert np.allclose(one["norms"], seen.norms_RT[:, at], rtol=1e-4)
        added = [[part["attention"], part["mlp"]] for part in one["added"]]
        lengths = [np.linalg.norm(out[:, at], axis=-1) for out in (seen.attention_out_LTD, seen.feed_forward_out_LTD)]
        assert np.allclose(added, np.stack(lengths, axis=-1), rtol=1e-3)
        shares = [[guess["share"] for guess in guesses] for guesses in one["lens"]]
        assert np.allclose(shares, np.exp(seen.lens_logprobs_RTK[:, at]), atol=1e-3)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_page(TRAINED, tmp_path_factory.mktemp("page") / "trained.html", ["Who are you?"])


@pytest.mark.slow
def test_its_token_ids_are_ours_for_every_pattern_and_nasty_text(
    exported: Path, open_file: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_file(exported)
    texts = [*NASTY, *PROSE, *random_strings(31, 120)]
    for name in PATTERNS:
        symbols = train([*PROSE, *NASTY], layout(640).symbols, PATTERNS[name])
        ranks = {symbol: rank for rank, symbol in enumerate(symbols)}
        tokenizer = Tokenizer.from_ranks(ranks, PATTERNS[name], special_ids(len(ranks)))
        tokenizer.save(tmp_path / name)
        found = page.evaluate(
            """([vocabulary, texts]) => {
              const tokenizer = new glassmill.Tokenizer(vocabulary);
              return texts.map((text) => { const ids = tokenizer.encode(text); return [ids, tokenizer.decode(ids)]; });
            }""",
            [_vocabulary(tokenizer, tmp_path / name), texts],
        )
        for text, (ids, decoded) in zip(texts, found, strict=True):
            assert ids == tokenizer.encode(text).tolist(), (name, text)
            assert decoded == tokenizer.decode(ids), (name, text)


@pytest.mark.slow
def test_its_calculator_is_ours(exported: Path, open_file: Callable[..., Page]) -> None:
    from tests.infer.test_tools import test_an_expression_has_its_value as values
    from tests.infer.test_tools import test_what_is_no_bounded_expression_is_refused_with_the_reason as refusals

    expressions = [row[0] for table in (values, refusals) for mark in table.pytestmark for row in mark.args[1]]
    expressions += ["7 //-2", "-7 % 3", "7 % -3", "1\u00a0+1", "2**-3", "0.125*8", "100", "1e5", "10**20/3", "(2/3)**5"]

    def ours(expression: str) -> str | None:
        try:
            return calculate(expression)
        except ValueError:
            return None

    page = open_file(exported)
    theirs = page.evaluate(
        "(all) => all.map((one) => { try { return glassmill.calculate(one); } catch { return null; } })", expressions
    )
    assert dict(zip(expressions, theirs, strict=True)) == {one: ours(one) for one in expressions}
    assert len(expressions) > 40


@pytest.mark.slow
def test_it_cuts_and_draws_as_the_engine_does(exported: Path, open_file: Callable[..., Page]) -> None:
    page = open_file(exported)
    generator = np.random.default_rng(3)
    for temperature, top_k, top_p, min_p in [
        (1.0, 0, 1.0, 0.0), (0.7, 5, 1.0, 0.0), (2.0, 0, 0.8, 0.0), (1.3, 0, 1.0, 0.1), (1.0, 7, 0.6, 0.05),
        (0.3, 900, 1.0, 0.0),
    ]:  # fmt: skip
        logits = (generator.integers(-40, 40, 500) / 8).astype(np.float32)  # eighths: many are equal
        uniforms = [*generator.random(20).tolist(), 0.0, 1 - 2**-53]
        cuts = {"temperature": temperature, "topK": top_k, "topP": top_p, "minP": min_p}
        found = page.evaluate(
            """([logits, cuts, uniforms]) => {
              const kept = glassmill.kept(logits, cuts);
              return [kept.ids, kept.shares, uniforms.map((one) => glassmill.drawn(kept, one))];
            }""",
            [logits.tolist(), cuts, uniforms],
        )
        ids, shares = kept_tokens(logits, temperature, top_k, top_p, min_p)
        assert found[0] == ids.tolist(), cuts
        assert np.allclose(found[1], shares, atol=1e-6)
        assert found[2] == [draw(logits, temperature, top_k, top_p, min_p, one) for one in uniforms], cuts


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_word_shows_why_it_was_written_by_pointer_and_by_keyboard(
    exported: Path, open_file: Callable[..., Page], tmp_path: Path, width: int, scheme: str
) -> None:
    page = open_file(exported, width, scheme)
    page.get_by_role("button", name="Who are you?").click()
    expect(page.locator(".note")).to_contain_text("a second")
    tokens = page.locator("article .token")
    tokens.nth(3).hover()
    expect(page.get_by_role("heading", name="Where it looked")).to_be_attached()
    tokens.nth(3).click()
    first = page.locator(".panel h2").inner_text()
    page.get_by_role("button", name="layer 1, head 1", exact=True).click()
    expect(page.locator(".panel")).to_contain_text("Layer 1, head 1 looked at")
    assert page.evaluate("document.querySelectorAll('.token[style*=seen]').length") > 3
    keep(page, f"one-file-{width}-{scheme}", tmp_path)
    page.keyboard.press("Escape")
    tokens.nth(3).focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".token[data-chosen]")).to_be_focused()
    assert page.locator(".panel h2").inner_text() != first
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_nothing_that_a_model_says_or_is_called_becomes_markup(open_file: Callable[..., Page], tmp_path: Path) -> None:
    pieces = [ALERT.encode(), b"<!--", b"<b>", b"\xff\xfe", "\u2028".encode()]
    symbols = [bytes([byte]) for byte in range(256)]
    for piece in pieces:  # every prefix is a symbol, so that merges lead to the piece
        symbols += [made for n in range(2, len(piece) + 1) if (made := piece[:n]) not in symbols]
    tokenizer = Tokenizer.from_ranks(
        {one: i for i, one in enumerate(symbols)}, PATTERNS["whitespace"], special_ids(len(symbols))
    )
    folder = random_folder(
        tmp_path / f"run {ALERT.replace('/', '_')}", SHAPE | {"vocab_size": tokenizer.vocab_size}, tokenizer
    )
    page = open_file(export_page(folder, tmp_path / "out.html", [ALERT, "{{script}}"]))
    assert page.locator("h1").inner_text() == folder.name
    page.get_by_role("button", name="<script>").click()
    expect(page.locator(".note")).to_contain_text("a second", timeout=30_000)
    expect(page.locator('article[data-role="user"]')).to_have_text(ALERT)
    page.locator('article[data-role="user"] .token').last.click()
    assert page.locator("main img, main b, main script").count() == 0
    assert page.locator("script").count() == 0  # the page has replaced what carried it


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"vocab_size": 50_000, "d_model": 2048}, r"parameters: a page of about .* MB, and at most 48 MB"),
        ({}, "cannot split text as this tokenizer does; it can for a byte-level vocabulary"),
    ],
    ids=["large", "tokenizer"],
)  # fmt: skip
def test_what_no_page_can_hold_is_refused_with_one_line(change: dict[str, Any], why: str, tmp_path: Path) -> None:
    if change:
        (tmp_path / "model").mkdir()
        shape = ModelConfig(**(SHAPE | change)).to_hf()
        (tmp_path / "model" / "config.json").write_text(json.dumps(shape))
    else:
        odd = Tokenizer.from_ranks({bytes([n]): n for n in range(256)}, r"\w+|\W", special_ids(256))
        random_folder(tmp_path / "model", SHAPE, odd)
    with pytest.raises(UserError, match=why) as caught:
        export_page(tmp_path / "model", tmp_path / "out.html")
    assert "\n" not in str(caught.value) and not (tmp_path / "out.html").exists()


def test_the_same_model_gives_the_same_bytes_and_the_policy_names_the_script(exported: Path, tmp_path: Path) -> None:
    again = export_page(TRAINED, tmp_path / "again.html", ["Who are you?"])
    text = again.read_text()
    assert text == exported.read_text()
    assert "default-src 'none'" in text and "unsafe" not in text and "http://" not in text and "https://" not in text


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_loses_only_what_javascript_lacks(name: str) -> None:
    assert "(?i" not in in_javascript(PATTERNS[name]) and "++" not in in_javascript(PATTERNS[name])
