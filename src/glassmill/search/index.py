"""The search index of a corpus run: its passages in one SQLite file, ranked by BM25 (FTS5; Robertson, Zaragoza 2009).

    runs/corpus/<recipe>-<hash6>/search/
      passages.sqlite    documents, their passages, and the inverted index
      index.json         of which corpus it is, in what form, and the file's SHA-256

Made when somebody first searches, whole or not at all; derived from the corpus, so it is no artefact: a damaged or
older one is made again, and it goes when the run goes. From the index of an earlier run of the same recipe only the
difference is made: new documents are added, those that are gone leave no text behind. The ranking is that of an index
made from nothing.
"""

from __future__ import annotations

import glob
import hashlib
import json
import math
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassmill.corpus.document import Document, documents
from glassmill.errors import UserError
from glassmill.run.files import atomic_json, atomic_path, sha256_file
from glassmill.run.finished import SEARCH, read_manifest
from glassmill.run.hashes import hash_files
from glassmill.run.shards import has_shards
from glassmill.search.lines import CLOSE, OPEN, best_lines, matches_of
from glassmill.search.passages import passages
from glassmill.search.question import phrase, terms

VERSION = 1
FILE, NOTE = "passages.sqlite", "index.json"
WEIGHTS = (2.0, 1.0)
"""A document's name and section count twice: manuals name their subject there, and then speak of other things."""
LEAST_COVERED = 0.5
"""A passage is found if it has so much of what the question asks for, each word counted by how rare it is."""
LOOKED_AT = 50
"""Passages that BM25 puts first, of which those are taken that cover enough of the question."""
TABLES = """
    CREATE TABLE documents (id INTEGER PRIMARY KEY, key TEXT UNIQUE, url TEXT, section TEXT);
    CREATE TABLE passages (id INTEGER PRIMARY KEY, document INTEGER, first INTEGER, last INTEGER, name TEXT, text TEXT);
    CREATE INDEX of_document ON passages (document);
    CREATE VIRTUAL TABLE words USING fts5(
        name, text, content='passages', content_rowid='id', tokenize="porter unicode61 remove_diacritics 2"
    );
"""

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a question is about.

    Attributes:
        document: The document's URL or path, as the corpus has it.
        section: The heading or place that the document was cut at, if any.
        start, end: Characters of the corpus's text of the document.
        text: The passage.
        score: BM25, the higher the better; comparable within one question only.
        covered: How much of the question's words it has, from 0 to 1, each counted by how rare it is.
        lines: The characters of its lines that have most of them, counted as `start` and `end` are.
        weight: How much of the question those lines have; comparable within one question only.
    """

    document: str
    section: str
    start: int
    end: int
    text: str
    score: float
    covered: float
    lines: tuple[int, int]
    weight: float

    @property
    def quote(self) -> str:
        """The lines that have most of the question's words."""
        return self.text[self.lines[0] - self.start : self.lines[1] - self.start]

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        section = f", {self.section}" if self.section else ""
        return f"{self.document}{section}, characters {self.start:,} to {self.end:,}"


class Index:
    """An open index; threads may share it.

    Args:
        run: The corpus run, which has the index.

    Attributes:
        name: What the documents are called: the run's name.
    """

    def __init__(self, run: Path) -> None:
        self.name = f"{run.resolve().parent.name}/{run.resolve().name}"
        self._lock = threading.Lock()
        uri = f"{(run / SEARCH / FILE).resolve().as_uri()}?mode=ro&immutable=1"
        self._db = sqlite3.connect(uri, uri=True, check_same_thread=False)
        self.num_documents, self.num_passages = (
            int(self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in ("documents", "passages")
        )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def search(self, question: str, most: int = 3, least_covered: float = LEAST_COVERED) -> list[Hit]:
        """The passages that `question` is about, best first; none if no passage has enough of its words."""
        with self._lock:
            rare = self._rarity(terms(question))
            total = sum(rare.values())
            if not total:
                return []
            wanted = " OR ".join(phrase(term) for term in rare)
            best = self._db.execute(
                "SELECT passages.id, url, section, first, last, passages.text, -bm25(words, ?, ?), "
                "highlight(words, 0, ?, ?), highlight(words, 1, ?, ?) FROM words "
                "JOIN passages ON passages.id = words.rowid JOIN documents ON documents.id = passages.document "
                "WHERE words MATCH ? ORDER BY bm25(words, ?, ?), key, first LIMIT ?",
                (*WEIGHTS, OPEN, CLOSE, OPEN, CLOSE, wanted, *WEIGHTS, max(LOOKED_AT, most)),
            ).fetchall()
            has = self._having([row[0] for row in best], rare)
        found: list[Hit] = []
        for passage, url, section, first, last, text, score, name, marked in best:
            covered = sum(rare[term] for term in has[passage]) / total
            if covered < least_covered or len(found) == most:
                continue
            named = {match.term for match in matches_of(name, rare)}
            lines = best_lines(text, matches_of(marked, rare) if OPEN not in text else (), rare, named)
            place = (first + lines.start, first + lines.end)
            numbers = (round(score, 4), round(covered, 4), place, round(lines.weight, 4))
            found.append(Hit(url, section, first, last, text, *numbers))
        return found

    def _rarity(self, wanted: list[str]) -> dict[str, float]:
        """Term -> how much it says, in nats: most if no passage has it, near 0 if all do."""
        found = {}
        for term in wanted:
            with_it = self._db.execute("SELECT count(*) FROM words WHERE words MATCH ?", (phrase(term),)).fetchone()[0]
            found[term] = math.log((self.num_passages + 2) / (with_it + 1))
        return found

    def _having(self, rows: list[int], wanted: dict[str, float]) -> dict[int, list[str]]:
        """Passage -> the terms that it has."""
        has: dict[int, list[str]] = {row: [] for row in rows}
        among = ",".join("?" * len(rows))
        for term in wanted:
            query = f"SELECT rowid FROM words WHERE words MATCH ? AND rowid IN ({among})"
            for (row,) in self._db.execute(query, (phrase(term), *rows)):
                has[row].append(term)
        return has


# --- making it --------------------------------------------------------------------------------------------------------


def open_index(run: Path, told: Told = lambda text: None) -> Index:
    """The index of a finished corpus run, made now if there is none.

    Args:
        run: Its folder.
        told: Hears what is done where that takes long.

    Raises:
        UserError: It is no finished corpus run, it has no documents, or SQLite has no full-text search here.
    """
    manifest = read_manifest(run)
    if manifest["stage"] != "corpus":  # what `add` keeps is in clear
        raise UserError(f"{run} is a run of {manifest['stage']}; name a run of the corpus stage, which masks its texts")
    if not has_shards(run, "documents"):
        raise UserError(f"{run} has no documents (no shards/documents-*.parquet); make it again: glassmill run RECIPE")
    if not _is_whole(run, manifest["content"]):
        try:
            _make(run, manifest["content"], told)
        except PermissionError:
            raise UserError(
                f"the search index cannot be written to {run / SEARCH}; search once as the owner of {run}, or copy it"
            ) from None
    return Index(run)


def _is_whole(run: Path, content: str) -> bool:
    """Whether the index is there, of these documents, and as it was written."""
    note = _note(run)
    if note.get("corpus") != content or note.get("version") != VERSION:
        return False
    return hash_files([run / SEARCH / FILE]) == [note.get("sha256")]


def _note(run: Path) -> dict[str, Any]:
    try:
        note = json.loads((run / SEARCH / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _make(run: Path, content: str, told: Told) -> None:
    told("making the search index")
    before = _earlier(run)
    with atomic_path(run / SEARCH) as folder:
        folder.mkdir()
        if before is not None:
            shutil.copyfile(before / SEARCH / FILE, folder / FILE)
        with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as db:
            try:
                counts = _fill(db, documents(run), fresh=before is None)
            except sqlite3.OperationalError as error:
                if "fts5" not in str(error):
                    raise
                raise UserError(
                    f"this Python's SQLite ({sqlite3.sqlite_version}) has no full-text search (FTS5); use a Python "
                    "from python.org, uv, conda or your distribution"
                ) from None
        note = {"version": VERSION, "corpus": content, "sha256": sha256_file(folder / FILE), **counts}
        atomic_json(folder / NOTE, note)


def _earlier(run: Path) -> Path | None:
    """The run of the same recipe whose index was made last, if it can be trusted."""
    recipe = run.resolve().name.rpartition("-")[0]
    notes = run.resolve().parent.glob(f"{glob.escape(recipe)}-*/{SEARCH}/{NOTE}")
    for path in sorted(notes, key=lambda path: path.stat().st_mtime, reverse=True):
        other = path.parent.parent
        if other.name.rpartition("-")[0] == recipe and _is_whole(other, str(_note(other).get("corpus"))):
            return other
    return None


def _fill(db: sqlite3.Connection, read: Iterable[Document], fresh: bool) -> dict[str, int]:
    """Bring the tables to what `read` yields; returns how many documents were added, removed and kept."""
    db.execute("PRAGMA journal_mode = OFF")  # the file is thrown away unless it is finished
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA secure_delete = ON")
    db.execute("BEGIN")
    if fresh:
        for statement in TABLES.split(";\n"):
            db.execute(statement)
    old = dict(db.execute("SELECT key, id FROM documents").fetchall())
    seen: set[str] = set()
    for document in read:
        key = _key(document)
        if key not in old and key not in seen:
            _add(db, key, document)
        seen.add(key)
    gone = [old[key] for key in old if key not in seen]
    for number in gone:
        _remove(db, number)
    db.execute("COMMIT")
    if gone:  # segments keep the words of what was removed until they are merged
        db.execute("INSERT INTO words (words) VALUES ('optimize')")
        db.execute("VACUUM")
    return {"added": len(seen - old.keys()), "removed": len(gone), "kept": len(seen & old.keys())}


def _add(db: sqlite3.Connection, key: str, document: Document) -> None:
    added = (key, document.url, document.section)
    number = db.execute("INSERT INTO documents (key, url, section) VALUES (?, ?, ?)", added).lastrowid
    name = f"{document.url} {document.section}"
    for start, end in passages(document.text):
        text = document.text[start:end]
        place = (number, start, end, name, text)
        row = db.execute(
            "INSERT INTO passages (document, first, last, name, text) VALUES (?, ?, ?, ?, ?)", place
        ).lastrowid
        db.execute("INSERT INTO words (rowid, name, text) VALUES (?, ?, ?)", (row, name, text))


def _remove(db: sqlite3.Connection, number: int) -> None:
    for row, name, text in db.execute("SELECT id, name, text FROM passages WHERE document = ?", (number,)).fetchall():
        db.execute("INSERT INTO words (words, rowid, name, text) VALUES ('delete', ?, ?, ?)", (row, name, text))
    db.execute("DELETE FROM passages WHERE document = ?", (number,))
    db.execute("DELETE FROM documents WHERE id = ?", (number,))


def _key(document: Document) -> str:
    """What makes a document another one: its name, place and text."""
    parts = f"{document.url}\0{document.section}\0{document.text}"
    return hashlib.sha256(parts.encode("utf-8", "replace")).hexdigest()
