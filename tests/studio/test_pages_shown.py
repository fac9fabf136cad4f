"""Documents as the page shows them: what was masked, what was cut away, what another bound would have let pass."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Page, expect

from glassmill.corpus.look.cut_away import cut_away, masked, pieces
from glassmill.corpus.pii.masking import PLACEHOLDERS
from glassmill.errors import UserError
from glassmill.run.shards import find_shards
from glassmill.studio.documents import MAX_TEXT_CHARACTERS, page_of_documents, values_of_rule
from tests.studio import crafted
from tests.studio.conftest import RunningStudio, keep
from tests.studio.replay import Replay


def test_every_mark_is_a_placeholder_and_kinds_are_counted_as_the_run_did(finished: Replay) -> None:
    folder = finished.folder("corpus")
    counted = json.loads((folder / "stats.json").read_text())["pii"]
    assert counted
    seen: dict[str, int] = {}
    for kind in counted:
        found = page_of_documents(folder, "kept", masked=kind)
        assert 0 < found["total"] == len(found["rows"])
        for row in found["rows"]:
            marks: Any = row["marks"]
            text = str(row["text"]).encode("utf-16-le")
            assert [text[2 * a : 2 * b].decode("utf-16-le") for a, b, _ in marks] == [
                PLACEHOLDERS[k] for _, _, k in marks
            ]
            seen[kind] = seen.get(kind, 0) + sum(name == kind for _, _, name in marks)
    assert seen == counted
    assert page_of_documents(folder, "kept", masked="any")["total"] <= sum(counted.values())
    assert page_of_documents(folder, "kept", masked="nothing")["total"] == 0


def test_no_half_of_what_is_masked_stands_where_a_long_page_is_cut(finished: Replay, tmp_path: Path) -> None:
    run = shutil.copytree(finished.folder("corpus"), tmp_path / "corpus" / "demo")
    (path, *_) = find_shards(run, "dropped")
    rows = pq.read_table(path).slice(0, 1).to_pylist()
    for hidden in range(1, 20):
        text = "x " * ((MAX_TEXT_CHARACTERS - hidden) // 2) + " ada.miller@mills.de, and more " * 20
        pq.write_table(pa.Table.from_pylist([{**rows[0], "text": text}], schema=pq.read_schema(path)), path)
        shown = str(page_of_documents(run, "dropped", step=rows[0]["step"], words="ada.miller")["rows"][0]["text"])
        assert "ada" not in shown and shown.endswith("…") and len(shown) <= MAX_TEXT_CHARACTERS + 2


def test_a_run_of_another_version_has_kinds_and_no_marks(finished: Replay, tmp_path: Path) -> None:
    run = shutil.copytree(finished.folder("corpus"), tmp_path / "corpus" / "demo")
    (run / "recipe.toml").write_text("[corpus.pii]\nunheard_of = 1\n")
    row = page_of_documents(run, "kept", masked="any")["rows"][0]
    assert row["pii"] and not row.get("marks")


def test_values_of_a_rule_are_those_that_its_pages_had(finished: Replay) -> None:
    folder = finished.folder("corpus")
    rows = page_of_documents(folder, "dropped", step="gopher_quality")["rows"]
    for rule in {str(row["rule"]) for row in rows}:
        own = sorted(float(str(row["value"])) for row in rows if row["rule"] == rule)
        assert values_of_rule(folder, "gopher_quality", rule) == own
    assert values_of_rule(folder, "gopher_quality", "none") == []


@given(markup=st.text("<>/abp &;\"'!- é\n", max_size=80), text=st.text("abp é&\n", max_size=40))
def test_pieces_are_the_html_and_what_is_kept_are_words_of_the_text(markup: str, text: str) -> None:
    found = list(pieces(markup, text))
    assert "".join(piece.text for piece in found) == markup
    assert all(piece.text for piece in found)


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("ada@mills.de", "[email]"),
        ("ada@<b>mills</b>.de", "[email]"),
        ("<i>ada</i>@<i>mills.de</i>", "<i>[email]</i>"),
        ("ada&#64;mills&period;de", "[email]"),
        ("<a href='mailto:ada&#x40;mills.de'>&lt;us&gt;</a>", "<a href='mailto:[email]'>&lt;us&gt;</a>"),
        ("<td>Mail</td><td>ada@mills.de</td><td>AT&T</td>", "<td>Mail</td><td>[email]</td><td>AT&T</td>"),
        ("x@<!-- no robots -->mills.de <", "[email] <"),
    ],
)
def test_html_hides_what_it_holds_as_written_and_what_it_reads_as(markup: str, shown: str) -> None:
    assert masked(markup) == shown == masked(shown)


@given(st.text("<>/abp &;#6410@.\"'!- é\n", max_size=60))
def test_html_without_personal_data_stays_as_it_is(markup: str) -> None:
    assert masked(markup) == markup or "[" in masked(markup)


@pytest.mark.parametrize(
    "part", ["a ", "<p>", "<script>", "<!--", "<a ", "word<b> ", "&amp; ", "<", "a b c d e f g h "]
)
def test_a_page_made_to_be_slow_is_cut_into_pieces_all_the_same(part: str) -> None:
    markup = part * (40_000 // len(part))
    assert masked(markup) == markup
    assert "".join(piece.text for piece in pieces(markup, "a b c d word & " * 2000)) == markup


def test_html_stands_beside_the_text_of_a_page_and_grey_is_what_was_cut_away(
    every_rule: RunningStudio, tmp_path: Path
) -> None:
    assert every_rule.runs is not None
    run = _run_of_rules(every_rule.runs)
    copy = shutil.copytree(run, tmp_path / "runs" / "corpus" / run.name)
    kept = page_of_documents(copy, "kept")["rows"][0]
    place = (str(kept["source"]), int(str(kept["offset"])), str(kept["url"]))
    with pytest.raises(UserError, match=r"pages\.warc\.gz, which this page was read from, is not here any more"):
        cut_away(copy, None, *place)
    crafted.write(tmp_path)
    archive = tmp_path / "pages.warc.gz"
    row = {
        "setting": "corpus.inputs",
        "name": archive.name,
        "path": str(archive),
        "content": "",
        "bytes": 0,
        "modified": 0,
    }
    (copy / "inputs.jsonl").write_text(json.dumps(row) + "\n")
    found, text = cut_away(copy, None, *place)
    markup = next(page for page in crafted.pages() if page.url == place[2]).body.decode()
    assert "".join(piece.text for piece in found) == markup
    kept_words = " ".join(piece.text for piece in found if piece.kept).split()
    assert len(kept_words) > 0.9 * len(text.split()) and any(not piece.kept for piece in found)
    with pytest.raises(UserError, match="has no page of HTML there any more"):
        cut_away(copy, None, place[0], place[1] + 1, place[2])


def _run_of_rules(runs: Path) -> Path:
    line = json.loads((runs / "lines" / "rules.json").read_text())
    return runs / str(next(entry["run"] for entry in line["stages"] if entry["stage"] == "corpus"))


MARKS_IN_SIGHT = """() => [...document.querySelectorAll(".card .page-text")].every((text) =>
    text.querySelector("mark").getBoundingClientRect().bottom <= text.getBoundingClientRect().bottom)"""


@pytest.mark.slow
def test_masked_data_has_a_door_and_a_bound_can_be_moved(
    open_page: type, studio: RunningStudio, tmp_path: Path
) -> None:
    watched = open_page(studio.url, view="run/demo/documents")
    page: Page = watched.page
    page.get_by_role("button", name="Personal data").click()
    expect(page.locator(".funnel-panel")).to_contain_text("of personal data were masked")
    page.get_by_role("group", name="Kinds").get_by_role("button", name="Email").click()
    expect(page.locator("mark.masked").first).to_have_text("[email]")
    expect(page.locator("mark.masked").first).to_have_attribute("title", "masked: Email")
    assert page.evaluate(MARKS_IN_SIGHT)
    page.get_by_text("Its HTML beside the text").first.click()
    expect(page.get_by_role("alert")).to_contain_text("is not here any more, so its HTML is not known")
    keep(page, "masked", tmp_path)
    page.get_by_role("button", name="Prose").click()
    page.get_by_role("group", name="Rules").get_by_role("button").nth(1).click()
    bound = page.locator(".bound")
    bound.get_by_label("Another bound").press("End")
    expect(bound.get_by_role("status")).to_contain_text("would pass this rule")
    wrongs = [wrong for wrong in watched.wrongs if "409" not in wrong]
    assert not wrongs, "\n".join(wrongs)
