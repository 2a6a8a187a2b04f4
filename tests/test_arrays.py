"""Steps over arrays in blocks give what the same steps over whole arrays give."""

import numpy as np
import pytest

from segbench import arrays
from segbench.arrays import by_blocks, label_counts, row_blocks


@pytest.mark.parametrize(("rows", "elements", "most"), [(10, 7, 20), (1, 500, 20), (0, 3, 20)])
def test_blocks_cover_all_rows_once(
    rows: int, elements: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "BLOCK", most)
    blocks = [*row_blocks(rows, elements)]
    assert [k for block in blocks for k in range(block.start, block.stop)] == [*range(rows)]
    assert all((b.stop - b.start) * elements <= most or b.stop - b.start == 1 for b in blocks)


@pytest.mark.parametrize("most", [1, 40, 1000])
def test_a_change_by_blocks_is_that_of_the_whole(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "BLOCK", most)
    image = np.random.default_rng(0).integers(0, 256, (9, 5, 3), np.uint8)
    found = by_blocks(image, lambda rows: rows.astype(np.int64).sum(axis=2))
    np.testing.assert_array_equal(found, image.astype(np.int64).sum(axis=2))
    mask = image[:, :, 0]
    np.testing.assert_array_equal(label_counts(mask), np.bincount(mask.ravel(), minlength=256))
