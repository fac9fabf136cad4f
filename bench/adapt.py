"""Answers from own documents: what `glassmill adapt` measures on real documentation of this machine.

    apt-get install pandoc
    python bench/adapt.py --make /tmp/team                        # 330 manuals as HTML, DOCX and text, and others
    python bench/adapt.py /tmp/team --base smollm2 --runs /tmp/runs

Prints the table of `adapt`, the share of questions of general knowledge that are refused, and processor minutes
with those of the workers that read the documents.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from machine import machine

from glassmill.search.index import open_index

MANUALS = 330
FORMS = ("html", "docx", "txt", "html", "docx", "txt")
OTHERS = (("*/README*", 30), ("*/*.md", 20), ("*/*.html", 30), ("**/*.rst", 20))
LEAST_BYTES, MOST_BYTES = 2_500, 120_000
GENERAL = (
    "What is the capital of France?", "Who won the football world cup in 1998?", "How many legs has a spider?",
    "Who wrote Hamlet?", "What is photosynthesis?", "How do I bake bread?", "What is the boiling point of water?",
    "When did the second world war end?", "Who is the president of the United States?", "What is the largest ocean?",
    "How tall is Mount Everest?", "What language is spoken in Brazil?", "Who painted the Mona Lisa?",
    "What is the speed of light?", "How do I change a car tire?",
)  # fmt: skip


def make(folder: Path) -> None:
    """Fills `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sections = (Path("/usr/share/man", section).glob("*.gz") for section in ("man1", "man5", "man8"))
    manuals = [path for section in sections for path in section if not path.name.startswith("gcloud")]
    for number, (path, content) in enumerate(_picked(manuals, MANUALS, 80_000)):
        form = FORMS[number % len(FORMS)]
        if form == "txt":
            command = ["pandoc", "-f", "man", "-t", "plain", "--columns=100"]
        else:
            command = ["pandoc", "-f", "man", "-t", form, "-s", "--metadata", f"title={path.stem}", "-o", "-"]
        done = subprocess.run(command, input=content, capture_output=True)
        if done.returncode == 0 and len(done.stdout) > 1_500:
            (folder / f"{path.stem.replace('.', '_')}.{form}").write_bytes(done.stdout)
    root = Path("/usr/share/doc")
    for pattern, most in OTHERS:
        for path, content in _picked(root.glob(pattern), most, MOST_BYTES):
            name = path.relative_to(root).as_posix().replace("/", "_").removesuffix(".gz")
            (folder / name).write_bytes(content)


def _picked(paths: Iterable[Path], most: int, most_bytes: int) -> Iterator[tuple[Path, bytes]]:
    """So many of them, by a hash of their names."""
    for path in sorted(paths, key=lambda path: hashlib.sha256(str(path).encode()).digest()):
        if not path.is_file() or path.is_symlink():
            continue
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if LEAST_BYTES <= len(content) <= most_bytes and not content.startswith(b".so "):
            most -= 1
            yield path, content
        if not most:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--make", action="store_true")
    parser.add_argument("--base", default="smollm2")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    if arguments.make:
        make(arguments.folder)
        print(f"{len(list(arguments.folder.iterdir()))} documents in {arguments.folder}")
        return
    print(machine())
    begin = time.perf_counter()
    words = ["adapt", str(arguments.folder), "--base", arguments.base, "--out", "bench", "--runs", str(arguments.runs)]
    subprocess.run([sys.executable, "-m", "glassmill", *words], check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{(used.ru_utime + used.ru_stime) / 60:.1f} CPU minutes, {(time.perf_counter() - begin) / 60:.1f} in all")
    newest = max(arguments.runs.glob("corpus/bench-*"), key=lambda path: path.stat().st_mtime)
    index = open_index(newest)
    refused = sum(not index.search(question) for question in GENERAL)
    print(f"general knowledge: {refused} of {len(GENERAL)} questions find no passage")


if __name__ == "__main__":
    main()
