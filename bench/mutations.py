"""Changes drawn from a seed, for `mutants.py`: bytes, JSON values, lines, whole files."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

EXTREME: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 10**9, 10**30, -(10**30), 2**63, 1.5, -0.0, 1e308, 1e-308, "", "x", "\0", "\ud800",
    "../../etc/passwd", "/dev/zero", "a" * 10_000, [], {}, [[]], {"a": {}}, [None] * 50,
)  # fmt: skip
WORDS = (
    b"inf", b"nan", b"-inf", b"9" * 400, b"-1", b"0", b"1e999", b'"x"', b"[]", b"{}", b"true", b"\xff\xfe",
    b"\0", b"\x1b[31m",    b"[" * 3000, b'{"a":' * 3000, b"''", b'"""', b"1979-05-27T07:32:00Z", b"0x7fffffffffffffff",
    "\u2028\u202e".encode(), b"\r",
)  # fmt: skip


def mutate_bytes(data: bytes, chance: random.Random) -> bytes:
    """One change anywhere."""
    size = len(data)
    begin = chance.randrange(size + 1)
    if chance.random() < 0.4:  # headers are at the front
        begin = min(begin, chance.randrange(min(size, 2000) + 1))
    end = min(size, begin + chance.choice((1, 2, 8, 64, 1000)))
    part = data[begin:end]
    kind = chance.randrange(11)
    if kind <= 1 and size:
        place = begin % size
        return data[:place] + bytes([data[place] ^ (1 << chance.randrange(8))]) + data[place + 1 :]
    if kind == 2:
        return data[:begin]
    if kind == 3:
        return data[:begin] + bytes(len(part)) + data[end:]
    if kind == 4:
        other = chance.randrange(size + 1)
        return data[:begin] + data[other : other + len(part)] + data[end:]
    if kind == 5:
        return data[:begin] + chance.randbytes(len(part)) + data[begin:]
    if kind == 6:
        return data[:begin] + data[end:]
    if kind == 7:
        return data + chance.choice((b"\0", b"\n", data[:100], chance.randbytes(50)))
    if kind == 8:
        lie = chance.choice((0, 1, 2**31, 2**32 - 1, 2**40, 2**60, 2**63, 2**64 - 1)).to_bytes(8, "little")
        return data[:begin] + lie + data[begin + 8 :]
    if kind == 9:
        return data[:begin] + chance.choice(WORDS) + data[end if chance.random() < 0.5 else begin :]
    return data[:begin] + part * chance.choice((2, 3, 200)) + data[end:]


def mutate_json(data: bytes, chance: random.Random) -> bytes:
    """One value replaced, removed, renamed, doubled or wrapped."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_bytes(data, chance)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        items = (
            list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
        )
        for key, child in items[:200] if len(items) < 400 else chance.sample(items, 60):
            places.append((node, key))
            walk(child)

    walk(value)
    if not places:
        return json.dumps(chance.choice(EXTREME)).encode()
    node, key = chance.choice(places)
    kind = chance.randrange(8)
    if kind <= 3:
        node[key] = chance.choice(EXTREME)
    elif kind == 4:
        del node[key]
    elif kind == 5 and isinstance(node, dict):
        node[chance.choice((str(key) + "x", str(key).upper(), ""))] = node.pop(key)
    elif kind == 6:
        text = json.dumps(value)
        spelled = json.dumps(key) + ": "
        return text.replace(spelled, f"{spelled}{json.dumps(chance.choice(EXTREME))}, {spelled}", 1).encode()
    else:
        node[key] = [node[key]] if chance.random() < 0.5 else {"a": node[key]}
    text = json.dumps(value)
    return re.sub(r"\b1e\+308\b", chance.choice(("NaN", "Infinity", "1e999", "[" * 5000)), text).encode()


def mutate_text(data: bytes, chance: random.Random) -> bytes:
    """One line of a recipe or of JSONL changed as a whole."""
    lines = data.split(b"\n")
    place = chance.randrange(len(lines))
    line = lines[place]
    kind = chance.randrange(6)
    if kind == 0:
        lines.insert(chance.randrange(len(lines) + 1), line)
    elif kind == 1:
        lines[place] = chance.choice(WORDS)
    elif kind == 2 and b"=" in line:
        lines[place] = line.split(b"=")[0] + b"= " + chance.choice(WORDS)
    elif kind == 3 and line.startswith(b"{"):
        lines[place] = mutate_json(line, chance)
    elif kind == 4:
        lines[place], lines[-place - 1] = lines[-place - 1], line
    else:
        lines[place] = mutate_bytes(line, chance)
    return (b"\r\n" if chance.random() < 0.1 else b"\n").join(lines)


def mutate(folder: Path, chance: random.Random) -> None:
    """Changes a copy of a good file or folder in place."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in ("lock", "events.jsonl"))
    files = [path for path in files if path.name not in ("recipe.toml", "stats.json")]  # say nothing of the content
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        file = chance.choice(files)
        if len(files) > 1 and chance.random() < 0.06:
            other = chance.choice(files)
            how = chance.randrange(4)
            if how == 0:
                file.unlink(missing_ok=True)
                return
            if how == 1 and other.is_file():
                file.write_bytes(other.read_bytes())
            elif how == 2:
                file.unlink(missing_ok=True)
                file.mkdir(exist_ok=True)
                return
            else:
                file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
            continue
        data = file.read_bytes()
        if file.suffix == ".json" and chance.random() < 0.6:
            file.write_bytes(mutate_json(data, chance))
        elif file.suffix in (".toml", ".jsonl") and chance.random() < 0.7:
            file.write_bytes(mutate_text(data, chance))
        elif file.suffix == ".safetensors" and chance.random() < 0.4:
            length = int.from_bytes(data[:8], "little")
            header = mutate_json(data[8 : 8 + length], chance)
            size = len(header) if chance.random() < 0.8 else length
            file.write_bytes(size.to_bytes(8, "little") + header + data[8 + length :])
        else:
            file.write_bytes(mutate_bytes(data, chance))
