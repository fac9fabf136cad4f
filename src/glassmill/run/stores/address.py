"""Addresses of object stores: `s3://bucket/key`, `gs://...`, `az://...`, `hf://datasets/...`, `https://...`.

An address holds no secret. Credentials come from where the store's own tools look for them (environment, configuration
files, the machine's role), because recipes, manifests and pages keep addresses.
"""

from __future__ import annotations

import re

from glassmill.errors import UserError
from glassmill.printable import shown

STORES: dict[str, tuple[str, str]] = {
    "s3": ("s3fs", "pip install 'glassmill[s3]'"),
    "gs": ("gcsfs", "pip install gcsfs"),
    "az": ("adlfs", "pip install adlfs"),
    "abfs": ("adlfs", "pip install adlfs"),
    "hf": ("huggingface_hub", "pip install huggingface_hub"),
}
"""Scheme -> the package that fsspec needs for it, and how to install that."""
WEB = ("https", "http")
UPLOADING, PUBLISHED = "UPLOADING.json", "PUBLISHED.json"
"""The lists beside a pushed run's files: see `glassmill.run.published`."""
CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    "abfs": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    "hf": "HF_TOKEN",
}
"""Where each store's own tools look."""
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_LOGIN = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*@")
_SECRET = re.compile(
    r"(?i)([?&;](?:[\w-]*(?:signature|credential|token|secret|password|passwd|api-?_?key|accesskeyid)|sig|key|auth)=)"
    r"[^&;#\s'\"]+"
)


def is_address(word: object) -> bool:
    """Whether a word is the address of a store, rather than a path."""
    return isinstance(word, str) and _ADDRESS.match(word) is not None


def scheme_of(address: str) -> str:
    """The scheme, in lower case.

    Raises:
        UserError: no store that glassmill reads, or the address holds a secret.
    """
    match = _ADDRESS.match(address)
    if match is None:
        raise UserError(f"{shown(address)!r} is no address of a store; write s3://bucket/prefix")
    scheme = match[1].lower()
    if scheme not in STORES and scheme not in WEB:
        known = ", ".join(f"{name}://" for name in (*STORES, *WEB))
        raise UserError(f"{shown(masked(address))!r}: no store of that kind is read; known: {known}")
    if masked(address) != address:
        where = CREDENTIALS.get(scheme, "a file that you download yourself")
        raise UserError(
            f"{shown(masked(address))!r} holds a secret, and a run keeps its recipe; give the bare address, and "
            f"credentials by {where}"
        )
    if scheme in STORES and not address.partition("://")[2].strip("/"):
        raise UserError(f"{shown(address)!r} names no bucket; write {scheme}://bucket/prefix/")
    return scheme


def masked(text: str) -> str:
    """`text` with the secrets of addresses in it as `***`.

    Example:
        >>> masked("https://me:pass@host/a.warc.gz?X-Amz-Signature=5f3a&part=2")
        'https://***@host/a.warc.gz?X-Amz-Signature=***&part=2'
    """
    return _SECRET.sub(r"\1***", _LOGIN.sub("***@", text))


def parts_of(address: str) -> tuple[str, ...]:
    """Store, and the parts of the key: what `Path.parts` is of a path.

    Example:
        >>> parts_of("s3://bucket/crawl/a.warc.gz")
        ('s3://bucket', 'crawl', 'a.warc.gz')
    """
    scheme, _, rest = address.partition("://")
    if scheme.lower() in WEB:
        rest = rest.partition("?")[0].partition("#")[0]
    first, *others = rest.split("/")
    return (f"{scheme}://{first}", *(part for part in others if part))
