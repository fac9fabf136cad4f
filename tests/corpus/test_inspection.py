"""query and why: what a run keeps can be asked, and nothing else can be reached."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from glassmill.corpus.document import documents
from glassmill.corpus.look.query import query
from glassmill.corpus.look.why import measure, why
from glassmill.errors import UserError
from glassmill.recipe import CorpusSettings
from tests.corpus.pages import PAGES, article, record, write_warc
from tests.corpus.test_corpus import build
from tests.line import glassmill


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inspection")
    broken = record("http://broken.example/", article(90))
    members = [*(member for _, member, _ in PAGES), broken[:-60] + bytes(30) + broken[-30:]]
    build(folder / "run", [write_warc(folder / "a.warc.gz", members)], 'corpus.url.block_hosts=["listed.example"]')
    return folder / "run"


def test_sql_counts_what_the_run_kept_and_dropped(run: Path) -> None:
    names, rows = query(run, "select rule, count(*) as pages from dropped group by rule")
    assert names == ["rule", "pages"] and dict(rows) == Counter(d.rule for d in documents(run, dropped=True))
    assert query(run, "select count(*) from kept")[1] == [(len(list(documents(run))),)]
    whole = query(run, "select count(*) filter (where rule = ''), count(*) filter (where rule <> '') from documents")[1]
    assert whole == [(len(list(documents(run))), len(list(documents(run, dropped=True))))]
    assert query(run, "select cause from quarantine")[1][0][0].startswith("damaged gzip data")
    assert query(run, "with x as (select url from kept) select * from x order by url", 2)[1] == [
        ("http://good.example/0",),
        ("http://good.example/1",),
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('/etc/hostname')",
        "select * from '/etc/passwd'",
        "select * from glob('/*')",
        "copy kept to '/tmp/stolen.csv'",
        "attach '/tmp/x.db'",
        "install httpfs",
        "set enable_external_access = true",
        "create table x as select 1",
        "drop view documents",
        "select 1; select 2",
        "pragma database_list; select 1",
        "select * from absent",
        "selekt",
        "",
    ],
)
def test_a_query_reaches_no_file_changes_nothing_and_says_what_is_wrong(run: Path, statement: str) -> None:
    with pytest.raises(UserError):
        query(run, statement)


def test_why_tells_every_step_that_a_kept_page_passed(run: Path) -> None:
    (way,) = why(run, "http://good.example/3")
    assert (way.end, way.source) == ("kept", "a.warc.gz")
    steps = dict(way.steps)
    assert list(steps) == [
        "read", "url", "extract", "language", "gopher_repetition", "gopher_quality", "c4", "fineweb", "dedup", "pii",
    ]  # fmt: skip
    checks = {check.rule: check for checks in steps.values() for check in checks}
    assert checks["gopher/too_few_words"].value > 100 and checks["gopher/too_few_words"].bound == 50
    assert checks["language/score"].value > 0.65 and checks["dedup/cluster_size"].value == 2
    assert {"gopher/duplicate_10_grams", "gopher/top_2_gram", "c4/too_few_sentences", "fineweb/short_lines"} <= set(
        checks
    )
    assert all(check.passed is not False for check in checks.values())


def test_why_ends_at_the_step_that_dropped_a_page_with_the_number_that_decided(run: Path) -> None:
    for url, _, fate in PAGES:
        if fate == "kept":
            continue
        (way,) = why(run, url)
        _, checks = way.steps[-1]
        assert way.end == "dropped" and checks[-1].rule == fate and checks[-1].passed is False, url
        assert all(check.passed is not False for _, earlier in way.steps[:-1] for check in earlier)
    (stub,) = why(run, "http://good.example/stub")
    assert (stub.steps[-1][1][-1].value, stub.steps[-1][1][-1].bound) == (39, 50)
    (broken,) = why(run, "http://broken.example/")
    assert broken.end == "quarantined" and broken.steps[0][1][0].detail.startswith("damaged gzip data")


def test_measured_values_are_those_that_the_filters_give_when_they_drop() -> None:
    settings = CorpusSettings()
    text = "A short text with a few words.\nAnother short line.\nAnother short line."
    values = {
        check.rule: check for step in ("gopher_repetition", "gopher_quality") for check in measure(text, step, settings)
    }
    assert values["gopher/too_few_words"].value == 13 and values["gopher/too_few_words"].passed is False
    assert values["gopher/duplicate_lines"].value == pytest.approx(1 / 3)
    assert values["gopher/bullet_lines"].value == 0 and values["gopher/bullet_lines"].passed is True


def test_an_address_that_is_not_there_names_near_ones(run: Path) -> None:
    with pytest.raises(UserError, match=r"no record of .*similar: http://good.example/stub"):
        why(run, "https://good.example/stub")


def test_the_commands_print_json_and_tables(run: Path) -> None:
    done = glassmill("query", str(run), "select count(*) as n from kept", "--json")
    assert json.loads(done.stdout)["rows"] == [[len(list(documents(run)))]]
    done = glassmill("why", str(run), "http://good.example/stub")
    assert done.returncode == 0 and "gopher/too_few_words" in done.stdout and "39" in done.stdout
    done = glassmill("query", "absent", "select 1", "--runs", str(run.parent))
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
