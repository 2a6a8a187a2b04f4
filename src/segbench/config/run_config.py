"""Reads and resolves the config of a run folder, which is not trusted, within limits.

Configs that segbench writes are resolved already. In others, interpolations may refer only to keys
of the same file, and resolvers that read the environment or make new nodes are refused.
"""

from collections.abc import Iterator, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.grammar.gen.OmegaConfGrammarParser import OmegaConfGrammarParser
from omegaconf.grammar_parser import parse

from segbench.config.families import BUILDERS, Permitted, permitted_in_runs, resolve_target
from segbench.config.registry import register_resolvers
from segbench.config.targets import check_tree, leaves, nodes, refuse_interpolations
from segbench.errors import ConfigError

LARGEST, DEEPEST = 2**20, 30  # bytes; levels of nesting
# More interpolations, each of two others, would let a file of a few lines fill the memory.
INTERPOLATIONS, LARGEST_WITH_SOME = 20, 2**16
RESOLVERS = ("logit_channels", "length", "basename")
_PLAIN = (str, int, float, bool, type(None))


def read_config(file: Path) -> DictConfig:
    """A run's config, resolved; its node ``hydra`` is left out.

    Raises:
        ConfigError: the file exceeds a limit, or refers to something outside itself.
        OSError: the file cannot be read.
        YAMLError: the file is not YAML.
    """
    text = _read_text(file)
    _check_shape(text)
    register_resolvers()
    cfg = OmegaConf.create(text)
    if not isinstance(cfg, DictConfig):
        raise ConfigError("not keys with values")
    cfg.pop("hydra", None)
    _check_interpolations(OmegaConf.to_container(cfg, resolve=False), len(text))
    tree = OmegaConf.to_container(cfg, resolve=True)
    refuse_interpolations(tree, "")
    for key, value in leaves(tree, ""):
        if not isinstance(value, _PLAIN):
            raise ConfigError(f"{key}: expected text or a number, got {type(value).__name__}")
    made = OmegaConf.create(tree)
    assert isinstance(made, DictConfig)
    return made


def _read_text(file: Path) -> str:
    if not file.is_file():  # reading a pipe or a device could wait forever
        raise ConfigError("no such file")
    with file.open("rb") as opened:
        content = opened.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ConfigError(f"larger than {LARGEST} bytes, which no cell's config is")
    return content.decode("utf-8")


def _check_shape(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(f"*{event.anchor}: YAML's aliases are not taken; write it out")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ConfigError(f"nested deeper than {DEEPEST}, which no cell's config is")


def _check_interpolations(tree: Any, size: int) -> None:
    found = [(key, text) for key, text in leaves(tree, "") if "${" in str(text)]
    if len(found) > INTERPOLATIONS or (found and size > LARGEST_WITH_SOME):
        raise ConfigError(f"{found[0][0]}: too many interpolations in a file that needs none")
    for key, text in found:
        for name in _called_resolvers(parse(str(text)), key):
            if name not in RESOLVERS:
                raise ConfigError(
                    f"{key}: ${{{name}:…}} is not resolved in a run; write the value out"
                )


def _called_resolvers(tree: Any, key: str) -> Iterator[str]:
    """Yield the names of the resolvers that a value calls, from its parse tree."""
    waiting: list[Any] = [tree]
    seen = 0
    while waiting:
        node = waiting.pop()
        if isinstance(node, OmegaConfGrammarParser.InterpolationContext):
            seen += 1
        if seen > INTERPOLATIONS:
            raise ConfigError(f"{key}: too many interpolations in a file that needs none")
        if isinstance(node, OmegaConfGrammarParser.InterpolationResolverContext):
            yield str(node.resolverName().getText())  # type: ignore[no-untyped-call]
        waiting += list(getattr(node, "children", None) or ())


def check_built(tree: Mapping[str, Any], trust: tuple[str, ...]) -> None:
    """Refuse a run whose network or data set is not permitted; no other part of it is built.

    Raises:
        ConfigError: the text names the option, its value and the expected one.
    """
    for group, kind in (("model", "network"), ("data", "data set")):
        node = tree[group]
        if not isinstance(node, dict) or "_target_" not in node:
            raise ConfigError(f"{group}._target_: missing; expected the class of a {kind}")
        if "defaults" in node:  # `evaluate` composes this node, and Hydra would follow the list
            raise ConfigError(f"{group}.defaults: no option of a {kind}")
        check_tree(node, group, permitted_in_runs(group, trust))


def for_reading(data: DictConfig) -> dict[str, Any]:
    """The options of a run's data set for reading pictures and scoring.

    Augmentation and download are off, and the options ``cache`` and ``num_workers`` have this
    machine's defaults instead of the values that the run's author chose.
    """
    ours = {"augment": None, "download": False, "cache": None, "num_workers": None}
    return {str(key): ours.get(str(key), value) for key, value in data.items()}


def without_pretrained(model: DictConfig, permitted: Permitted) -> dict[str, Any]:
    """A network's config without pretrained weights, as the run's own weights replace them."""
    made: dict[str, Any] = OmegaConf.to_container(model, resolve=True)  # type: ignore[assignment]
    for path, node in nodes(made, "model"):
        for key in ("weights", "weights_backbone"):
            if isinstance(node.get(key), str):
                node[key] = None
        target = resolve_target(path, node["_target_"], permitted)
        if BUILDERS.holds(target):
            _take_no_weights(node, target)
    return made


def _take_no_weights(node: dict[str, Any], builder: Any) -> None:
    """Switch off the weights that torchvision's builders download by default."""
    for key in ("pretrained", "pretrained_backbone"):  # older names of the two
        node.pop(key, None)
    known = signature(builder).parameters
    node.update({key: None for key in ("weights", "weights_backbone") if key in known})
