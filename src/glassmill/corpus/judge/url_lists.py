"""Lists of hosts and URLs, millions of lines long, as one sorted array of 64-bit hashes that all workers share.

In: list files, one host or URL a line. Out: a folder with the array (8 bytes an entry), the category of each entry (2
bytes) and the categories' names; it is mapped into memory rather than read, so opening takes no time and no worker
has a copy. The folder's name is a hash of the lists' contents: equal lists are built once.
"""

from __future__ import annotations

import hashlib
import json
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glassmill.corpus.judge.web_address import MAX_URL_CHARACTERS, listed_key
from glassmill.errors import UserError
from glassmill.run.files import atomic_path, sha256_file
from glassmill.textfiles import text_lines

FORMAT = "3"
NO_LISTS = frozenset({"usage", "expressions", "very_restrictive_expression", "global_usage"})
"""Files in UT1's folders that hold no addresses."""
PAPERS = ("attribution", "license", "licence", "readme", "cc-by")

MAX_LINE_CHARACTERS = 2 * MAX_URL_CHARACTERS
_DNSMASQ = re.compile(r"(?:address|server|local)=/([^/]+)/")
_IP = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:.]*")
"""The first column of a hosts file; hosts follow."""


class HashList:
    """Which category, if any, a host or URL is listed under. Two memory-mapped arrays and the category names."""

    def __init__(self, hashes: npt.NDArray[np.uint64], categories: npt.NDArray[np.uint16], names: list[str]) -> None:
        self._hashes, self._categories, self._names = hashes, categories, names

    def category(self, key: str) -> str | None:
        """The category `key` is listed under, or None. A false hit has a chance of 1 in 10^12 for a million entries."""
        wanted = np.uint64(_hash(key))
        place = int(np.searchsorted(self._hashes, wanted))
        if place < len(self._hashes) and self._hashes[place] == wanted:
            return self._names[int(self._categories[place])]
        return None

    def __len__(self) -> int:
        return len(self._hashes)

    @classmethod
    def build(cls, paths: Iterable[Path], folder: Path) -> None:
        """Hashes the lists in `paths` (files, or folders of files) into `folder`, where `open` finds them.

        A file holds one host or URL a line, written in any way that `web_address` knows; comments (`#`), hosts files
        (`0.0.0.0 host other`) and `||host^` are understood. Its
        category is its name, or the folder's for UT1's `adult/domains` and `adult/urls`. An entry of several lists
        has the category of the first. The folder is whole or absent.

        Raises:
            UserError: a path does not exist, or there are more than 65,535 categories.
        """
        hashes, categories = array("Q"), array("H")
        names: list[str] = []
        for path in list_files(paths):
            name = path.parent.name if path.stem in ("domains", "urls") else path.stem
            if name not in names:
                names.append(name)
            number = names.index(name)
            before = len(hashes)
            hashes.extend(map(_hash, _keys_in(path)))
            categories.extend([number] * (len(hashes) - before))
        if len(names) > np.iinfo(np.uint16).max:
            raise UserError(f"{len(names):,} categories in the block lists; the limit is 65,535")
        everything = np.frombuffer(hashes, np.uint64) if hashes else np.zeros(0, np.uint64)
        distinct, first = np.unique(everything, return_index=True)
        kinds = np.frombuffer(categories, np.uint16) if categories else np.zeros(0, np.uint16)
        with atomic_path(folder) as temporary:
            temporary.mkdir(parents=True)
            np.save(temporary / "hashes.npy", distinct, allow_pickle=False)
            np.save(temporary / "categories.npy", kinds[first], allow_pickle=False)
            (temporary / "names.json").write_text(json.dumps(names), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> HashList:
        """The list that `build` left in `folder`, mapped rather than read."""
        hashes = np.load(folder / "hashes.npy", mmap_mode="r", allow_pickle=False)
        categories = np.load(folder / "categories.npy", mmap_mode="r", allow_pickle=False)
        return cls(hashes, categories, json.loads((folder / "names.json").read_text(encoding="utf-8")))


def built_lists(paths: Sequence[Path], cache: Path, on_build: Callable[[], None] = lambda: None) -> Path:
    """The folder below `cache` that holds the lists in `paths`, built now if it is not there.

    Args:
        on_build: Called before anything is built: millions of lines take seconds.

    Raises:
        UserError: a path does not exist.
    """
    digest = hashlib.sha256(FORMAT.encode())
    for path in list_files(paths):
        digest.update(f"{path.parent.name}/{path.name} {sha256_file(path)}\n".encode("utf-8", "replace"))
    folder = cache / digest.hexdigest()[:16]
    if not (folder / "names.json").is_file():
        on_build()
        HashList.build(paths, folder)
    return folder


def list_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The list files in `paths`; of a folder, all but hidden ones, licences and UT1's files of expressions.

    Raises:
        UserError: a path does not exist.
    """
    for path in paths:
        if path.is_dir():
            yield from (file for file in sorted(path.rglob("*")) if file.is_file() and _is_list(file))
        elif path.is_file():
            yield path
        else:
            raise UserError(
                f"no block list at {path}; corpus.url.blocklists takes files with one host a line, or folders of them;"
                " `glassmill lists` installs some"
            )


def _is_list(path: Path) -> bool:
    name = path.name.lower()
    return not (name.startswith((".", *PAPERS)) or name in NO_LISTS)


def _keys_in(path: Path) -> Iterator[str]:
    for _, line in text_lines(path):
        if len(line) > MAX_LINE_CHARACTERS:
            continue  # no address is that long
        fields = _without_comment(line).split()
        named = len(fields) > 1 and _IP.fullmatch(fields[0])
        hosts = fields[1:] if named else map(_host_in, fields[:1])
        yield from filter(None, map(listed_key, hosts))


def _host_in(field: str) -> str:
    """The host of `host,category` and of dnsmasq's `address=/host/0.0.0.0`; any other address as it is."""
    found = _DNSMASQ.match(field)
    if found:
        return found[1]
    host = re.split("[,;]", field, maxsplit=1)[0]
    return field if "/" in host else host


def _without_comment(line: str) -> str:
    """`#` begins a comment at the start of a line and behind a blank; in a URL, a fragment. `!` is AdBlock's."""
    return "" if line.startswith(("#", "!", "[")) else line.partition(" #")[0].partition("\t#")[0]


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=8).digest(), "little")
