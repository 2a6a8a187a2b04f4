"""The colours of classes."""

from itertools import combinations

import pytest

from segbench.colours import IGNORED, PALETTE, _distance, class_colour, class_colours


def test_no_two_classes_share_a_colour() -> None:
    colours = [class_colour(label) for label in range(255)]
    assert len(set(colours) | {IGNORED}) == 256
    assert colours[: len(PALETTE)] == list(PALETTE)
    assert all(0 <= part <= 255 for colour in colours for part in colour)


@pytest.mark.parametrize(("count", "least"), [(12, 110), (21, 100), (35, 90)])
def test_colours_of_many_classes_can_be_told_apart(count: int, least: float) -> None:
    """CamVid has 11 classes, VOC 21 and Cityscapes 35."""
    colours = [*(class_colour(label) for label in range(count)), IGNORED]
    assert min(_distance(one, other) for one, other in combinations(colours, 2)) > least


def test_a_palette_gives_its_colours_and_other_classes_get_theirs() -> None:
    found = class_colours(["sky", "road", "7"], 11, None, {"road": [128, 64, 128], "7": [1, 2, 3]})
    assert found.colours == (PALETTE[1], (128, 64, 128), (1, 2, 3))
    assert (found.ignored, found.background) == (11, None)
    assert found.legend(["sky", "road", "7"])[1] == ("road", (128, 64, 128))


@pytest.mark.parametrize("background", [0, None])
def test_as_many_colours_as_classes(background: int | None) -> None:
    found = class_colours([*map(str, range(255))], background=background)
    assert len(set(found.colours)) == 255
    assert (found.colours[0] == PALETTE[0]) == (background == 0)
