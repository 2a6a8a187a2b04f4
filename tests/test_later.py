"""Modules put off until they are used."""

import subprocess
import sys

SAID = """
import sys
from segbench.later import postpone_imports

postpone_imports()
import torchmetrics
assert "scipy.stats" not in sys.modules, "scipy.signal was imported"
{use}
assert type(sys.modules["scipy.signal"]).__name__ == "module"
postpone_imports()  # what is there stays
assert sys.modules["scipy.signal"].convolve([1, 2], [3]).tolist() == [3, 6]
"""
USES = (
    "from scipy.signal import windows\nassert windows.hamming(3)[1] == 1",
    "import scipy.signal\nassert scipy.signal.convolve([1], [2])[0] == 2",
    "import scipy\nassert scipy.signal.convolve([1], [2])[0] == 2",
    "import scipy.signal.windows\nassert scipy.signal.windows.hamming(3)[1] == 1",
)


def test_scipys_signal_is_there_when_it_is_asked_for() -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", SAID.format(use=use)], stderr=subprocess.PIPE)
        for use in USES
    ]
    assert [process.communicate()[1].decode() for process in running] == [""] * len(USES)
