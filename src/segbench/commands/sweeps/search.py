"""Searches options for each combination of a sweep on val, then runs the winners on fresh seeds."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from segbench.commands.run import IS_DRY
from segbench.commands.sweeps.board import Board
from segbench.commands.sweeps.planned import Planned
from segbench.commands.sweeps.planning import plan
from segbench.commands.sweeps.sweep import Launch, run_all, run_sweep
from segbench.config.composing import CheckedLoader
from segbench.config.identity import identify
from segbench.config.score_options import monitor_of
from segbench.config.search import (
    Search,
    at_limit,
    distributions,
    make_sampler,
    override,
    read_search,
)
from segbench.errors import ConfigError, SegbenchError
from segbench.metrics.registry import find_score
from segbench.records.cells import read_cell
from segbench.records.locks import alone_in
from segbench.records.tuning import JOURNAL, Tuning, open_storage, write_tuning
from segbench.text.numbers import score_text
from segbench.text.screen import say

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


@dataclass
class Contender:
    """A combination of the sweep: its overrides but for the seed, its seeds, and its study."""

    overrides: tuple[str, ...]
    seeds: list[str]
    config: DictConfig
    digest: str = ""
    study: Any = None
    label: str = ""  # what tells it apart from the others, for messages

    @property
    def folder(self) -> Path:
        """The folder of its trials' cells."""
        return Path(str(self.config.hydra.sweep.dir))


def run_search(
    config: DictConfig, grid: list[list[str]], loader: CheckedLoader, launch: Launch
) -> None:
    """Search for each combination of ``grid``, then run and compare the winners.

    All combinations have equally many trials, each of which is a cell that is trained with the
    search's seed and scored on val alone. The winners are trained with the seeds of the grid
    under ``<name>-tuned``. A killed search resumes with the trials that it had proposed.

    Args:
        config: Hydra's config of the sweep, with the search in ``tune``.
        grid: for each cell its overrides.
        loader: composes the config of a cell from its overrides.
        launch: Hydra's function that runs cells.

    Raises:
        ConfigError: the search is not one that can be run.
        SegbenchError: no trial of a combination ended; the others have been run.
        SystemExit: 1 where a winner's cell failed; 130 or 143 where the sweep was interrupted.
    """
    if IS_DRY.get():
        raise ConfigError("--dry-run: a search chooses its cells as it goes; leave tune out")
    search = read_search(config.tune)
    contenders = _contenders(grid, search, config, loader)
    with alone_in((contenders[0].folder / JOURNAL).parent):
        _open_studies(contenders, search)
        while trials := _proposed(contenders, search):
            _run_round(trials, search, config, loader, launch)
    winners: list[list[str]] = []
    failures: list[SegbenchError] = []
    for each in contenders:
        try:
            found = _summary(each, search)
        except SegbenchError as error:
            failures.append(error)
            continue
        _say_winner(each, found)
        jobs = _winners(each, found)
        home = Path(str(loader.load_sweep_config(config, jobs[0]).hydra.sweep.dir))
        write_tuning(home, {each.digest: found})
        winners += jobs
    if winners:
        run_sweep(config, winners, loader, launch)
    if failures:
        raise failures[0]


def _contenders(
    grid: list[list[str]], search: Search, config: DictConfig, loader: CheckedLoader
) -> list[Contender]:
    found: dict[tuple[str, ...], list[str]] = {}
    for job in grid:
        keys = {each.partition("=")[0].lstrip("+"): each for each in job}
        if twice := [option for option in search.space if option in keys]:
            raise ConfigError(
                f"{twice[0]}: set by tune.space and by the sweep; leave it to one of them"
            )
        rest = tuple(each for key, each in keys.items() if key != "seed")
        seed = keys.get("seed", "seed=" + str(config.get("seed"))).partition("=")[2]
        found.setdefault(rest, []).append(seed)
        if seed == str(search.seed):
            raise ConfigError(
                f"seed={seed}: the trials' seed too, and the winners must train with others; "
                "give another tune.seed"
            )
    made = []
    for rest, seeds in found.items():
        cfg = loader.load_sweep_config(config, [*rest, f"seed={search.seed}"])
        made.append(Contender(rest, list(dict.fromkeys(seeds)), cfg))
    common = set.intersection(*(set(each.overrides) for each in made))
    for each in made:
        own = [text for text in each.overrides if text not in common]
        each.label = " ".join(own) or each.config.name
    return made


def _open_studies(contenders: list[Contender], search: Search) -> None:
    """Open each contender's study, which depends on its settings, its data and the space."""
    optuna = _import_optuna()
    for each in contenders:
        score = monitor_of(each.config)
        facts = [identify(each.config).hash, dict(search.space), search.sampler, search.seed, score]
        each.digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:8]
        lower = find_score(score.partition("/")[2]).lower_is_better
        each.study = optuna.create_study(
            storage=open_storage(each.folder / JOURNAL),
            study_name=each.digest,
            direction="minimize" if lower else "maximize",
            load_if_exists=True,
        )


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ConfigError(f"tune: needs optuna ({error}): pip install 'segbench[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


@dataclass(frozen=True)
class Proposed:
    """A trial that has not ended, with the options that were proposed for it."""

    contender: Contender
    number: int
    options: tuple[str, ...]

    def overrides(self, search: Search) -> list[str]:
        """Hydra's overrides of the trial's cell."""
        mark = f"study:'{self.contender.digest}',number:{self.number}"
        pruner = search.pruner or "null"
        own = [f"seed={search.seed}", f"trial={{{mark},pruner:{pruner}}}"]
        return [*self.contender.overrides, *self.options, *own]


def _proposed(contenders: list[Contender], search: Search) -> list[Proposed]:
    """The trials of the next round: those that a killed search left, else a new batch of each."""
    from optuna.trial import TrialState

    rounds = []
    for each in contenders:
        study: Study = each.study
        trials = study.get_trials(deepcopy=False)
        if not any(trial.state == TrialState.RUNNING for trial in trials):
            for number in range(len(trials), min(len(trials) + search.batch, search.trials)):
                study.sampler = make_sampler(search, number)
                study.ask(distributions(search))
        left = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        rounds += [Proposed(each, trial.number, _options(trial)) for trial in left]
    return rounds


def _options(trial: "FrozenTrial") -> tuple[str, ...]:
    return tuple(override(option, value) for option, value in trial.params.items())


def _run_round(
    trials: list[Proposed],
    search: Search,
    config: DictConfig,
    loader: CheckedLoader,
    launch: Launch,
) -> None:
    """Run the trials' cells and tell the studies their scores."""
    numbers = [trial.number + 1 for trial in trials]
    say(f"tune: trials {min(numbers)} to {max(numbers)} of {search.trials} of each combination")
    cells = plan(config, [trial.overrides(search) for trial in trials], loader)
    with Board(cells):
        run_all(cells, launch)
    by_options = {cell.overrides[:-1]: cell for cell in cells}
    for trial in trials:
        cell = by_options.get(tuple(trial.overrides(search)))
        if cell is None:
            raise ConfigError("tune.space: two values give the same cell; it changes no result")
        _tell(trial, cell)


def _tell(trial: Proposed, cell: Planned) -> None:
    from optuna.trial import TrialState

    study: Study = trial.contender.study
    if cell.state == "failed":
        study.tell(trial.number, state=TrialState.FAIL)
        return
    if cell.state != "done":
        raise SegbenchError(f"{cell.folder}: {cell.state}; the same command resumes the search")
    record = read_cell(cell.folder).record
    if record.get("stopped_by") == "pruner":
        study.tell(trial.number, state=TrialState.PRUNED)
        return
    part, _, name = monitor_of(trial.contender.config).partition("/")
    study.tell(trial.number, float(record["metrics"][part][name]))


def _summary(contender: Contender, search: Search) -> Tuning:
    """What the search of a combination found.

    A study may hold more trials, of a search with more; only equally many are used for each.

    Raises:
        SegbenchError: none of its trials ended.
    """
    from optuna.trial import TrialState

    study: Study = contender.study
    trials = study.get_trials(deepcopy=False)[: search.trials]
    ended = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not ended:
        raise SegbenchError(
            f"tune: no trial of {contender.label} came to its end; see the logs of its cells, and "
            "give another tune.space"
        )
    states = [trial.state for trial in trials]
    score = monitor_of(contender.config).partition("/")[2]
    sign = -1 if find_score(score).lower_is_better else 1
    best = max(ended, key=lambda trial: sign * (trial.value or 0.0))
    for option, value in best.params.items():
        if at_limit(search, option, value):
            say(
                f"note: tune: {contender.label}: the best {option} is at the limit of its range "
                f"({search.space[option]}); a wider one may hold a better one"
            )
    return Tuning(
        trials=len(trials),
        sampler=search.sampler,
        seed=search.seed,
        space=dict(search.space),
        score=score,
        chosen=dict(each.split("=", 1) for each in _options(best)),
        best=float(best.value or 0.0),
        scores=[float(trial.value) for trial in ended if trial.value is not None],
        failed=states.count(TrialState.FAIL),
        pruned=states.count(TrialState.PRUNED),
    )


def _say_winner(contender: Contender, found: Tuning) -> None:
    chosen = " ".join("=".join(pair) for pair in found.chosen.items())
    best = f"{find_score(found.score).title} on val {score_text(found.best, found.score)}"
    say(f"tune: {contender.label}: {chosen}, {best}, the best of {found.trials} trials")


def _winners(contender: Contender, found: Tuning) -> list[list[str]]:
    """The overrides of the winner's cells, one for each seed of the sweep."""
    chosen = [f"{option}={value}" for option, value in found.chosen.items()]
    marks = [f"name={contender.config.name}-tuned", f"search='{contender.digest}'"]
    rest = [each for each in contender.overrides if not each.startswith("name=")]
    return [[*rest, *chosen, f"seed={seed}", *marks] for seed in contender.seeds]
