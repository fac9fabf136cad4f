"""One page through the filters, in FineWeb's order, up to the first that drops it.

In: a page. Out: a `Document`; if a step dropped it, with that step, the rule and its numbers. Reads nothing but
the block lists and the models, which are loaded once. The words are counted once, for all filters.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from glassmill.corpus.document import Document, Page, document_id
from glassmill.corpus.exclude import Exclusion, emptied, entries_of
from glassmill.corpus.extract.encoding import decode, html_of
from glassmill.corpus.extract.extract import clean, html_to_text
from glassmill.corpus.judge.classifier import Classifier
from glassmill.corpus.judge.gopher import gopher_quality, gopher_repetition, signs_of
from glassmill.corpus.judge.language import judge_language
from glassmill.corpus.judge.quality import c4, fineweb
from glassmill.corpus.judge.rule import Direction, Rule, Unit, Verdict
from glassmill.corpus.judge.url_lists import HashList
from glassmill.corpus.judge.urls import UrlFilter
from glassmill.corpus.judge.words import Counted, WordCounts, count_words, numbers_of
from glassmill.corpus.layers import Extracted
from glassmill.corpus.memo import Memo
from glassmill.corpus.read.files.sections import Section, pieces, sections_of_html
from glassmill.recipe import C4Settings, CorpusSettings, LanguageSettings
from glassmill.run.names import user_path


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the corpus stage, and what it does in words for people."""

    name: str
    title: str
    says: str


STEPS = (
    Step("exclude", "Taken out", "Documents that the recipe takes out; nothing of their texts is stored."),
    Step("read", "Readable pages", "Records that hold a web page and no HTTP error."),
    Step("url", "URL", "Hosts and URLs on block lists, and suspicious words in the URL."),
    Step("extract", "Text extraction", "Removes markup, menus and banners; drops pages with no text left."),
    Step("language", "Language", "A classifier identifies the language, and how sure it is."),
    Step("gopher_repetition", "Repetition", "The same lines and phrases over and over (Gopher)."),
    Step("gopher_quality", "Prose", "Prose, or menus, lists and word salad? (Gopher)"),
    Step("c4", "C4 rules", "Whole sentences, no placeholder text, no program code (C4)."),
    Step("fineweb", "FineWeb rules", "Lines that end like sentences, and not too many short ones (FineWeb)."),
    Step("classifier", "Quality classifier", "Your own classifier scores every document."),
    Step("dedup", "Duplicates", "Copies and near copies of a page that is kept (MinHash)."),
    Step(
        "pii",
        "Personal data",
        "E-mail addresses, phone numbers, keys and the like are masked, also in the stored texts of what was dropped;"
        " nothing is dropped.",
    ),
)
"""In order. The URL filter comes before extraction, because it is the cheapest."""

HTTP_STATUS = Rule(
    "read/http_status",
    "HTTP error",
    "the server answered with status {value}; only answers from 200 to {bound} are read",
    Unit.STATUS,
)
PDF = Rule("read/pdf", "PDF", "the server answered with a PDF")
NOT_HTML = Rule("read/not_html", "not a web page", "the server answered with something other than HTML")
TOO_LARGE = Rule(
    "extract/too_large",
    "too large",
    "bytes in the page: {value}; at most {bound} allowed",
    Unit.COUNT,
    Direction.AT_MOST,
)
NO_TEXT = Rule("extract/no_text", "no text", "no text is left without markup, menus and footers")
LOW_QUALITY = Rule(
    "classifier/low_score",
    "low quality score",
    "score of the quality classifier: {value}; at least {bound} required",
    Unit.RATIO,
    Direction.AT_LEAST,
)

T = TypeVar("T")
Broken = tuple[str, float, float, str] | None
"""Name of a rule, value, bound and detail, as a document has them; None if no rule is broken."""


class Chain:
    """The filters with their settings. `seconds` adds up CPU time by step."""

    def __init__(
        self,
        settings: CorpusSettings,
        lists: HashList | None = None,
        allowed: HashList | None = None,
        memo: Memo | None = None,
    ) -> None:
        self.settings = settings
        self.seconds: dict[str, float] = defaultdict(float)
        self._exclusion = Exclusion(entries_of(settings))
        path = settings.classifier.path
        self._classifier = Classifier.load(user_path(path)) if path else None
        self._urls = UrlFilter(settings.url, lists, allowed)
        memo = memo or Memo(None)
        one = settings.model_dump(mode="json")
        self._language = memo.step("language", one["language"], partial(_judged_language, settings.language))
        self._numbers = memo.step("words", {}, self._count)
        self._signs = memo.step("signs", {}, signs_of)
        self._counted: tuple[str, WordCounts] | None = None
        self._inner = 0.0
        self._repetition = memo.step("gopher_repetition", one["gopher_repetition"], self._judge_repetition)
        self._quality = memo.step("gopher_quality", one["gopher_quality"], self._judge_quality)
        self._c4 = memo.step("c4", one["c4"], partial(_judged_lines, settings.c4))
        self._fineweb = memo.step("fineweb", one["fineweb"], lambda text: _broken(fineweb(text, settings.fineweb)))

    def judge(self, page: Page) -> Document:
        """The page as a document: kept so far, or dropped for exactly one reason."""
        document = self._extracted(page)
        if not document.rule:
            self._judge_text(document)
        return document

    def documents(self, page: Page) -> Iterator[Document]:
        """The same; an HTML page that is longer than a document may be becomes several."""
        yield from self.judged(self.extracted(page))

    def extracted(self, page: Page) -> Extracted:
        """The page as far as its text, which is what a layer keeps."""
        document = self._extracted(page)
        found = Extracted(page.url, document.offset, [document], unread=document.step == "url")
        most = self.settings.files.split_characters
        if not document.rule and page.kind == "html" and most and len(document.text) > most:
            html = html_of(page.body, page.charset)
            headed = sections_of_html(document.text, html if isinstance(html, str) else html.decode("utf-8", "replace"))
            found.documents = [_piece(document, piece) for piece in pieces(headed, most)]
        return found

    def again(self, found: Extracted) -> Extracted:
        """A page of a layer that fits: what `extracted` would say of it with the URL lists of today."""
        if found.failed or found.documents[0].step == "read" or not (verdict := self._urls.judge(found.url)):
            return found
        before = found.documents[0]
        document = Document(
            before.id, before.url, "", before.source, before.offset, before.date, section=before.section
        )
        document.drop("url", verdict)
        return Extracted(found.url, found.offset, [document], unread=True)

    def drops(self, url: str) -> bool:
        """Whether the URL lists drop it."""
        return self._urls.judge(url) is not None

    def judged(self, found: Extracted) -> Iterator[Document]:
        """Its documents, kept so far or dropped for exactly one reason."""
        for one in found.documents:
            if self._exclusion and not one.rule and (named := self._exclusion.of_name(one.url)):
                emptied(one, named)
            if not one.rule:
                self._judge_text(one)
            yield one

    def _extracted(self, page: Page) -> Document:
        document = Document(
            document_id(page.source, page.offset, page.url),
            page.url,
            "",
            page.source,
            page.offset,
            page.date,
            section=page.section,
        )
        if self._exclusion and (named := self._exclusion.of_page(page.url, page.source, page.body)):
            return emptied(document, named)
        for step, function in (("read", self._read), ("url", self._url), ("extract", self._extract)):
            if self._took(document, step, self._timed(step, function, page, document)):
                break
        document.extracted = len(document.text)
        return document

    def _judge_text(self, document: Document) -> None:
        settings = self.settings
        found = self._timed("language", self._language, document.text)
        document.language, document.language_score, verdict = found
        if self._breaks(document, "language", verdict):
            return
        if settings.gopher_repetition.enabled:
            verdict = self._timed("gopher_repetition", self._repetition, document.text)
            if self._breaks(document, "gopher_repetition", verdict):
                return
        if settings.gopher_quality.enabled:
            verdict = self._timed("gopher_quality", self._quality, document.text)
            if self._breaks(document, "gopher_quality", verdict):
                return
        if settings.c4.enabled:
            text, verdict = self._timed("c4", self._c4, document.text)
            document.text = document.text if text is None else text
            if self._breaks(document, "c4", verdict):
                return
        if settings.fineweb.enabled:
            verdict = self._timed("fineweb", self._fineweb, document.text)
            if self._breaks(document, "fineweb", verdict):
                return
        if self._classifier is not None:
            self._took(document, "classifier", self._timed("classifier", self._classify, document))

    def _classify(self, document: Document) -> Verdict | None:
        assert self._classifier is not None
        document.quality_score = self._classifier.score(document.text)
        bound = self.settings.classifier.min_score
        return LOW_QUALITY.broken(document.quality_score, bound) if document.quality_score < bound else None

    def _read(self, page: Page, document: Document) -> Verdict | None:
        if page.status and not 200 <= page.status < 300:
            return HTTP_STATUS.broken(page.status, 299)
        if page.kind == "other" and page.media_type == "application/pdf":
            return PDF.broken(1, 0, "corpus.files.pdf_responses=true reads it")
        if page.kind == "other":
            return NOT_HTML.broken(1, 0, page.media_type)
        return None

    def _url(self, page: Page, document: Document) -> Verdict | None:
        return self._urls.judge(page.url)

    def _extract(self, page: Page, document: Document) -> Verdict | None:
        bounds = self.settings.extract
        if page.kind in ("html", "text") and len(page.body) > bounds.max_page_bytes:
            return TOO_LARGE.broken(len(page.body), bounds.max_page_bytes)
        if page.kind == "pdf":
            from glassmill.corpus.read.files.pdf import pdf_to_text

            document.text = clean(pdf_to_text(page.body))
        elif page.kind == "html":
            document.text = html_to_text(html_of(page.body, page.charset), bounds)
        else:
            document.text = clean(decode(page.body, page.charset, is_html=False)[0])
        return None if document.text else NO_TEXT.broken(0, 1)

    def _judge_repetition(self, text: str) -> Broken:
        return _broken(gopher_repetition(text, self._counts(text), self.settings.gopher_repetition))

    def _judge_quality(self, text: str) -> Broken:
        return _broken(gopher_quality(text, self._counts(text), self.settings.gopher_quality, self._signs))

    def _counts(self, text: str) -> WordCounts:
        return Counted(self._numbers(text), lambda: self._words(text))

    def _count(self, text: str) -> list[int]:
        return numbers_of(self._words(text))

    def _words(self, text: str) -> WordCounts:
        """Counted once for all filters."""
        if self._counted is None or self._counted[0] is not text:
            self._counted = text, self._timed("words", count_words, text)
        return self._counted[1]

    def _breaks(self, document: Document, step: str, broken: Broken) -> bool:
        if broken is not None:
            document.step = step
            document.rule, document.value, document.bound, document.detail = broken
        return broken is not None

    def _took(self, document: Document, step: str, verdict: Verdict | None) -> bool:
        if verdict is not None:
            document.drop(step, verdict)
        return verdict is not None

    def _timed(self, step: str, function: Callable[..., T], *arguments: object) -> T:
        begin, inner = time.process_time(), self._inner
        try:
            return function(*arguments)
        finally:
            spent = time.process_time() - begin
            self.seconds[step] += spent - (self._inner - inner)  # a step in a step counts once
            self._inner = inner + spent


def _judged_language(settings: LanguageSettings, text: str) -> tuple[str, float, Broken]:
    language, score, verdict = judge_language(text, settings)
    return language, float(score), _broken(verdict)


def _judged_lines(settings: C4Settings, text: str) -> tuple[str | None, Broken]:
    """The text that is left, None if it is the same, and the rule it breaks."""
    left, verdict = c4(text, settings)
    return None if left == text else left, _broken(verdict)


def _broken(verdict: Verdict | None) -> Broken:
    if verdict is None:
        return None
    return verdict.rule.name, float(verdict.value), float(verdict.bound), verdict.detail


def _piece(document: Document, piece: Section) -> Document:
    """A document of its own for a piece of an HTML page."""
    url = f"{document.url}{'&' if '#' in document.url else '#'}{piece.anchor}" if piece.anchor else document.url
    text = piece.text.strip()
    return replace(
        document,
        id=document_id(document.source, document.offset, url),
        url=url,
        text=text,
        pii=[],
        section=piece.title,
        extracted=len(text),
    )
