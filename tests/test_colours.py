"""The colours of classes."""

from itertools import combinations

import pytest

from segbench.colours import IGNORED, PALETTE, _distance, class_colour


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
