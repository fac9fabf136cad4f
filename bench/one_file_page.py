"""The one-file page of a model, in Chromium without a network: its size, how fast it opens and answers, and whether it
says what the engine says over the same weights (rounded to q8_0, computed in float32 by torch's decoder).

    python bench/one_file_page.py sft/demo-3f9a1c --questions runs/miniweb/demo-91e9df/questions.jsonl --count 300
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
from pathlib import Path

import torch
from playwright.sync_api import sync_playwright

from glassmill.export.quantizing import quantize_folder
from glassmill.export.web_page import export_page
from glassmill.infer.find import find_model
from glassmill.infer.generate import Model

ASK = """async (text) => {
  const { Talk, network, tokenizer, about } = glassmill;
  const talk = new Talk(network, tokenizer, about.how);
  const turn = await talk.ask(text, { temperature: 0, topK: 0, topP: 1, minP: 0 }, () => {});
  return { text: talk.text(turn), made: turn.made, read: talk.context.length, seconds: turn.seconds };
}"""
LONG = """() => {
  const { network } = glassmill, length = network.config.context_length, begin = performance.now();
  for (let at = 0; at < length; at++) network.read(at % network.config.vocab_size, at, true);
  return length / ((performance.now() - begin) / 1000);
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--questions", type=Path, help="JSONL with `question`; by default a few of its own")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    given = parser.parse_args()
    questions = ["Who are you?", "What is 12 + 30?", "hello"]
    if given.questions:
        rows = [json.loads(line)["question"] for line in given.questions.read_text(encoding="utf-8").splitlines()]
        questions = random.Random(0).sample(rows, min(given.count, len(rows)))
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        source = find_model(given.model)
        rounded = quantize_folder(source, Path(scratch) / "q8_0", "q8_0")
        path = export_page(source, Path(scratch) / "page.html")
        engine = Model.load(rounded, decoder="torch", dtype=torch.float32)
        arguments = ["--no-sandbox", "--disable-gpu"]
        page = playwright.chromium.launch(executable_path=given.chromium, args=arguments).new_page()
        page.context.set_offline(True)
        page.goto(path.as_uri())
        page.locator("#box").wait_for()
        print(f"{path.stat().st_size / 1e6:.2f} MB, unpacked in {page.evaluate('glassmill.seconds'):.2f} s")
        print(f"a whole context, logits at every place: {page.evaluate(LONG):.0f} tokens/s")
        found = [page.evaluate(ASK, question) for question in questions]
        wanted = engine.answer_all([[{"role": "user", "content": question}] for question in questions], max_tokens=128)
        same = sum(one["text"] == text for one, text in zip(found, wanted, strict=True))
        speed = statistics.median((one["read"] + 1) / one["seconds"] for one in found)
        print(f"{same} of {len(found)} greedy answers are the engine's; {speed:.0f} tokens/s read and written, median")
        for question, one, text in zip(questions, found, wanted, strict=True):
            if one["text"] != text:
                print(f"  {question!r}: page {one['text']!r}, engine {text!r}")


if __name__ == "__main__":
    main()
