from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from segbench.metrics.calibration import Calibration
from segbench.metrics.counts import ImageScores
from segbench.metrics.optional import OptionalScores

N, PROCESSES = 5, 2
# As a DistributedSampler deals 5 cases to 2 processes: the last is padding, case 0 again.
DEALT = [[0, 2, 4], [1, 3, 0]]


def cases() -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.randint(3, (2, N, 9, 7), generator=torch.Generator().manual_seed(0))
    return labels[0], labels[1]


def collect(batches: list[list[int]], surface: bool = True) -> dict[str, np.ndarray]:
    prediction, target = cases()
    optional = OptionalScores(skeletons=True, probabilities=True) if surface else None
    scores = ImageScores(3, surface=surface, optional=optional)
    for batch in batches:
        found = [calibration(prediction[each], target[each]) for each in batch]
        scores.update(prediction[batch], target[batch], torch.tensor(batch), calibrations=found)
    rows = vars(scores.compute())
    rows |= rows.pop("optional")
    return {name: x for name, x in rows.items() if x is not None}


def calibration(prediction: torch.Tensor, target: torch.Tensor) -> Calibration:
    """Of a network that is sure of its prediction by 8 parts in 10."""
    found = Calibration()
    chances = 0.1 + 0.7 * torch.nn.functional.one_hot(prediction, 3).movedim(-1, 0)
    found.add(chances.numpy(), target.numpy())
    return found


def work(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    store = (folder / "store").as_uri()
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=PROCESSES)
    # Batches of 2 and of 1; the same by one batch against three; all cases on one process alone.
    np.savez(folder / f"padded{rank}.npz", **collect([DEALT[rank][:2], DEALT[rank][2:]]))
    np.savez(folder / f"uneven{rank}.npz", **collect([[[4, 0, 1, 3]], [[2]]][rank]))
    np.savez(folder / f"alone{rank}.npz", **collect([[[0, 1, 2, 3, 4]], []][rank]))
    np.savez(folder / f"plain{rank}.npz", **collect([DEALT[rank]], surface=False))
    dist.destroy_process_group()


def test_two_processes_give_the_rows_of_one(tmp_path):
    expected = collect([[0, 1], [2, 3], [4]])
    mp.spawn(work, args=(tmp_path,), nprocs=PROCESSES)
    found = sorted(tmp_path.glob("*.npz"))
    assert len(found) == 4 * PROCESSES
    for path in found:
        with np.load(path) as arrays:
            assert expected.keys() - arrays.keys() == (
                {"surface", "confusion", "reliability", "cldice", "ece", "brier"}
                if "plain" in path.stem
                else set()
            )
            for name, array in arrays.items():
                np.testing.assert_array_equal(array, expected[name], err_msg=f"{path.stem} {name}")
                assert array.dtype == expected[name].dtype
