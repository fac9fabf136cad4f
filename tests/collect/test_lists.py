"""`glassmill lists` against an imitation of the upstream on loopback."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from glassmill.collect.lists import install_from_wheel, install_lists
from glassmill.corpus.judge.url_lists import HashList, built_lists
from glassmill.errors import UserError
from glassmill.recipe import ListsSettings
from tests.collect.bucket import Bucket, served
from tests.corpus.papers import tarred


@pytest.fixture
def upstream() -> Iterator[Bucket]:
    with served(Bucket()) as bucket:
        bucket.files["adult.tar.gz"] = tarred(
            {"adult/domains": b"bad.example\nworse.example\n", "adult/usage": b"black"}
        )
        bucket.files["malware.tar.gz"] = tarred({"malware/urls": b"mixed.example/evil.exe\n"}, {"malware/x": "/etc"})
        yield bucket


def settings(bucket: Bucket, *categories: str) -> ListsSettings:
    return ListsSettings(base_url=bucket.url, categories=categories, pause_s=0.0, tries=2)


def test_categories_are_installed_with_their_licence_and_found_by_the_filter(upstream: Bucket, tmp_path: Path) -> None:
    out = tmp_path / "ut1"
    result = install_lists(settings(upstream, "adult", "malware"), out)
    assert result["lists"] == {"adult": {"hosts": 2}, "malware": {"URLs": 1}}
    assert "CC BY-SA 4.0" in (out / "ATTRIBUTION.txt").read_text()
    lists = HashList.open(built_lists([out], tmp_path / "cache"))
    assert (len(lists), lists.category("bad.example"), lists.category("mixed.example/evil.exe")) == (
        3,
        "adult",
        "malware",
    )


def test_an_update_changes_what_changed_and_a_bad_one_nothing(upstream: Bucket, tmp_path: Path) -> None:
    told: list[str] = []
    install_lists(settings(upstream, "adult", "malware"), tmp_path)
    upstream.files["adult.tar.gz"] = tarred({"adult/domains": b"new.example\n"})
    install_lists(settings(upstream, "adult", "malware"), tmp_path, told.append)
    assert (tmp_path / "adult/domains").read_text() == "new.example\n" and "malware: unchanged" in told
    for content in (b"<html>", tarred({"../domains": b"x"}), tarred({"adult/usage": b"x"})):
        upstream.files["adult.tar.gz"] = content
        with pytest.raises(UserError, match="nothing was changed"):
            install_lists(settings(upstream, "adult"), tmp_path)
        assert (tmp_path / "adult/domains").read_text() == "new.example\n"


def test_mistakes_are_one_line(upstream: Bucket, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="HTTP 404"):
        install_lists(settings(upstream, "absent"), tmp_path)
    with pytest.raises(UserError, match="is not a category name"):
        install_lists(settings(upstream, "../adult"), tmp_path)


def test_the_lists_come_out_of_a_wheel_too(tmp_path: Path) -> None:
    wheel = tmp_path / "datatrove-0.10.1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as package:
        content = tarred({"adult/domains": b"bad.example\n", "malware/domains": b"evil.example\n"})
        package.writestr("datatrove/assets/url_filterblacklistsv0_3_0.tar.gz", content)
    assert install_from_wheel(tmp_path / "lists", wheel=wheel)["lists"] == {"fineweb": {"hosts": 2}}
    with zipfile.ZipFile(wheel, "w") as package:
        package.writestr("x.py", "")
    with pytest.raises(UserError, match="contains no URL lists"):
        install_from_wheel(tmp_path / "lists", wheel=wheel)
