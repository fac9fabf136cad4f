"""`glassmill card` and `glassmill audit`: what has to be told of a model, in files for those who ask."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

from glassmill.commands.terminal import plain
from glassmill.errors import UserError
from glassmill.papers.audit import audit as audited
from glassmill.papers.audit_page import audit_page
from glassmill.papers.chain import chain_of
from glassmill.papers.data_card import data_card
from glassmill.papers.eu_summary import eu_summary
from glassmill.papers.facts import DOCUMENTS, DROPPED, Facts, gather
from glassmill.papers.model_card import model_card
from glassmill.papers.personal_data import personal_data, personal_data_lines
from glassmill.papers.sbom import sbom
from glassmill.run.files import atomic_json, atomic_write

Told = Callable[[str], None]


class Written(TypedDict):
    """Files, what each is, and what nobody can say from here."""

    folder: str
    files: dict[str, str]
    not_known: list[str]


class Audited(Written):
    """`verified`: every part and input is there with its bytes; else `wrong` names those that are changed or gone."""

    verified: bool
    wrong: list[str]


def card(word: str, runs: Path, out: Path | None, clear: bool, told: Told) -> Written:
    """Write model card, data card, training-content summary, personal-data record and software list.

    Raises:
        UserError: `word` is no model and no run, or what it was made from is damaged.
    """
    facts, folder = _facts(word, runs, out, clear, told, verify=False)
    files: dict[str, str] = {}
    if facts.chain.model:
        atomic_write(folder / "README.md", model_card(facts))
        files["README.md"] = "model card"
    for number, corpus in enumerate(facts.corpora):
        name = "croissant.json" if not number else f"croissant-{number + 1}.json"
        atomic_json(folder / name, data_card(corpus))
        files[name] = f"data card (Croissant 1.1) of {corpus.part.name}"
    atomic_write(folder / "training-content.md", "\n".join(eu_summary(facts)) + "\n")
    files["training-content.md"] = "summary of the training content (EU AI Act, Article 53(1)(d)), a draft"
    atomic_write(folder / "personal-data.md", "\n".join(personal_data_lines(facts)) + "\n")
    atomic_json(folder / "personal-data.json", personal_data(facts))
    files |= {"personal-data.md": "record of personal data", "personal-data.json": "the same for programs"}
    atomic_json(folder / "sbom.json", sbom())
    files["sbom.json"] = "software (CycloneDX 1.6)"
    return {"folder": str(folder), "files": files, "not_known": _not_known(facts)}


def audit(word: str, runs: Path, out: Path | None, clear: bool, told: Told) -> Audited:
    """Hash everything that a model was made from, and write page, JSON and lists.

    Raises:
        UserError: `word` is no model and no run.
    """
    facts, folder = _facts(word, runs, out, clear, told, verify=True)
    result = audited(facts)
    atomic_json(folder / "audit.json", result)
    atomic_write(folder / "audit.html", audit_page(json.loads(json.dumps(result))))
    files = {"audit.html": "the page", "audit.json": "the same for programs"}
    if facts.corpora:
        files |= {DOCUMENTS: "every kept document", DROPPED: "every dropped document"}
    wrong = [f"{part.name}: {part.says}" for part in facts.chain.parts if part.state == "changed"]
    wrong += [f"{part.name} ← {one.argument}: {one.state}, {one.says or one.to}" for part, one in facts.chain.links
              if one.state in ("changed", "missing")]  # fmt: skip
    return {
        "folder": str(folder), "files": files, "not_known": _not_known(facts), "verified": facts.chain.whole,
        "wrong": wrong,
    }  # fmt: skip


def _facts(word: str, runs: Path, out: Path | None, clear: bool, told: Told, verify: bool) -> tuple[Facts, Path]:
    if verify:
        told("hashing what it was made from")
    chain = chain_of(word, runs, verify)
    folder = out or runs / "papers" / chain.name.replace("/", "-")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is no folder; choose another with --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write in {folder} ({error.strerror}); choose another with --out") from None
    return gather(chain, folder, clear, told, lists=verify), folder


def _not_known(facts: Facts) -> list[str]:
    links = [(part, one) for part, one in facts.chain.links if one.state in ("unknown", "missing")]
    gone = [f"{part.name}: {one.argument}: {one.says}" for part, one in links]
    damaged = [part.name for part in facts.chain.of_stage("corpus") if part.state == "changed"]
    gone += [f"{name}: its documents were not read, because it is damaged" for name in damaged]
    nothing = not facts.corpora and not damaged
    return gone + (["no corpus is here, so nothing is known of the documents"] if nothing else [])


def written_lines(result: Written) -> list[str]:
    """The same for people."""
    lines = [
        f"{plain(result['folder'])}/{plain(name)}  [dim]{plain(what)}[/dim]" for name, what in result["files"].items()
    ]
    return [*lines, *(f"[yellow]not known[/yellow]  {plain(one)}" for one in result["not_known"])]


def audited_lines(result: Audited) -> list[str]:
    """The same for people."""
    if result["verified"]:
        verdict = "[green]✓[/green] everything that it was made from is here, with its bytes"
    elif result["wrong"]:
        verdict = f"[red]✗[/red] {len(result['wrong'])} parts or inputs are changed or missing"
    else:
        verdict = "nothing is changed, but not everything is known"
    return [*written_lines(result), *(f"[red]✗[/red] {plain(one)}" for one in result["wrong"]), verdict]
