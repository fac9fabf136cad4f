"""The licence that a page or a file states of itself, or that stands in its folder.

Looked for, in this order: `rel="license"`, rights in `<meta>` (Dublin Core and the like), a link to Creative Commons,
an SPDX identifier; for a file of text also the head of its Markdown; then the nearest LICENSE file above it, inside the
inputs. What a page says of something else on it (a photograph) can be taken for its own.

In: the list of a run's input files. Out: where it is stated. Files are read in supervised workers, as always. Nothing
is looked for inside archives, PDF and office files.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from os.path import commonpath
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from glassmill.corpus.document import Page
from glassmill.corpus.read.files.kinds import HTML, TEXT, WARC, kind_of
from glassmill.corpus.read.sources import read_pages
from glassmill.printable import printable
from glassmill.run.executors import map_shards
from glassmill.run.inputs import InputRow
from glassmill.run.worker import Link

READ_CHARACTERS = 256 << 10
"""Of a page or file: licences stand in its head or its foot."""
FILES_PER_TASK = 2000
TEXTS = (HTML, TEXT, "markdown", "rst", "asciidoc", "latex", "man", "org", "code", "xml")
NAMES = ("LICENSE", "LICENCE", "COPYING", "UNLICENSE")
MAX_CHARACTERS = 120
KNOWN = (
    ("MIT", rb"\bMIT License\b|Permission is hereby granted, free of charge"),
    ("Apache-2.0", rb"Apache License\s+Version 2\.0"),
    ("GPL-3.0", rb"GNU GENERAL PUBLIC LICENSE\s+Version 3"),
    ("GPL-2.0", rb"GNU GENERAL PUBLIC LICENSE\s+Version 2"),
    ("LGPL-3.0", rb"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3"),
    ("MPL-2.0", rb"Mozilla Public License,? [Vv]ersion 2\.0"),
    ("CC0-1.0", rb"CC0 1\.0 Universal"),
    ("CC-BY-4.0", rb"Attribution 4\.0 International"),
    ("CC-BY-SA-4.0", rb"Attribution-ShareAlike 4\.0 International"),
    ("BSD-3-Clause", rb"Redistribution and use in source and binary forms(?s:.{0,1500})Neither the name"),
    ("BSD-2-Clause", rb"Redistribution and use in source and binary forms"),
)

_REL = re.compile(rb"<(?:a|link)\b[^>]{0,500}?\brel\s*=\s*[\"']?(?:[\w-]+ )*licen[sc]e\b[^>]{0,500}>", re.I)
_HREF = re.compile(rb"\bhref\s*=\s*[\"']?([^\"'\s>]{1,300})", re.I)
_META = re.compile(
    rb"<meta\b[^>]{0,200}?\bname\s*=\s*[\"']?(?:dc\.rights|dcterms\.rights|dcterms\.license|dc\.rights\.license|license)"
    rb"\b[^>]{0,500}>",
    re.I,
)
_CONTENT = re.compile(rb"\bcontent\s*=\s*(?:\"([^\"]{1,300})\"|'([^']{1,300})')", re.I)
_CC = re.compile(rb"creativecommons\.org/(licenses|publicdomain)/([a-z-]{2,12})/(\d\.\d)", re.I)
_SPDX = re.compile(rb"SPDX-License-Identifier:[ \t]*([A-Za-z0-9.+() -]{2,80})")
_FRONT = re.compile(rb"\A---\r?\n(?:(?!---)[^\n]{0,500}\n){0,60}?licen[sc]e:[ \t]*([^\n\r]{1,80})", re.I)


class Stated(TypedDict):
    """A licence, and where it is stated."""

    licence: str
    where: str


class Task(TypedDict):
    """Files by path, name in the corpus, and what to look for in them."""

    inputs: list[list[str]]
    skip: NotRequired[list[tuple[int, str]]]


class Found(TypedDict):
    """Source, offset (of a file 0), licence, where."""

    stated: list[tuple[str, int, str, str]]


class Licences:
    """Of documents by source and offset; documents of one file share its licence."""

    def __init__(self, of_pages: Mapping[tuple[str, int], Stated], of_files: Mapping[str, Stated]) -> None:
        self._pages, self._files = of_pages, of_files

    def of(self, source: str, offset: int, url: str) -> Stated | None:
        """What is stated of a document of the corpus."""
        name = url.partition("#")[0]
        return self._pages.get((source, offset)) or self._files.get(source) or self._files.get(name)


def find_licences(rows: Iterable[InputRow]) -> Licences:
    """Reads the files again, where they still are."""
    there = [row for row in rows if len(row["content"]) == 64 and Path(row["path"]).is_file()]
    kinds = [(row, kind_of(Path(row["path"]))) for row in there]
    archives = [[row["path"], row["name"], WARC] for row, kind in kinds if kind == WARC]
    texts = [[row["path"], row["name"], kind] for row, kind in kinds if kind in TEXTS]
    tasks: list[Task] = [{"inputs": [one]} for one in archives]
    tasks += [{"inputs": texts[at : at + FILES_PER_TASK]} for at in range(0, len(texts), FILES_PER_TASK)]
    found: list[Any] = map_shards(f"{__name__}:{read_licences.__name__}", tasks) if tasks else []
    pages: dict[tuple[str, int], Stated] = {}
    files: dict[str, Stated] = {}
    of_archives = {name for _, name, _ in archives}
    for source, offset, licence, where in (one for result in found for one in result["stated"]):
        stated: Stated = {"licence": licence, "where": where}
        if source in of_archives:
            pages[source, offset] = stated
        else:
            files[source] = stated
    return Licences(pages, _of_folders([row for row, kind in kinds if kind != WARC]) | files)


def read_licences(task: Task, link: Link) -> Found:
    """What the files of a task state."""
    skipped = {position for position, _ in task.get("skip", [])}
    found: list[tuple[str, int, str, str]] = []
    position = 0
    for path, name, kind in task["inputs"]:
        pages = read_pages(Path(path), name) if kind == WARC else _beginning(Path(path), name)
        while True:
            link.mark(position)
            if position in skipped:  # it ended a worker before; so does what follows it in the file
                position += 1
                break
            item = next(pages, None)
            position += 1
            if item is None:
                break
            stated = licence_in(item.body) if isinstance(item, Page) else None
            if stated:
                found.append((name, item.offset, stated["licence"], stated["where"]))
    return {"stated": found}


def _beginning(path: Path, name: str) -> Iterator[Page]:
    with path.open("rb") as file:
        yield Page(name, file.read(READ_CHARACTERS), name, 0)


def licence_in(body: bytes) -> Stated | None:
    """The licence that the bytes of a page or a text state.

    Example:
        >>> licence_in(b'<a rel="license" href="https://creativecommons.org/licenses/by-sa/4.0/">CC</a>')["licence"]
        'CC-BY-SA-4.0'
    """
    half = READ_CHARACTERS // 2
    text = body if len(body) <= READ_CHARACTERS else body[:half] + b"\n" + body[-half:]
    for tag in _REL.findall(text):
        if href := _HREF.search(tag):
            return _stated(href[1], "rel=license")
    for tag in _META.findall(text):
        if content := _CONTENT.search(tag):
            return _stated(content[1] or content[2], "meta")
    if link := _CC.search(text):
        return _stated(link[0], "a link to Creative Commons")
    for pattern, where in ((_SPDX, "SPDX"), (_FRONT, "its head")):
        if named := pattern.search(text):
            return _stated(named[1], where)
    return None


def _stated(value: bytes, where: str) -> Stated:
    if creative := _CC.search(value):
        kind, version = creative[2].decode().upper(), creative[3].decode()
        public = {"ZERO": "CC0", "MARK": "PDM"}.get(kind, kind)
        name = public if creative[1].lower() == b"publicdomain" else f"CC-{kind}"
        return {"licence": f"{name}-{version}", "where": where}
    text = " ".join(html.unescape(value.decode("utf-8", "replace")).split())
    return {"licence": printable(text.strip("\"' "))[:MAX_CHARACTERS], "where": where}


def _of_folders(rows: list[InputRow]) -> dict[str, Stated]:
    """Files by name -> what the nearest LICENSE file says, inside the folder that holds all of them."""
    if not rows:
        return {}
    root = Path(commonpath([str(Path(row["path"]).parent) for row in rows]))
    known: dict[Path, Stated | None] = {}

    def of(folder: Path) -> Stated | None:
        if folder not in known:
            above = of(folder.parent) if folder != root and folder.is_relative_to(root) else None
            known[folder] = _in_folder(folder) or above
        return known[folder]

    found = {row["name"]: of(Path(row["path"]).parent) for row in rows}
    return {name: stated for name, stated in found.items() if stated}


def _in_folder(folder: Path) -> Stated | None:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.upper().split(".")[0] not in NAMES or path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            text = file.read(16 << 10)
        where = f"the file {printable(path.name)}"
        for name, pattern in KNOWN:
            if re.search(pattern, text):
                return {"licence": name, "where": where}
        first = next((line for line in text.splitlines() if line.strip()), b"")
        return {"licence": _stated(first, where)["licence"] or "stated", "where": where}
    return None
