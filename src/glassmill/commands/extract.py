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
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NotRequired, TypedDict, cast

from glassmill.corpus.document import Lost, Page, document_id
from glassmill.corpus.extract.encoding import html_of
from glassmill.corpus.extract.extract import WITHOUT_CORE, engine_of, html_to_text
from glassmill.corpus.read.sources import read_sources
from glassmill.corpus.read.warc import MAX_RECORD_BYTES
from glassmill.errors import UserError
from glassmill.recipe import ExtractSettings, FilesSettings
from glassmill.run.executors import map_shards
from glassmill.run.files import atomic_path
from glassmill.run.kinds import Event, Note
from glassmill.run.worker import Link

Writer = Callable[[BinaryIO, Page, str], None]
GZIP_LEVEL = 6


class Counts(TypedDict):
    """HTML `pages` written, how many of them are `empty`, other records, and those that could not be read."""

    pages: int
    empty: int
    not_html: int
    lost: int


class ExtractTask(TypedDict):
    """`skip` names the records that ended a worker before; see `read_sources`."""

    archive: str
    out: str
    settings: dict[str, object]
    skip: NotRequired[list[tuple[int, str]]]


def extract_archive(
    source: Path, out: Path, settings: ExtractSettings, notify: Callable[[str], None], page_cpu_s: float = 20.0
) -> Counts:
    """Writes the texts of all HTML pages in `source` to `out`, in a worker with limits: nobody knows what it holds.

    Args:
        source: The archive.
        out: Ends in `.jsonl`, `.wet`, or either with `.gz`.
        settings: Engine and limits; a page over `max_page_bytes` gets no text.
        notify: Called with a line for everything that could not be read.
        page_cpu_s: CPU seconds after which a page counts as lost.

    Raises:
        UserError: no such archive, or an unsupported suffix of `out`.
    """
    _writer(out)
    if not source.is_file():
        raise UserError(f"no archive at {source}; give a WARC file")
    if settings.engine == "auto" and engine_of(settings) == "resiliparse":
        notify(WITHOUT_CORE)
    task: ExtractTask = {"archive": str(source), "out": str(out), "settings": settings.model_dump(mode="json")}

    def on_event(event: Event) -> None:
        if isinstance(event, Note):
            notify(event.text)

    name = f"{__name__}:{extract_shard.__name__}"
    (counts,) = map_shards(name, [task], 1, on_event=on_event, cpu_limit_s=page_cpu_s)
    return cast("Counts", counts)


def extract_shard(task: ExtractTask, link: Link) -> Counts:
    """What `extract_archive` does, in a worker; `link` gets a `Note` for every loss."""
    settings = ExtractSettings.model_validate(task["settings"])
    source, out, skip = Path(task["archive"]), Path(task["out"]), task.get("skip", [])
    items = read_sources([[str(source), source.name]], skip, MAX_RECORD_BYTES, FilesSettings())
    write = _writer(out)
    told = skip[-1][0] if skip else 0  # what came before was told by the worker that ended
    counts: Counts = {"pages": 0, "empty": 0, "not_html": 0, "lost": 0}
    with atomic_path(out) as temporary, temporary.open("wb") as file:
        if write is _write_wet:
            file.write(_packed(out, _warcinfo(source.name)))
        link.mark(0)
        for position, (_, item) in enumerate(items, start=1):
            text, loss = _text_of(item, settings)
            if loss and position > told:
                link.tell(Note(f"offset {item.offset}: {loss}{f' ({item.url})' if item.url else ''}"))
            if isinstance(item, Lost):
                counts["lost"] += 1
            elif item.kind != "html":
                counts["not_html"] += 1
            else:
                buffer = io.BytesIO()
                write(buffer, item, text)
                file.write(_packed(out, buffer.getvalue()))
                counts["pages"] += 1
                counts["empty"] += not text
            link.mark(position)
    return counts


def _text_of(item: Page | Lost, settings: ExtractSettings) -> tuple[str, str]:
    """The text of a page in HTML, and why it has none."""
    if isinstance(item, Lost):
        return "", item.cause
    if item.kind != "html":
        return "", ""
    if len(item.body) > settings.max_page_bytes:
        return "", f"page of {len(item.body)} bytes, over max_page_bytes"
    return html_to_text(html_of(item.body, item.charset), settings), ""


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
    line = json.dumps({"url": page.url, "text": text}, ensure_ascii=False, allow_nan=False)
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
