"""Memory of the workers: bounded whatever the size of the input, measured on the real processes."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.corpus.pages import record, write_warc

MAX_WORKER_MB = 512
PAGE_CHARACTERS = 150_000
PAGES = 200
COMMON = (
    "the be to of and that have with this which when there after before never mill river town baker stone bridge market"
    " letter garden winter house road"
)

# Runs a corpus and prints the peak resident memory of its largest worker: the kernel's figure for ended children.
SCRIPT = """
import json, resource, sys
from pathlib import Path
from glassmill.corpus import corpus
from glassmill.corpus.read import cut
from glassmill.recipe import make_recipe
from glassmill.run.folder import Identity, open_run, settings_identity
from glassmill.run.memory import peak_memory

cut.SHARDS_WANTED = 1  # or the small corpus has smaller shards, which never fill a part
recipe = make_recipe({"corpus": {"inputs": [sys.argv[1]], "workers": 2, "page_cpu_s": 120.0}}, ())
identity = Identity("corpus", corpus.VERSION, settings_identity(settings=recipe.corpus, seed=7))
with open_run(Path(sys.argv[2]), identity, recipe) as run:
    corpus.make(run, recipe.corpus, 7)
peak = {"worker": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, "parent": peak_memory() / (1 << 20)}
stats = json.loads((Path(sys.argv[2]) / "stats.json").read_text())
print(json.dumps({**peak, "records": stats["records"], "kept": stats["kept"]}))
"""


def long_page(number: int) -> str:
    """A page of prose that passes the filters: sentences of invented and of common words in any order."""
    choose = random.Random(number)
    names = ["".join(choose.choices("abdeilmnorst", k=choose.randint(3, 8))) for _ in range(3000)]
    paragraphs, characters = [], 0
    while characters < PAGE_CHARACTERS:
        sentences = [" ".join(choose.choices(names, k=6) + choose.sample(COMMON.split(), 6)) for _ in range(8)]
        paragraphs.append("<p>" + " ".join(f"{text.capitalize()}." for text in sentences) + "</p>")
        characters += len(paragraphs[-1])
    return (
        f"<html><head><title>Page {number}</title></head><body><article>{''.join(paragraphs)}</article></body></html>"
    )


def measure(folder: Path, pages: int) -> dict[str, float]:
    """Peaks in MB of a run over so many long pages in two files."""
    for part in range(2):
        members = (record(f"http://good.example/{number}", long_page(number)) for number in range(part, pages, 2))
        write_warc(folder / "web" / f"{part}.warc.gz", list(members))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SCRIPT, str(folder / "web"), str(folder / "run")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    peaks: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return peaks


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_worker_stays_below_half_a_gigabyte_while_the_input_grows_tenfold(tmp_path: Path) -> None:
    small, large = measure(tmp_path / "small", PAGES), measure(tmp_path / "large", 10 * PAGES)
    assert large["records"] == 10 * small["records"] and large["kept"] > 0.9 * large["records"]
    assert large["worker"] <= MAX_WORKER_MB and large["parent"] <= MAX_WORKER_MB, (small, large)
    assert large["worker"] <= 1.4 * small["worker"] and large["parent"] <= 1.4 * small["parent"], (small, large)
