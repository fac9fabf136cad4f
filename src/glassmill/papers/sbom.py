"""The software that made the model: a CycloneDX 1.6 list of the Python packages, the native core and vendored scripts.

In: what is installed here. Out: JSON. Of packages only those that glassmill needs, directly or not.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from glassmill.run.files import sha256_file

SPEC = "1.6"
PACKAGE = Path(__file__).parent.parent
_NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)")
_VENDORED = re.compile(r"^\| ([\w.-]+) \| ([\w.-]+) ([\w.]+) \|[^|]*\| ([^|]+) \| ([0-9a-f]{64}) \|$", re.M)


def sbom() -> dict[str, Any]:
    """The document; equal installations give equal ones."""
    packages = _needed("glassmill")
    components = [_package(name, one) for name, one in sorted(packages.items()) if name != "glassmill"]
    components += [*_native(), *_vendored()]
    root = _package("glassmill", packages["glassmill"]) if "glassmill" in packages else {
        "type": "application", "name": "glassmill", "bom-ref": "pkg:pypi/glassmill", "version": "unknown",
    }  # fmt: skip
    refs = {name: _ref(name, one) for name, one in packages.items()}
    dependencies = [
        {"ref": refs[name], "dependsOn": sorted(refs[other] for other in _requirements(one) if other in refs)}
        for name, one in sorted(packages.items())
    ]
    serial = uuid.uuid5(uuid.NAMESPACE_URL, "\n".join(str(one["bom-ref"]) for one in components))
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": {**root, "type": "application"}},
        "components": components,
        "dependencies": dependencies,
    }


def _needed(name: str) -> dict[str, Distribution]:
    found: dict[str, Distribution] = {}
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        try:
            found[one] = distribution(one)
        except PackageNotFoundError:  # of another system, or an extra that is not installed
            continue
        waiting += _requirements(found[one])
    return found


def _requirements(one: Distribution) -> Iterator[str]:
    for line in one.requires or ():
        if "extra ==" not in line and (name := _NAME.match(line)):
            yield _normal(name[1])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _ref(name: str, one: Distribution) -> str:
    return f"pkg:pypi/{name}@{one.version}"


def _package(name: str, one: Distribution) -> dict[str, Any]:
    told = one.metadata
    expression, text = told["License-Expression"], told["License"]
    classified = [line.rsplit(" :: ", 1)[-1] for line in told.get_all("Classifier") or () if line.startswith("License")]
    licences: list[dict[str, Any]] = []
    if expression:
        licences = [{"expression": expression}]
    elif classified or text:
        licences = [{"license": {"name": (classified[0] if classified else text.splitlines()[0])[:120]}}]
    return {
        "type": "library",
        "bom-ref": _ref(name, one),
        "name": name,
        "version": one.version,
        "purl": _ref(name, one),
        **({"licenses": licences} if licences else {}),
    }


def _native() -> Iterator[dict[str, Any]]:
    for path in sorted((PACKAGE / "native").glob("_core*.so")):
        digest = sha256_file(path)
        yield {
            "type": "library",
            "bom-ref": f"glassmill-native-core@{digest[:12]}",
            "name": "glassmill-native-core",
            "version": digest[:12],
            "hashes": [{"alg": "SHA-256", "content": digest}],
            "licenses": [{"license": {"id": "MIT"}}],
        }


def _vendored() -> Iterator[dict[str, Any]]:
    listed = PACKAGE / "studio" / "static" / "vendor" / "LICENSES.md"
    for _file, name, version, licence, digest in _VENDORED.findall(listed.read_text(encoding="utf-8")):
        yield {
            "type": "library",
            "bom-ref": f"pkg:npm/{name}@{version}#{digest[:8]}",
            "name": name,
            "version": version,
            "purl": f"pkg:npm/{name}@{version}",
            "hashes": [{"alg": "SHA-256", "content": digest}],
            "licenses": [{"license": {"name": licence.strip()}}],
        }
