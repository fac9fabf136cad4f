"""An exam made from documents by rules: questions whose answers stand in the text.

In: the documents of a corpus run. Out: rows for `exam.jsonl`, which people may correct: any of them can be deleted,
written anew, or get several right answers (`"answer": ["one", "two"]`).

    option       what does the option --acls of tar_1 do?       the first sentence that describes it
    definition   what is dpkg-source?                            "dpkg-source - Debian source package manipulation tool"
    cloze        a sentence with a gap                           the word in the gap: rare elsewhere, used again here

Which documents and sentences are taken is drawn by a hash of their text, so equal documents give equal exams. A third
of the documents is for choosing among ways to answer, the rest is held out for the score.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple, TypedDict

from glassmill.corpus.document import Document
from glassmill.search.question import STOP_WORDS

GAP = "____"
PARTS = 3
"""One document in so many is for choosing."""
MOST_OF_A_DOCUMENT = 3
"""Questions of one form from one document, at most."""
CLOZE_WORDS = (10, 30)
DESCRIPTION_WORDS = (4, 30)
_OPTION = re.compile(
    r"^[ \t]*(?:-\w\b[^\n]{0,24}?,\s*)?(--[a-z][\w-]{2,30})\b(?:[ =\[][^\n]{0,40})?\n\s*\n?[ \t]*(?=[A-Z])",
    re.MULTILINE,
)
_NAMED = re.compile(r"^[ \t]*([A-Za-z][\w.+-]{1,30}) (?:-|–|—|--) (?=\S)", re.MULTILINE)
_IS_A = re.compile(r"(?:^|(?<=[.!?]\s))(?:The |A |An )?([A-Z][\w.+-]*(?: [A-Z][\w.+-]*){0,2}) is (?=(?:a|an|the) )")
_SENTENCE = re.compile(r"[A-Z][^.!?\n]*(?:\.(?=\S)[^.!?\n]*|\n(?!\s*\n)(?!\s*[-*•])[^.!?\n]*)*[.!?](?=\s|$)")
_PARAGRAPH_END = re.compile(r"\n\s*\n|\n\s*[-*•]|\n[A-Z][A-Z ]+\n")
_WORD = re.compile(r"[\w](?:[\w.+/-]*\w)?")

Form = Literal["option", "definition", "cloze"]
FORMS: tuple[Form, ...] = ("option", "definition", "cloze")


class ExamRow(TypedDict):
    """A question: its form, whether it is for choosing or held out, and the document that holds the answer."""

    form: Form
    part: Literal["choose", "held_out"]
    question: str
    answer: str | list[str]
    document: str


class _Draft(NamedTuple):
    order: bytes
    form: Form
    question: str
    answer: str
    document: str


def make_exam(read: Iterable[Document], questions: int, seed: int) -> list[ExamRow]:
    """At most so many questions, as many of each form as there are and from as many documents.

    Args:
        read: The documents.
        questions: How many are wanted.
        seed: Draws others.
    """
    texts = [(document, _prose(document.text)) for document in read]
    spread = Counter(word for _, text in texts for word in set(_lower_words(text)))
    drafts = [draft for document, text in texts for draft in _drafts(document, text, spread, seed)]
    asked = Counter(draft.question for draft in drafts)
    said = Counter(draft.answer for draft in drafts if draft.form != "cloze")
    drafts = sorted(  # a question with two answers has none, and what is said everywhere ("Print help") asks nothing
        draft for draft in drafts if asked[draft.question] == 1 and said[draft.answer] <= 1
    )
    taken: list[_Draft] = []
    of = {form: _thinned([draft for draft in drafts if draft.form == form]) for form in FORMS}
    for left, form in zip(range(len(FORMS), 0, -1), sorted(FORMS, key=lambda form: len(of[form])), strict=True):
        taken += of[form][: (questions - len(taken)) // left]
    return [
        {
            "form": draft.form,
            "part": _part(draft.document),
            "question": draft.question,
            "answer": draft.answer,
            "document": draft.document,
        }
        for draft in sorted(taken, key=lambda draft: (FORMS.index(draft.form), draft.order))
    ]


def unasked(rows: Iterable[ExamRow], exam: Iterable[Mapping[str, Any]]) -> list[ExamRow]:
    """The rows, about something else, that a model may learn from before an exam, which is as `read_exam` gives it.

    Copies of a document under other names say the same, so what is asked for counts, not the name in the question.
    """
    known = list(exam)
    questions, facts = {row["question"] for row in known}, {fact for row in known for fact in _facts(row)}
    return [row for row in rows if row["question"] not in questions and not _facts(row) & facts]


def exam_lines(rows: Sequence[ExamRow]) -> str:
    """The rows as JSONL."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _facts(row: Mapping[str, Any]) -> set[str]:
    """The sentence with its gap filled, or else the answers."""
    answers = set(row.get("answers") or [row["answer"]])
    if GAP not in row["question"]:
        return answers
    return {row["question"].partition(": ")[2].replace(GAP, answer) for answer in answers}


def _drafts(document: Document, text: str, spread: Counter[str], seed: int) -> Iterator[_Draft]:
    name = called(document.url)
    found: Iterator[tuple[Form, str, str]] = _all_of(text, name, spread)
    for form, question, answer in found:
        order = hashlib.blake2b(f"{seed}\0{document.url}\0{question}".encode(), digest_size=8).digest()
        yield _Draft(order, form, question, answer, document.url)


def _all_of(text: str, name: str, spread: Counter[str]) -> Iterator[tuple[Form, str, str]]:
    for match in _OPTION.finditer(text):
        if described := _description(text, match.end()):
            yield "option", f"What does the option {match[1]} of {name} do?", described
    for match in _NAMED.finditer(text):
        if match[1] in name and (described := _description(text, match.end())):
            yield "definition", f"What is {match[1]}?", described
    for match in _IS_A.finditer(text):
        if match[1].split()[0].lower() not in STOP_WORDS and (described := _description(text, match.end())):
            yield "definition", f"What is {match[1]}?", described
    yield from _gaps(text, name, spread)


def _gaps(text: str, name: str, spread: Counter[str]) -> Iterator[tuple[Form, str, str]]:
    here = Counter(_lower_words(text))
    for match in _SENTENCE.finditer(text):
        sentence = " ".join(match[0].split())
        words = list(_WORD.finditer(sentence))
        if not CLOZE_WORDS[0] <= len(words) <= CLOZE_WORDS[1]:
            continue
        fit = [
            word
            for word in words[2:]
            if len(word[0]) >= 5
            and word[0].isascii()
            and word[0][0].isalpha()
            and here[word[0].lower()] >= 2
            and sentence.lower().count(word[0].lower()) == 1
            and word[0].lower() not in name.lower()
        ]
        if fit:
            gap = min(fit, key=lambda word: (spread[word[0].lower()], word.start()))
            asked = f"{sentence[: gap.start()]}{GAP}{sentence[gap.end() :]}"
            yield "cloze", f'Which word of {name} is missing here: "{asked}"', gap[0]


def _description(text: str, start: int) -> str:
    """The first sentence from `start`, or its paragraph if that ends first; empty if it is too short or too long."""
    paragraph = _PARAGRAPH_END.split(text[start : start + 600], maxsplit=1)[0]
    sentence = re.split(r"(?<=[\w)\]'\"”])[.;:](?=\s|$)", paragraph, maxsplit=1)[0]
    words = sentence.split()
    fits = DESCRIPTION_WORDS[0] <= len(words) <= DESCRIPTION_WORDS[1]
    return " ".join(words).rstrip(".;:,") if fits else ""


def called(url: str) -> str:
    """What a document is called in a question: its file's name without folders, place and kind.

    >>> called("manuals/tar_1.txt#part")
    'tar_1'
    """
    return PurePosixPath(url.partition("#")[0]).stem


def _thinned(drafts: Sequence[_Draft]) -> list[_Draft]:
    """One of each document before a second of any."""
    turns: dict[str, int] = defaultdict(int)
    ordered = []
    for draft in drafts:
        turns[draft.document] += 1
        if turns[draft.document] <= MOST_OF_A_DOCUMENT:
            ordered.append((turns[draft.document], draft))
    return [draft for _, draft in sorted(ordered)]


def _part(document: str) -> Literal["choose", "held_out"]:
    file = document.partition("#")[0]
    return "choose" if hashlib.sha256(file.encode()).digest()[0] % PARTS == 0 else "held_out"


def _prose(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\r", "")


def _lower_words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
