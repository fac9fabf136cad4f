"""The real filters decide about the MiniWeb as its labels say; nothing in them knows of it."""

from __future__ import annotations

from collections import Counter

import pytest

from glassmill.corpus.chain import Chain
from glassmill.corpus.document import Document
from glassmill.corpus.document import Page as Read
from glassmill.corpus.judge.url_lists import HashList
from glassmill.corpus.pii import mask
from glassmill.miniweb import questions
from glassmill.miniweb.chance import stream
from glassmill.miniweb.page import Page
from glassmill.miniweb.records import body_of
from glassmill.miniweb.sites import block_lists
from glassmill.miniweb.web import build
from glassmill.miniweb.world import make_world
from glassmill.recipe import CorpusSettings

PAGES = 1000


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Page, Document]]:
    """Every undamaged page with what the filters made of it."""
    lists = tmp_path_factory.mktemp("lists")
    for category, hosts in block_lists().items():
        (lists / f"{category}.txt").write_text("\n".join(hosts))
    HashList.build([lists], lists / "built")
    chain = Chain(CorpusSettings(), HashList.open(lists / "built"))
    world = make_world(7, 48, 12)
    ghosts, sums = questions.make_ghosts(world, 7), questions.make_sums(7, 10)
    pages = [page for page in build(world, ghosts.pages, sums.pages, PAGES, 7) if not page.damage]
    return [(page, chain.judge(read(page, number))) for number, page in enumerate(pages)]


def read(page: Page, number: int) -> Read:
    """The page as a WARC reader hands it on."""
    body = body_of(page, stream(7, "body", number))
    return Read(page.url, body, "pages.warc.gz", number, charset=page.declared_charset, status=int(page.status[:3]))


def test_junk_is_dropped_and_good_pages_stay(judged: list[tuple[Page, Document]]) -> None:
    kept_junk = [page.url for page, document in judged if page.expected == "drop" and not document.rule]
    good = [(page, document) for page, document in judged if page.expected == "keep"]
    lost = Counter(document.rule for _, document in good if document.rule)
    assert len(kept_junk) <= 0.02 * sum(not document.rule for _, document in judged), kept_junk
    assert lost.total() <= 0.03 * len(good), lost


def test_junk_falls_to_many_different_rules(judged: list[tuple[Page, Document]]) -> None:
    rules = {document.rule for page, document in judged if page.expected == "drop"}
    steps = {document.step for page, document in judged if page.expected == "drop"}
    assert {"url", "language", "gopher_repetition", "gopher_quality", "c4", "fineweb"} <= steps
    assert len(rules) >= 12


def test_spam_prose_would_pass_but_for_its_address(judged: list[tuple[Page, Document]]) -> None:
    spam = [document for page, document in judged if page.kind == "spam"]
    by_address = [document for document in spam if document.step == "url"]
    assert 0.4 * len(spam) <= len(by_address) < len(spam)


def test_facts_and_personal_data_survive_extraction(judged: list[tuple[Page, Document]]) -> None:
    for page, document in judged:
        if page.expected == "keep" and not document.rule:
            assert all(fact.value.split(" named ")[-1].lower() in document.text.lower() for fact in page.facts)
            assert all(item.text in document.text for item in page.pii)


def test_streets_and_prices_of_the_town_are_no_personal_data(judged: list[tuple[Page, Document]]) -> None:
    clean = [
        document.text for page, document in judged if page.expected == "keep" and not document.rule and not page.pii
    ]
    assert len(clean) > 300
    found = [(text[span.start : span.end], span.kind) for text in clean for span in mask(text)[1]]
    assert not found


def test_every_kind_of_personal_data_is_masked(judged: list[tuple[Page, Document]]) -> None:
    planted = [(item, mask(document.text)[0]) for page, document in judged for item in page.pii if not document.rule]
    assert {item.kind for item, _ in planted} == {"email", "phone", "ssn", "ip", "address"}
    missed = [item for item, masked in planted if item.text in masked]
    assert len(missed) <= 0.02 * len(planted), missed


def test_the_blocklists_are_files_of_bare_hosts() -> None:
    for hosts in block_lists().values():
        assert hosts == sorted(hosts)
        assert all("/" not in host and not host.startswith("www.") for host in hosts)
