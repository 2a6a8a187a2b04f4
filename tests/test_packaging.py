"""The wheel carries the configs, and the installed command works away from the checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    words = ["wheel", "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder)]
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words, str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (made,) = folder.glob("segbench-*.whl")
    return made


def test_the_wheel_holds_every_yaml_and_module(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    configs = {f"segbench/conf/{f.relative_to(ROOT / 'conf')}" for f in ROOT.glob("conf/**/*.yaml")}
    modules = {str(f.relative_to(ROOT / "src")) for f in ROOT.glob("src/segbench/**/*.py")}
    assert len(configs) > 30
    assert configs | modules <= names
    assert not any("test" in Path(name).name.split("_") for name in names)


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
