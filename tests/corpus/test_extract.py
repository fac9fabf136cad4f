"""From bytes to text: encodings, extraction, and pages made to hurt the parser."""

from __future__ import annotations

import gzip
import time
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from glassmill.corpus.extract import content
from glassmill.corpus.extract.encoding import decode, html_of
from glassmill.corpus.extract.extract import broken_cap, clean, depth, html_to_text, strip_tags, title_of
from glassmill.corpus.read.codings import GZIP_MAGIC
from glassmill.corpus.read.frames.zstd import MAGIC as ZSTD_MAGIC
from glassmill.corpus.read.http import dechunk, parse_response
from glassmill.errors import BodyError
from glassmill.recipe import ExtractSettings
from glassmill.run.memory import peak_memory

needs_native = pytest.mark.skipif(content._core is None, reason="the native core is not built here")

SETTINGS = ExtractSettings()
ENGINES = [SETTINGS, ExtractSettings(engine="resiliparse")]  # without the native core, the first is the second
PROSE = "The miller told the story of the river to his children. " * 20
GREETING = "Größe, naïve café – “quoted”"


@pytest.mark.parametrize(
    ("body", "charset", "text"),
    [
        (GREETING.encode(), None, GREETING),
        (GREETING.encode(), "iso-8859-1", GREETING),  # the header lies
        (GREETING.encode("cp1252"), "iso-8859-1", GREETING),  # latin1 means windows-1252 on the web
        (GREETING.encode("cp1252"), "utf-8", GREETING),  # the header lies, detection decides
        (
            b'<meta charset="windows-1251">' + "Привет, мир".encode("cp1251"),
            None,
            '<meta charset="windows-1251">Привет, мир',
        ),
        (
            b'<meta http-equiv="Content-Type" content="text/html; charset=gbk">' + "中文网页".encode("gbk"),
            None,
            '<meta http-equiv="Content-Type" content="text/html; charset=gbk">中文网页',
        ),
        (b'<meta charset="utf-8">' + "日本語".encode("shift_jis"), "shift_jis", '<meta charset="utf-8">日本語'),
        ("日本語".encode("iso2022_jp"), "iso-2022-jp", "日本語"),
        (b"\xff\xfe" + "hello".encode("utf-16-le"), "utf-8", "hello"),
        (b"\xfe\xff" + "hello".encode("utf-16-be"), None, "hello"),
        (b"\xef\xbb\xbfhello", "latin-1", "hello"),
        (b"plain", "no-such-charset", "plain"),
        (b"", None, ""),
    ],
)
def test_the_encoding_is_found(body: bytes, charset: str | None, text: str) -> None:
    assert decode(body, charset)[0] == text


@needs_native
@given(st.binary(max_size=40) | st.text(st.characters(exclude_categories=["Cs"])).map(lambda text: text.encode()))
def test_the_native_core_knows_utf8_and_reads_a_page_alike_from_bytes_and_text(body: bytes) -> None:
    try:
        text: str | None = body.decode()
    except UnicodeDecodeError:
        text = None
    assert content._core.is_utf8(body) == (text is not None)
    assert html_to_text(html_of(body), ExtractSettings()) == html_to_text(decode(body)[0], ExtractSettings())


@needs_native
@given(st.text(st.sampled_from("ab \t\n\r\x00\x1c\x1f\x7f\x85\xa0é\u2003\u2028\u3000中👍")) | st.text())
def test_the_native_core_cleans_text_as_the_plain_twin_does(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    assert content._core.clean(text) == clean(text)


def test_a_few_damaged_bytes_do_not_turn_utf8_into_something_else() -> None:
    text = "Größe und Übermaß. " * 500
    decoded, encoding = decode(text.encode() + b"\xc3", "utf-8")
    assert encoding == "utf-8" and decoded == text + "\ufffd"


@given(
    st.binary(max_size=300), st.sampled_from([None, "utf-8", "latin1", "gbk", "utf-16", "nonsense", "x-user-defined"])
)
def test_every_body_becomes_text(body: bytes, charset: str | None) -> None:
    text, _ = decode(body, charset)
    html_to_text(text, SETTINGS)


ARTICLE = """<html><head><title>A &amp; B</title><style>p {color: red}</style></head><body>
<nav><a href="/">Home</a> <a href="/shop">Shop</a> <a href="/about">About</a></nav>
<article><h1>The mill by the river</h1><p>The mill was built in 1842 by the miller's family, who ran it for ages.</p>
<p>It ground wheat and rye for the whole valley.</p><ul><li>One wheel</li><li>Two stones</li></ul></article>
<script>var x = "<p>not text</p>";</script><footer>Copyright 2024. All rights reserved.</footer></body></html>"""


@pytest.mark.parametrize("settings", ENGINES, ids=lambda settings: settings.engine)
def test_the_main_content_stays_and_menus_go(settings: ExtractSettings) -> None:
    text = html_to_text(ARTICLE, settings)
    assert "The mill was built in 1842 by the miller's family" in text
    assert "not text" not in text and "color: red" not in text and "Shop" not in text
    assert "Shop" in html_to_text(ARTICLE, settings.model_copy(update={"main_content": False}))
    assert title_of(ARTICLE) == "A & B"


def test_a_page_without_a_recognised_main_part_gives_its_text_without_menus() -> None:
    page = f"<body><nav>Home Shop</nav><div class='sidebar'><p>{PROSE}</p></div><footer>Imprint</footer></body>"
    text = html_to_text(page, SETTINGS)
    assert "The miller told" in text and "Shop" not in text and "Imprint" not in text


def test_the_linear_fallback_finds_the_same_prose() -> None:
    text = strip_tags(ARTICLE)
    assert "The mill was built in 1842" in text and "not text" not in text and "color: red" not in text
    assert strip_tags("a<!-- hidden --> b <script>alert(1)") == "a b"
    assert strip_tags("5 < 6 and <b>bold</b> &lt;p&gt;") == "5 < 6 and bold <p>"


BOMBS = {
    "200,000 attributes on one tag": "<p>"
    + PROSE
    + "</p><div "
    + " ".join(f"a{n}=1" for n in range(200_000))
    + "></div>",
    "100,000 options": "<p>" + PROSE + "</p><select>" + "<option>x" * 100_000 + "</select>",
    "100,000 nested div": "<p>" + PROSE + "</p>" + "<div>" * 100_000,
    "50,000 nested div, closed": "<p>" + PROSE + "</p>" + "<div>" * 50_000 + "x" + "</div>" * 50_000,
    "20,000 nested span with stray ends": "<p>" + PROSE + "</p>" + "</b>" * 20_000 + "<span>" * 20_000,
    "1 M br": "<p>" + PROSE + "</p>" + "<br>" * 1_000_000,
    "200,000 li": "<p>" + PROSE + "</p><ul>" + "<li>word" * 200_000,
    "7 MB in one paragraph": "<p>" + PROSE * 6_000,
    "100,000 unclosed tags": PROSE + "<a href=x " * 100_000,
    "100,000 unclosed comments": PROSE + "<!-- " * 100_000,
    "100,000 unclosed svg": PROSE + "<svg>" * 100_000,
    "100,000 quotes": PROSE + "<a b='\"" * 100_000,
    "nested tables": "<p>" + PROSE + "</p>" + "<table><tr><td>" * 30_000,
    "lone surrogate": "<p>" + PROSE + "\ud800</p>",
    "xml declaration": '<?xml version="1.0" encoding="latin-1"?><html><body><p>' + PROSE + "</p></body></html>",
}


@pytest.mark.parametrize("settings", ENGINES, ids=lambda settings: settings.engine)
@pytest.mark.parametrize("name", BOMBS)
def test_no_page_takes_two_seconds_or_a_gigabyte_or_loses_its_prose(name: str, settings: ExtractSettings) -> None:
    before, begin = peak_memory(), time.process_time()
    text = html_to_text(BOMBS[name], settings)
    assert time.process_time() - begin < 2
    assert "The miller told the story" in text
    assert peak_memory() - before < 1 << 29


def test_ordinary_pages_break_no_cap() -> None:
    page = "<html><body>" + "<div class='a'><p>text <br> <img src=x> more</p></div>\n" * 2000 + "</body></html>"
    assert broken_cap(page, SETTINGS) is None
    script = "<script>" + "if (a < b) { c = d; } " * 3000 + "</script>"
    assert broken_cap(page + script, SETTINGS) is None


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<div><div></div></div><div></div>", 2),
        ("<p>one<p>two<p>three", 1),
        ("<ul><li>a<li>b</ul>", 2),
        ("<br><img><hr>", 0),
        ("</div></div><div>", 1),
        ("<a><b><c>", 3),
    ],
)
def test_depth_is_the_deepest_nesting(page: str, expected: int) -> None:
    assert depth(page) == expected


@pytest.mark.parametrize(
    ("head", "body", "expected"),
    [
        (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n", b"hello world"),
        (b"Transfer-Encoding: chunked\r\n", b"hello without chunks", b"hello without chunks"),
        (b"Transfer-Encoding: chunked\r\n", b"5\r\nhelloXX\r\n", b"5\r\nhelloXX\r\n"),
        (b"Content-Encoding: gzip\r\n", gzip.compress(b"hello", mtime=0), b"hello"),
        (b"Content-Encoding: gzip\r\n", b"never zipped", b"never zipped"),
        (b"Content-Encoding: deflate\r\n", zlib.compress(b"hello"), b"hello"),
        (b"Content-Encoding: deflate\r\n", zlib.compress(b"hello")[2:-4], b"hello"),
        (b"Content-Encoding: br\r\n", b"<html>plain", b"<html>plain"),
        (b"", b"hello", b"hello"),
    ],
)
def test_codings_are_undone_where_they_are_there(head: bytes, body: bytes, expected: bytes) -> None:
    response = parse_response(b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=UTF-8\r\n" + head + b"\r\n" + body)
    assert (response.status, response.media_type, response.charset) == (200, "text/html", "UTF-8")
    assert response.body == expected


def test_brotli_is_undone() -> None:
    brotli = pytest.importorskip("brotli")
    body = brotli.compress(ARTICLE.encode() * 200)
    response = parse_response(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n" + body)
    assert response.body == ARTICLE.encode() * 200
    with pytest.raises(BodyError, match="more than 1000 bytes"):
        parse_response(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n" + body, max_bytes=1000)


def test_a_body_that_inflates_without_end_is_an_error() -> None:
    block = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(10_000_000))
    with pytest.raises(BodyError, match="more than 1000000 bytes"):
        parse_response(block, max_bytes=1_000_000)


@given(st.binary(max_size=200))
@example(GZIP_MAGIC)
def test_dechunking_never_fails(body: bytes) -> None:
    """What is packed inside may be damaged."""
    whole = dechunk(body)
    try:
        parse_response(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    except BodyError:
        assert whole.startswith((GZIP_MAGIC, ZSTD_MAGIC))
