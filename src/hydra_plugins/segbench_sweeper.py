"""Hydra looks for its plugins in this package alone; the work is done in segbench.

No ``__init__.py`` stands here: ``hydra_plugins`` is shared with every other plugin.
"""

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper


class CellSweeper(BasicSweeper):
    """Hydra's own grid of overrides, run as cells that survive one another."""

    def sweep(self, arguments: list[str]) -> None:
        """Run what is missing of the grid, then compare."""
        from hydra.core.override_parser.overrides_parser import OverridesParser

        from segbench.commands.sweep import run_sweep

        assert self.hydra_context is not None
        assert self.launcher is not None
        assert self.config is not None
        loader = self.hydra_context.config_loader
        words = [*self._parse_config(), *arguments]  # an experiment's grid; the command line's wins
        overrides = OverridesParser.create(config_loader=loader).parse_overrides(words)
        grid = [job for batch in self.split_arguments(overrides, None) for job in batch]
        run_sweep(self.config, grid, loader.load_sweep_config, self.launcher.launch)
