"""Checkpoints with changed bytes and contents, and foreign pickles, loaded and used."""

import copy
import io
import os
import pickle
import shutil
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import xxhash
from fuzzing.values import BYTE_CHANGES, JSON, PLACE, TREE_CHANGES, changed, some
from fuzzing.ways import FUNCTIONS, WAYS
from hypothesis import strategies as st
from made_run import make_run
from PIL import Image

import segbench
from segbench.__main__ import main

RUN = Path("../checkpoints/run")
BEST = Path("checkpoints/best.ckpt")
MARK = b"\nxxh3-128 of all bytes before this line: "


class _Call:
    """Pickles as the call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


FOREIGN: dict[str, Any] = {
    "os.system": _Call(os.system, "touch ran"),
    "eval": _Call(eval, "open('ran', 'w')"),
    "exec": _Call(exec, "raise SystemExit(0)"),
    "open": _Call(open, "ran", "w"),
    "exit": _Call(exit, 0),
    "a class": OrderedDict,
    "a path": Path("ran"),
    "a module's": torch.nn.Linear(2, 2),
    "bytes": bytearray(b"x" * 99),
    "a set": {1, 2},
    "complex": 1j,
    "nothing": None,
    "a list": [[]] * 9,
}
TENSORS: dict[str, Callable[[torch.Tensor], Any]] = {
    "nan": lambda each: torch.full(each.shape, float("nan")),
    "double": lambda each: each.double(),
    "half": lambda each: each.half(),
    "complex": lambda each: each.to(torch.complex64),
    "bool": lambda each: each > 0,
    "int": lambda each: each.int(),
    "sparse": lambda each: each.to_sparse(),
    "meta": lambda each: each.to("meta"),
    "quantized": lambda each: torch.quantize_per_tensor(each.float(), 0.1, 0, torch.qint8),
    "expanded": lambda each: torch.zeros((), dtype=each.dtype).expand(each.shape),
    "empty": lambda each: each.new_zeros(0),
    "scalar": lambda each: each.new_zeros(()),
    "one more axis": lambda each: each[None],
    "parameter": lambda each: torch.nn.Parameter(each) if each.is_floating_point() else each,
    "a view": lambda each: torch.zeros(10_000)[:1],
    "a list": lambda each: each.tolist(),
    "nothing": lambda each: None,
}


@dataclass(frozen=True)
class Bytes:
    """Changed bytes of the file, or of one member of its zip; ``sealed``: with their checksum."""

    changes: tuple[Any, ...]
    member: int | None
    sealed: bool


@dataclass(frozen=True)
class Tree:
    """Changes of the dictionary and of tensors in it, saved anew."""

    changes: tuple[Any, ...]
    tensors: tuple[tuple[int, str], ...]
    legacy: bool


@dataclass(frozen=True)
class Foreign:
    """Another object, alone or in a place of the dictionary; ``protocol``: of a plain pickle."""

    name: str
    place: str | None
    protocol: int | None


@dataclass(frozen=True)
class Raw:
    """Any bytes in its place."""

    content: bytes


@dataclass(frozen=True)
class Asked:
    """A checkpoint, and the way in which it is used."""

    content: Any
    way: str = FUNCTIONS


def inputs() -> st.SearchStrategy[Asked]:
    """Make the run whose checkpoint is changed."""
    make_run(RUN)
    return st.builds(Asked, _contents(), WAYS)


def _contents() -> st.SearchStrategy[Any]:
    members = st.one_of(st.none(), st.integers(0, 60))
    each = st.tuples(PLACE, st.sampled_from(sorted(TENSORS)))
    places = st.sampled_from((None, "state_dict", "epoch", "network.x", "x"))
    starts = st.sampled_from(
        (b"", b"PK\x03\x04", b"\x80\x02", b"PK\5\6" + b"\0" * 18, MARK, b"\x1f\x8b")
    )
    raw = st.one_of(
        st.builds(lambda start, rest: start + rest, starts, st.binary()),
        JSON.map(lambda value: pickle.dumps(value)),
    )
    return st.one_of(
        st.builds(Bytes, some(BYTE_CHANGES), members, st.booleans()),
        st.builds(Bytes, some(BYTE_CHANGES), members, st.just(True)),
        st.builds(Tree, some(TREE_CHANGES), st.just(()), st.booleans()),
        st.builds(Tree, st.just(()), st.lists(each, max_size=3).map(tuple), st.booleans()),
        st.builds(
            Foreign,
            st.sampled_from(sorted(FOREIGN)),
            places,
            st.one_of(st.none(), st.integers(0, 5)),
        ),
        raw.map(Raw),
    )


def run(asked: Asked) -> int:
    """Load the changed weights in Python and use them, or predict with them."""
    shutil.copytree("../checkpoints/run", "run")
    Path("run", BEST).write_bytes(_content(asked.content, Path("run", BEST)))
    Image.new("RGB", (40, 30), "red").save("picture.png")
    code = 0
    if asked.way == FUNCTIONS:
        assert segbench.load("run")(Image.open("picture.png")).shape == (30, 40)
    else:
        code = main(["predict", "run=run", "input=picture.png"])
    if Path("ran").exists():
        raise AssertionError("the checkpoint ran code")
    return code


def _content(asked: Any, file: Path) -> bytes:
    if isinstance(asked, Raw):
        return asked.content
    if isinstance(asked, Bytes):
        found = file.read_bytes()
        made = changed(found, asked.changes) if asked.member is None else _in_zip(found, asked)
        return made + MARK + xxhash.xxh3_128(made).hexdigest().encode() if asked.sealed else made
    state = torch.load(file, weights_only=True)
    if isinstance(asked, Tree):
        return _saved(_changed_tree(state, asked), asked.legacy)
    made = FOREIGN[asked.name]
    if asked.place == "network.x":
        state["state_dict"]["network.x"] = made
        made = state
    elif asked.place:
        made = {**state, asked.place: made}
    return _saved(made, False) if asked.protocol is None else pickle.dumps(made, asked.protocol)


def _in_zip(content: bytes, asked: Bytes) -> bytes:
    """The zip file with the bytes of one member changed, its lengths and sums fitting."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(written, "w") as new:
        names = old.namelist()
        for place, name in enumerate(names):
            inside = old.read(name)
            chosen = place == (asked.member or 0) % len(names)
            new.writestr(name, changed(inside, asked.changes) if chosen else inside)
    return written.getvalue()


def _changed_tree(state: dict[str, Any], asked: Tree) -> Any:
    made = changed(state, asked.changes) if asked.changes else copy.copy(state)
    made = {**made, "state_dict": dict(made["state_dict"])} if asked.tensors else made
    for place, name in asked.tensors:
        weights = made["state_dict"]
        key = sorted(weights)[place % len(weights)]
        if type(weights[key]) is torch.Tensor and weights[key] is state["state_dict"].get(key):
            weights[key] = TENSORS[name](weights[key])  # once: a changed one may take no other
    return made


def _saved(content: Any, legacy: bool) -> bytes:
    written = io.BytesIO()
    torch.save(content, written, _use_new_zipfile_serialization=not legacy)
    return written.getvalue()
