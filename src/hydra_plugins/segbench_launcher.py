"""The launcher plugin ``auto``. Hydra finds plugins only in this package."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.plugins.launcher import Launcher

if TYPE_CHECKING:  # Hydra imports this module at every start, so imports are kept few
    from hydra.core.utils import JobReturn


class AutoLauncher(Launcher):
    """Runs as many cells at a time as pay on this machine, see `segbench.commands.sweeps.packing`.

    Args:
        n_jobs: the number of cells at a time; None chooses it.
    """

    def __init__(self, n_jobs: int | None = None) -> None:
        self.n_jobs = n_jobs
        self.given: dict[str, Any] = {}

    def setup(self, **given: Any) -> None:
        """Keep what Hydra gives a launcher for the one that is chosen."""
        self.given = given

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> "Sequence[JobReturn]":
        """Run the cells; returns what each of them returned."""
        from segbench.commands.sweeps.packing import choose

        chosen, jobs = choose(self.given["config"], len(job_overrides), self.n_jobs)
        chosen.setup(**self.given)
        told = [[*each, f"hydra.launcher.n_jobs={jobs}"] for each in job_overrides]
        return chosen.launch(told, initial_job_idx)
