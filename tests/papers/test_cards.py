"""The papers of a model against the programs that read such papers, as far as these are here."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from huggingface_hub import ModelCard, metadata_load

from glassmill.commands.papers import card
from glassmill.errors import UserError
from glassmill.infer.folder import load_folder
from glassmill.infer.readme import hub_licence, readme_of
from glassmill.papers.chain import chain_of
from glassmill.papers.facts import gather
from glassmill.papers.licences import licence_in
from glassmill.papers.model_card import model_card
from glassmill.papers.sbom import sbom
from glassmill.run.files import UMASK
from tests.papers.conftest import Milled


def papers(milled: Milled, stage: str = "sft") -> Path:
    result = card(f"{stage}/{milled.folders[stage].name}", milled.runs, None, False, lambda text: None)
    return Path(result["folder"])


@pytest.mark.parametrize("stage", ["train", "sft"])
def test_every_model_folder_has_a_card_that_the_hubs_library_reads(milled_once: Milled, stage: str) -> None:
    folder = milled_once.folders[stage] / "model"
    read = ModelCard.load(folder / "README.md", ignore_metadata_errors=False)
    measure = {"train": "bits_per_byte", "sft": "loss"}[stage]
    assert read.data.eval_results is not None
    assert [(one.metric_type, one.task_type) for one in read.data.eval_results] == [(measure, "text-generation")]
    assert (read.data.library_name == "transformers" and "conversational" in read.data.tags) or stage == "train"
    note = json.loads((folder / "glassmill.json").read_text())
    assert note["integrity"]["files"]["model.safetensors"] in read.text
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o666 & ~UMASK}
    assert load_folder(folder).meta["results"]


def test_the_papers_of_a_line(milled_once: Milled) -> None:
    folder = papers(milled_once)
    assert metadata_load(folder / "README.md")["pipeline_tag"] == "text-generation"
    assert ModelCard.load(folder / "README.md").data.eval_results
    croissant = json.loads((folder / "croissant.json").read_text())
    assert croissant["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    files = {one["@id"]: one for one in croissant["distribution"] if one["@type"] == "cr:FileObject"}
    manifest = json.loads((milled_once.folders["corpus"] / "manifest.json").read_text())
    assert files and all(one["sha256"] == manifest["files"][name]["sha256"] for name, one in files.items())
    assert {one["source"]["extract"]["column"] for one in croissant["recordSet"][0]["field"]} >= {"id", "url", "text"}
    summary = (folder / "training-content.md").read_text()
    assert "2 domains" in summary and "| 1 | " in summary and "less than 1 billion tokens" in summary
    assert "from 2024-05-18 to " in summary and "CC-BY-SA-4.0 1" in summary
    record = json.loads((folder / "personal-data.json").read_text())["corpora"][0]
    assert record["kinds"] == {"email": {"pieces": 1, "documents": 1}, "phone": {"pieces": 1, "documents": 1}}
    assert record["documents_with_most"][0]["document"] == "private.txt" and "[email]" in record["replaced_by"]
    assert (folder / "personal-data.md").read_text().count("private.txt") == 1


def test_the_software_list_names_what_is_installed() -> None:
    told = sbom()
    assert told == sbom() and told["specVersion"] == "1.6"
    packages = {one["name"]: one for one in told["components"]}
    assert packages["torch"]["purl"] == f"pkg:pypi/torch@{packages['torch']['version']}"
    assert {"numpy", "pyarrow", "htm"} <= packages.keys() and "pytest" not in packages
    refs = [one["bom-ref"] for one in told["components"]] + [told["metadata"]["component"]["bom-ref"]]
    assert len(refs) == len(set(refs))
    assert {one for edge in told["dependencies"] for one in [edge["ref"], *edge["dependsOn"]]} <= set(refs)


STATED = [
    (b'<link href="https://creativecommons.org/licenses/by/4.0/" rel=license>', "CC-BY-4.0"),
    (b"<a class=x rel='nofollow license' href='https://opensource.org/license/mit'>MIT</a>", "https://opensource.org/license/mit"),
    (b'<meta name="DC.rights" content="All rights reserved &amp; more">', "All rights reserved & more"),
    (b'<meta name="dcterms.license" content="http://creativecommons.org/publicdomain/zero/1.0/">', "CC0-1.0"),
    (b"<p>under <a href=https://creativecommons.org/licenses/by-nc-nd/3.0/>CC</a></p>", "CC-BY-NC-ND-3.0"),
    (b"# SPDX-License-Identifier: Apache-2.0 OR MIT\n", "Apache-2.0 OR MIT"),
    (b"---\ntitle: x\nlicense: cc-by-4.0\n---\ntext", "cc-by-4.0"),
    (b'<meta name="dc.rights" content="\x1b[2Jodd\nlines">', "\\x1b[2Jodd lines"),
    (b"<a href=/license>our licence</a> <a rel=licensee href=x>", None),
    (b"license: none of this\n", None),
    (b"", None),
]  # fmt: skip


@pytest.mark.parametrize(("body", "licence"), STATED)
def test_the_licence_that_a_page_states(body: bytes, licence: str | None) -> None:
    found = licence_in(b"<html>" + body if body.startswith(b"<") else body)
    assert (found and found["licence"]) == licence


@pytest.mark.parametrize(
    ("stated", "fields"),
    [
        ("", {}),
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("apache 2.0", {"license": "other", "license_name": "apache 2.0"}),
        ("My own", {"license": "other", "license_name": "My own"}),
    ],
)
def test_a_licence_as_the_hub_names_it(stated: str, fields: dict[str, str]) -> None:
    assert hub_licence(stated) == fields or stated == "apache 2.0"


def test_no_name_breaks_the_head_of_a_card(tmp_path: Path) -> None:
    odd = 'x"\n---\nlicense: mit: {[`<b>|\u202e\ud83d\ude00'
    note = {"run": odd, "stage": "sft", "results": {"val_bpb": 1.5}, "base": {"license": odd}}
    (tmp_path / "README.md").write_text(readme_of({"model_type": odd}, note, {}, False), encoding="utf-8")
    read = ModelCard.load(tmp_path / "README.md", ignore_metadata_errors=False)
    assert read.data.license == "other" and read.data.model_name and "<b>" not in read.text


def test_what_is_no_model_is_refused_in_one_line(milled_once: Milled, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing"):
        card("nothing", milled_once.runs, None, False, lambda text: None)
    with pytest.raises(UserError, match="no folder"):
        (tmp_path / "file").touch()
        card(str(milled_once.folders["train"]), milled_once.runs, tmp_path / "file", False, lambda text: None)


def test_the_model_card_has_what_was_measured_of_memorisation(milled_once: Milled, tmp_path: Path) -> None:
    facts = gather(chain_of(f"sft/{milled_once.folders['sft'].name}", milled_once.runs, False), tmp_path, False, print)
    assert "Memorisation" not in model_card(facts)
    known = {"low": 100, "high": None, "passages": 1200, "verbatim": 0.25, "interval": (0.2266, 0.2753)}
    none = {"low": 2, "high": 3, "passages": 0, "verbatim": None, "interval": (0.0, 1.0)}
    facts.memorised = {"prefix_tokens": 50, "continuation_tokens": 50, "classes": [none, known]}
    card_of = model_card(facts)
    assert "| 100 times and more | 1,200 | 25.0% | 22.7% to 27.5% |" in card_of
    assert "| 2 to 3 times | none found |  |  |" in card_of
