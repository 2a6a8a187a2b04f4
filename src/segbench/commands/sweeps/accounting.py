"""Asks SLURM once whether it keeps accounts.

submitit asks ``sacct`` every minute how its jobs ended, and warns each time that the call fails. It
also sees that a job ended by the job's result file, and ``watch`` notices cells that were killed.
"""

import subprocess

from segbench.text.screen import say

DISABLED = "accounting storage is disabled"  # said by sacct
NOTE = (
    "note: this SLURM keeps no accounts (sacct): a cell that it kills is noticed two minutes after "
    "the cell's last sign of life"
)


def ask_sacct_once() -> None:
    """Print a note and let submitit call ``sacct`` no more, if SLURM keeps no accounts."""
    try:
        done = subprocess.run(["sacct", "--jobs=1"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return
    if done.returncode == 0 or DISABLED not in done.stderr:
        return
    from submitit.slurm.slurm import SlurmInfoWatcher

    say(NOTE)
    setattr(SlurmInfoWatcher, "_make_command", lambda _: None)  # noqa: B010
