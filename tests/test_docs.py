"""What the documents say exists: links, commands with their options, settings, files, and the order of imports."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

import glassmill.cli  # noqa: F401  (registers the commands)
from glassmill.cli.base import app
from glassmill.corpus.read.files.kinds import KINDS
from glassmill.recipe import Recipe
from glassmill.recipe.base import Settings

FILES = (".py", ".safetensors", ".toml", ".json", ".js", ".cpp", ".hpp")
ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "docs" / "lessons").glob("*.md"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")), *LESSONS]
DOCUMENTS = [path for path in DOCUMENTS if path.name != "log.md"]  # the log tells of what was
EXAMPLES = [*(ROOT / "docs").glob("*.sh"), *(ROOT / "docs").glob("*.yaml"), *(ROOT / "docs").glob("Dockerfile")]
SOURCES = [*DOCUMENTS, *sorted((ROOT / "recipes").glob("*.toml")), *sorted(EXAMPLES)]


@cache
def commands() -> TyperGroup:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return group


def calls(text: str) -> Iterator[list[str]]:
    """Every call of the command line in code: `glassmill WORD ...`, without comments, `\\`-continued lines joined."""
    code = re.findall(r"```\w*\n(.*?)```", text, re.S) + re.findall(r"`([^`\n]+)`", text)
    for block in code if "```" in text else [text]:
        for line in block.replace("\\\n", " ").splitlines():
            found = re.search(r"(?:^|[\s/`])glassmill ((?!as )[a-z].*)", line)
            if found:
                words = re.split(r"\s#|`|\.\s|;", found[1])[0]
                yield shlex.split(words, posix=True) if words.count('"') % 2 == 0 else words.split()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_every_command_and_option_that_a_document_names_exists(path: Path) -> None:
    for words in calls(path.read_text(encoding="utf-8")):
        command: Any = commands()
        while isinstance(command, TyperGroup) and words:
            assert words[0] in command.commands, f"{path.name}: glassmill {' '.join(words)}"
            command, words = command.commands[words[0]], words[1:]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for word in words:
            if word.startswith("-"):
                assert word.partition("=")[0] in known, f"{path.name}: no option {word} of {command.name}"
            elif re.fullmatch(r"[a-z_]+(\.[a-z_0-9]+)*=.*", word):
                assert is_setting(word.partition("=")[0]), f"{path.name}: no setting {word}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_setting_that_a_document_names_exists(path: Path) -> None:
    sections = "|".join(name for name, field in Recipe.model_fields.items() if is_section(field.annotation))
    for name in re.findall(rf"`((?:{sections})\.[a-z_.0-9]+)(?:=[^`]*)?`", path.read_text(encoding="utf-8")):
        assert is_setting(name) or name.endswith(FILES), f"{path.name}: {name}"


def is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Settings)


def is_setting(name: str) -> bool:
    model: Any = Recipe
    for part in name.split("."):
        if not is_section(model) or part not in model.model_fields:
            return False
        model = model.model_fields[part].annotation
    return True


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_and_file_that_a_document_names_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"
    for name in re.findall(r"`((?:src|bench|docs|recipes|scripts|tests)/[\w./-]+\w)/?`", text):
        assert (ROOT / name).exists() or (ROOT / f"{name}.py").exists(), f"{path.name} names {name}"


def test_the_architecture_gives_the_import_order_that_is_enforced() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = [one for one in project["tool"]["importlinter"]["contracts"] if one["type"] == "layers"]
    order = " > ".join(layer.removeprefix("glassmill.") for layer in contract["layers"])
    assert f"`{order}`" in (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8"), order


def test_the_architecture_has_a_row_for_every_room() -> None:
    rooms = {path.name for path in (ROOT / "src" / "glassmill").iterdir() if (path / "__init__.py").exists()}
    rows = set(re.findall(r"`(\w+)/`", (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")))
    assert rooms <= rows, rooms - rows


def test_the_document_about_documents_names_every_kind_and_so_does_add() -> None:
    text = (ROOT / "docs" / "DOCUMENTS.md").read_text(encoding="utf-8")
    missing = [kind.title for kind in KINDS if kind.title not in text]
    assert not missing, missing
    said = commands().commands["add"].help or ""
    markups = {"Markdown", "StructuredText", "AsciiDoc", "LaTeX", "man", "Texinfo", "Org", "wiki", "DocBook"}
    words = {word for kind in KINDS for word in re.findall(r"[A-Z]{2,}|[A-Z]\w+", kind.title)}
    assert not [word for word in words - markups if word not in said and word not in ("TSV", "VTT")]
