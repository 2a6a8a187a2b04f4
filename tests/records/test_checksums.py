"""A file that changed in any way no longer has its checksum."""

from pathlib import Path

import numpy as np
import pytest
from xxhash import xxh3_128_hexdigest

from segbench.records.checksums import (
    BLOCK,
    LENGTH,
    SMALL,
    DamagedError,
    DigestingFile,
    digest,
    digest_bytes,
    digest_open,
    verify,
)

SIZES = (0, 1, SMALL - 1, SMALL, BLOCK, 2 * BLOCK + 3)


def content_of(size: int) -> bytes:
    return np.random.default_rng(size).bytes(size)


@pytest.mark.parametrize("size", SIZES)
def test_a_file_bytes_and_pieces_written_have_one_checksum(tmp_path: Path, size: int) -> None:
    content, path = content_of(size), tmp_path / "file"
    expected = xxh3_128_hexdigest(content)
    with path.open("wb") as file, DigestingFile(file) as digesting:
        for start in range(0, size, SMALL + 1):
            piece = content[start : start + SMALL + 1]
            assert digesting.write(piece) == len(piece)
    assert path.read_bytes() == content
    assert digesting.digest() == digest(path) == digest_bytes(content) == expected
    assert len(expected) == LENGTH
    with path.open("rb", buffering=0) as opened:
        assert digest_open(opened, size // 2) == xxh3_128_hexdigest(content[: size // 2])


def test_an_array_is_hashed_as_its_bytes() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert digest_bytes(array) == digest_bytes(array.tobytes())


def test_any_change_is_found_and_the_message_says_what_to_do(tmp_path: Path) -> None:
    content, path = content_of(3 * BLOCK), tmp_path / "file"
    path.write_bytes(content)
    expected = digest(path)
    verify(path, expected, "make it anew")
    for place in (0, BLOCK, len(content) - 1):
        flipped = bytearray(content)
        flipped[place] ^= 1
        for changed in (flipped, content[:place], content + b"\0", b""):
            path.write_bytes(changed)
            with pytest.raises(DamagedError, match=r"file: damaged: .*; make it anew"):
                verify(path, expected, "make it anew")
    path.unlink()
    with pytest.raises(DamagedError, match=r"file: cannot be read .*; make it anew"):
        verify(path, expected, "make it anew")
