"""The archives are ready for PyPI, and the installed command works away from the checkout."""

import email
import re
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOB = "https://github.com/segbench/segbench/blob/main/"
RAW = "https://raw.githubusercontent.com/segbench/segbench/main/"


def build(folder: Path, *words: str) -> None:
    """`python -m build`: the source archive, and from it the wheel; or what ``words`` ask for."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), *words]
    done = subprocess.run([*command, str(ROOT)], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build(folder)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (made,) = dist.glob("segbench-*.whl")
    return made


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_every_yaml_and_module(wheel: Path) -> None:
    names = set(contents(wheel))
    configs = {f"segbench/conf/{f.relative_to(ROOT / 'conf')}" for f in ROOT.glob("conf/**/*.yaml")}
    modules = {str(f.relative_to(ROOT / "src")) for f in ROOT.glob("src/segbench/**/*.py")}
    assert len(configs) > 30
    assert configs | modules | {"segbench/py.typed", "hydra_plugins/segbench_sweeper.py"} <= names
    assert not any("test" in Path(name).name.split("_") for name in names)


def test_the_wheel_of_the_source_archive_is_that_of_the_checkout(
    wheel: Path, tmp_path: Path
) -> None:
    build(tmp_path, "--wheel")
    (direct,) = tmp_path.glob("*.whl")
    assert direct.name == wheel.name
    assert contents(direct) == contents(wheel)


def test_the_source_archive_holds_what_the_tests_need(dist: Path) -> None:
    (made,) = dist.glob("segbench-*.tar.gz")
    with tarfile.open(made) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    kinds = {".py", ".yaml", ".md", ".ipynb", ".png", ".json", ".csv", ".html", ".css", ".js"}
    for folder in ("src", "conf", "tests", "docs", "benchmarks"):
        files = {path for path in (ROOT / folder).rglob("*") if path.suffix in kinds}
        here = {path.relative_to(ROOT).as_posix() for path in files}
        assert {
            name for name in here - names if not name.startswith("benchmarks/results/")
        } == set()
    assert {"LICENSE", "README.md", "pyproject.toml", "CHANGELOG.md"} <= names
    assert not any(name.startswith(("outputs", "data/", ".venv")) for name in names)


def test_pypi_would_take_both_archives(dist: Path) -> None:
    files = sorted(map(str, dist.iterdir()))
    assert len(files) == 2
    command = [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2


def test_the_metadata_are_complete(metadata: Message) -> None:
    assert metadata["License-Expression"] == "MIT"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Author"] == "the segbench authors"
    assert metadata["Description-Content-Type"] == "text/markdown"
    links = dict(each.split(", ") for each in metadata.get_all("Project-URL", []))
    assert {"Homepage", "Repository", "Documentation", "Changelog", "Issues"} == set(links)
    kinds = metadata.get_all("Classifier", [])
    for minor in (11, 12, 13):
        assert f"Programming Language :: Python :: 3.{minor}" in kinds
    assert not any(kind.startswith("License ::") for kind in kinds)  # PEP 639 forbids both
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {metadata['Version']}\n" in citation
    assert f"\n## {metadata['Version']}\n" in (ROOT / "CHANGELOG.md").read_text()


def test_every_link_of_the_long_description_leads_somewhere(metadata: Message) -> None:
    text = str(metadata.get_payload())
    assert text.strip() != (ROOT / "README.md").read_text().strip()
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", text)
    assert len(links) > 20
    assert sum(bool(picture) for picture, _ in links) == 2
    for picture, link in links:
        start = RAW if picture else BLOB
        if link.startswith("#"):
            continue
        assert link.startswith("https://"), link
        if "segbench/segbench" in link:
            assert link.startswith(start), link
            assert (ROOT / link.removeprefix(start).partition("#")[0]).is_file(), link


def test_installed_it_runs_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r}); import segbench; "
        f"assert segbench.__file__.startswith({str(site)!r}), segbench.__file__; "
        "from segbench.__main__ import main; sys.exit(main())"
    )
    words = ["model.base_channels=4", "model.depth=2", "data.count=12", "data.size=32"]
    done = subprocess.run(
        [sys.executable, "-c", code, "model=unet", *words, "trainer=smoke"],
        cwd=work,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "test scores" in done.stdout
    assert list(work.glob("outputs/default/*/run.json"))
