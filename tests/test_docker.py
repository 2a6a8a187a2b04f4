"""The Dockerfile, as far as it can be tried without an engine: its files, commands and start."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
import yaml
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[1]
IGNORED = (ROOT / ".dockerignore").read_text().splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile and their values, in order."""
    parser = DockerfileParser(fileobj=BytesIO((ROOT / "Dockerfile").read_bytes()))
    found = [(step["instruction"], step["value"]) for step in parser.structure]
    return [step for step in found if step[0] != "COMMENT"]


def values(steps: list[tuple[str, str]], kind: str) -> list[str]:
    return [value for instruction, value in steps if instruction == kind]


def copied(steps: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What is copied from the checkout, with its place in the image."""
    found = []
    for value in values(steps, "COPY"):
        *sources, target = value.split()
        if not sources[0].startswith("--from="):
            found += [(source, target) for source in sources]
    return found


def test_it_copies_what_is_there_and_not_ignored(steps: list[tuple[str, str]]) -> None:
    names = [source for source, _ in copied(steps)]
    assert all((ROOT / name).exists() for name in names)
    assert "*" in IGNORED
    assert {line[1:] for line in IGNORED if line.startswith("!")} == set(names)


def test_its_files_make_the_package(steps: list[tuple[str, str]], tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name, target in copied(steps):
        if (ROOT / name).is_dir():
            leave = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / target, ignore=leave)
        else:
            shutil.copy(ROOT / name, source / target)
    words = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(source)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    modules = {str(f.relative_to(ROOT / "src")) for f in ROOT.glob("src/segbench/**/*.py")}
    configs = {f"segbench/conf/{f.relative_to(ROOT / 'conf')}" for f in ROOT.glob("conf/**/*.yaml")}
    assert modules | configs <= names


def test_its_shell_commands_are_well_formed(steps: list[tuple[str, str]]) -> None:
    commands = values(steps, "RUN")
    assert len(commands) > 3
    for command in commands:
        done = subprocess.run(["sh", "-n", "-c", command], capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"


def test_it_installs_what_the_project_names(steps: list[tuple[str, str]]) -> None:
    (torch,) = [each for each in values(steps, "RUN") if "download.pytorch.org" in each]
    assert re.findall(r'"(torch[^"]*)"', torch) == PROJECT["dependencies"][:2]
    assert "${TORCH}" in torch
    arguments = dict(value.split("=") for value in values(steps, "ARG"))
    assert set(arguments["EXTRAS"].split(",")) <= set(PROJECT["optional-dependencies"])
    assert f"Programming Language :: Python :: {arguments['PYTHON']}" in PROJECT["classifiers"]


def test_it_starts_segbench_as_no_root(steps: list[tuple[str, str]], tmp_path: Path) -> None:
    (user,) = values(steps, "USER")
    assert int(user.partition(":")[0]) > 0
    (entry,), (command,) = (map(json.loads, values(steps, kind)) for kind in ("ENTRYPOINT", "CMD"))
    assert entry[0] == "python"
    words = [sys.executable, *entry[1:], *command]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Groups and their options" in done.stdout


def test_the_forge_builds_it(steps: list[tuple[str, str]]) -> None:
    text = (ROOT / ".github/workflows/docker.yml").read_text()
    (job,) = yaml.safe_load(text)["jobs"].values()
    assert job["strategy"]["matrix"]["torch"] == ["cpu", "cu126"]
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert any("docker build --build-arg TORCH=${{ matrix.torch }}" in each for each in commands)
    known = {value.partition("=")[0] for value in values(steps, "ARG")}
    for file in (text, (ROOT / "docs/using.md").read_text(), (ROOT / "Dockerfile").read_text()):
        assert set(re.findall(r"--build-arg (\w+)=", file)) <= known
    for command in commands:
        plain = re.sub(r"\$\{\{.*?\}\}", "cpu", command)
        assert subprocess.run(["bash", "-n", "-c", plain]).returncode == 0
