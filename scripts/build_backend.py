"""The build backend: scikit-build-core compiles the native core; where it cannot, glassmill is installed without it.

A wheel holds the compiled `glassmill.native._core`. An editable install compiles it into the checkout and gets its
path file from hatchling: scikit-build-core's editable mode installs an import hook that would override `PYTHONPATH`,
so another checkout could not be run. To compile the core of a checkout that is not installed:

    python scripts/build_backend.py      # needs nanobind, numpy and cmake; `make native` installs them first

GLASSMILL_NATIVE says what to do about the core:

    (unset)    Compile it. If that fails, print why and install without it; `glassmill doctor` reports that it is
               missing, and `glassmill.native` says what differs.
    require    Compile it; if that fails, the install fails.
    strict     As `require`, and a checkout is compiled with warnings as errors: for CI and for changes to the C++.
    off        Do not compile it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "src" / "glassmill" / "native"
WITHOUT = "glassmill: no native core here (%s): slower, and HTML extraction gives other text"

Settings = dict[str, Any] | None


def get_requires_for_build_sdist(config_settings: Settings = None) -> list[str]:
    return []


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """CMake and Ninja from PyPI where the machine has none."""
    from scikit_build_core.build import get_requires_for_build_wheel

    return [] if _wanted() == "off" else get_requires_for_build_wheel(config_settings)


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    from hatchling.build import get_requires_for_build_editable

    return [*get_requires_for_build_wheel(config_settings), *get_requires_for_build_editable(config_settings)]


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    from scikit_build_core.build import build_sdist

    return build_sdist(sdist_directory, config_settings)


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """A wheel for this platform, or a pure one."""
    from scikit_build_core.build import build_wheel
    from scikit_build_core.errors import ScikitBuildError

    if _wanted() != "off":
        try:
            return build_wheel(wheel_directory, config_settings, metadata_directory)
        except (SystemExit, ScikitBuildError) as error:  # SystemExit: CMake or the compiler failed, and said why
            _go_on_without(error)
    return build_wheel(wheel_directory, {**(config_settings or {}), "wheel.cmake": "false"}, metadata_directory)


def build_editable(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """A wheel that only holds the path of the checkout; the core is compiled into the checkout."""
    from hatchling.build import build_editable

    if _wanted() != "off":
        try:
            build_in_place()
        except (OSError, subprocess.CalledProcessError) as error:
            for left in SOURCES.glob("_core.*.so"):
                left.unlink()  # of older sources
            _go_on_without(error)
    return build_editable(wheel_directory, config_settings, metadata_directory)


def build_in_place() -> None:
    """Compiles the core into `src/glassmill/native`; of the sources, what changed since the last call.

    Raises:
        OSError: CMake is missing.
        CalledProcessError: CMake found no compiler or no headers, or the sources do not compile.
    """
    build = ROOT / "build" / f"native-{sys.implementation.cache_tag}"
    cmake, ninja = _program("cmake"), _program("ninja")
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"] if ninja else []
    # pip's build environments are temporary, so the paths in the cache may be gone.
    fresh = [] if _still_true(build / "CMakeCache.txt") else ["--fresh"]
    options = [f"-DPython_EXECUTABLE={sys.executable}", f"-DGLASSMILL_WERROR={_wanted() == 'strict'}"]
    steps = [
        ["-S", str(ROOT), "-B", str(build), *options, *generator, *fresh],
        ["--build", str(build), "--parallel", str(os.cpu_count() or 1)],
        ["--install", str(build), "--prefix", str(ROOT / "src")],
    ]
    for step in steps:
        subprocess.run([cmake or "cmake", *step], check=True)


def _program(name: str) -> str | None:
    """The first that runs, this environment's before others: in pip's build environment, a script that pip installed
    beside Python does not find its own module."""
    folders = [str(Path(sys.executable).parent), *os.environ.get("PATH", os.defpath).split(os.pathsep)]
    for folder in folders:
        found = shutil.which(name, path=folder) if folder else None
        if found and not subprocess.run([found, "--version"], capture_output=True, check=False).returncode:
            return found
    return None


def _still_true(cache: Path) -> bool:
    """Whether CMake's cache names this Python and a nanobind that still exists."""
    lines = cache.read_text(encoding="utf-8").splitlines() if cache.is_file() else []
    known = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith(("#", "//")))
    nanobind = Path(known.get("nanobind_DIR:PATH", ""))
    return (
        known.get("Python_EXECUTABLE:UNINITIALIZED", "") == sys.executable
        and (nanobind / "nanobind-config.cmake").exists()
    )


def _wanted() -> str:
    return os.environ.get("GLASSMILL_NATIVE", "").lower()


def _go_on_without(error: BaseException) -> None:
    if _wanted() in ("require", "strict"):
        raise error
    print(WITHOUT % (str(error) or type(error).__name__), file=sys.stderr)


if __name__ == "__main__":
    build_in_place()
