"""A host name that is public when it is looked at and 127.0.0.1 when it is used, against a real resolver.

In a network namespace of its own, from which no packet leaves: a public address stands on its loopback device, a name
server there answers as the test says, and a site listens at both addresses. Needs Linux, root and iproute2.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.line import quiet_environment

PUBLIC = "11.0.0.80"
HERE = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None,
        reason="network namespaces need Linux, root and iproute2",
    ),
]

INSIDE = """
import json, socket, sys, threading
from pathlib import Path
import glassmill.collect.crawl as crawling
from glassmill.errors import UserError
from glassmill.recipe import CrawlSettings
from tests.collect.site import Site, serving

public, answers, cache, out = sys.argv[1], sys.argv[2].split(","), sys.argv[3] == "cache", Path(sys.argv[4])
told = []

def name_server(line):
    while True:
        question, asker = line.recvfrom(512)
        head = question[12:question.index(0, 12) + 5]
        addresses = answers[min(len(told), len(answers) - 1)].split("+") if head[-3:-2] == b"\\x01" else []
        told.extend([addresses] if addresses else [])
        reply = question[:2] + bytes([0x81, 0x80, 0, 1, 0, len(addresses), 0, 0, 0, 0]) + head
        for address in addresses:
            reply += b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\0\\0\\4" + socket.inet_aton(address)
        line.sendto(reply, asker)

line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.bind(("127.0.0.1", 53))
threading.Thread(target=name_server, args=(line,), daemon=True).start()
known = crawling.scrapy_settings
crawling.scrapy_settings = lambda settings: {**known(settings), "DNSCACHE_ENABLED": cache}  # every connection asks anew
outside, inside = Site(), Site()
for number in range(4):
    outside.page(f"/{number or ''}", f"/{number + 1}")
    inside.page(f"/{number or ''}", text="secret")
with serving(outside, public), serving(inside, "127.0.0.1", outside.port):
    try:
        said = crawling.crawl(f"http://rebind.example:{outside.port}/", CrawlSettings(pause_s=0, tries=1), out)
    except UserError as error:
        said = {"error": str(error)}
print(json.dumps({"said": said, "told": told, "inside": inside.connections, "outside": outside.asked}))
"""


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    """A network namespace with a public address on its loopback device, and its own name server in resolv.conf."""
    name = f"glassmill-{os.getpid()}"
    folder = Path("/etc/netns") / name
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody make network namespaces")
    try:
        folder.mkdir(parents=True)
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        for words in (["link", "set", "lo", "up"], ["addr", "add", f"{PUBLIC}/32", "dev", "lo"]):
            subprocess.run(["ip", "-n", name, *words], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def crawl(namespace: str, answers: str, out: Path, cache: str = "no cache") -> dict[str, Any]:
    pytest.importorskip("scrapy", reason="the crawler is an optional extra")
    environment = {**quiet_environment(), "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    command = ["ip", "netns", "exec", namespace, sys.executable, "-c", INSIDE, PUBLIC, answers, cache, str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_name_that_turns_private_is_refused_at_the_next_connection(namespace: str, tmp_path: Path) -> None:
    found = crawl(namespace, f"{PUBLIC},{PUBLIC},{PUBLIC},127.0.0.1", tmp_path)
    assert found["told"][:3] == [[PUBLIC]] * 3 and ["127.0.0.1"] in found["told"], "the name has turned"
    assert found["inside"] == 0 and found["outside"][-1] == "/"
    assert found["said"]["refused"] == ["rebind.example (127.0.0.1)"] and found["said"]["pages"] == 1


def test_as_shipped_a_name_is_looked_up_once(namespace: str, tmp_path: Path) -> None:
    found = crawl(namespace, f"{PUBLIC},127.0.0.1", tmp_path, cache="cache")
    assert found["told"] == [[PUBLIC]] and found["inside"] == 0 and found["said"]["pages"] == 4


def test_a_private_answer_at_first_or_among_public_ones_is_one_line(namespace: str, tmp_path: Path) -> None:
    found = crawl(namespace, "127.0.0.1", tmp_path / "first")
    assert "rebind.example is 127.0.0.1, not a public address" in found["said"]["error"]
    assert found["inside"] == 0
    mixed = crawl(namespace, f"127.0.0.1+{PUBLIC},{PUBLIC}+127.0.0.1", tmp_path / "mixed")
    assert mixed["inside"] == 0
