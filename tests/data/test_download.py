"""Downloads from a server on this machine that does all that servers do wrong."""

import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from made_data import make_pets, module

from segbench.data import download as downloads
from segbench.data import pets
from segbench.data.download import ATTEMPTS, Archive, extract, fetch
from segbench.errors import DataError


class Server(http.server.ThreadingHTTPServer):
    """Serves ``files``; ``faults`` are used up one by one, one for each request."""

    files: dict[str, bytes]
    faults: list[str]
    requests: list[tuple[str, str | None]]  # path, Range

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.requests.append((self.path, wanted))
        fault = self.server.faults.pop(0) if self.server.faults else ""
        content = self.server.files.get(self.path)
        if content is None or fault.isdigit():
            self.send_error(int(fault or 404))
            return
        start = int(wanted[len("bytes=") : -1]) if wanted and fault != "no ranges" else 0
        if start > len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if fault == "garbled":
            content = bytes(len(content))
        self.wfile.write(content[start : -len(content) // 2 if fault == "cut" else None])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(downloads, "PAUSE", 0.01)
    server = Server(("127.0.0.1", 0), Handler)
    server.files, server.faults, server.requests = {}, [], []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def tarred(folder: Path) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, file.name)
    return out.getvalue()


def offer(server: Server, name: str, content: bytes) -> Archive:
    server.files[f"/{name}"] = content
    return Archive(f"{server.address}/{name}", hashlib.md5(content).hexdigest())


@pytest.fixture
def archive(server: Server, tmp_path: Path) -> Archive:
    source = tmp_path / "source"
    (source / "images").mkdir(parents=True)
    (source / "images" / "a.jpg").write_bytes(bytes(range(256)) * 40)
    return offer(server, "images.tar.gz", tarred(source))


def test_it_comes_is_checked_and_unpacked(server: Server, archive: Archive, tmp_path: Path) -> None:
    fetch([archive], tmp_path / "set")
    assert (tmp_path / "set" / "images" / "a.jpg").read_bytes() == bytes(range(256)) * 40
    assert not (tmp_path / "set.download").exists()
    fetch([archive], tmp_path / "set")
    assert len(server.requests) == 1


def test_a_cut_connection_is_gone_on_with(server: Server, archive: Archive, tmp_path: Path) -> None:
    server.faults = ["cut"]
    fetch([archive], tmp_path / "set")
    half = len(server.files["/images.tar.gz"]) - len(server.files["/images.tar.gz"]) // 2
    ranges = [wanted for _, wanted in server.requests]
    assert ranges[0] is None
    assert ranges[1] is not None
    assert abs(int(ranges[1][6:-1]) - half) <= 1
    assert (tmp_path / "set" / "images" / "a.jpg").is_file()


@pytest.mark.parametrize("faults", [["cut", "no ranges"], ["503", "cut"], ["garbled"], ["500"] * 3])
def test_other_faults_that_pass(
    faults: list[str], server: Server, archive: Archive, tmp_path: Path
) -> None:
    server.faults = list(faults)
    fetch([archive], tmp_path / "set")
    assert (tmp_path / "set" / "images" / "a.jpg").is_file()
    assert len(server.requests) == len(faults) + (faults != ["cut", "no ranges"])


def test_a_wrong_checksum_is_refused_and_nothing_kept(
    server: Server, archive: Archive, tmp_path: Path
) -> None:
    wrong = Archive(archive.url, "0" * 32)
    with pytest.raises(DataError, match=r"images\.tar\.gz: .*its MD5 is .*, expected 000.*by hand"):
        fetch([wrong], tmp_path / "set")
    assert len(server.requests) == ATTEMPTS
    assert not (tmp_path / "set").exists()
    assert list((tmp_path / "set.download").iterdir()) == []


def test_always_cut_it_is_refused_but_the_next_call_goes_on(
    server: Server, archive: Archive, tmp_path: Path
) -> None:
    server.faults = ["cut"] + ["500"] * (ATTEMPTS - 1)
    with pytest.raises(DataError, match="cannot be downloaded .HTTP 500"):
        fetch([archive], tmp_path / "set")
    assert not (tmp_path / "set").exists()
    fetch([archive], tmp_path / "set")
    assert (tmp_path / "set" / "images" / "a.jpg").is_file()


def test_what_is_not_there_is_asked_for_once(
    server: Server, archive: Archive, tmp_path: Path
) -> None:
    server.files.clear()
    with pytest.raises(DataError, match="HTTP 404"):
        fetch([archive], tmp_path / "set")
    assert len(server.requests) == 1


def test_no_server_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "PAUSE", 0.01)
    with pytest.raises(DataError, match=r"127\.0\.0\.1:1/a\.tar\.gz: cannot be downloaded"):
        fetch([Archive("http://127.0.0.1:1/a.tar.gz", "")], tmp_path / "set")


def test_a_place_that_cannot_be_written(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"set\.download: cannot be made .*data\.root=…"):
        fetch([archive], tmp_path / "file" / "set")


def test_a_file_put_there_by_hand_is_taken(
    server: Server, archive: Archive, tmp_path: Path
) -> None:
    (tmp_path / "set.download").mkdir()
    content = server.files["/images.tar.gz"]
    (tmp_path / "set.download" / "images.tar.gz").write_bytes(content)
    fetch([archive], tmp_path / "set")
    assert server.requests == []


def member(name: str, **facts: Any) -> Callable[[tarfile.TarFile], None]:
    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        for key, value in facts.items():
            setattr(info, key, value)
        info.size = 0 if facts else 4
        tar.addfile(info, None if facts else io.BytesIO(b"evil"))

    return add


@pytest.mark.parametrize(
    "evil",
    [
        member("../outside.txt"),
        member("images/../../outside.txt"),
        member("link", type=tarfile.SYMTYPE, linkname="../.."),
        member("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("hard", type=tarfile.LNKTYPE, linkname="../../outside.txt"),
        member("device", type=tarfile.CHRTYPE),
    ],
)
def test_an_archive_that_leads_outside_is_refused(
    evil: Callable[[tarfile.TarFile], None], server: Server, tmp_path: Path
) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        evil(tar)
    bad = offer(server, "bad.tar.gz", out.getvalue())
    with pytest.raises(DataError, match=r"bad\.tar\.gz: cannot be unpacked"):
        fetch([bad], tmp_path / "deep" / "set")
    assert not (tmp_path / "deep" / "set").exists()
    assert not list(tmp_path.rglob("outside.txt"))


def test_an_absolute_path_stays_inside(tmp_path: Path) -> None:
    target = tmp_path / "outside.txt"
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        member(str(target))(tar)
    extract(tmp_path / "bad.tar", tmp_path / "inside")
    assert not target.exists()


def test_a_truncated_archive_is_refused(server: Server, archive: Archive, tmp_path: Path) -> None:
    content = server.files["/images.tar.gz"]
    cut = offer(server, "cut.tar.gz", content[: len(content) // 2])
    with pytest.raises(DataError, match=r"cut\.tar\.gz: cannot be unpacked"):
        fetch([cut], tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_a_killed_unpacking_is_done_again(server: Server, archive: Archive, tmp_path: Path) -> None:
    left = tmp_path / "set.download" / "unpacked" / "images"
    left.mkdir(parents=True)
    (left / "half.jpg").write_bytes(b"half")
    fetch([archive], tmp_path / "set")
    assert [file.name for file in (tmp_path / "set" / "images").iterdir()] == ["a.jpg"]


def test_the_pets_come_from_their_publisher(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_pets(tmp_path / "source", lists=True, count=12)
    source = tmp_path / "source" / "oxford-iiit-pet"
    archives = []
    for name in ("images", "annotations"):
        (tmp_path / name).mkdir()
        (source / name).rename(tmp_path / name / name)
        archives.append(offer(server, f"{name}.tar.gz", tarred(tmp_path / name)))
    monkeypatch.setattr(pets, "ARCHIVES", tuple(archives))
    data = module("pets", tmp_path / "data", download=True, split="official")
    data.setup()
    assert len(data.cases) == 12
    module("pets", tmp_path / "data", download=True).setup()
    assert len(server.requests) == 2


def test_addresses_and_checksums_are_torchvisions() -> None:
    from torchvision.datasets import OxfordIIITPet

    ours = [(archive.url, archive.md5) for archive in pets.ARCHIVES]
    assert ours == [*OxfordIIITPet._RESOURCES]


def test_torchvision_reads_what_was_fetched(tmp_path: Path) -> None:
    from torchvision.datasets import OxfordIIITPet

    make_pets(tmp_path, lists=True)
    data = module("pets", tmp_path)
    data.setup()
    theirs = OxfordIIITPet(tmp_path, "test", "segmentation", download=False)
    ids = [file.stem for file in theirs._images]
    assert ids == [case.id for case in data.cases][-2:]
