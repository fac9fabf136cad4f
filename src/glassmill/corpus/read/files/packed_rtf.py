"""Compressed RTF, in which Outlook keeps the text of a message.

Source: Microsoft, [MS-OXRTFCP] 2.1 and 2.2: LZ77 over a ring of 4,096 bytes that begins with common RTF.
"""

from __future__ import annotations

import struct
import zlib

from glassmill.errors import UnreadableError

COMMON = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans Serif"
    rb"SymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    + b"\r\n"
    + rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
RING = 1 << 12
HEADER = struct.Struct("<II4sI")
"""The size of what follows the first four bytes, the size of the RTF, `LZFu` or `MELA`, and the checksum."""


def unpacked_rtf(data: bytes) -> bytes:
    """The RTF in a property `PidTagRtfCompressed`; at most 8 times as long.

    Raises:
        UnreadableError: it is damaged.
    """
    if len(data) < HEADER.size:
        raise UnreadableError("damaged compressed RTF: it ends in its header")
    packed_size, size, form, checksum = HEADER.unpack_from(data)
    content = data[HEADER.size : 4 + packed_size]
    if form == b"MELA":
        return content[:size]
    if form != b"LZFu":
        raise UnreadableError(f"compressed RTF of the unknown form {form!r}")
    if zlib.crc32(content, 0xFFFFFFFF) ^ 0xFFFFFFFF != checksum:
        raise UnreadableError("damaged compressed RTF: its checksum does not match")
    return _unpacked(content)[:size]


def _unpacked(content: bytes) -> bytes:
    out = bytearray(COMMON)
    place = 0
    while place < len(content):
        flags, place = content[place], place + 1
        for bit in range(8):
            if not flags >> bit & 1:
                out += content[place : place + 1]
                place += 1
                continue
            pair, place = int.from_bytes(content[place : place + 2], "big"), place + 2
            back = (len(out) - (pair >> 4)) % RING  # where in the ring, as a distance from the end
            if not back or back > len(out):
                return bytes(out[len(COMMON) :])
            length = (pair & 15) + 2
            found = out[len(out) - back :][:length]
            out += (found * (length // len(found) + 1))[:length]  # what is copied may reach into its own copy
    return bytes(out[len(COMMON) :])
