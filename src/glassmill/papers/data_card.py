"""The data card: a corpus run as a data set in Croissant 1.1 (mlcommons.org/croissant), JSON-LD.

It names the shards with their checksums and the columns with their meaning, so that `mlcroissant` can load the
documents. Paths are relative to the corpus run.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from glassmill.papers.documents import UNSTATED
from glassmill.papers.facts import CorpusFacts

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
FIELDS = (
    ("id", "sc:Text", "16 hex digits that depend only on where the document was found"),
    ("url", "sc:Text", "the address of the page, or the path of the file, with the place in it"),
    ("text", "sc:Text", "the text, with personal data replaced"),
    ("language", "sc:Text", "ISO 639 code, as a classifier sees it"),
    ("date", "sc:Text", "when the page was crawled; empty where that is not known"),
    ("source", "sc:Text", "the input file"),
    ("cluster_size", "sc:Integer", "copies and near copies that this document stands for"),
)


def data_card(corpus: CorpusFacts) -> dict[str, Any]:
    """The JSON-LD of one corpus."""
    manifest, summary = corpus.part.manifest, corpus.summary
    assert manifest is not None
    shards = {name: one for name, one in manifest["files"].items() if PurePath(name).name.startswith("documents-")}
    objects = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{one['bytes']} B",
            "encodingFormat": "application/x-parquet",
            "sha256": one["sha256"],
        }
        for name, one in shards.items()
    ]
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"documents/{column}",
            "name": f"documents/{column}",
            "description": says,
            "dataType": kind,
            "source": {"fileSet": {"@id": "shards"}, "extract": {"column": column}},
        }
        for column, kind, says in FIELDS
    ]
    stated = {name: number for name, number in summary.licences.most_common(20) if name != UNSTATED}
    licence = ", ".join(f"{name} ({number:,} documents)" for name, number in stated.items())
    masked = sum(summary.pii_pieces.values())
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": corpus.part.name.replace("/", "-"),
        "description": f"{summary.documents:,} documents, {summary.bytes:,} bytes of text, cleaned by glassmill from "
        f"{corpus.num_inputs:,} input files. {summary.documents - sum(stated.values()):,} state no licence.",
        "license": licence or "none stated by the documents",
        "url": f"urn:sha256:{manifest['content']}",
        "citeAs": f"glassmill corpus {corpus.part.name}, content {manifest['content']}",
        "version": "1.0.0",
        **({"datePublished": summary.last[:10]} if summary.last else {}),
        "isLiveDataset": False,
        "rai:personalSensitiveInformation": [
            f"{masked:,} pieces in {summary.with_pii:,} documents were found by rules and replaced; names were not"
        ],
        "distribution": [
            *objects,
            {
                "@type": "cr:FileSet",
                "@id": "shards",
                "name": "shards",
                "containedIn": [{"@id": name} for name in shards],
                "encodingFormat": "application/x-parquet",
                "includes": "*.parquet",
            },
        ],
        "recordSet": [
            {"@type": "cr:RecordSet", "@id": "documents", "name": "documents", "field": fields}
        ],
    }  # fmt: skip
