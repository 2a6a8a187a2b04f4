"""How long a data set takes to prepare, and to open again: `python benchmarks/prepared.py`.

Takes the words of a cell: `python benchmarks/prepared.py data=dsb2018 data.root=/my/data`.
"""

import sys
import tempfile
import time

from hydra.utils import instantiate

from segbench.config.registry import compose


def main(words: list[str]) -> None:
    with tempfile.TemporaryDirectory() as cache:
        cell = compose(overrides=[*words, f"data.cache={cache}"])
        seconds = []
        for _ in range(6):
            data = instantiate(cell.data)
            start = time.perf_counter()
            data.setup()
            seconds.append(time.perf_counter() - start)
    again = sorted(seconds[1:])
    print(
        f"{len(data.cases)} cases at {data.size}: prepared in {seconds[0]:.1f} s, opened again in "
        f"{again[2]:.3f} s (median of 5, {again[0]:.3f} to {again[-1]:.3f})"
    )


if __name__ == "__main__":
    main(sys.argv[1:] or ["data=dsb2018"])
