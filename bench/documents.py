"""Own documents: how much of their text a team's folder keeps through `add`, `init`, `plan`, `run`, and where it goes.

    apt-get install pandoc poppler-utils debian-policy developers-reference debian-reference-en
    python bench/documents.py --make /tmp/folder     # real documentation of this machine, some converted by pandoc
    python bench/documents.py /tmp/folder            # the four commands, and a table

Every document is used once, in one format, so that deduplication has no copies to drop but those that are really there.
In: words (letters, weighted by their length) by a measure that is not ours: the source's own text for plain markup,
`pandoc -t plain` of the source of a conversion or of a page, `pdftotext`, the cells of a table. Kept: of these words,
those that the corpus has, each at most as often as it has it. Lost: what a rule dropped, what was set aside with its
cause, personal data that was masked, and the rest, which the readers did not find.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

from machine import machine

from glassmill.corpus.document import documents

ROOTS = (
    "/usr/share/doc",
    "/usr/share/developers-reference",
    "/usr/share/debian-reference",
    "/usr/share/cmake-3.25/Help",
)
EACH = 24
LEAST_BYTES, MOST_BYTES = 2_500, 400_000
CONVERTED = {"docx": "docx", "epub": "epub", "odt": "odt", "rtf": "rtf", "pptx": "pptx", "ipynb": "ipynb",
             "adoc": "asciidoc", "dbk": "docbook5", "org": "org", "tex": "latex"}  # fmt: skip
"""Suffix -> pandoc's name of the format."""
_WORD = re.compile(r"\w+")


def make(folder: Path) -> None:
    """Fills `folder/docs`, and `folder/truth` with the text of each file."""
    shutil.rmtree(folder, ignore_errors=True)
    pool: dict[str, list[Path]] = {kind: list(_found(kind)) for kind in ("md", "rst", "html", "txt", "pdf", "csv")}
    prose = sorted([*pool["md"], *pool["rst"]], key=_hash)
    for kind in ("md", "rst", "html", "txt", "pdf"):
        for path in pool[kind][:EACH]:
            text = _read(path)
            truth = _plain(path, "html") if kind == "html" else _pdf_text(path) if kind == "pdf" else text
            _add(folder, kind, path, path.read_bytes() if kind in ("pdf", "html") else text.encode(), truth)
    used = {*pool["md"][:EACH], *pool["rst"][:EACH]}
    rest = iter([path for path in prose if path not in used])
    for suffix, name in CONVERTED.items():
        for path, _ in zip(rest, range(EACH), strict=False):
            source = "markdown" if path.name.endswith((".md", ".md.gz")) else "rst"
            out = _pandoc(path, source, name, suffix)
            if out:
                _add(folder, suffix, path, out, _plain(path, source), suffix)
    for path, _ in zip(rest, range(EACH), strict=False):
        letter = EmailMessage()
        letter["Subject"], letter["From"], letter["To"] = path.stem, "docs@example.org", "team@example.org"
        letter.set_content(_read(path))
        _add(folder, "eml", path, letter.as_bytes(), _read(path), "eml")
    tables = pool["csv"][: 2 * EACH]
    for path in tables[::2]:
        _add(folder, "csv", path, path.read_bytes(), _read(path))
    try:
        import openpyxl
    except ImportError:
        print("openpyxl is not installed: no XLSX")
        return
    for path in tables[1::2]:
        book = openpyxl.Workbook()
        for row in csv.reader(_read(path).splitlines()):
            book.active.append([re.sub(r"[\x00-\x08\x0b-\x1f]", "", cell) for cell in row])
        place = folder / "table.xlsx"
        book.save(place)
        _add(folder, "xlsx", path, place.read_bytes(), _read(path), "xlsx")
        place.unlink()


def _found(kind: str) -> Iterator[Path]:
    """Files of a kind, in the order of a hash of their paths; of those with equal bytes one."""
    roots = [Path(root) for root in ROOTS] + ([Path(sys.prefix) / "lib", Path("/usr/share")] if kind == "csv" else [])
    seen: set[bytes] = set()
    for path in sorted((path for root in roots for path in root.rglob("*")), key=_hash):
        name = path.name.removesuffix(".gz").lower()
        fits = name.endswith(f".{kind}") or (kind == "txt" and name.startswith(("readme", "news")) and "." not in name)
        if (
            not fits
            or path.is_symlink()
            or not path.is_file()
            or re.search(r"\.(?!en\b)[a-z]{2}(-[a-z]{2})?\.pdf", name)
        ):
            continue
        size = path.stat().st_size
        least, most = (500, 3_000_000) if kind in ("pdf", "csv") else (LEAST_BYTES, MOST_BYTES)
        digest = hashlib.sha256(path.read_bytes()).digest()
        if least <= size <= most and digest not in seen:
            seen.add(digest)
            yield path


def _hash(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()


def _read(path: Path) -> str:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return data.decode("utf-8", "replace")


def _add(folder: Path, kind: str, source: Path, content: bytes, truth: str, suffix: str = "") -> None:
    if len(_WORD.findall(truth)) < 50:
        return
    stem = re.sub(r"[^\w.-]", "-", source.name.removesuffix(".gz"))
    name = f"{_hash(source)[:6]}-{stem}" + (f".{suffix}" if suffix else "")
    name += ".txt" if kind == "txt" and not name.endswith(".txt") else ""
    for part, data in (("docs", content), ("truth", truth.encode())):
        place = folder / part / kind / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def _plain(path: Path, source: str) -> str:
    return _pandoc(path, source, "plain", "txt").decode("utf-8", "replace")


def _pandoc(path: Path, source: str, target: str, suffix: str) -> bytes:
    place = Path("/tmp") / f"glassmill-{os.getpid()}.{suffix}"
    words = [
        "pandoc",
        "-s",
        "--wrap=none",
        "--metadata",
        f"title={path.stem}",
        "-f",
        source,
        "-t",
        target,
        "-o",
        str(place),
    ]
    done = subprocess.run(words, input=_read(path).encode(), capture_output=True, timeout=120)
    content = place.read_bytes() if done.returncode == 0 and place.exists() else b""
    place.unlink(missing_ok=True)
    return content


def _pdf_text(path: Path) -> str:
    return subprocess.run(["pdftotext", str(path), "-"], capture_output=True, text=True, timeout=120).stdout


# --- measuring --------------------------------------------------------------------------------------------------------


def measure(folder: Path) -> None:
    """The four commands over `folder/docs`, and what came out of each kind."""
    runs, recipe = folder / "runs", folder / "own.toml"
    shutil.rmtree(runs, ignore_errors=True)
    added = json.loads(
        _glassmill("add", str(folder / "docs"), "--yes", "--json", "--name", "docs", "--runs", str(runs))
    )
    _glassmill("init", str(recipe), "--force", "--input", added["run"])
    print(_glassmill("plan", str(recipe)))
    print(_glassmill("run", str(recipe), "--until", "corpus", "--runs", str(runs)))
    (corpus,) = (runs / "corpus").glob("own-*")
    kept, dropped = Counter[str](), Counter[tuple[str, str]]()
    words: dict[str, Counter[str]] = {}
    masks: Counter[str] = Counter()
    for document in documents(corpus):
        words.setdefault(document.source, Counter()).update(_WORD.findall(document.text))
        kept[document.source] += len(document.text)
        masks[document.source] += sum(span.end - span.start for span in document.pii)
    for document in documents(corpus, dropped=True):
        dropped[document.source, document.rule] += _letters(Counter(_WORD.findall(document.text)))
    aside = [json.loads(line) for run in (Path(added["run"]), corpus) for line in (run / "quarantine.jsonl").open()]
    total: Counter[str] = Counter()
    print(
        f"\n{'kind':8}{'files':>6}{'in':>12}{'kept':>12}{'share':>8}{'dropped':>10}{'masked':>8}{'aside':>8}{'rest':>9}"
    )
    for place in sorted((folder / "truth").iterdir()):
        row: Counter[str] = Counter()
        for path in place.iterdir():
            truth = Counter(_WORD.findall(path.read_text()))
            have = truth & words.get(path.name, Counter())
            lost = _letters(truth) - _letters(have)
            row.update(files=1, letters=_letters(truth), kept=_letters(have))
            for what, number in (
                ("dropped", sum(count for (name, _), count in dropped.items() if name == path.name)),
                ("masked", masks[path.name]),
                ("aside", lost if any(entry["source"] == path.name for entry in aside) else 0),
            ):
                row[what] += min(number, lost)
                lost -= min(number, lost)
            row["rest"] += lost
        total.update(row)
        _print(place.name, row)
    _print("all", total)
    rules = Counter[str]()
    for (_, rule), count in dropped.items():
        rules[rule] += count
    print("dropped by", dict(rules), "set aside", dict(Counter(entry["cause"] for entry in aside)))
    print(machine())


def _print(name: str, row: Counter[str]) -> None:
    share = row["kept"] / max(row["letters"], 1)
    numbers = f"{row['dropped']:>10,}{row['masked']:>8,}{row['aside']:>8,}{row['rest']:>9,}"
    print(f"{name:8}{row['files']:>6,}{row['letters']:>12,}{row['kept']:>12,}{share:>8.1%}{numbers}")


def _letters(words: Counter[str]) -> int:
    return sum(len(word) * count for word, count in words.items())


def _glassmill(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "glassmill", *words], capture_output=True, text=True, timeout=3600)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    sys.stderr.write("".join(line + "\n" for line in done.stderr.splitlines() if "warning" in line.lower()))
    return done.stdout


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--make", action="store_true")
    given = parser.parse_args()
    (make if given.make else measure)(given.folder)
