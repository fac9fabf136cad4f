"""The audit as one HTML file: no script, no request to anywhere, and nothing of the documents is markup in it."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from glassmill.printable import printable

STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#777;--good:#1a7f37;--bad:#c62828;--odd:#9a6700}
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.7rem;margin-bottom:.2rem}h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}
table{border-collapse:collapse;width:100%;font-size:.9rem}td,th{text-align:left;vertical-align:top;padding:.25rem .6rem;
border-bottom:1px solid var(--line);overflow-wrap:anywhere}th{font-weight:600;white-space:nowrap}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
code{font-size:.85em}p.soft,small{color:var(--soft)}.verified{color:var(--good)}.changed,.missing{color:var(--bad);
font-weight:600}.unknown{color:var(--odd)}pre{white-space:pre-wrap;font-size:.8rem;overflow-wrap:anywhere}
summary{cursor:pointer}div.wide{overflow-x:auto}
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
SAYS = {
    "verified": "✓ verified",
    "changed": "✗ changed",
    "missing": "✗ missing",
    "unknown": "? not known",
    "not looked at": "not looked at",
}


def audit_page(result: Mapping[str, Any]) -> str:
    """The page of what `audit` returns."""
    name = _text(result["model"])
    body = "".join(
        [
            f"<h1>Audit of {name}</h1>",
            _verdict(result),
            *_chain(result["chain"]),
            *(part for corpus in result["corpora"] for part in _corpus(corpus, result["personal_data_limits"])),
            *_settings(result["chain"]),
            *_lists(result["lists"]),
        ]
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Audit of {name}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(POLICY)}">'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>{body}</body></html>\n'
    )


def _verdict(result: Mapping[str, Any]) -> str:
    links = [one for part in result["chain"] for one in [part, *part["inputs"]]]
    bad = [one for one in links if one["state"] in ("changed", "missing")]
    unknown = [one for one in links if one["state"] == "unknown"]
    if result["verified"]:
        return (
            '<p class="verified">✓ Every run, model and input file that it was made from is here, with the bytes that '
            "were written or read.</p>"
        )
    told = []
    if bad:
        told.append(
            f'<span class="changed">✗ {len(bad)} of {len(links)} parts and inputs are changed or missing.</span>'
        )
    if unknown:
        told.append(f'<span class="unknown">? Of {len(unknown)} it is not known what they are.</span>')
    return f"<p>{' '.join(told) or 'Nothing was hashed.'}</p>"


def _chain(chain: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "<h2>What it was made from</h2><p class='soft'>Nearest first. Every file was hashed for this page.</p>"
    rows = []
    for part in chain:
        state = _state(part["state"])
        rows.append(
            (f"<b>{_text(part['name'])}</b>", _text(part["stage"] or "from elsewhere"), state, _text(part["says"]))
        )
        for one in part["inputs"]:
            to = f"← {_text(one['argument'])}" + (f": {_text(one['part'])}" if one["part"] else "")
            rows.append(
                (f"&emsp;{to}", f"<code>{_text(one['digest'][:12])}</code>", _state(one["state"]), _text(one["says"]))
            )
    yield _table(("part", "stage or checksum", "state", ""), rows)


def _corpus(corpus: Mapping[str, Any], limits: str) -> Iterator[str]:
    yield f"<h2>Documents of {_text(corpus['corpus'])}</h2>"
    period = (
        f", dated {_text(corpus['first_date'][:10])} to {_text(corpus['last_date'][:10])}"
        if corpus["last_date"]
        else ""
    )
    yield (
        f"<p>{corpus['documents']:,} documents, {corpus['bytes']:,} bytes of text, from {corpus['input_files']:,} files"
        f"{period}. The list beside this page has all; here are the {len(corpus['largest'])} largest.</p>"
    )
    yield _details("Largest documents", _documents(corpus["largest"]))
    yield f"<h3>Where they come from ({corpus['domains']:,} domains)</h3>"
    yield _table(
        ("domain", "#bytes", "#documents"),
        [
            (_text(one["domain"]), f"{one['bytes']:,}", f"{one['documents']:,}")
            for one in corpus["largest_domains"][:20]
        ],
    )
    yield "<h3>Licences that they state of themselves</h3>"
    yield _counts("licence", corpus["licences"])
    yield "<h3>Languages</h3>" + _counts("language", corpus["languages"])
    yield from _personal(corpus["personal_data"], limits)
    yield from _dropped(corpus)


def _personal(data: Mapping[str, Any], limits: str) -> Iterator[str]:
    yield "<h3>Personal data</h3>"
    yield f"<p>In {data['documents']:,} documents. Replaced by {_text(data['replaced_by'])}. Left alone: "
    yield f"{_text(data['left_alone'])}. {_text(limits)}</p>"
    rows = [(_text(kind), f"{one['pieces']:,}", f"{one['documents']:,}") for kind, one in data["kinds"].items()]
    yield _table(("kind", "#pieces", "#documents"), rows)
    if data["documents_with_most"]:
        yield _details(
            f"The {len(data['documents_with_most'])} documents with most", _documents(data["documents_with_most"])
        )


def _dropped(corpus: Mapping[str, Any]) -> Iterator[str]:
    yield "<h3>What was dropped, and why</h3>"
    rows = []
    for one in corpus["dropped"]:
        examples = "".join(
            f"<li>{_text(each['url'])}<br><small>{_text(each['says'])}</small></li>" for each in one["examples"]
        )
        shown = f"<details><summary>{_text(one['title'] or one['rule'])}</summary><ul>{examples}</ul></details>"
        rows.append((shown, f"<code>{_text(one['rule'])}</code>", f"{one['documents']:,}"))
    yield _table(("why", "rule", "#documents"), rows)
    if corpus["not_read"]:
        yield "<h3>What could not be read</h3>" + _counts("cause", corpus["not_read"])


def _documents(rows: Iterable[Mapping[str, Any]]) -> str:
    return _table(
        ("document", "#bytes", "date", "licence", "personal data", "SHA-256 of text, and of file"),
        [
            (
                _text(row["document"]),
                f"{row['bytes']:,}",
                _text(row["date"][:10]),
                _text(row["licence"]),
                _text(", ".join(f"{kind} {number}" for kind, number in sorted(row["personal_data"].items()))),
                f"<code>{_text(row['sha256'])}<br>{_text(row['file_sha256'])}</code>",
            )
            for row in rows
        ],
    )


def _settings(chain: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "<h2>Settings, and the machine</h2>"
    for part in chain:
        if part["stage"]:
            told = {"settings": part["settings"], "machine": part["machine"], "software": part["software"]}
            text = json.dumps(told, indent=1, ensure_ascii=False)
            shown = "\n".join(_text(line) for line in text.split("\n"))
            yield _details(_text(part["name"]), f"<pre>{shown}</pre>")


def _lists(lists: Mapping[str, str]) -> Iterator[str]:
    if lists:
        names = " and ".join(f"<code>{_text(name)}</code>" for name in lists.values())
        yield f"<h2>All of it</h2><p>{names} beside this page have a line for every document, <code>audit.json</code> "
        yield "what this page shows. No text of a document is in any of them.</p>"


def _state(state: str) -> str:
    kind = state if state in SAYS else "unknown"
    return f'<span class="{_text(kind.split()[0])}">{SAYS[kind]}</span>'


def _counts(title: str, counts: Mapping[str, int]) -> str:
    shown = list(counts.items())[:50]
    more = len(counts) - len(shown)
    rows = [(_text(name), f"{number:,}") for name, number in shown]
    return _table((title, "#documents"), rows) + (f"<p class='soft'>and {more:,} more</p>" if more > 0 else "")


def _details(title: str, inside: str) -> str:
    return f"<details><summary>{title}</summary>{inside}</details>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML; a title that begins with `#` is that of a column of numbers."""
    if not rows:
        return "<p>None.</p>"
    classes = [' class="n"' if title.startswith("#") else "" for title in head]
    titles = "".join(
        f"<th{kind}>{_text(title.removeprefix('#'))}</th>" for kind, title in zip(classes, head, strict=True)
    )
    lines = "".join(
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(classes, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{titles}</tr>{lines}</table></div>'


def _text(value: object) -> str:
    return html.escape(printable(str(value)), quote=True)
