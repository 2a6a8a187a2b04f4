"""Words of the command line and experiments, composed and checked; nothing is trained.

Keys that say where a run writes get no path outside: the command line and the user's own YAMLs
are trusted in that (SECURITY.md).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml
from fuzzing.values import BYTE_CHANGES, JSON, SCALARS, SPECIAL, TEXT, changed, some
from hostile import EXPERIMENTS, REFUSED, TARGETS, change
from hypothesis import strategies as st

from segbench.__main__ import main
from segbench.config.registry import compose, config_groups

SMALL = ("model.base_channels=4", "model.depth=2", "data.count=10", "data.size=32")
FLAGS = ((), (), (), ("--cfg", "job"), ("--cfg", "job", "--resolve"), ("--cfg", "all"))
# These name a folder or a file, or fetch something.
_PLACES = re.compile(r"hydra|dir|root|path|cache|logger|callbacks|resume|download|launcher|name")
_LEAVES = re.compile(r"^\s*[/~]|\.\.|\$\{(oc|hydra)")
WORDS = (
    *("seed=${seed}", "name=${cell:}", "+x=${oc.env:HOME}", "model=[unet,unet]", "model=???"),
    *("~model", "~data", "~trainer", "~loss", "~hydra", "model@data=unet", "+model@x=unet"),
    *("data.size=[32,32,32]", "data.size=0", "seed=1,2", "seed=range(3)", "seed=choice(1,2)", "=1"),
    *("loss=null", "experiment=null", "experiment=[]", "logger=[]", "callbacks=[]", "+a.b.c=1"),
    *("--config-name=x", "--config-dir=nowhere", "--info", "--cfg", "-c", "--resolve", "-x", "--"),
    *("hydra.verbose=true", "hydra/launcher=nowhere", "hydra/sweeper=basic", "--package=x", "-p"),
)


@dataclass(frozen=True)
class Words:
    """Words after the command ``train``."""

    words: tuple[str, ...]
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """The text of an experiment."""

    content: bytes


def inputs() -> st.SearchStrategy[Words | Experiment]:
    """Words and experiments; half of them change known keys, so that they are not unknown alone."""
    config: Any = compose(overrides=list(SMALL))
    keys = st.sampled_from([key for key in _dotted(config, "") if not key.startswith("hydra")])
    groups = config_groups()
    options = st.sampled_from([f"{group}={each}" for group in groups for each in groups[group]])
    words = st.one_of(_set(keys), _set(keys), options, options, st.sampled_from(WORDS), _raw())
    flags = st.sampled_from(FLAGS)
    lines = st.builds(Words, st.lists(words, min_size=1, max_size=4).map(tuple), flags)
    return st.one_of(lines, lines, _experiments(keys))


def _dotted(node: Any, prefix: str) -> Any:
    for key in node:
        yield f"{prefix}{key}"
        inner = node._get_node(key)
        if hasattr(inner, "keys") and not (inner._is_interpolation() or inner._is_none()):
            yield from _dotted(inner, f"{prefix}{key}.")


def _set(keys: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """``key=value`` of a known key, or nearly one; values are quoted, or Hydra's grammar's."""
    near = st.one_of(keys, keys, keys, keys.map(lambda key: f"{key}x"), TEXT)
    values = st.one_of(SCALARS.map(_quoted), SCALARS.map(str), JSON.map(_as_words), TEXT)
    signs = st.sampled_from(("", "", "", "", "+", "++", "~"))
    made = st.builds(lambda sign, key, value: (sign, key, value), signs, near, values)
    return made.filter(lambda m: _stays(m[1], m[2])).map(lambda m: f"{m[0]}{m[1]}={m[2]}")


def _raw() -> st.SearchStrategy[str]:
    """Any word but a flag that runs many cells, shows help, or starts another program."""
    return TEXT.filter(lambda word: not re.match(r"-+(m|r|h|s)", word) and _stays(word, word))


def _stays(key: str, value: Any) -> bool:
    """Whether an option lets a run write nowhere else."""
    return not (
        _PLACES.search(key) and _LEAVES.search(str(value).replace("'", "").replace('"', ""))
    )


def _quoted(value: Any) -> str:
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def _as_words(value: Any) -> str:
    """A value in Hydra's grammar."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(k)}:{_as_words(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_as_words, value)) + "]"
    return _quoted(value) if isinstance(value, str) else str(value)


def _experiments(keys: st.SearchStrategy[str]) -> st.SearchStrategy[Experiment]:
    """Nested YAML of known and unknown keys, hostile nodes among them; changed bytes; any text."""
    nodes = st.sampled_from([*TARGETS.values(), *EXPERIMENTS.values()])
    hostile = st.sampled_from([*EXPERIMENTS.values(), *(each for each in REFUSED.values())])
    values = st.one_of(JSON, JSON, SCALARS, nodes)
    near = st.one_of(
        keys, keys, st.text(max_size=8), st.sampled_from(("defaults", "_target_", "x"))
    )
    pairs = st.tuples(near, values).filter(lambda pair: _stays(*pair))
    trees = st.one_of(
        st.lists(pairs, min_size=1, max_size=4).map(lambda found: change({}, dict(found))),
        st.lists(pairs, min_size=1, max_size=4).map(lambda found: change({}, dict(found))),
        hostile.map(lambda each: change({}, each)),
    )
    texts = trees.map(_as_yaml)
    contents = st.one_of(
        texts,
        texts,
        st.builds(changed, texts, some(BYTE_CHANGES)),
        st.one_of(st.sampled_from(SPECIAL), st.text()).map(lambda t: t.encode("utf-8", "replace")),
        st.binary(),
    )
    safe = contents.filter(lambda text: not _LEAVES.search(text.decode("utf-8", "replace")))
    return st.one_of(safe, texts.filter(lambda text: b"/" not in text)).map(Experiment)


def _as_yaml(tree: Any) -> bytes:
    text = yaml.safe_dump(tree, allow_unicode=True)
    return b"# @package _global_\n" + text.encode("utf-8", "surrogatepass")


def run(asked: Words | Experiment) -> int:
    """All of ``train`` up to the training."""
    with patch("segbench.cell.experiment.run_cell", _not_trained):
        if isinstance(asked, Words):
            return main([*asked.flags, *SMALL, *asked.words])
        file = Path("mine/experiment/x.yaml")
        file.parent.mkdir(parents=True)
        file.write_bytes(asked.content)
        return main(["--config-dir", "mine", *SMALL, "experiment=x"])


def _not_trained(*_: Any, **__: Any) -> dict[str, str]:
    return {"status": "failed"}
