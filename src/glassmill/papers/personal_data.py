"""The record of personal data: which kinds were found in the documents, how many, where, and what replaced them.

Never the data itself. `documents.csv` has every document; here are the sums and the documents with most.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glassmill.papers.documents import Summary
from glassmill.papers.facts import CorpusFacts, Facts

LIMITS = (
    "Rules found it: e-mail addresses, telephone numbers, postal addresses and the like. Personal names are not "
    "masked, and what a rule misses is still in the text."
)


def personal_data(facts: Facts) -> dict[str, Any]:
    """The record as JSON."""
    return {
        "model": facts.chain.name,
        "found_by": LIMITS,
        "corpora": [_corpus(one) for one in facts.corpora],
        "not_known": [f"{part.name}: {link.says}" for part, link in facts.chain.links if link.state == "unknown"],
    }


def _corpus(corpus: CorpusFacts) -> dict[str, Any]:
    summary, settings = corpus.summary, pii_settings(corpus)
    return {
        "corpus": corpus.part.name,
        "documents": summary.documents,
        "documents_with_personal_data": summary.with_pii,
        "searched": bool(settings.get("enabled")),
        "looked_for": list(settings.get("kinds", ())) if settings.get("enabled") else [],
        "replaced_by": replaced_by(settings),
        "left_alone": left_alone(settings),
        "texts_of_dropped_documents": settings.get("dropped"),
        "kinds": kinds_found(summary),
        "documents_with_most": [
            {"id": row.id, "document": row.url, "read_from": row.source, "pieces": dict(row.pii)}
            for row in summary.most_pii
        ],
    }


def kinds_found(summary: Summary) -> dict[str, dict[str, int]]:
    """Of every kind how many pieces in how many documents, the most frequent first."""
    return {
        kind: {"pieces": number, "documents": summary.pii_documents[kind]}
        for kind, number in summary.pii_pieces.most_common()
    }


def pii_settings(corpus: CorpusFacts) -> Mapping[str, Any]:
    """`corpus.pii` of the run."""
    own = corpus.settings.get("settings")
    found = own.get("pii") if isinstance(own, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def replaced_by(settings: Mapping[str, Any]) -> str:
    """What stands in the place of a piece of personal data."""
    if not settings.get("enabled"):
        return "nothing: the search for personal data was off"
    if settings.get("replacement") == "fake":
        return "invented data of the same length and form"
    return "a placeholder that names its kind, such as [email]"


def left_alone(settings: Mapping[str, Any]) -> str:
    """What the settings except; the exceptions themselves may be personal, so they are counted."""
    allowed = len(settings.get("allow", ()))
    nobody = "" if settings.get("examples") else "what is nobody's (reserved for examples)"
    own = f"{allowed} exceptions of the recipe (corpus.pii.allow)" if allowed else ""
    return " and ".join(filter(None, (nobody, own))) or "nothing"


def personal_data_lines(facts: Facts) -> list[str]:
    """The record as Markdown."""
    from glassmill.infer.readme import table, text

    lines = [f"# Personal data in the training documents of {text(facts.chain.name)}", "", LIMITS]
    for corpus in facts.corpora:
        summary, settings = corpus.summary, pii_settings(corpus)
        lines += ["", f"## {text(corpus.part.name)}", ""]
        lines += [f"- Documents: {summary.documents:,}; with personal data: {summary.with_pii:,}."]
        lines += [f"- Replaced by {replaced_by(settings)}.", f"- Left alone: {left_alone(settings)}."]
        lines += [f"- Texts of dropped documents are stored {settings.get('dropped')}.", ""]
        kinds = [(text(k), f"{n['pieces']:,}", f"{n['documents']:,}") for k, n in kinds_found(summary).items()]
        lines += table(("kind", "pieces", "documents"), kinds) if kinds else ["None was found."]
        if summary.most_pii:
            lines += ["", f"The {len(summary.most_pii)} documents with most (all are in the list of documents):", ""]
            lines += table(
                ("document", "pieces"),
                [
                    (text(row.url), ", ".join(f"{text(kind)} {number}" for kind, number in sorted(row.pii.items())))
                    for row in summary.most_pii
                ],
            )
    unknown = [(part, link) for part, link in facts.chain.links if link.state == "unknown"]
    if unknown or not facts.corpora:
        lines += ["", "## Not known", ""]
        lines += [f"- {text(part.name)}: {text(link.says)}." for part, link in unknown]
        lines += (
            [] if facts.corpora else ["- No corpus of this model is here, so nothing can be said of its documents."]
        )
    return lines
