"""Checks the node ``hydra`` of a config before Hydra uses it.

Hydra builds callbacks, launcher and sweeper and configures logging before segbench's main function.
"""

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml
from hydra._internal import hydra as internals
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.errors import ConfigCompositionException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from segbench.config.families import Permitted, resolve_target
from segbench.config.own_packages import VARIABLE, own_packages
from segbench.config.sharing import SharedCompositions
from segbench.config.targets import UNRESOLVED, execution_whitelist, leaves, nodes, plain
from segbench.errors import ConfigError
from segbench.records.weight_files import OPTION

PLUGINS = ("hydra.launcher", "hydra.sweeper")
_HOMES = ("hydra_plugins.", "hydra._internal.core_plugins.")
# The permitted values of these keys, which are those of Hydra's own configurations.
_VALUES = {
    "class": ("logging.StreamHandler", "logging.FileHandler"),
    "stream": ("ext://sys.stdout", "ext://sys.stderr"),
    "filename": ("${hydra.runtime.output_dir}/${hydra.job.name}.log",),
}
_SECTIONS = {
    "formatters": ("format", "datefmt"),
    "handlers": ("class", "formatter", "level", "stream", "filename"),
    "loggers": ("level", "handlers", "propagate"),
}


class _Files(dict[str, ConfigResult | None]):
    """The config files that were read; the copies of a repository that Hydra makes share them."""

    def __deepcopy__(self, memo: object) -> "_Files":
        return self


class _Sources(dict[tuple[str, ObjectType | None], ConfigSource | None]):
    """Where files and groups were found; shared by the copies of a repository as well."""

    def __deepcopy__(self, memo: object) -> "_Sources":
        return self


class CheckedRepository(ConfigRepository):
    """Finds and reads YAML files as Hydra does, each of them once; its errors name the file."""

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Take the folders of a search path, as Hydra's loader does, and forget other files."""
        super().initialize_sources(config_search_path)
        self._files = _Files()
        self._sources = _Sources()

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Read a config file, as Hydra's loader does.

        Raises:
            ConfigError: the file is not YAML in UTF-8.
        """
        if config_path not in self._files:
            self._files[config_path] = self._read(config_path)
        return copy.deepcopy(self._files[config_path])

    def _find_object_source(
        self, config_path: str, object_type: ObjectType | None
    ) -> ConfigSource | None:
        key = config_path, object_type
        if key not in self._sources:  # Hydra asks hundreds of times for each cell
            self._sources[key] = super()._find_object_source(config_path, object_type)
        return self._sources[key]

    def _read(self, config_path: str) -> ConfigResult | None:
        try:
            return super().load_config(config_path)
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
            source = self._find_object_source(config_path, ObjectType.CONFIG)
            folder = source.path if source else ""
            reason = " ".join(str(error).split())
            raise ConfigError(
                f"{folder}/{config_path}.yaml: cannot be read as YAML in UTF-8 ({reason}); "
                "correct it"
            ) from error


class CheckedLoader(ConfigLoaderImpl):
    """Composes configs as Hydra does, and checks the result."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self.repository = CheckedRepository(config_search_path)
        self.cells = SharedCompositions(self._compose_cell, self.repository.group_exists)

    def load_configuration(
        self, config_name: str | None, overrides: list[str], *args: Any, **options: Any
    ) -> DictConfig:
        """Compose a config and check its node ``hydra``.

        ``model.weights=…`` may be given for a network whose YAML does not have it. In a sweep,
        ``loss.gamma=3`` may be given if the default loss does not have it: the losses of the cells
        count, and each cell is composed before the first one starts.
        """
        asked = _permit_weights(overrides)
        try:
            cfg = super().load_configuration(config_name, asked, *args, **options)
        except ConfigCompositionException:
            of_cells = [each for each in asked if self._sets_part_of_group(each)]
            if RunMode.MULTIRUN not in (*args, *options.values()) or not of_cells:
                raise
            others = [each for each in asked if each not in of_cells]
            cfg = super().load_configuration(config_name, others, *args, **options)
            ours = [each for each in asked if each not in cfg.hydra.overrides.hydra]
            cfg.hydra.overrides.task = ours
        check_hydra(cfg)
        return cfg

    def _sets_part_of_group(self, override: str) -> bool:
        """Whether an override sets a value in the node of a config group: ``loss.gamma=3``."""
        group, dot, _ = override.partition("=")[0].partition(".")
        return bool(dot) and self.repository.group_exists(group) and group != "hydra"

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        """Compose the config of a cell of a sweep, and check its node ``hydra``."""
        cfg = self.cells.load(master_config, _permit_weights(sweep_overrides))
        check_hydra(cfg)
        return cfg

    def _compose_cell(self, sweep: DictConfig, overrides: list[str]) -> DictConfig:
        return super().load_sweep_config(sweep, overrides)


def _permit_weights(overrides: list[str]) -> list[str]:
    """The overrides, with ``model.weights=…`` as an option that any network may have."""
    return [f"++{each}" if each.startswith(f"{OPTION}=") else each for each in overrides]


@contextmanager
def checked_composition() -> Iterator[None]:
    """Let Hydra compose configs with a `CheckedLoader` in this context."""
    original = vars(internals)["ConfigLoaderImpl"]
    vars(internals)["ConfigLoaderImpl"] = CheckedLoader
    ours = ("segbench.*", "hydra_plugins.*", *(f"{name}.*" for name in own_packages()))
    try:
        with execution_whitelist(ours):
            yield
    finally:
        vars(internals)["ConfigLoaderImpl"] = original


def check_hydra(cfg: DictConfig) -> None:
    """Refuse targets, logging classes and environment variables under ``hydra``.

    Launchers and sweepers of Hydra and of installed plugins are permitted, and every object that is
    defined in a package that ``SEGBENCH_PACKAGES`` lists.

    Raises:
        ConfigError: a value is not permitted; the text names the option.
    """
    hint = f"permitted: installed launchers and sweepers, and with {VARIABLE}=mypackage your own"
    own = Permitted((), own_packages(), hint)
    whole = OmegaConf.to_container(cfg.hydra, resolve=False)
    assert isinstance(whole, dict)
    trees = {f"hydra.{key}": plain(cfg.hydra, key) for key in ("callbacks", "launcher", "sweeper")}
    for path, tree in {"hydra": whole, **trees}.items():
        for option, node in nodes(tree, path):
            name = node["_target_"]
            if not (option in PLUGINS and isinstance(name, str) and name.startswith(_HOMES)):
                resolve_target(option, name, own)
    for path, tree in trees.items():
        _refuse_resolvers(whole[path.partition(".")[2]], path)
        for option, value in leaves(tree, path):
            if value is UNRESOLVED:
                raise ConfigError(f"{option}: cannot be resolved before a job runs; write it out")
    for name in ("job_logging", "hydra_logging"):
        _check_logging(f"hydra.{name}", whole[name] or {})
    if whole["job"]["env_set"]:
        raise ConfigError("hydra.job.env_set: not used; export the variables before the command")


def _refuse_resolvers(tree: Any, path: str) -> None:
    """Refuse interpolations with resolvers, whose values could change between check and use."""
    for option, value in leaves(tree, path):
        if isinstance(value, str) and re.search(r"\$\{[^}]*:", value):
            raise ConfigError(f"{option}: {value!r}: expected a value, or a reference to a key")


def _check_logging(path: str, tree: dict[str, Any]) -> None:
    """Refuse keys and classes that Hydra's own logging configurations do not have."""
    known = ("version", "disable_existing_loggers", "root", *_SECTIONS)
    _check_section(path, dict.fromkeys(tree), known)
    _check_section(f"{path}.root", tree.get("root") or {}, _SECTIONS["loggers"])
    for section, keys in _SECTIONS.items():
        for name, node in (tree.get(section) or {}).items():
            _check_section(f"{path}.{section}.{name}", node, keys)


def _check_section(path: str, node: Any, keys: tuple[str, ...]) -> None:
    if not isinstance(node, dict):
        raise ConfigError(f"{path}: {node!r}: expected keys with values")
    for key, value in node.items():
        known = _VALUES.get(key)
        refers = known is None and any(sign in str(value) for sign in ("${", "://"))
        if key not in keys or refers or (known and value not in known):
            raise ConfigError(
                f"{path}.{key}: {value!r} is not permitted in a logging configuration; permitted: "
                f"{', '.join(known or keys)}"
            )
