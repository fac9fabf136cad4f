"""`glassmill search`: the passages of a corpus run that a question is about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

from glassmill.commands.inspect import find_run
from glassmill.commands.terminal import plain
from glassmill.corpus.look.shown import shown
from glassmill.errors import UserError
from glassmill.search.index import Hit, Index, open_index


class Found(TypedDict):
    """What was asked of which run, and the passages, best first."""

    question: str
    run: str
    documents: int
    passages: int
    found: list[dict[str, Any]]


def documents_index(word: str, runs: Path, told: Callable[[str], None]) -> Index:
    """The index of the corpus run of that path or name, made now if there is none.

    Raises:
        UserError: There is no such run, or it has no documents.
    """
    return open_index(find_run(word, runs), told)


def search(run: str, runs: Path, question: str, most: int, clear: bool, told: Callable[[str], None]) -> Found:
    """The passages, with personal data masked unless `clear`.

    Raises:
        UserError: There is no such run, or nothing was asked.
    """
    if not question.strip():
        raise UserError('the question is empty; ask in a few words: glassmill search RUN "how is bread kept fresh?"')
    folder = find_run(run, runs)
    index = open_index(folder, told)
    show = (lambda value: value) if clear else shown(folder)
    found = [_line(hit, show) for hit in index.search(question, most)]
    index.close()
    return {
        "question": question,
        "run": str(folder),
        "documents": index.num_documents,
        "passages": index.num_passages,
        "found": found,
    }


def _line(hit: Hit, show: Callable[[object], object]) -> dict[str, Any]:
    texts = {name: show(getattr(hit, name)) for name in ("document", "section", "text")}
    return {**texts, "start": hit.start, "end": hit.end, "score": hit.score, "covered": hit.covered}


def found_tables(result: Found) -> list[str]:
    """The same for people."""
    looked = f"{result['passages']:,} passages of {result['documents']:,} documents"
    if not result["found"]:
        return [f"no passage has enough of the question's words ({looked})"]
    lines = []
    for number, hit in enumerate(result["found"], start=1):
        section = f", {hit['section']}" if hit["section"] else ""
        place = f"{hit['document']}{section}, characters {hit['start']:,} to {hit['end']:,}"
        about = f"score {hit['score']:.2f}, {hit['covered']:.0%} of the question"
        lines.append(f"[bold]{number}  {plain(place)}[/bold]  [dim]{about}[/dim]")
        lines += [f"   {plain(line)}" for line in hit["text"].splitlines() if line.strip()]
    return [*lines, f"[dim]{looked}[/dim]"]
