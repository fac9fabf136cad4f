"""The examples for clusters are what they say: files that parse, pods that see the same folders, pinned images.

`test_docs.py` looks up their commands and settings, `run/test_slurm.py` runs the script for Slurm.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PINNED = dict(re.findall(r"^([\w-]+)==([^\s;]+)", (ROOT / "constraints.txt").read_text(), re.M))

pytestmark = pytest.mark.skipif(not (DOCS / "Dockerfile").exists(), reason="needs a checkout")


def example(name: str) -> Any:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return yaml.safe_load((DOCS / name).read_text())


def test_all_pods_of_the_ray_job_have_one_image_and_see_the_same_folders() -> None:
    job = example("corpus-kuberay.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == PINNED["ray"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    pods = [group["template"]["spec"] for group in groups]
    seen = []
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"]
        (container,) = pod["containers"]
        claims = {volume["name"]: volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"]}
        seen.append((container["image"], {one["mountPath"]: claims[one["name"]] for one in container["volumeMounts"]}))
    assert len(pods) == 2 and seen[0] == seen[1]
    words = shlex.split(job["spec"]["entrypoint"])
    places = [word.partition("=")[2] or word for word in words if word.startswith(("corpus.inputs=", "/"))]
    assert set(places) == set(seen[0][1]), "what the command reads and writes is mounted"


@pytest.mark.parametrize("name", ["corpus-skypilot.yaml", "train-skypilot.yaml"])
def test_the_scripts_of_a_task_for_skypilot_are_shell(name: str) -> None:
    task = example(name)
    assert set(task["envs"]) <= set(re.findall(r"\$\{?(\w+)", task["run"])), "every variable is used"
    if shutil.which("bash"):
        for script in (task["setup"], task["run"]):
            done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr


def test_the_image_is_pinned_and_belongs_to_nobody_powerful() -> None:
    text = (DOCS / "Dockerfile").read_text().replace("\\\n", " ")
    steps = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    known = {"FROM", "ARG", "RUN", "WORKDIR", "ENV", "COPY", "USER", "VOLUME", "ENTRYPOINT", "CMD"}
    assert {word for word, _ in steps} <= known
    values = {word: [value for other, value in steps if other == word] for word in known}
    assert all(re.match(r"python:3\.\d+\.\d+-slim-\w+", base) for base in values["FROM"])
    assert values["USER"] == ["1000"] and "--uid 1000" in text
    assert json.loads(values["ENTRYPOINT"][0]) == ["glassmill"]
    for install in re.findall(r"pip install .*", text):
        assert "-c constraints.txt" in install
        for name, version in re.findall(r"([\w-]+)(?:\[\w+\])?==([\w.]+)", install):
            assert PINNED[name] == version, install
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for extra in re.findall(r'"\.\[(\w+)\]"', text):
        assert extra in project["project"]["optional-dependencies"]


def test_the_image_gets_what_the_build_reads_and_nothing_else() -> None:
    lines = (DOCS / "Dockerfile.dockerignore").read_text().split()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {"pyproject.toml", "constraints.txt", "src", "scripts", "recipes", "CMakeLists.txt"}
    assert lines[0] == "*" and let_in == wanted | {project["readme"], *project["license-files"]}
    assert all((ROOT / name).exists() for name in let_in)
