"""Downloads published archives: resumes, checks the MD5, and unpacks safely."""

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
from segbench.text.screen import say

ATTEMPTS = 4
PAUSE = 2.0  # seconds before the second attempt, doubled for each further one
TIMEOUT = 60.0  # seconds without receiving a byte
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A tar archive on the web.

    Args:
        url: its address.
        md5: its MD5 as published, or as in torchvision, 32 hexadecimal digits.
    """

    url: str
    md5: str

    @property
    def name(self) -> str:
        """The last part of the URL, as the file's name."""
        return self.url.rsplit("/", 1)[-1]


def fetch(archives: Sequence[Archive], folder: Path) -> None:
    """Download archives and unpack them to ``folder``, which is created only when complete.

    Until then the downloaded files are in ``<folder>.download``, and the next call resumes.

    Raises:
        DataError: an archive cannot be downloaded, has another MD5, or would write elsewhere.
    """
    staging = folder.with_name(f"{folder.name}.download")
    try:
        staging.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{staging}: cannot be made ({error.strerror}); data.root=… names another folder"
        ) from error
    with FileLock(folder.with_name(f"{folder.name}.download.lock")):
        if folder.is_dir():  # another process has fetched it meanwhile
            return
        unpacked = staging / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)  # left by a killed process
        for archive in archives:
            extract(download(archive, staging), unpacked)
        unpacked.rename(folder)
        shutil.rmtree(staging)


def download(archive: Archive, folder: Path) -> Path:
    """The archive's file in ``folder``, downloaded unless it exists.

    Raises:
        DataError: the file cannot be downloaded, or has another MD5.
    """
    file, partial = folder / archive.name, folder / f"{archive.name}.part"
    if file.is_file() and _md5(file) == archive.md5:
        return file
    say(f"downloading {archive.url}")
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            _receive(archive.url, partial)
        except urllib.error.HTTPError as error:
            reason = f"HTTP {error.code} {error.reason}"
            partial.unlink(
                missing_ok=True
            )  # for example 416: the partial file is not its beginning
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
    """Append the missing bytes to ``partial``, or replace it if the server sends all bytes."""
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
    """Unpack a tar archive into ``folder``.

    Raises:
        DataError: the archive is damaged, or has a file or link that leads outside ``folder``.
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
