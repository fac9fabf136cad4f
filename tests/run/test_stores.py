"""Object stores: addresses hold no secret, requests survive faults, and runs are seen whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from glassmill.errors import UserError
from glassmill.papers.chain import looked_at
from glassmill.run.inputs import expand, input_files, record_inputs, recorded_inputs
from glassmill.run.stores import client, persistence, web
from glassmill.run.stores.address import masked
from glassmill.run.stores.spool import copied, spooled
from glassmill.run.stores.stored import StoredFile, stored_files
from tests.s3 import needs_server

# --- without a server -------------------------------------------------------------------------------------------------


def test_nothing_of_a_store_is_imported_before_an_address_is() -> None:
    modules = "glassmill.cli, glassmill.pipeline, glassmill.corpus.corpus, glassmill.run.published"
    libraries = "'fsspec', 's3fs', 'botocore', 'aiohttp', 'requests'"
    code = f"import sys, {modules}; print([name for name in ({libraries}) if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "[]", (done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("ftp://host/x", "no store of that kind is read; known: s3://, gs://"),
        ("/runs", "is no address of a store; write s3://bucket/prefix"),
        ("s3://", "names no bucket; write s3://bucket/prefix/"),
        ("s3://KEY:TOP@bucket/x", r"'s3://\*\*\*@bucket/x' holds a secret.*AWS_ACCESS_KEY_ID"),
        ("https://host/a.gz?X-Amz-Signature=TOP&part=1", r"X-Amz-Signature=\*\*\*&part=1' holds a secret"),
        ("https://host/a.gz?sv=1&sig=TOP", r"sig=\*\*\*' holds a secret"),
        ("https://host/crawl/", "a web server lists no files"),
    ],
)
def test_an_address_that_cannot_be_read_is_one_line_without_its_secret(address: str, line: str) -> None:
    with pytest.raises(UserError, match=line) as caught:
        client.entries_under(address)
    assert "TOP" not in str(caught.value) and "\n" not in str(caught.value)


def test_secrets_are_masked_wherever_an_address_stands() -> None:
    text = "cannot read https://me:TOP@h/a?token=TOP&b=2 nor s3://k:TOP@b/c; AWSAccessKeyId=1 is no address"
    assert masked(text) == "cannot read https://***@h/a?token=***&b=2 nor s3://***@b/c; AWSAccessKeyId=1 is no address"
    plain = "https://host/a.warc.gz?part=2&download=true and s3://bucket/a@b/key=value.parquet"
    assert masked(plain) == plain


@pytest.mark.parametrize(("scheme", "package"), [("s3", "glassmill\\[s3\\]"), ("gs", "gcsfs"), ("az", "adlfs")])
def test_without_the_package_one_line_says_what_to_install(
    scheme: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.importlib.util, "find_spec", lambda name: None)
    client._store.cache_clear()
    with pytest.raises(UserError, match=f"{scheme}:// needs the package .*pip install .*{package}"):
        stored_files(f"{scheme}://bucket/x/")


def test_only_the_corpus_reads_from_stores() -> None:
    with pytest.raises(UserError, match="only corpus.inputs reads from stores; copy it here"):
        expand(["s3://bucket/conversations.jsonl"])


@pytest.mark.parametrize(
    ("error", "tries", "line"),
    [
        (FileNotFoundError("x"), 1, "no such file or bucket; check the name"),
        (PermissionError("Forbidden"), 1, "access denied .*AWS_ACCESS_KEY_ID"),
        (TimeoutError(), persistence.TRIES, "no answer within 30 s, 8 times in a row; run the same command again"),
        (ConnectionResetError("reset\nby peer"), persistence.TRIES, "reset by peer, 8 times in a row"),
    ],
)
def test_what_a_repetition_cannot_mend_is_said_at_once(
    error: Exception, tries: int, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.delenv("GLASSMILL_STORE_TIMEOUT_S", raising=False)
    monkeypatch.setattr(persistence.time, "sleep", pauses.append)
    calls = 0

    def request() -> None:
        nonlocal calls
        calls += 1
        raise error

    with pytest.raises(UserError, match=line):
        persistence.persistently("s3://bucket/key", request)
    assert calls == tries and len(pauses) == tries - 1
    assert all(0.05 * 2**number <= pause <= 0.1 * 2**number for number, pause in enumerate(pauses))


@pytest.mark.parametrize("to", ["http://169.254.169.254/latest/", "http://localhost:1/", "ftp://host/", "http://host/"])
def test_a_redirect_leads_to_no_other_host_and_to_no_weaker_scheme(to: str) -> None:
    with pytest.raises(UserError, match="which is not followed"):
        web._followed("https://host/a", "https://host/a", to)
    assert web._followed("https://host/a", "https://host/a", "/b") == "https://host/b"


@pytest.mark.skipif(os.name == "nt", reason="TMPDIR is the user's own there")
def test_copies_lie_in_no_folder_that_somebody_else_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / f"glassmill-inputs-{os.getuid()}").symlink_to(tmp_path / "theirs")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(UserError, match="belongs to somebody else; .*TMPDIR"), copied(StoredFile("s3://b/x", 0, "1")):
        pass


# --- with a server ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@needs_server
def test_files_of_a_store_are_listed_read_and_copied(s3: object, s3_url: str, tmp_path: Path) -> None:
    keys = ["in/b.warc.gz", "in/a/z.txt", "in/a.txt", "in/.git/config", "in/sub/.hidden", "in/key with [odd] &=+ü.txt"]
    data = os.urandom(3_000_000)
    for key in keys:
        client.put_bytes(data, f"s3://web/{key}")
    found = input_files(["s3://web/in/"])
    assert [one.path.name for one in found] == ["z.txt", "a.txt", "b.warc.gz", "key with [odd] &=+ü.txt"]
    assert all(one.size == len(data) for one in found)
    assert [one.name for one in input_files(["s3://web/in/*.txt"])] == ["a.txt", "key with [odd] &=+ü.txt"]
    (file,) = stored_files("s3://web/in/b.warc.gz")
    assert isinstance(file, StoredFile)
    with file.open() as opened:
        opened.seek(1_999_999)
        assert opened.read(10) == data[1_999_999:2_000_009] and opened.read() == data[2_000_009:]
    with spooled(file, 1 << 40) as here, here.map() as mapped, here.open() as opened:
        assert mapped[2_500_000:2_500_010] == data[2_500_000:2_500_010] and here._have == {2}
        assert mapped.find(data[700_000:700_030]) == 700_000
        opened.seek(-5, os.SEEK_END)
        assert opened.read() == data[-5:] and here.stat().st_size == len(data)
    with copied(file) as path:
        assert path.read_bytes() == data and path.name == "b.warc.gz"
    assert not path.exists()

    on_web_address = f"{s3_url}/web/in/b.warc.gz"  # the same server, as a web server
    with pytest.raises(UserError, match="access denied"):
        stored_files(on_web_address)
    client._store("s3").chmod("web/in/b.warc.gz", "public-read")
    (on_web,) = stored_files(on_web_address)
    assert isinstance(on_web, StoredFile) and (on_web.size, on_web.etag) == (file.size, file.etag)
    assert on_web.read_range(1_000_000, 1_000_050) == data[1_000_000:1_000_050]

    client.put_bytes(b"another", file.address)
    with pytest.raises(UserError, match="was changed since it was listed"):
        file.read_range(0, 5)
    with pytest.raises(UserError, match="names no file in the store"):
        stored_files("s3://web/nothing/")


@pytest.mark.slow
@needs_server
def test_an_audit_asks_the_store_whether_an_input_is_still_the_one_that_was_read(s3: object, tmp_path: Path) -> None:
    for name in ("same", "changed", "gone"):
        client.put_bytes(name.encode(), f"s3://web/audit/{name}.txt")
    (tmp_path / "here.txt").write_text("here")
    words = ["s3://web/audit/", str(tmp_path / "here.txt")]
    record_inputs(tmp_path, {"corpus.inputs": input_files(words)})
    client.put_bytes(b"another", "s3://web/audit/changed.txt")
    client.delete(["s3://web/audit/gone.txt"])
    told = {row["name"]: how for row, how in looked_at(list(recorded_inputs(tmp_path)))}
    assert told == {
        "same.txt": "", "here.txt": "", "changed.txt": "is another one than was read", "gone.txt": "is missing"
    }  # fmt: skip
