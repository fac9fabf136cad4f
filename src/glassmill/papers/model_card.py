"""The long model card: that of the model folder, with what the runs around it add."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from glassmill.evals.memorised import class_name
from glassmill.infer.readme import readme_of, table, text
from glassmill.papers.documents import UNSTATED
from glassmill.papers.facts import Facts
from glassmill.run.integrity import sealed_digests


def model_card(facts: Facts) -> str:
    """The card as Markdown; of a run without a model, None is not asked for.

    Raises:
        UserError: a file of the model cannot be read.
    """
    assert facts.chain.model is not None
    digests = sealed_digests(facts.chain.model)
    templates = "chat_template" in (facts.config.keys() | facts.note.keys()) or _has_template(facts)
    return readme_of(facts.config, facts.note, digests, templates, list(_sections(facts)))


def _has_template(facts: Facts) -> bool:
    folder = facts.chain.model
    assert folder is not None
    settings = folder / "tokenizer_config.json"
    return (folder / "chat_template.jinja").is_file() or (
        settings.is_file() and b'"chat_template"' in settings.read_bytes()
    )


def _sections(facts: Facts) -> Iterator[str]:
    if facts.results:
        yield "## Examination"
        numbers = [(text(name), f"{value:.4g}") for name, value in facts.results.items()]
        yield "\n".join(table(("measured", "value"), numbers))
    if facts.memorised:
        yield "## Memorisation"
        yield _memorisation(facts.memorised)
    yield "## Made from"
    rows = [
        (text(part.name), text(part.stage or "a model from elsewhere"), ", ".join(text(link.to or link.argument)
         for link in part.inputs))
        for part in facts.chain.parts
    ]  # fmt: skip
    yield "\n".join(table(("part", "stage", "from"), rows))
    for corpus in facts.corpora:
        summary = corpus.summary
        pieces = sum(summary.pii_pieces.values())
        stated = summary.documents - summary.licences[UNSTATED]
        dropped = sum(entry["documents"] for entry in corpus.dropped)
        yield (
            f"{text(corpus.part.name)}: {summary.documents:,} documents ({summary.bytes:,} bytes) of "
            f"{corpus.num_inputs:,} input files; {dropped:,} were dropped, {sum(corpus.quarantined.values()):,} could "
            f"not be read. {stated:,} documents state a licence. {pieces:,} pieces of personal data in "
            f"{summary.with_pii:,} documents were masked."
        )


def _memorisation(found: Mapping[str, Any]) -> str:
    """The curve of the examination, with what it means."""
    head = ("passage stands in the training documents", "passages", "continued word for word", "95 %")
    rows = [(class_name(row["low"], row["high"]), *_measured(row)) for row in found["classes"]]
    return (
        f"Given {found['prefix_tokens']} tokens of a document, greedy decoding writes the next "
        f"{found['continuation_tokens']} exactly:\n\n" + "\n".join(table(head, rows))
    )


def _measured(row: Mapping[str, Any]) -> tuple[str, str, str]:
    if row["verbatim"] is None:
        return "none found", "", ""
    low, high = row["interval"]
    return f"{row['passages']:,}", f"{row['verbatim']:.1%}", f"{low:.1%} to {high:.1%}"
