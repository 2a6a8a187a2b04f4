"""The registry in ``conf/``: where it lies, its resolvers, and the cell that a config describes."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from segbench.report.published import as_published
from segbench.report.record import NO_EFFECT
from segbench.types import logit_channels

_INSTALLED = Path(__file__).parent / "conf"
CONF = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "conf"


def cell_config(cfg: DictConfig) -> dict[str, Any]:
    """The resolved part of a composed config that decides a cell's result."""
    kept = OmegaConf.masked_copy(cfg, [key for key in map(str, cfg) if key not in NO_EFFECT])
    kept._set_parent(cfg)  # so that interpolations still see what was left out
    plain: dict[str, Any] = OmegaConf.to_container(kept, resolve=True)  # type: ignore[assignment]
    for dotted in NO_EFFECT:
        group, _, key = dotted.partition(".")
        if isinstance(plain.get(group), dict):
            plain[group].pop(key, None)
    return plain


def cell_hash(cfg: DictConfig) -> str:
    """Eight hexadecimal digits that change with everything that changes a cell's result."""
    plain = cell_config(cfg)
    plain.get("data", {}).pop("augment", None)  # the group's own node is there already
    order = list(plain.get("augment") or {})  # transforms in another order do something else
    text = json.dumps([plain, order], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def check_cell(cfg: DictConfig) -> None:
    """Refuse what a cell's config may not hold, before anything of it is built.

    Raises:
        ConfigError: naming the option, what it holds, what was expected.
    """
    from segbench.targets import check_targets  # hydra.utils is more than --help should wait for

    check_targets(cfg)
    found = cfg.get("published")
    if found is not None:
        plain = OmegaConf.to_container(found, resolve=True) if OmegaConf.is_config(found) else found
        as_published(plain)


def cell_choices(cfg: DictConfig) -> dict[str, str]:
    """The options chosen in each config group, such as ``{"model": "unet", "loss": "dice"}``."""
    chosen = OmegaConf.to_container(cfg.hydra.runtime.choices)
    return {
        str(group): str(option)
        for group, option in chosen.items()  # type: ignore[union-attr]
        if option is not None and not str(group).startswith("hydra")
    }


def _cell_name(*, _root_: DictConfig) -> str:
    chosen = cell_choices(_root_)
    words = [chosen["model"], chosen["loss"], f"s{_root_.seed}", cell_hash(_root_)]
    return "-".join(words).replace("/", "_")


def config_groups(extra: Path | None = None) -> dict[str, list[str]]:
    """The options of each config group, from the YAMLs in ``conf/`` and in the user's folder."""
    found: dict[str, set[str]] = {}
    for folder in filter(None, (CONF, extra)):
        for file in folder.rglob("*.yaml"):
            option = file.relative_to(folder)
            if len(option.parts) > 1 and option.parts[0] != "hydra":
                name = option.relative_to(option.parts[0]).with_suffix("").as_posix()
                found.setdefault(option.parts[0], set()).add(name)
    first = ("data", "model", "loss")
    order = [*first, *sorted(set(found) - set(first))]
    return {group: sorted(found[group]) for group in order if group in found}


def register_resolvers() -> None:
    """Make ``${cell:}`` and the others that the YAMLs use known to OmegaConf."""
    OmegaConf.register_new_resolver("cell", _cell_name, replace=True)
    OmegaConf.register_new_resolver("logit_channels", logit_channels, replace=True)
    OmegaConf.register_new_resolver("length", len, replace=True)
    OmegaConf.register_new_resolver("basename", lambda path: Path(path).name, replace=True)


def compose(config_name: str = "config", overrides: Sequence[str] = ()) -> DictConfig:
    """Compose a config as the command line does, for tests and notebooks.

    ``instantiate(compose(overrides=["model=unetpp"]).model)`` is the network.
    """
    import hydra

    register_resolvers()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose(config_name, list(overrides))
