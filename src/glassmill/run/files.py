"""Files that are either whole or absent: written under a temporary name, fsynced, renamed.

So neither kill -9 at any instant nor a full disk leaves half a file under its final name.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from glassmill.errors import FULL_DISK, UserError

TEMPORARY = ".partial"
UMASK = os.umask(0o022)
os.umask(UMASK)  # the only way to read it is to set it


@contextmanager
def locked(lock: Path, who: str) -> Iterator[None]:
    """Holds the file `lock` until the block ends; a killed process releases it.

    Raises:
        UserError: another process holds it; `who` names that process in the message.
    """
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        raise UserError(f"another {who} is working in {lock.parent}; wait for it or stop it") from None
    try:
        yield
    finally:
        held.release()


def is_held(lock: Path) -> bool:
    """Whether a living process holds `lock`: a killed one has released it."""
    if not lock.is_file():
        return False
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except (Timeout, OSError):  # OSError: another user's folder, which only its owner can lock
        return True
    held.release()
    return False


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, for a file or a folder; when the block ends, it is fsynced and renamed to `path`.

    Raises:
        UserError: the disk is full. What was at `path` before is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{platform.node()}-{os.getpid()}{TEMPORARY}")
    remove(temporary)
    try:
        yield temporary
        _open_to_all(temporary)
        sync(temporary)
        _rename(temporary, path)
        _sync_folder(path.parent)
    except BaseException as error:
        remove(temporary)
        if _number(error) in FULL_DISK:
            raise disk_full(path) from None
        raise


def _number(error: BaseException) -> int | None:
    """The system's number of an error; safetensors, which is written in Rust, has it in its message alone."""
    if isinstance(error, OSError):
        return error.errno
    said = re.search(r"\(os error (\d+)\)", str(error))
    return int(said[1]) if said else None


def _open_to_all(path: Path) -> None:
    """Modes as the umask says, for files of safetensors too, which makes its own 0600."""
    for file in path.rglob("*.safetensors") if path.is_dir() else [path]:
        if file.suffix == ".safetensors" or ".safetensors." in file.name:
            file.chmod(0o666 & ~UMASK)


def _rename(temporary: Path, path: Path) -> None:
    """Also over an existing folder, or one that another process creates at this moment."""
    for last_try in (False, False, True):
        if temporary.is_dir() and path.is_dir():
            remove(path)
        try:
            temporary.replace(path)
            return
        except OSError as error:
            if last_try or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def atomic_write(path: Path, content: bytes | str) -> None:
    """Writes `content` as the file at `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def atomic_json(path: Path, value: Any) -> None:
    """Writes `value` as readable JSON with a fixed layout: equal values give equal bytes.

    JSON has no NaN: null stands for a number that is not finite.
    """
    text = json.dumps(finite(value), indent=1, ensure_ascii=False, sort_keys=False, allow_nan=False)
    atomic_write(path, text + "\n")


def finite(value: Any) -> Any:
    """`value` with null for every number that is not finite, at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


def disk_full(path: Path) -> UserError:
    """The error for `FULL_DISK`: one message, wherever it happens."""
    return UserError(
        f"no space left while writing {path}; free some and run the same command again: finished work is kept"
    )


def cache_folder() -> Path:
    """Where glassmill caches downloads and checksums: `$GLASSMILL_CACHE`, otherwise the user's cache folder."""
    if os.environ.get("GLASSMILL_CACHE"):
        return Path(os.environ["GLASSMILL_CACHE"])
    base = os.environ.get("LOCALAPPDATA") if os.name == "nt" else os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "glassmill"


def installed(package: str, name: str) -> Path:
    """A file that lies in an installed package, which is not imported for it.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError(f"the package {package} is not installed")
    return Path(found.submodule_search_locations[0]) / name


def sha256_file(path: Path) -> str:
    """SHA-256 of the file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bytes_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())


def remove(path: Path) -> None:
    """Deletes a file or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Deletes the temporary files that killed processes left under `folder`."""
    for path in sorted(folder.rglob(f"*{TEMPORARY}")):
        remove(path)


def sync(path: Path) -> None:
    """Forces a file, or every file in a folder, to disk."""
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb+") as handle:
                os.fsync(handle.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder; NTFS journals the rename itself
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
