"""The sweeper plugin. Hydra finds plugins only in this package; the sweep itself is in segbench.

There is no ``__init__.py`` here, because all plugins share the namespace ``hydra_plugins``.
"""

from typing import TYPE_CHECKING

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

if TYPE_CHECKING:  # Hydra imports this module at every start, so imports are kept few
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

EXPERIMENT = "experiment"  # the config group whose options contain grids


class CellSweeper(BasicSweeper):
    """Runs Hydra's grid of overrides as cells; a failed cell does not stop the others."""

    def sweep(self, arguments: list[str]) -> None:
        """Run the unfinished cells of the grid, then compare all of them."""
        from segbench.commands.sweeps.accounting import ask_sacct_once
        from segbench.commands.sweeps.search import run_search
        from segbench.commands.sweeps.sweep import is_follower, run_sweep
        from segbench.config.composing import CheckedLoader
        from segbench.errors import ConfigError
        from segbench.hardware.parents import end_with_pool

        assert self.hydra_context is not None
        assert self.launcher is not None
        assert self.config is not None
        if (pool := getattr(self.launcher, "joblib", None)) is not None:
            pool["initializer"] = end_with_pool  # runs in each process before its first cell
        if is_follower(self.launcher.launch):
            return
        grid = [job for overrides in self._grids(arguments) for job in self._jobs(overrides)]
        loader = self.hydra_context.config_loader
        assert isinstance(loader, CheckedLoader)
        searches = {each for job in grid for each in job if each.startswith("tune=")}
        if len(searches) > 1:
            raise ConfigError(f"{', '.join(sorted(searches))}: a sweep has one search; name one")
        if type(self.launcher).__name__ == "SlurmLauncher":
            ask_sacct_once()
        run = run_search if self.config.get("tune") else run_sweep
        run(self.config, grid, loader, self.launcher.launch)

    def _grids(self, arguments: list[str]) -> list[list[str]]:
        """The overrides of each grid: one grid, or one for each of several experiments.

        With several experiments Hydra composes the sweep's config without any of them. So each is
        composed here to read the grid that it contains.
        """
        assert self.hydra_context is not None
        assert self.config is not None
        loader = self.hydra_context.config_loader
        asked = [each for each in self._parsed(arguments) if each.key_or_group == EXPERIMENT]
        if not asked or not asked[-1].is_discrete_sweep():
            return self._with_recipes(self.config, arguments)
        chosen_lines = {each.input_line for each in asked}
        others = [argument for argument in arguments if argument not in chosen_lines]
        grids = []
        for name in asked[-1].sweep_string_iterator():
            chosen = f"{asked[-1].get_key_element()}={name}"
            config = loader.load_sweep_config(self.config, [chosen])
            self.params = config.hydra.sweeper.params or {}
            grids += self._with_recipes(config, [chosen, *others])
        return grids

    def _with_recipes(self, config: "DictConfig", arguments: list[str]) -> list[list[str]]:
        """The overrides of the grid in ``config``: one grid, or one for each of its recipes.

        The command line takes precedence over the grid.

        Raises:
            ConfigError: ``recipes`` is no list of lists of options, or an option is set twice.
        """
        from segbench.commands.sweeps.recipes import as_recipes, check_recipes

        grid = self._parse_config()
        recipes = as_recipes(config.get("recipes"))
        own = [each.key_or_group for recipe in recipes for each in self._parsed(recipe)]
        check_recipes(own, [each.key_or_group for each in self._parsed([*grid, *arguments])])
        return [[*grid, *recipe, *arguments] for recipe in recipes]

    def _jobs(self, overrides: list[str]) -> list[list[str]]:
        batches = self.split_arguments(self._parsed(overrides), None)
        return [job for batch in batches for job in batch]

    def _parsed(self, overrides: list[str]) -> "list[Override]":
        from hydra.core.override_parser.overrides_parser import OverridesParser

        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        return parser.parse_overrides(overrides)
