"""WARC files: one gzip member per record, as crawlers write them, with a few records damaged like real ones.

Format: ISO 28500 (WARC 1.0 and 1.1). In: pages. Out: the bytes of a file, and the offset of every response. Dates
follow from the seed. We write the gzip headers ourselves, so a file's bytes depend only on zlib's compressor.
"""

from __future__ import annotations

import base64
import hashlib
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from glassmill.miniweb.chance import stream
from glassmill.miniweb.layouts import render
from glassmill.miniweb.page import Page

# cut_end must be the last record of its file; the others are in the middle.
DAMAGES = (
    "corrupt_bytes",
    "cut_member",
    "length_too_long",
    "length_too_short",
    "no_http_headers",
    "garbage_before",
    "cut_end",
)

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no time, unknown system
_SERVERS = ("nginx", "Apache/2.4.57 (Debian)", "nginx/1.24.0", "cloudflare", "LiteSpeed")


@dataclass(frozen=True, slots=True)
class WarcFile:
    """A finished file: its name, its bytes and the offset of each page's response record."""

    name: str
    content: bytes
    offsets: tuple[int, ...]


def write_warc(name: str, pages: Sequence[Page], seed: int) -> WarcFile:
    """A WARC file of these pages: warcinfo, then request (for some) and response of every page."""
    rng = stream(seed, "warc", name)
    clock = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=stream(seed, "date").randrange(300 * 86400))
    version = "WARC/1.1" if rng.random() < 0.5 else "WARC/1.0"
    info = (
        f"software: glassmill miniweb\r\nformat: {version}\r\nisPartOf: miniweb-{seed}\r\nrobots: ignore\r\n".encode()
    )
    parts = [
        _member(
            _record(
                version,
                "warcinfo",
                f"{name}/info",
                clock,
                info,
                {"WARC-Filename": name, "Content-Type": "application/warc-fields"},
            )
        )
    ]
    offset, offsets = len(parts[0]), []
    for number, page in enumerate(pages):
        clock += timedelta(seconds=rng.randint(1, 9))
        if rng.random() < 0.3:
            parts.append(_request(version, f"{name}/{number}/request", clock, page))
            offset += len(parts[-1])
        member = _response(version, f"{name}/{number}", clock, page, rng)
        if page.damage:
            before, member = _broken(member, page.damage, rng)
            parts.append(before)
            offset += len(before)
        offsets.append(offset)
        parts.append(member)
        offset += len(member)
    return WarcFile(name, b"".join(parts), tuple(offsets))


def body_of(page: Page, rng: random.Random) -> bytes:
    """The page's HTML encoded in its charset; characters it lacks become references."""
    return render(page, rng).encode(page.charset, "xmlcharrefreplace")


def _response(version: str, key: str, clock: datetime, page: Page, rng: random.Random) -> bytes:
    body = body_of(page, rng)
    head = _http_head(page, clock, rng)
    if page.transfer == "gzip":
        body = _member(body)
        head += "Content-Encoding: gzip\r\n"
    if page.transfer == "chunked":
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in _pieces(body, 2048)) + b"0\r\n\r\n"
        head += "Transfer-Encoding: chunked\r\n"
    else:
        head += f"Content-Length: {len(body)}\r\n"
    block = body if page.damage == "no_http_headers" else f"{head}\r\n".encode() + body
    fields = {
        "WARC-Target-URI": page.url,
        "WARC-IP-Address": f"192.0.2.{rng.randint(1, 254)}",
        "Content-Type": "application/http; msgtype=response",
        "WARC-Payload-Digest": f"sha1:{base64.b32encode(hashlib.sha1(body).digest()).decode()}",
    }
    if rng.random() < 0.5:
        fields["WARC-Identified-Payload-Type"] = "text/html"
    claimed = len(block) + {"length_too_long": 5000, "length_too_short": -(len(body) // 2)}.get(page.damage, 0)
    return _member(_record(version, "response", key, clock, block, fields, claimed))


def _http_head(page: Page, clock: datetime, rng: random.Random) -> str:
    charset = f"; charset={page.declared_charset}" if page.declared_charset else ""
    lines = [
        f"HTTP/1.1 {page.status}",
        f"Date: {clock:%a, %d %b %Y %H:%M:%S} GMT",
        f"Server: {rng.choice(_SERVERS)}",
        f"Content-Type: text/html{charset}",
    ]
    if rng.random() < 0.4:
        lines.append("Cache-Control: max-age=600, public")
    if rng.random() < 0.3:
        lines.append(f"Set-Cookie: sid={rng.randrange(16**12):012x}; Path=/; HttpOnly")
    return "\r\n".join(lines) + "\r\n"


def _request(version: str, key: str, clock: datetime, page: Page) -> bytes:
    path = page.url.partition("://")[2].partition("/")[2]
    block = (
        f"GET /{path} HTTP/1.1\r\nHost: {page.site.host}\r\nUser-Agent: glassmill-miniweb\r\nAccept: text/html\r\n\r\n"
    )
    fields = {"WARC-Target-URI": page.url, "Content-Type": "application/http; msgtype=request"}
    return _member(_record(version, "request", key, clock, block.encode(), fields))


def _record(version: str, kind: str, key: str, clock: datetime, block: bytes, fields: dict[str, str],
            claimed: int | None = None) -> bytes:  # fmt: skip
    digest = hashlib.sha256(f"{clock}/{key}".encode()).hexdigest()
    lines = [
        version,
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: <urn:uuid:{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}>",
        f"WARC-Date: {clock:%Y-%m-%dT%H:%M:%SZ}",
        *(f"{name}: {value}" for name, value in fields.items()),
        f"Content-Length: {len(block) if claimed is None else claimed}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def _member(content: bytes) -> bytes:
    squeeze = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    tail = zlib.crc32(content).to_bytes(4, "little") + (len(content) & 0xFFFFFFFF).to_bytes(4, "little")
    return _GZIP_HEADER + squeeze.compress(content) + squeeze.flush() + tail


def _broken(member: bytes, damage: str, rng: random.Random) -> tuple[bytes, bytes]:
    """Bytes to put before the record, and the damaged record. Wrong lengths are already in it."""
    if damage == "corrupt_bytes":
        middle = len(member) // 2
        return b"", member[:middle] + rng.randbytes(24) + member[middle + 24 :]
    if damage in ("cut_member", "cut_end"):
        return b"", member[: len(member) * 2 // 3]
    if damage == "garbage_before":
        return b"\x00<html>not a record</html>\n" * 3, member
    return b"", member


def _pieces(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]
