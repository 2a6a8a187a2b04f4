"""The registry in ``conf/``: its location, its resolvers, and the check of a cell's config."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from segbench.config.identity import Identity, identify
from segbench.config.trainer_options import check_trainer
from segbench.errors import ConfigError
from segbench.names import as_folder_name
from segbench.records.published import as_published
from segbench.types import logit_channels

NAME = "${cell:}"  # the name of a cell's folder, in conf/hydra/default.yaml
PARTS = ("data", "model", "loss", "optimizer")  # nodes that every cell needs
_INSTALLED = Path(__file__).parents[1] / "conf"
CONF = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[3] / "conf"


def check_cell(cfg: DictConfig, omit: Sequence[str] = ()) -> None:
    """Refuse a config that is not permitted for a cell, before any part of it is built.

    Args:
        cfg: the composed config.
        omit: keys that cannot be checked yet.

    Raises:
        ConfigError: the text names the option, its value and the expected one.
    """
    # imported here, because OpenCV and hydra.utils would delay --help
    from segbench.config.score_options import epoch_scores, optional_scores
    from segbench.config.targets import check_targets

    for part in PARTS:
        node = cfg.get(part)
        if part not in omit and not (OmegaConf.is_dict(node) and node.get("_target_")):
            raise ConfigError(f"{part}: expected a class to build (a key _target_), got {node}")
        for key in node if part not in omit else ():
            if OmegaConf.is_missing(node, key):
                raise ConfigError(f"{part}.{key}: missing; give {part}.{key}=…")
    check_trainer(cfg.trainer, cfg.get("scheduler"))
    epoch_scores(cfg)
    optional_scores(cfg)
    check_targets(cfg, only=[key for key in map(str, cfg) if key not in omit])
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


def cell_name(chosen: Mapping[str, str], seed: int, identity: Identity) -> str:
    """The name of a cell's folder, ``<model>-<loss>-s<seed>-<hash>``."""
    parts = [chosen["model"], chosen["loss"], f"s{seed}", identity.hash]
    return "-".join(parts).replace("/", "_")


def _cell_name(*, _root_: DictConfig) -> str:
    # First check, because `identify` builds the data set. Loggers refer to the folder of this name.
    check_cell(_root_, omit=["logger"])
    return cell_name(cell_choices(_root_), _root_.seed, identify(_root_))


def config_groups(extra: Path | None = None) -> dict[str, list[str]]:
    """The options of each config group, from the YAML files in ``conf/`` and in ``extra``."""
    found: dict[str, set[str]] = {}
    for folder in filter(None, (CONF, extra)):
        for file in folder.rglob("*.yaml"):
            option = file.relative_to(folder)
            if len(option.parts) > 1 and option.parts[0] != "hydra" and option.name[0] != "_":
                name = option.relative_to(option.parts[0]).with_suffix("").as_posix()
                found.setdefault(option.parts[0], set()).add(name)
    first = ("data", "model", "loss")
    order = [*first, *sorted(set(found) - set(first))]
    return {group: sorted(found[group]) for group in order if group in found}


def config_dir(arguments: list[str]) -> Path | None:
    """The folder that ``--config-dir`` names in the command line, or None."""
    for index, argument in enumerate(arguments):
        if argument in ("--config-dir", "-cd") and index + 1 < len(arguments):
            return Path(arguments[index + 1])
        if argument.startswith("--config-dir="):
            return Path(argument.partition("=")[2])
    return None


def register_resolvers() -> None:
    """Register ``${cell:}`` and the other resolvers that the YAML files use."""
    OmegaConf.register_new_resolver("cell", _cell_name, replace=True)
    OmegaConf.register_new_resolver("logit_channels", logit_channels, replace=True)
    OmegaConf.register_new_resolver("folder_name", as_folder_name, replace=True)
    OmegaConf.register_new_resolver("length", len, replace=True)
    OmegaConf.register_new_resolver("run_id", _run_id, replace=True)
    OmegaConf.register_new_resolver("basename", lambda path: Path(path).name, replace=True)


def _run_id(*parts: object) -> str:
    """An identifier without slashes and spaces, for services that do not accept them."""
    return re.sub(r"[^\w.-]+", "_", "-".join(map(str, parts)))


def compose(config_name: str = "config", overrides: Sequence[str] = ()) -> DictConfig:
    """Compose a config as the command line does, for tests and notebooks.

    ``instantiate(compose(overrides=["model=unetpp"]).model)`` is the network.
    """
    import hydra

    register_resolvers()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose(config_name, list(overrides))
