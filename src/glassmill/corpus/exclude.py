"""Documents that the recipe takes out (`corpus.exclude`), by path, URL, glob or SHA-256.

They are recorded as dropped, with the entry that named them and without a word of them: not even the heading of a
section. A path names a file and all that it holds; a URL its page, whether with http or https, and all its sections; an
entry with `#` one section alone. A SHA-256 is that of a file, of a page as it was sent, or of a text as the corpus had
it (`documents.csv` of an audit has these). Copies under other names stay, unless an entry names them too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from fnmatch import translate
from pathlib import Path

from glassmill.corpus.document import Document
from glassmill.corpus.judge.rule import Rule, Verdict
from glassmill.errors import UserError
from glassmill.printable import shown
from glassmill.recipe import CorpusSettings
from glassmill.run.finished import is_done
from glassmill.run.hashes import hash_files
from glassmill.run.inputs import InputFile, recorded_inputs
from glassmill.run.names import user_path
from glassmill.run.stores.stored import StoredFile
from glassmill.textfiles import read_text

EXCLUDED = Rule("exclude/named", "taken out", "taken out by an entry of corpus.exclude")
MAX_ENTRIES = 1_000_000

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_SCHEME = re.compile(r"https?://(?:www\.)?", re.I)


class Exclusion:
    """The entries, ready to be compared with documents."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._digests: set[str] = set()
        self._names: dict[str, str] = {}
        globs: list[str] = []
        for entry in entries:
            if _SHA256.match(entry.lower()):
                self._digests.add(entry.lower())
            elif _is_glob(entry):
                globs.append(entry)
            else:
                self._names[_plain(entry)] = entry
        self._globs = [(entry, re.compile(translate(_plain(entry)))) for entry in globs]

    def __bool__(self) -> bool:
        return bool(self._digests or self._names or self._globs)

    def of_page(self, url: str, source: str, body: bytes) -> Verdict | None:
        """The verdict on a page or file before anything is made of it; None if no entry names it.

        Args:
            url: Its address or name.
            source: The name of the input file that it was read from.
            body: Its bytes.
        """
        return self.of_name(url, source) or self.of_bytes(body)

    def of_name(self, url: str, source: str = "") -> Verdict | None:
        """The same by its names alone."""
        address, _, _ = url.partition("#")
        names = [_plain(name) for name in dict.fromkeys((url, address, source)) if name]
        for name in [*names, *_holders(address)] if self._names else ():
            if name in self._names:
                return EXCLUDED.broken(1, 0, self._names[name])
        for entry, pattern in self._globs:
            if any(pattern.match(name) for name in names):
                return EXCLUDED.broken(1, 0, entry)
        return None

    def of_bytes(self, body: bytes) -> Verdict | None:
        """The same by the SHA-256 of its bytes."""
        if self._digests and (digest := hashlib.sha256(body).hexdigest()) in self._digests:
            return EXCLUDED.broken(1, 0, digest)
        return None


def emptied(document: Document, verdict: Verdict) -> Document:
    """An excluded document as it is recorded."""
    document.text = document.section = ""
    document.extracted, document.pii = 0, []
    document.drop("exclude", verdict)
    return document


def with_entries(settings: CorpusSettings, sources: Sequence[InputFile]) -> tuple[CorpusSettings, set[str]]:
    """The settings with `exclude_files` read, and with the names that input files have in the corpus for entries that
    name them by path or SHA-256; and these entries.

    Raises:
        UserError: a file of entries cannot be read, or has too many.
    """
    entries = entries_of(settings)
    if not entries:
        return settings, set()
    digests = {entry.lower(): entry for entry in entries if _SHA256.match(entry.lower())}
    paths = {_absolute(entry): entry for entry in entries if entry not in digests.values() and "://" not in entry}
    globs = [(re.compile(translate(path)), entry) for path, entry in paths.items() if _is_glob(entry)]

    def naming(path: str, digest: str) -> str | None:
        by_glob = next((entry for pattern, entry in globs if pattern.match(path)), None)
        return paths.get(path) or digests.get(digest) or by_glob

    readable = [one for one in sources if not one.refused]
    here = [(path, one.name) for one in readable if isinstance(path := one.path, Path)]
    hashed = hash_files([path for path, _ in here]) if digests else [None] * len(here)
    found = [
        (naming(str(path.absolute()), digest or ""), name) for (path, name), digest in zip(here, hashed, strict=True)
    ]
    found += [(naming(str(one.path), ""), one.name) for one in readable if isinstance(one.path, StoredFile)]
    for run in {path.parent.parent for path, _ in here if is_done(path.parent.parent)}:
        found += [(naming(row["path"], row["content"]), row["name"]) for row in recorded_inputs(run)]
    named = [name for entry, name in found if entry is not None]
    changed = {"exclude": tuple(dict.fromkeys([*entries, *named])), "exclude_files": ()}
    return settings.model_copy(update=changed), {entry for entry, _ in found if entry is not None}


def unused(asked: Iterable[str], used: Collection[str], dropped: Iterable[Document]) -> list[str]:
    """The entries that named nothing: a misspelt one must not pass for done.

    Args:
        asked: All entries.
        used: Those that named an input file.
        dropped: What the run dropped.
    """
    left = set(asked) - set(used)
    for document in dropped if left else ():
        if document.step == "exclude":
            left -= {document.detail, document.detail.upper()}
    return sorted(left)


def entries_of(settings: CorpusSettings) -> list[str]:
    """All entries of a recipe, in order.

    Raises:
        UserError: a file of entries cannot be read, or has too many.
    """
    entries = [entry.strip() for entry in settings.exclude]
    for word in settings.exclude_files:
        try:
            lines = read_text(user_path(word)).splitlines()
        except OSError as error:
            raise UserError(f"corpus.exclude_files: cannot read {shown(word)}: {error.strerror}") from None
        entries += [line.strip() for line in lines if not line.lstrip().startswith("# ")]
    found = list(dict.fromkeys(entry for entry in entries if entry))
    if len(found) > MAX_ENTRIES:
        raise UserError(f"corpus.exclude has {len(found):,} entries; at most {MAX_ENTRIES:,} are allowed")
    return found


def _is_glob(entry: str) -> bool:
    return any(character in entry for character in "*?[")


def _absolute(entry: str) -> str:
    return str(Path(user_path(entry)).absolute())


def _plain(name: str) -> str:
    """A name as it is compared: a URL without scheme, `www.` and a last slash, its host in lower case."""
    scheme = _SCHEME.match(name)
    if not scheme:
        return name.removeprefix("./")
    host, slash, path = name[scheme.end() :].partition("/")
    return f"//{host.lower()}{slash}{path}".rstrip("/")


def _holders(address: str) -> Iterable[str]:
    """The archives and letters that a member lies in: `papers.zip/a/b.txt` -> `papers.zip/a`, `papers.zip`."""
    if "://" in address:
        return
    at = len(address)
    while (at := address.rfind("/", 0, at)) > 0:
        yield address[:at]
