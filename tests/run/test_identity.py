"""Which changes give another identity: each that may change a byte, and none of the others."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest

from glassmill.corpus import facts
from glassmill.corpus.extract import extract
from glassmill.miniweb import make as miniweb
from glassmill.recipe import make_recipe
from glassmill.run.line import stage_identity
from glassmill.stages import stage_named
from glassmill.tokens import split

Patch = pytest.MonkeyPatch


def identity_of(stage: str, *overrides: str) -> str:
    return stage_identity(stage_named(stage), make_recipe({}, overrides), {}).digest


def another(module: object, library: str) -> Callable[[Patch], None]:
    """As if another version of `library` were installed, as far as `module` asks."""
    changed = {library: "99.9.9"}
    return lambda patch: patch.setattr(module, "version", lambda name: changed.get(name) or version(name))


def another_python(module: object) -> Callable[[Patch], None]:
    info = SimpleNamespace(major=3, minor=sys.version_info.minor + 1)
    return lambda patch: patch.setattr(module, "sys", SimpleNamespace(version_info=info))


MACHINES: list[tuple[str, str, Callable[[Patch], None]]] = [
    *(("corpus", library, another(facts, library)) for library in (*facts.LIBRARIES, "numpy")),
    ("corpus", "python", another_python(facts)),
    ("corpus", "processor", lambda patch: patch.setattr(facts.platform, "machine", lambda: "vax")),
    ("corpus", "system", lambda patch: patch.setattr(facts.platform, "system", lambda: "Multics")),
    ("corpus", "core", lambda patch: patch.setattr(extract, "is_built", lambda: not extract.extractor())),
    ("corpus", "models", lambda patch: patch.setattr(facts, "_digest", lambda package, file: "0" * 8)),
    ("corpus", "code", lambda patch: patch.setattr(facts, "VERSION", facts.VERSION + 1)),
    ("miniweb", "pyarrow", another(miniweb, "pyarrow")),
    ("miniweb", "python", another_python(miniweb)),
    ("miniweb", "zlib", lambda patch: patch.setattr(miniweb, "zlib", SimpleNamespace(ZLIB_RUNTIME_VERSION="9"))),
]


@pytest.mark.parametrize(("stage", "what", "change"), MACHINES, ids=[f"{stage}, {what}" for stage, what, _ in MACHINES])
def test_a_machine_that_gives_other_bytes_has_another_identity(
    stage: str, what: str, change: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    before = identity_of(stage)
    change(monkeypatch)
    assert identity_of(stage) != before


SETTINGS = [
    ("corpus", "seed=8"),
    ("corpus", "corpus.extract.engine=resiliparse"),
    ("corpus", "corpus.extract.main_content=false"),
    ("corpus", "corpus.extract.max_depth=50"),
    ("corpus", "corpus.language.min_score=0.5"),
    ("corpus", "corpus.dedup.near=false"),
    ("corpus", "corpus.pii.replacement=fake"),
    ("corpus", "corpus.page_cpu_s=1"),
    ("corpus", "corpus.files.pdf_responses=true"),
    ("miniweb", "miniweb.pages=100"),
    ("tokenizer", "tokenizer.pattern=gpt2"),
    ("tokenizer", "tokenizer.tie_break=hf"),
    ("tokens", "tokens.validation_share=0.1"),
]
MACHINERY = [
    ("corpus", "corpus.workers=3"),
    ("corpus", "corpus.dedup.memory_mb=1"),
    ("corpus", "run.executor=ray"),
    ("corpus", "run.ray_address=10.0.0.1:6379"),
    ("corpus", "run.worker_timeout_s=5"),
    ("corpus", "tokenizer.vocab_size=1024"),
    ("tokenizer", "tokenizer.threads=3"),
    ("tokens", "tokens.workers=3"),
]


@pytest.mark.parametrize(("stage", "override"), SETTINGS)
def test_a_setting_that_changes_the_output_changes_the_identity(stage: str, override: str) -> None:
    assert identity_of(stage, override) != identity_of(stage)


@pytest.mark.parametrize(("stage", "override"), MACHINERY)
def test_how_the_work_is_done_changes_no_identity(stage: str, override: str) -> None:
    assert identity_of(stage, override) == identity_of(stage)


def test_an_engine_counts_by_what_it_is_and_not_by_how_it_was_asked_for() -> None:
    asked = extract.engine_of(make_recipe({}).corpus.extract)
    assert identity_of("corpus", f"corpus.extract.engine={asked}") == identity_of("corpus")


def test_the_library_regex_counts_for_patterns_that_only_it_can_cut(monkeypatch: Patch) -> None:
    own = r"tokenizer.pattern='[aeiou]+|\w+|\s+'"
    before = [identity_of(stage, *words) for stage in ("tokenizer", "tokens") for words in ((), (own,))]
    another(split, "regex")(monkeypatch)
    after = [identity_of(stage, *words) for stage in ("tokenizer", "tokens") for words in ((), (own,))]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True, False]


def test_each_setting_that_names_files_counts_on_its_own(tmp_path: Path) -> None:
    (tmp_path / "hosts.txt").write_text("good.example\n")
    (tmp_path / "b.html").write_text("<p>text</p>")
    hosts, page = tmp_path / "hosts.txt", tmp_path / "b.html"
    pages = (f"corpus.inputs={page},{hosts}", f"corpus.inputs={hosts},{page}")
    lists = (f"corpus.url.blocklists={hosts}", f"corpus.url.allowlists={hosts}")
    found = {identity_of("corpus", *words) for words in ((), pages[:1], pages[1:], lists[:1], lists[1:])}
    assert len(found) == 5
    hosts.write_text("bad.example\n")
    assert identity_of("corpus", lists[0]) not in found
