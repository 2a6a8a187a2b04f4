"""The ways that an input takes: most call the functions behind a command, in a tenth of the time.

The functions are those that the command calls one after another. Composing a command's config
takes longer than all that they do, and the figures of a report take seconds.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from hypothesis import strategies as st

FUNCTIONS, COMMAND, DRAWN = "functions", "command", "command, with figures"
WAYS = st.sampled_from((*(FUNCTIONS,) * 17, COMMAND, COMMAND, DRAWN))


@contextmanager
def figures(wanted: bool) -> Iterator[None]:
    """Leave figures out of the reports that are written meanwhile, unless they are wanted."""
    if wanted:
        yield
        return
    with patch("segbench.report.write.write_figures", lambda *_: []):
        yield
