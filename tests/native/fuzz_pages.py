"""Broken pages through every loop of the corpus stage for some seconds; run by test_sanitized.py under the sanitizers.

    python fuzz_pages.py SECONDS SEED      # prints how many pages went through

Pages of MiniWeb, cut, repeated, spliced into each other and salted with what parsers trip over.
"""

from __future__ import annotations

import random
import sys
import time

from glassmill.corpus.dedup.keys import MinHasher
from glassmill.corpus.extract.content import extractor
from glassmill.corpus.extract.encoding import html_of
from glassmill.corpus.judge.language import detect
from glassmill.corpus.judge.words import count_sentences, count_words
from glassmill.miniweb import questions
from glassmill.miniweb.records import body_of
from glassmill.miniweb.web import build
from glassmill.miniweb.world import make_world
from glassmill.native import available
from glassmill.recipe import DedupSettings

SALT = [
    b"<", b">", b"&", b"</", b"<!--", b"-->", b"<!", b"<?", b"<script", b"</script", b"<style>", b"<textarea>",
    b"<pre>\n", b"<table><tr><td>", b"</table>", b"<p", b"<a href=", b'"', b"'", b"=", b"/>", b"&#x110000;", b"&#0;",
    b"&#55296;", b"&nosuch", b"&CounterClockwiseContourIntegral;", b"<svg>", b"<template>", b"<plaintext>",
    b"<div hidden>", b"<img alt='", b"\x00", b"\r", b"\xff", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc3",
    b"\xe2\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xcc\x81" * 9,
]  # fmt: skip


def broken(page: bytes, other: bytes, rng: random.Random) -> bytes:
    """`page` after one to twelve accidents."""
    for _ in range(rng.randint(1, 12)):
        start = rng.randint(0, len(page))
        stop = min(len(page), start + int(rng.expovariate(1 / 40)))
        match rng.randrange(5):
            case 0:
                middle = b""
            case 1:
                middle = rng.choice(SALT) * rng.choice((1, 1, 1, 300))
            case 2:
                middle = page[start:stop] * rng.choice((2, 3, 50))
            case 3:
                where = rng.randint(0, len(other))
                middle = other[where : where + rng.randint(0, 400)]
            case _:
                middle = rng.randbytes(stop - start)
        page = page[:start] + middle + page[stop:]
    return page[: rng.randint(0, len(page))] if rng.random() < 0.2 else page


def main(seconds: float, seed: int) -> None:
    assert available(), "this run is about the native core"
    rng = random.Random(seed)
    world = make_world(seed, num_people=12, num_false_claims=4)
    ghosts, sums = questions.make_ghosts(world, seed), questions.make_sums(seed, 40)
    pages = [body_of(page, rng) for page in build(world, ghosts.pages, sums.pages, 400, seed)]
    hasher = MinHasher(DedupSettings(), seed)
    done, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        page = html_of(broken(rng.choice(pages), rng.choice(pages), rng))
        if page is None:
            continue
        extractor().blocks(page)
        for main_content in (True, False):
            text = extractor().text(page, main_content)
            words = count_words(text)
            for n in range(2, 11):
                words.top_ngram_characters(n)
                words.duplicate_ngram_characters(n)
            count_sentences(text, 5)
            detect(text)
            hasher.keys(text)
        done += 1
    print(done)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
