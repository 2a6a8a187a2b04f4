"""Trains cells from Python as the command line does: the same folders, checks and messages."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException

from segbench.commands.explaining import USAGE, explain, own_error
from segbench.commands.run import CELLS, errors_of
from segbench.config.own_packages import apply_settings
from segbench.errors import ConfigError, SegbenchError
from segbench.notebook.state import borrowed_process
from segbench.records.cells import Cell, read_cell
from segbench.text.streams import lasting_streams

_ENDED = (130, 143)  # exit codes of Ctrl-C and SIGTERM


def run_cell(overrides: str | Sequence[str], config_dir: str | Path | None = None) -> Cell:
    """Train one cell, or read it if it is finished; see `segbench.run`."""
    asked = _checked(overrides)
    _refuse_several(asked)
    (cell,) = _train(asked, config_dir)
    return cell


def run_sweep(overrides: str | Sequence[str], config_dir: str | Path | None = None) -> list[Cell]:
    """Train the cells of a sweep that are not finished; see `segbench.sweep`."""
    return _train(["-m", *_checked(overrides)], config_dir)


def _checked(overrides: str | Sequence[str]) -> list[str]:
    """The overrides as a list.

    Raises:
        ConfigError: one is no text, or a flag of the command line.
    """
    asked = [overrides] if isinstance(overrides, str) else list(overrides)
    for each in asked:
        if not isinstance(each, str):
            raise ConfigError(f'{each!r}: expected an override as text, such as "model=unet"')
        if each.startswith("-"):
            raise ConfigError(
                f"{each}: flags belong to the command line; segbench.sweep([...]) stands for -m, "
                "config_dir= for --config-dir"
            )
    return asked


def _refuse_several(overrides: list[str]) -> None:
    """Refuse overrides that make a sweep.

    Raises:
        ConfigError: an override has several values, or asks for a search.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(overrides)
    except OverrideParseException:  # which the run explains, and how to write it
        return
    for each in parsed:
        searches = each.key_or_group == "tune" and each.value() is not None
        if searches or each.is_sweep_override():
            what = "a search needs" if searches else "several values make"
            raise ConfigError(
                f"{each.input_line}: {what} a sweep; segbench.sweep([...]) runs it, segbench.run "
                "one cell"
            )


def _train(overrides: list[str], config_dir: str | Path | None) -> list[Cell]:
    """Run ``segbench train`` in this process; returns its cells in the order of the sweep.

    Raises:
        SegbenchError: the command ended with an error.
        KeyboardInterrupt: from the keyboard; the same call resumes.
    """
    asked = [] if config_dir is None else ["--config-dir", str(config_dir)]
    folders: list[Path] = []
    token = CELLS.set(folders)
    arguments: list[str] = []
    errors: list[Exception] = []
    failed = False
    try:
        with borrowed_process(), lasting_streams():
            arguments = apply_settings([*overrides, *asked])
            errors = errors_of(import_module("segbench.commands.train").main, arguments)
    except SystemExit as end:
        if end.code in _ENDED:
            raise
        failed = True
    finally:
        CELLS.reset(token)
    if errors:
        _raise(errors[0], arguments)
    cells = [read_cell(folder) for folder in dict.fromkeys(folders)]
    if failed:
        raise _failure(cells)
    return cells


def _raise(error: Exception, arguments: list[str]) -> None:
    """Raise an error as one of segbench, with the line that the command prints."""
    found = own_error(error)
    if isinstance(found, SegbenchError):
        raise found
    line, code = explain(found, arguments)
    raise (ConfigError if code == USAGE else SegbenchError)(line) from error


def _failure(cells: Sequence[Cell]) -> SegbenchError:
    """What to say of a sweep whose cells are not all finished."""
    bad = [cell for cell in cells if cell.status != "done"]
    names = ", ".join(f"{cell.folder} ({cell.status})" for cell in bad[:3])
    more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
    return SegbenchError(
        f"{len(bad)} of {len(cells)} cells did not finish: {names}{more}; the reasons are printed "
        'above; add "retry_failed=true" to try them again'
    )
