"""Published layouts are recognised, from the data set's folder and from the one that holds it."""

from pathlib import Path

import pytest

from segbench.config.build import build
from segbench.config.registry import compose
from segbench.data.layouts.known import find_known
from segbench.errors import DataError

FOLDERS = {
    "dsb2018": "dsb2018/stage1_train",
    "ph2": "ph2/PH2Dataset/PH2 Dataset images",
    "pets": "oxford-iiit-pet/annotations/trimaps",
    "camvid": "CamVid/trainannot",
}


@pytest.mark.parametrize("data", FOLDERS)
def test_its_own_folder_and_the_one_above(data: str, tmp_path: Path) -> None:
    own = tmp_path / FOLDERS[data].partition("/")[0]
    assert find_known(tmp_path) is None
    (tmp_path / FOLDERS[data]).mkdir(parents=True)
    assert find_known(tmp_path) == find_known(own) == data
    assert find_known(tmp_path / FOLDERS[data]) is None
    module = build(compose(overrides=[f"data={data}", f"data.root={own}"]).data, "data")
    with pytest.raises(DataError, match="stage1_train|PH2 Dataset images|images|train"):
        module.find_cases()  # its class looks in the same place, where there are no pictures


def test_a_common_name_alone_is_not_enough(tmp_path: Path) -> None:
    (tmp_path / "mine/trainannot").mkdir(parents=True)
    assert find_known(tmp_path / "mine") is None


def test_init_and_check_name_the_data_set(
    segbench: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stage1_train").mkdir()
    assert callable(segbench)
    assert segbench("init", ".", "nuclei") == 0
    assert "defaults:\n  - dsb2018\n" in (tmp_path / "mine/data/nuclei.yaml").read_text()
    assert segbench("check", "data=folder", "data.root=.") == 1
    assert "data=dsb2018 reads" in capsys.readouterr().out
