"""Fetching published archives: checked, gone on with after an interruption, unpacked safely."""

import hashlib
import http.client
import shutil
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from segbench.errors import DataError

ATTEMPTS = 4
PAUSE = 2.0  # seconds before the second attempt, doubled for each further one
TIMEOUT = 60.0  # seconds without a byte
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A tar archive: where it lies and the MD5 that its publisher, or torchvision, gives."""

    url: str
    md5: str

    @property
    def name(self) -> str:
        """Its file's name."""
        return self.url.rsplit("/", 1)[-1]


def fetch(archives: Sequence[Archive], folder: Path) -> None:
    """Make ``folder`` from what the archives hold; whole, or not at all.

    What has come so far lies in ``<folder>.download`` until then, and the next call goes on.

    Raises:
        DataError: an archive cannot be had, is not the published one, or would write elsewhere.
    """
    staging = folder.with_name(f"{folder.name}.download")
    try:
        staging.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{staging}: cannot be made ({error.strerror}); data.root=… names another place"
        ) from error
    with FileLock(folder.with_name(f"{folder.name}.download.lock")):
        if folder.is_dir():  # another process has fetched it meanwhile
            return
        unpacked = staging / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)  # left by a killed one
        for archive in archives:
            extract(download(archive, staging), unpacked)
        unpacked.rename(folder)
        shutil.rmtree(staging)


def download(archive: Archive, folder: Path) -> Path:
    """The archive's file in ``folder``, fetched unless it is there already.

    Raises:
        DataError: it cannot be had, or its MD5 is another.
    """
    file, partial = folder / archive.name, folder / f"{archive.name}.part"
    if file.is_file() and _md5(file) == archive.md5:
        return file
    print(f"downloading {archive.url}", flush=True)
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            _receive(archive.url, partial)
        except urllib.error.HTTPError as error:
            reason = f"HTTP {error.code} {error.reason}"
            partial.unlink(missing_ok=True)  # 416, say: what is there is no beginning of it
            if error.code in (401, 403, 404, 410):
                break
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
        else:
            found = _md5(partial)
            if found == archive.md5:
                return partial.replace(file)
            reason = f"its MD5 is {found}, expected {archive.md5}"
            partial.unlink()
    raise DataError(
        f"{archive.url}: cannot be downloaded ({reason}); the same command tries again, or put "
        f"the file into {folder} by hand"
    )


def _receive(url: str, partial: Path) -> None:
    """Append to ``partial`` what it lacks, or write it anew where the server sends all."""
    start = partial.stat().st_size if partial.is_file() else 0
    headers = {"User-Agent": "segbench", **({"Range": f"bytes={start}-"} if start else {})}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        mode = "ab" if response.status == http.HTTPStatus.PARTIAL_CONTENT else "wb"
        expected = response.length
        with partial.open(mode) as file:
            before = file.tell()
            while block := response.read(_BLOCK):
                file.write(block)
            received = file.tell() - before
    if expected is not None and received < expected:
        raise ConnectionError(f"the connection ended after {received} of {expected} bytes")


def extract(archive: Path, folder: Path) -> None:
    """Unpack a tar archive into ``folder``, and nowhere else.

    Raises:
        DataError: it is damaged, or holds a file or a link that would lead outside.
    """
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(
            f"{archive}: cannot be unpacked ({error}); remove it and start again"
        ) from error


def _md5(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
