"""The audit of a model: everything that the runs know, as JSON; `audit_page.py` draws it.

The chain is verified by hashing every file again. Documents and dropped pages are in two CSV files beside it, a line
each; here are the sums, and the largest.
"""

from __future__ import annotations

from typing import Any

from glassmill.papers.chain import Part
from glassmill.papers.documents import Row
from glassmill.papers.facts import DOCUMENTS, DROPPED, CorpusFacts, Facts, read_stats_of
from glassmill.papers.personal_data import LIMITS, kinds_found, left_alone, pii_settings, replaced_by

DOMAINS = 100


def audit(facts: Facts) -> dict[str, Any]:
    """The audit as plain values."""
    return {
        "model": facts.chain.name,
        "folder": str(facts.chain.model) if facts.chain.model else None,
        "verified": facts.chain.whole,
        "chain": [_part(part) for part in facts.chain.parts],
        "results": facts.results,
        "corpora": [_corpus(corpus) for corpus in facts.corpora],
        "personal_data_limits": LIMITS,
        "lists": {"documents": DOCUMENTS, "dropped": DROPPED} if facts.corpora else {},
    }


def _part(part: Part) -> dict[str, Any]:
    manifest = part.manifest
    return {
        "name": part.name,
        "stage": part.stage,
        "folder": str(part.folder),
        "state": part.state,
        "says": part.says,
        "inputs": [
            {"argument": one.argument, "digest": one.digest, "state": one.state, "part": one.to, "says": one.says}
            for one in part.inputs
        ],
        "content": manifest["content"] if manifest else "",
        "settings": manifest["settings"] if manifest else {},
        "machine": {**manifest["resolved"], **manifest.get("computed", {})} if manifest else {},
        "software": manifest["software"] if manifest else {},
        "files": manifest["files"] if manifest else {},
        "numbers": {name: value for name, value in read_stats_of(part).items() if type(value) in (int, float)},
    }


def _corpus(corpus: CorpusFacts) -> dict[str, Any]:
    summary, pii = corpus.summary, pii_settings(corpus)
    return {
        "corpus": corpus.part.name,
        "input_files": corpus.num_inputs,
        "documents": summary.documents,
        "bytes": summary.bytes,
        "first_date": summary.first,
        "last_date": summary.last,
        "domains": len(summary.domains),
        "largest_domains": [
            {"domain": name, "bytes": size, "documents": summary.domain_documents[name]}
            for name, size in summary.domains.most_common(DOMAINS)
        ],
        "languages": dict(summary.languages.most_common()),
        "licences": dict(summary.licences.most_common()),
        "largest": [_row(row) for row in summary.largest],
        "personal_data": {
            "searched": bool(pii.get("enabled")),
            "replaced_by": replaced_by(pii),
            "left_alone": left_alone(pii),
            "documents": summary.with_pii,
            "kinds": kinds_found(summary),
            "documents_with_most": [_row(row) for row in summary.most_pii],
        },
        "dropped": corpus.dropped,
        "not_read": dict(corpus.quarantined),
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "document": row.url,
        "read_from": row.source,
        "sha256": row.sha256,
        "file_sha256": row.file_sha256,
        "bytes": row.bytes,
        "date": row.date,
        "licence": row.licence,
        "stated_in": row.licence_from,
        "personal_data": dict(row.pii),
    }
