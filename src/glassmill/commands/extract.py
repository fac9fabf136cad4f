"""`glassmill extract IN OUT`: the text of every HTML page of an archive, unfiltered.

In: a WARC file, or anything else that `corpus` reads. Out: `OUT.jsonl` with a line `{"url", "text"}` for every HTML
response in archive order (the text may be empty), or `OUT.wet` with a WARC `conversion` record for each; a `.gz` suffix
compresses either (one member per record in WET). The file is written atomically.
"""

from __future__ import annotations

import gzip
import io
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from glassmill.corpus.document import Lost, Page, document_id
from glassmill.corpus.extract.encoding import html_of
from glassmill.corpus.extract.extract import WITHOUT_CORE, engine_of, html_to_text
from glassmill.corpus.read.sources import read_pages
from glassmill.errors import UserError
from glassmill.recipe import ExtractSettings
from glassmill.run.files import atomic_path

Writer = Callable[[BinaryIO, Page, str], None]
GZIP_LEVEL = 6


def extract_archive(
    source: Path, out: Path, settings: ExtractSettings, notify: Callable[[str], None]
) -> dict[str, int]:
    """Writes the texts of all HTML pages in `source` to `out`.

    Args:
        source: The archive.
        out: Ends in `.jsonl`, `.wet`, or either with `.gz`.
        settings: Engine and limits; a page over `max_page_bytes` gets no text.
        notify: Called with a line for everything that could not be read.

    Returns:
        `pages` written, how many of them are `empty`, other records (`not_html`), and `lost` ones.

    Raises:
        UserError: no such archive, or an unsupported suffix of `out`.
    """
    write = _writer(out)
    if not source.is_file():
        raise UserError(f"no archive at {source}; give a WARC file")
    if settings.engine == "auto" and engine_of(settings) == "resiliparse":
        notify(WITHOUT_CORE)
    counts = {"pages": 0, "empty": 0, "not_html": 0, "lost": 0}
    with atomic_path(out) as temporary, temporary.open("wb") as file:
        if write is _write_wet:
            file.write(_packed(out, _warcinfo(source.name)))
        for page, text in _texts(source, settings, counts, notify):
            buffer = io.BytesIO()
            write(buffer, page, text)
            file.write(_packed(out, buffer.getvalue()))
            counts["pages"] += 1
            counts["empty"] += not text
    return counts


def _texts(
    source: Path, settings: ExtractSettings, counts: dict[str, int], notify: Callable[[str], None]
) -> Iterator[tuple[Page, str]]:
    for item in read_pages(source, source.name):
        if isinstance(item, Lost):
            counts["lost"] += 1
            notify(f"offset {item.offset}: {item.cause}{f' ({item.url})' if item.url else ''}")
        elif item.kind != "html":
            counts["not_html"] += 1
        elif len(item.body) > settings.max_page_bytes:
            notify(f"offset {item.offset}: page of {len(item.body)} bytes, over max_page_bytes ({item.url})")
            yield item, ""
        else:
            yield item, html_to_text(html_of(item.body, item.charset), settings)


def _writer(out: Path) -> Writer:
    endings: dict[str, Writer] = {".jsonl": _write_line, ".wet": _write_wet}
    name = out.name.removesuffix(".gz")
    for ending, writer in endings.items():
        if name.endswith(ending):
            return writer
    raise UserError(f"{out.name}: the output must end in .jsonl, .jsonl.gz, .wet or .wet.gz")


def _packed(out: Path, content: bytes) -> bytes:
    return gzip.compress(content, GZIP_LEVEL, mtime=0) if out.name.endswith(".gz") else content


def _write_line(file: BinaryIO, page: Page, text: str) -> None:
    line = json.dumps({"url": page.url, "text": text}, ensure_ascii=False)
    file.write(line.encode("utf-8", "replace") + b"\n")


def _write_wet(file: BinaryIO, page: Page, text: str) -> None:
    """A conversion record (ISO 28500, 6.7). Its id depends only on where the page was in the archive."""
    name = uuid.uuid5(uuid.NAMESPACE_URL, document_id(page.source, page.offset, page.url))
    headers = {
        "WARC-Type": "conversion",
        "WARC-Target-URI": page.url,
        "WARC-Date": page.date or "1970-01-01T00:00:00Z",
        "WARC-Record-ID": f"<urn:uuid:{name}>",
        "Content-Type": "text/plain",
    }
    file.write(_record(headers, text.encode("utf-8", "replace")))


def _warcinfo(name: str) -> bytes:
    headers = {
        "WARC-Type": "warcinfo",
        "WARC-Date": "1970-01-01T00:00:00Z",  # equal input gives equal bytes, so no clock
        "WARC-Record-ID": f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}>",
        "Content-Type": "application/warc-fields",
    }
    return _record(headers, f"software: glassmill\r\nextracted-from: {name}\r\n".encode("utf-8", "replace"))


def _record(headers: dict[str, str], block: bytes) -> bytes:
    lines = [f"{name}: {' '.join(value.split())}" for name, value in headers.items()]
    head = "\r\n".join(["WARC/1.0", *lines, f"Content-Length: {len(block)}"])
    return head.encode("utf-8", "replace") + b"\r\n\r\n" + block + b"\r\n\r\n"
