"""Brings processes that others start into the folder in which segbench was started."""

import os

FOLDER = "SEGBENCH_FOLDER"


def enter_folder() -> None:
    """Make the folder named by ``SEGBENCH_FOLDER`` the working folder of this process.

    Raises:
        OSError: this machine does not have the folder.
    """
    os.chdir(os.environ[FOLDER])
