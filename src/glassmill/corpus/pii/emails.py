"""E-mail addresses: around an `@`, ASCII or not, and those spelt `name [at] host [dot] org`.

The part of RFC 5321 and RFC 6531 (internationalised addresses) that people write: no quoted local parts, no address
literals. The host must end in a top-level domain that exists (`corpus/endings.py`), because much that holds
an `@` is no address: decorators, `logo@2x.png`, `react@18.2.0`, R's slots, handles of social networks.
"""

from __future__ import annotations

import re
from functools import cache

from glassmill.corpus.endings import top_level_domains
from glassmill.corpus.pii.scan import Places, Scan, word_set

MAX_LOCAL_CHARACTERS = 64
_LOCAL_CHARACTERS = r"\w!#$%&'*+=?^`{|}~.-"
_LOCAL_BACKWARDS = re.compile(rf"[{_LOCAL_CHARACTERS}]{{1,{MAX_LOCAL_CHARACTERS}}}")
_SCRIPTS_WITHOUT_BLANKS = re.compile(
    r".*[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af](?=[0-9A-Za-z])", re.DOTALL
)
"""`联系ana@firma.cn`: the words before an address have no blank behind them."""
_DOMAIN_RUN = re.compile(r"[\w-]{1,63}(?:\.[\w-]{1,63}){1,9}")
_VERSION = re.compile(r"v?\d+(?:\.\d+)+(?:[.-]|$)|\d+(?:\.\d+)?x\.", re.IGNORECASE)  # @18.2.0-next, @2x.png
_SPELT_AT = re.compile(r"[\[({] ?at ?[\])}] ?", re.IGNORECASE)
_SPELT_DOMAIN = re.compile(r"[\w-]{1,63}(?:(?:\.|\s?[\[({]\s?dot\s?[\])}]\s?)[\w-]{1,63}){1,4}", re.IGNORECASE)
_SPELT_DOT = re.compile(r"\s?[\[({]\s?dot\s?[\])}]\s?", re.IGNORECASE)
_REPOSITORY_USERS = frozenset({"git", "hg", "svn", "bzr", "cvs", "gitlab", "gitea", "forgejo", "aur"})
_FORGES = ("github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "ssh.dev.azure.com", "vs-ssh.visualstudio.com")
_METHODS = frozenset(
    {"to", "is", "id", "in", "it", "at", "name", "run", "new", "link", "post", "page", "tab", "sh", "py"}
)
_SEVERAL = re.compile(r"[\w.+-]{0,32}\{[\w.+-]+(?:[ ,|/]{1,2}[\w.+-]+){0,12}\}\Z")  # {ana,bob}@mill.org
_FIELDS = re.compile(
    r".*(?:(?<![^\W_])(?:e-?mail(?:address)?|mail|user(?:name)?|login|to|from|cc|bcc|uid|rua|ruf)|[?&][\w.-]{1,32})=",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"://[^\s/@:]{0,64}:\Z")
_HANDLE = re.compile(r"\W?@\Z")
_LABELS = frozenset({"this", "super", "return", "break", "continue"})
"""Kotlin's: `this@Activity.name`."""
_FILES = frozenset(
    {"pdf", "txt", "doc", "docx", "eml", "msg", "csv", "json", "html", "xlsx", "png", "jpg", "vcf", "asc"}
)
_PORT = re.compile(r":[0-9]{1,5}(?![\w/])")

CODE_WORDS = word_set(
    "data prod next java zip mov foo call here now like read open save play map case bot box docs drive meet"
    " android chrome channel fly hot jot joy got pay ping pin room secure select search show silk song spot"
    " talk target zero author buy circle fast fire free deal windows total"
)
"""Delegated, but used by a company for itself or hardly at all, and everyday words of program text: `meta.data`."""


@cache
def mail_domains() -> frozenset[str]:
    """The endings that the host of an address can have."""
    return (top_level_domains() | {"onion"}) - CODE_WORDS


def find_emails(scan: Scan) -> Places:
    """Addresses with `@`, then those spelt out."""
    text = scan.text
    end = 0
    for place, behind in scan.at_signs:
        if place >= end and (span := _around(text, place, behind, end)):
            end = span[1]
            yield span
    for place in scan.brackets:
        match = _SPELT_AT.match(text, place)
        if not match:
            continue
        stop = match.start() - text.endswith(" ", 0, match.start())
        local = _local_part(text, stop)
        domain = _SPELT_DOMAIN.match(text, match.end())
        if local and domain and _host_end(_SPELT_DOT.sub(".", domain[0])):
            yield stop - len(local), domain.end()


def _around(text: str, place: int, after: int, begin: int) -> tuple[int, int] | None:
    """The address around the sign from `place` to `after`, if there is one that begins at `begin` or later."""
    if text[place - 1 : place].isspace() or place == 0:
        return None
    domain = _DOMAIN_RUN.match(text, after)
    length = _host_end(domain[0]) if domain else 0
    if not domain or not length or (domain[0][0] in "0123456789vV" and _VERSION.match(domain[0])):
        return None
    end = after + length
    behind = text[end : end + 1]
    host = domain[0][:length].lower()
    if behind == "$" or (behind == "(" and host.rpartition(".")[2] in _METHODS):
        return None  # R's `object@slot.name$column`, the call in `matrix@model.to(device)`
    local = _local_part(text, place, begin)
    start = place - len(local)
    before = text[start - 1] if start else ""
    if local[-1:] == "}" and (several := _SEVERAL.search(text, max(0, place - 160), place)):
        return several.start(), end
    if not local or local in _LABELS or (before == "@" and _HANDLE.match(text[max(0, start - 2) : start])):
        return None  # `@name@server.org`
    if before == ":" and _LOGIN.search(text[max(0, start - 80) : start]):
        return None  # `https://name:password@server.org`: see `secrets.py`
    if local.lower() in _REPOSITORY_USERS and (
        host.endswith(_FORGES) or behind == "/" or (behind == ":" and not _PORT.match(text, end))
    ):
        return None  # git@host.org:owner/name.git
    return start, end


def _local_part(text: str, end: int, begin: int = 0) -> str:
    """The local part that ends at `end`, without marks that only stand before it."""
    match = _LOCAL_BACKWARDS.match(text[max(begin, end - MAX_LOCAL_CHARACTERS) : end][::-1])
    if not match:
        return ""
    local = match[0][::-1].lstrip(".'`{|/=-&?*!$%~^#+")
    if "=" in local:
        local = _FIELDS.sub("", local, 1)
    if not local.isascii():
        local = _SCRIPTS_WITHOUT_BLANKS.sub("", local, 1)
    return local


def _host_end(run: str) -> int:
    """The length of the host with which `run` begins, 0 if its ending does not exist.

    What is glued on behind is left out: `firma.de_`, `firma.cn的`, and the next sentence in `firma.de.Bitte`.
    """
    known = mail_domains()
    labels = run.split(".")
    length = len(run)
    for number in range(len(labels) - 1, 0, -1):
        label = labels[number]
        name = _ending(label, known, whole_host_is_foreign=not labels[number - 1].isascii())
        if name and all(labels[:number]):
            return length - len(label) + name
        length -= len(label) + 1
        if label.lower() in _FILES:
            continue
        if label and not (label[0].isupper() or not label[0].isascii() or label.strip("-_") == ""):
            return 0
    return 0


def _ending(label: str, known: frozenset[str], whole_host_is_foreign: bool) -> int:
    """How many characters of `label` are a top-level domain."""
    bare = label.rstrip("-_")
    if bare.lower() in known:
        return len(bare)
    if bare.isascii():
        return 0
    ascii_part = len(bare) - len(bare.lstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    if ascii_part and not bare[ascii_part].isascii() and bare[:ascii_part].lower() in known:
        return ascii_part
    return len(bare) if whole_host_is_foreign and bare.isalpha() and len(bare) >= 2 else 0
