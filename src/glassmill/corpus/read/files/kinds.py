"""The kind of a file, from its suffix, or from its first bytes where the suffix says nothing."""

from __future__ import annotations

from pathlib import Path

WARC, HTML, TEXT, OTHER = "warc", "html", "text", "other"
WARC_SUFFIXES = (
    *(f"{kind}{packing}" for kind in (".warc", ".wet") for packing in ("", ".gz", ".zst", ".lz4")),
    *(".arc", ".arc.gz"),
)
SUFFIXES: dict[str, str] = {
    **dict.fromkeys(WARC_SUFFIXES, WARC),
    ".html": HTML, ".htm": HTML, ".xhtml": HTML,
    ".txt": TEXT, ".text": TEXT, ".md": TEXT, ".markdown": TEXT, ".rst": TEXT,
    ".pdf": "pdf", ".docx": "docx", ".epub": "epub",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".jsonl.gz": "jsonl", ".ndjson.gz": "jsonl", ".parquet": "parquet",
    ".zip": "archive", ".tar": "archive", ".tar.gz": "archive", ".tgz": "archive", ".tar.bz2": "archive",
    ".tar.xz": "archive", ".txz": "archive",
}  # fmt: skip
MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"WARC/", WARC),
    (b"filedesc:", WARC),
    (b"\x1f\x8b\x08", WARC),
    (b"\x28\xb5\x2f\xfd", WARC),
    (b"\x5d\x2a\x4d\x18", WARC),
    (b"\x04\x22\x4d\x18", WARC),
    (b"%PDF-", "pdf"),
    (b"PK\x03\x04", "archive"),
    (b"PAR1", "parquet"),
)
CONTAINERS = frozenset({WARC, "jsonl", "parquet", "archive"})
"""Kinds of which one file may hold any number of documents."""


def kind_of(path: Path) -> str:
    """The kind of the file at `path`; `other` is not read."""
    kind = kind_of_name(path.name)
    if kind != OTHER:
        return kind
    with path.open("rb") as file:
        start = file.read(16)
    return next((kind for magic, kind in MAGIC if start.startswith(magic)), OTHER)


def kind_of_name(name: str) -> str:
    """The kind that a file's name stands for."""
    name = name.lower()
    suffixes = name.rsplit("/", 1)[-1].split(".")[1:]
    for count in (2, 1):
        kind = SUFFIXES.get("." + ".".join(suffixes[-count:])) if len(suffixes) >= count else None
        if kind:
            return kind
    return OTHER
