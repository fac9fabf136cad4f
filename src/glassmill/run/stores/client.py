"""What is asked of a store: what lies there, and bytes of it; and, of those that can be written, to put and delete.

In: addresses. Out: entries and bytes. The stores are fsspec's, each with the package that it needs, which is imported
when its first address is; web servers are asked by `web.py`. Every request is repeated as `persistence.py` says, which
is why the libraries' own repetitions are switched off.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from glassmill.errors import TransientError, UserError
from glassmill.run.stores.address import STORES, WEB, parts_of, scheme_of
from glassmill.run.stores.persistence import persistently, timeout_s

DELETED_AT_ONCE = 500


class Entry(NamedTuple):
    """A file in a store: its address, bytes, and the tag that changes when its bytes do (an ETag, or the like)."""

    address: str
    size: int
    etag: str


def entry_at(address: str) -> Entry | None:
    """The file at an address; None if there is none.

    Raises:
        UserError: the store cannot be asked.
    """
    scheme = scheme_of(address)

    def look() -> Entry | None:
        try:
            if scheme in WEB:
                return Entry(address, *_web().look(address))
            _store(scheme).invalidate_cache()
            return _entry(address, _store(scheme).info(_path(address)))
        except (FileNotFoundError, IsADirectoryError):
            return None

    return persistently(address, look)


def entries_under(address: str) -> list[Entry]:
    """All files whose keys begin with the address as a folder, or match it as a glob; in the order of their parts.

    Raises:
        UserError: the store cannot be asked, or cannot list.
    """
    scheme = scheme_of(address)
    if scheme in WEB:
        raise UserError(f"{address}: a web server lists no files; name each file, or give an s3:// address")
    store = _store(scheme)
    is_glob = any(sign in address for sign in "*?[")

    def look() -> Mapping[str, Mapping[str, Any]]:
        store.invalidate_cache()
        try:
            found = store.glob(_path(address), detail=True) if is_glob else store.find(_path(address), detail=True)
        except FileNotFoundError:
            return {}
        return {path: info for path, info in found.items() if info.get("type") == "file"}

    entries = [_entry(f"{scheme}://{path.lstrip('/')}", info) for path, info in persistently(address, look).items()]
    return sorted((entry for entry in entries if entry), key=lambda entry: parts_of(entry.address))


def read_range(address: str, begin: int, end: int) -> bytes:
    """The bytes of a file from `begin` to before `end`, which must all be there.

    Raises:
        UserError: they cannot be read.
    """
    scheme = scheme_of(address)

    def read() -> bytes:
        if scheme in WEB:
            data: bytes = _web().read_range(address, begin, end)
        else:
            data = bytes(_store(scheme).cat_file(_path(address), start=begin, end=end))
        if len(data) != end - begin:
            raise TransientError(f"{len(data):,} bytes instead of {end - begin:,}")
        return data

    return persistently(address, read) if end > begin else b""


def put_file(path: Path, address: str) -> None:
    """Uploads a file, which is there whole or not at all: a store shows an object once it is complete."""
    store = _writable(address)
    persistently(address, lambda: store.put_file(str(path), _path(address)))


def put_bytes(data: bytes, address: str) -> None:
    """The same, of bytes."""
    store = _writable(address)
    persistently(address, lambda: store.pipe_file(_path(address), data))


def delete(addresses: Iterable[str]) -> None:
    """Deletes files; what is not there is no error."""
    given = list(addresses)
    for begin in range(0, len(given), DELETED_AT_ONCE):
        some = given[begin : begin + DELETED_AT_ONCE]
        store = _writable(some[0])

        def remove(store: Any = store, some: list[str] = some) -> None:
            try:
                store.rm([_path(address) for address in some])
            except FileNotFoundError:
                return

        persistently(some[0], remove)


def _writable(address: str) -> Any:
    if scheme_of(address) in WEB:
        raise UserError(f"{address}: a web server takes no files; give an s3:// address")
    return _store(scheme_of(address))


@cache
def _store(scheme: str) -> Any:
    package, install = STORES[scheme]
    if importlib.util.find_spec(package) is None:
        raise UserError(f"{scheme}:// needs the package {package}: {install}")
    import fsspec

    options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
    if scheme == "s3":
        wait = {"connect_timeout": timeout_s(), "read_timeout": timeout_s()}
        options["config_kwargs"] = {**wait, "retries": {"total_max_attempts": 1}}
    try:
        store = fsspec.filesystem(scheme, **options)
    except Exception as error:  # each library has its own
        raise UserError(f"{scheme}:// cannot be opened: {' '.join(str(error).split())[:200]}") from None
    if scheme == "s3":
        store.retries = 1
    return store


def _web() -> Any:
    from glassmill.run.stores import web  # imports requests

    return web


def _path(address: str) -> str:
    """What fsspec takes for the address: bucket and key."""
    return address.partition("://")[2]


def _entry(address: str, info: Mapping[str, Any]) -> Entry | None:
    if info.get("type") != "file":
        return None
    in_git = info.get("lfs") or {}
    tags = (info.get("ETag"), info.get("etag"), info.get("md5Hash"), in_git.get("sha256"), info.get("blob_id"))
    changed = (info.get("LastModified"), info.get("last_modified"), info.get("mtime"))
    tag = next((str(tag) for tag in (*tags, *changed) if tag), "")
    return Entry(address, int(info["size"]), tag.strip('"'))
