"""The host and the path that an address means, however it is written; the same for pages and for lines of URL lists.

In: a text such as `HTTPS://user:pass@WWW.Example.com.:8080/a%20b`, `//example.com/x`, `example.com/x`,
`urn:pageinfo:https://example.com/`, `dns:example.com`, `<https%3A%2F%2Fexample.com%2F>`. Out: host and path, or None
if it names no host of the web. Browsers' rules (WHATWG URL) where they matter: case, slashes, line ends, credentials,
ports, dots, percent signs and Unicode in hosts.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple
from urllib.parse import unquote

from glassmill.corpus.endings import top_level_domains

MAX_URL_CHARACTERS = 8192
"""Longer addresses are cut before anything looks at them: servers take 8,000 bytes (RFC 9110, 4.1)."""
MAX_HOST_CHARACTERS = 253
MAX_HOST_LABELS = 127
"""RFC 1035, 2.3.4; of a longer host, the last labels count."""

_PLAIN_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_-])?")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{0,20}):(?![0-9]{1,5}(?:/|\Z))", re.IGNORECASE)
_WEB = frozenset({"http", "https", "ftp", "ftps", "ws", "wss", "gopher", "gemini", "hxxp", "hxxps"})
_WRAPPERS = frozenset(
    {"urn", "url", "uri", "metadata", "dns", "view-source", "feed", "cache", "screenshot", "warc", "whois"}
)
_INNER = re.compile(r"(?:https?|ftp)(?::|%3a)(?:/|%2f|\\)", re.IGNORECASE)
_ESCAPED = re.compile(r"[a-z][a-z0-9+.-]{0,20}(?:%3a|:)%2f", re.IGNORECASE)
_AROUND = " \t\r\n\f\v\ufeff\u200b\u00a0<>\"'`“”«»"
_IGNORED = str.maketrans("", "", "\t\r\n\ufeff\u200b\u00ad")
_DOTS = str.maketrans({"\u3002": ".", "\uff0e": ".", "\uff61": "."})
MAX_WRAPPERS = 4


class WebAddress(NamedTuple):
    """A host in lower case and ASCII, and path with query as in the address, without the slash at either end."""

    host: str
    path: str

    @property
    def key(self) -> str:
        """The form of URLs in the lists: lower case, without scheme, credentials, port, `www.` and percent signs."""
        path = unquote(self.path).lower().strip("/")
        host = self.host.removeprefix("www.")
        return f"{host}/{path}" if path else host


def web_address(text: str) -> WebAddress | None:
    """What `text` means as an address on the web; None if it is none.

    Example:
        >>> web_address("HTTPS://WWW.Example.com.:443/A/")
        WebAddress(host='www.example.com', path='A')
        >>> web_address("folder/page.html") is None
        True
    """
    text = text[:MAX_URL_CHARACTERS].strip(_AROUND).translate(_IGNORED).replace("[.]", ".")  # `hxxp://evil[.]example`
    for _ in range(MAX_WRAPPERS):
        if _ESCAPED.match(text):
            text = unquote(text)
        scheme = _SCHEME.match(text)
        if not scheme:
            break
        name, rest = scheme[1].lower(), text[scheme.end() :]
        if name in _WEB:
            text = rest.lstrip("/\\")
            if _INNER.match(text):  # `http://https://example.com/`
                continue
            return _address(text)
        if name not in _WRAPPERS:
            return None
        inner = _INNER.search(rest)
        if name == "urn" and not inner:
            return None
        text = (rest[inner.start() :] if inner else rest.lstrip("/\\")).strip(_AROUND)
        if not inner:
            return _address(text)
    if text.startswith(("//", "\\\\")):
        return _address(text.lstrip("/\\"))
    return _address(text) if _begins_with_host(text) else None


def listed_key(text: str) -> str:
    """A line of a URL list as `WebAddress.key`: a host, a URL, a host with `*.` or `||` before it; "" for none.

    A word alone is a top-level domain: UT1 lists some.
    """
    text = text.lower()
    if _PLAIN_HOST.fullmatch(text) and len(text) <= MAX_HOST_CHARACTERS:
        return text.removeprefix("www.")
    text = text.strip(_AROUND).removeprefix("||").rstrip("^").removeprefix("*.").lstrip(".")
    address = web_address(text) or _address(text)
    return address.key if address else ""


def _begins_with_host(text: str) -> bool:
    """Whether a text without a scheme is an address rather than the name of a file: its first part has an ending."""
    host, slash, _ = text.replace("\\", "/").partition("/")
    host = host.rpartition("@")[2].partition(":")[0].rstrip(".").lower()
    known = "." in host and host.rpartition(".")[2] in top_level_domains()
    return known and (bool(slash) or host.startswith("www.")) and " " not in host


def _address(text: str) -> WebAddress | None:
    """`user:password@host:port/path?query#fragment`."""
    end = re.search(r"[/\\?#]", text)
    authority, path = (text[: end.start()], text[end.start() :]) if end else (text, "")
    host = normal_host(authority)
    return WebAddress(host, path.partition("#")[0].replace("\\", "/").strip("/")) if host else None


def normal_host(authority: str) -> str:
    """The host of `user:password@Host.:8080` in lower case and ASCII (`xn--`); "" if there is none."""
    host = authority.rpartition("@")[2].strip()
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    host = re.sub(r":\d*$", "", host)
    if "%" in host:
        host = unquote(host)
    if not host.isascii():
        host = _ascii(unicodedata.normalize("NFKC", host).translate(_DOTS))
    host = host.lower().strip(".")
    if len(host) > MAX_HOST_CHARACTERS or host.count(".") >= MAX_HOST_LABELS:
        host = ".".join(host[-MAX_HOST_CHARACTERS:].split(".")[-MAX_HOST_LABELS:])
    return "" if re.search(r"[\s/\\?#@<>]", host) else host


def _ascii(host: str) -> str:
    """IDNA's form of a host, label by label: what cannot be encoded stays as it is."""
    return ".".join(_label(label) for label in host.lower().split("."))


def _label(label: str) -> str:
    try:
        return label if label.isascii() else label.encode("idna").decode("ascii")
    except UnicodeError:
        return "xn--" + label.encode("punycode", "replace").decode("ascii")
