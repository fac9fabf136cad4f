"""Files of conversations, of every kind, and the one line that a broken one gets."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glassmill.errors import UserError
from glassmill.tune.reading import read_conversations

LINES = [json.dumps({"question": f"Say {n}", "answer": str(n)}) for n in range(3)]
ROWS = [{"question": f"Say {n}", "answer": str(n)} for n in range(3)]


def answers(path: Path) -> list[str]:
    return [placed.conversation.messages[1]["content"] for placed in read_conversations([str(path)])]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.jsonl", "\n".join(LINES).encode()),
        ("x.jsonl", "\r\n".join(LINES).encode()),
        ("x.jsonl", ("\n\n  \n".join(LINES) + "\n\n").encode()),
        ("x.jsonl", codecs.BOM_UTF8 + "\n".join(LINES).encode()),
        ("x.json", json.dumps(ROWS).encode()),
        ("x.json", json.dumps(ROWS, indent=2).encode()),
        ("x.json", codecs.BOM_UTF8 + json.dumps(ROWS, indent=2).encode()),
        ("x.json", json.dumps({"version": 1, "data": ROWS}, indent=2).encode()),
        ("x.json", "\n".join(LINES).encode()),
        ("x.jsonl", json.dumps(ROWS).encode()),
        (
            "x.jsonl",
            "\n".join(
                json.dumps([{"role": "user", "content": "?"}, {"role": "assistant", "content": str(n)}])
                for n in range(3)
            ).encode(),
        ),
        ("x.csv", b"question,answer\nSay 0,0\nSay 1,1\nSay 2,2\n"),
        ("x.csv", '﻿Question;Answer\r\nSay 0;0\r\n"Say\r\n1";1\r\nSay 2;2\r\n'.encode()),
        ("x.csv", "question,answer\nSay é,0\nSay 1,1\nSay 2,2\n".encode("cp1252")),
        ("x.csv", "question,answer\nSay 0,0\nSay 1,1\nSay 2,2\n".encode("utf-16")),
        ("x.tsv", b"question\tanswer\nSay 0\t0\nSay 1\t1\nSay 2\t2\n"),
        ("conversations.txt", "\n".join(LINES).encode()),
    ],
)
def test_a_file_is_read_as_it_was_saved(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert answers(tmp_path / name) == ["0", "1", "2"]


def test_parquet_is_read_with_its_nested_columns(tmp_path: Path) -> None:
    messages = [[{"role": "user", "content": "?"}, {"role": "assistant", "content": str(n)}] for n in range(3)]
    pq.write_table(pa.table({"messages": messages, "source": ["a", None, "b"]}), tmp_path / "x.parquet")
    assert answers(tmp_path / "x.parquet") == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", "\n".join(LINES).encode("utf-16"), r"x\.jsonl, line 1 .*UTF-16.*save it as UTF-8"),
        ("x.jsonl", "\n".join(LINES).encode("utf-16-le"), r"x\.jsonl, line 1 .*UTF-16.*save it as UTF-8"),
        ("x.jsonl", "\n".join(LINES).encode("utf-32"), r"x\.jsonl, line 1 .*UTF-32"),
        (
            "x.jsonl",
            (LINES[0] + '\n{"question": "café", "answer": "oui"}').encode("cp1252"),
            r"line 2 is not UTF-8 .*0xe9",
        ),
        (
            "x.json",
            json.dumps([{"question": "café", "answer": "oui"}], ensure_ascii=False).encode("cp1252"),
            "not UTF-8",
        ),
        ("x.jsonl", (LINES[0] + "\n" + LINES[1][:-4]).encode(), "line 2 is not valid JSON"),
        ("x.jsonl", (LINES[0] + "\nhello").encode(), "line 2 is not valid JSON"),
        ("x.jsonl", (LINES[0] + '\n\n{"question": "x"}').encode(), "line 3 is not a conversation: it needs"),
        ("x.jsonl", b"[" * 100_000, "nested too deeply"),
        ("x.json", json.dumps([*ROWS, {"question": 3, "answer": "x"}]).encode(), "item 4 .*content is a number"),
        ("x.json", b"[1, 2]", "item 1 .*a number, not an object"),
        ("x.jsonl.gz", b"\x1f\x8b\x08\0", "packed with gzip; unpack it"),
        ("x.zip", b"PK\x03\x04", "packed with zip"),
        ("x.parquet", b"PAR1 nothing", "damaged Parquet file"),
        ("x.csv", b"a,b\n1,2\n", "line 2 is not a conversation: .*its keys are 'a', 'b'"),
        ("x.jsonl", b"\x00\x01\x02\x03", "line 1 "),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        answers(tmp_path / name)
    assert "\n" not in str(caught.value) and name in str(caught.value)


def test_an_empty_file_and_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").touch()
    assert answers(tmp_path / "x.jsonl") == []
    with pytest.raises(UserError, match="names no file"):
        answers(tmp_path / "absent.jsonl")
