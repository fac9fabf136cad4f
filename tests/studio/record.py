"""Records the runs that the page's tests look at: a whole small line, and one page for every rule of the corpus.

    python tests/studio/record.py

Runs the demo recipe with `tests.line.SMALL`, and the two corpora of `crafted.py`, and leaves in `tests/studio/recorded`
what the page asks for. Nothing in there is written by hand; record anew when events or words change.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.line import SMALL, quiet_environment
from tests.studio.crafted import write

RECORDED = Path(__file__).parent / "recorded"
KEPT = (
    "lines/*.json",
    "*/*/DONE",
    "*/*/events.jsonl",
    "*/*/manifest.json",
    "*/*/recipe.toml",
    "*/*/stats.json",
    "*/*/plan.json",
    "corpus/*/quarantine.jsonl",
    "corpus/*/shards/*.parquet",
    "eval/*/answers.json",
    "eval/*/report.json",
    "miniweb/*/questions.jsonl",
    "sft/*/model/*",
    "tokenizer/*/merges.jsonl",
    "tokenizer/*/meta.json",
    "tokenizer/*/token_bytes.npy",
    "tokenizer/*/tokenizer*.json",
    "tokenizer/*/vocab.tiktoken",
)
EVERY_QUESTION = 10
"""Of the exam's questions every so many are kept: the page shows a few, and all of them are 100 kB."""


def record(target: Path = RECORDED) -> None:
    """Runs the lines in a folder for temporary files and replaces `target`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        for words in (["demo", *SMALL], ["rules.toml"], ["rules-loose.toml"]):
            command = [sys.executable, "-m", "glassmill", "run", *words, "--runs", "runs"]
            subprocess.run(command, cwd=folder, env=quiet_environment(), check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(target, ignore_errors=True)
        for path in sorted(path for pattern in KEPT for path in (folder / "runs").glob(pattern)):
            content = path.read_bytes()
            assert name.encode() not in content, f"{path} names a folder of this machine"
            if path.name == "questions.jsonl":
                content = b"".join(content.splitlines(keepends=True)[::EVERY_QUESTION])
            copy = target / path.relative_to(folder / "runs")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(content)


if __name__ == "__main__":
    record()
