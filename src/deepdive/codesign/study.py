"""A sweep as an Optuna study: in parallel over processes, resumed after a kill, over many machines by its storage.

Every candidate is a trial. A space of no more candidates than trials is swept whole: the trials wait in the storage,
and whoever asks gets the next one. Of a larger one NSGA-II chooses. Trials of a process that is no more are put back.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, Trial, TrialState
from pydantic import BaseModel, ConfigDict, Field

from deepdive.codesign.accuracy import AccuracyTable, EntryPoint
from deepdive.codesign.evaluate import figures
from deepdive.codesign.result import Outcome, Result
from deepdive.codesign.space import Candidate, Space
from deepdive.compiler.budget import Budget
from deepdive.errors import DeepDiveError
from deepdive.hardware.boards import Board
from deepdive.hardware.power import BOUNDARY

SWEPT, OWNER, OUTCOME, REASON, SETTINGS = "swept", "owner", "outcome", "reason", "settings"
DIRECTIONS: list[Literal["minimize", "maximize"]] = ["maximize", "maximize", "minimize"]
"""Accuracy, FPS, W."""
POLL_SECONDS = 0.5


class Sweep(BaseModel):
    """What is swept, where, and how accurate it is.

    Parameters
    ----------
    dsp_instances
        Multipliers are instances of the board's DSPs, which sum their products; Verilog has them, C++ has not.
    trials
        Candidates to try at most.
    seed
        Of NSGA-II, for a space that is larger.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    space: Space
    board: Board
    budget: Budget = Field(default_factory=Budget)
    accuracy: AccuracyTable | EntryPoint = Field(discriminator="kind")
    dsp_instances: bool = False
    trials: int = Field(default=100, ge=1)
    seed: int = 0

    @property
    def settings(self) -> str:
        """A hash of everything that a trial's outcome depends on."""
        return hashlib.sha256(self.model_dump_json(exclude={"trials", "seed"}).encode()).hexdigest()

    @property
    def whole(self) -> bool:
        """Whether every candidate is tried."""
        return len(self.space.candidates) <= self.trials


def run(
    sweep: Sweep, storage: str | Path, *, jobs: int = 1, progress: Callable[[int, int], None] | None = None
) -> Result:
    """Run a sweep, or what is left of it.

    Parameters
    ----------
    storage
        Path of a journal file, or the URL of a database (``sqlite:///...``, ``mysql://...``): that of a run which was
        stopped, or which other processes and machines work on, continues it.
    jobs
        Processes of this machine.
    progress
        Called with candidates done and candidates in all.

    Raises
    ------
    DeepDiveError
        When the table lacks a candidate, or the storage holds another sweep. What goes wrong with one candidate - it
        fits no folding, the function fails - is told in the result.
    """
    if jobs < 1:
        raise DeepDiveError(f"jobs is {jobs}; it must be at least 1.")
    if isinstance(sweep.accuracy, AccuracyTable):
        for candidate in sweep.space.candidates:
            sweep.accuracy.of(candidate)
    study = opened(sweep, storage)
    put_back(study)
    if sweep.whole:
        for candidate in sweep.space.candidates:
            if candidate not in known(study):
                study.enqueue_trial(candidate.model_dump(), user_attrs={SWEPT: True})
    if jobs == 1:
        work(sweep, str(storage), progress)
    else:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # the children's: processes are the parallelism
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=work, args=(sweep, str(storage)), daemon=True) for _ in range(jobs)]
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            workers[0].join(POLL_SECONDS)
            report(study, sweep, progress)
            if not workers[0].is_alive():
                workers.append(workers.pop(0))
        report(study, sweep, progress)
        failed = [worker.exitcode for worker in workers if worker.exitcode]
        if failed:
            raise DeepDiveError(
                f"{len(failed)} of {jobs} processes of the sweep ended with exit code {failed[0]}; what the others "
                "found is kept: run it again with the same storage."
            )
    return collected(study, sweep)


def opened(sweep: Sweep, storage: str | Path) -> optuna.Study:
    """The study in a storage, made when there is none."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.NSGAIISampler(seed=None if sweep.whole else sweep.seed + os.getpid())
    try:
        study = optuna.create_study(
            storage=storage_of(storage),
            study_name="codesign",
            directions=DIRECTIONS,
            sampler=sampler,
            load_if_exists=True,
        )
        mine = study.user_attrs.setdefault(SETTINGS, sweep.settings)
    except Exception as error:  # of the engine and its databases, of many kinds
        raise DeepDiveError(f"Cannot open storage '{storage}' ({type(error).__name__}: {error}).") from error
    if mine != sweep.settings:
        raise DeepDiveError(
            f"Storage '{storage}' holds a sweep of other networks, another board, budget or accuracy; name another one."
        )
    study.set_user_attr(SETTINGS, sweep.settings)
    return study


def storage_of(storage: str | Path) -> BaseStorage:
    """A journal file, or a database by its URL."""
    if "://" in str(storage):
        return RDBStorage(str(storage))
    path = Path(storage)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A lock that a killed process left behind is taken over after half a minute.
    return JournalStorage(JournalFileBackend(str(path), JournalFileOpenLock(str(path))))


def put_back(study: optuna.Study) -> None:
    """Let trials wait again whose process, on this machine, is no more."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        host, _, pid = str(trial.user_attrs.get(OWNER, "")).partition(":")
        if host == socket.gethostname() and not alive(int(pid)):
            study.tell(trial.number, state=TrialState.FAIL)


def alive(pid: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def known(study: optuna.Study) -> set[Candidate]:
    """Candidates that are done, running or waiting."""
    return {
        candidate
        for trial in study.get_trials(deepcopy=False)
        if (candidate := candidate_of(trial)) and (trial.state != TrialState.FAIL or REASON in trial.user_attrs)
    }


def candidate_of(trial: FrozenTrial) -> Candidate | None:
    """What a trial tries; None while it does not know."""
    params: dict[str, Any] = trial.params or trial.system_attrs.get("fixed_params", {})
    return Candidate(**params) if set(params) == set(Candidate.model_fields) else None


def work(sweep: Sweep, storage: str, progress: Callable[[int, int], None] | None = None) -> None:
    """Try candidates until none is left: one process."""
    study = opened(sweep, storage)
    choices = sweep.space.choices
    distributions: dict[str, BaseDistribution] = {name: CategoricalDistribution(choices[name]) for name in choices}
    while len(done(study)) < min(sweep.trials, len(sweep.space.candidates)):
        if sweep.whole and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            return
        trial = study.ask(distributions)
        if sweep.whole and SWEPT not in trial.user_attrs:  # somebody else was faster
            study.tell(trial, state=TrialState.FAIL)
            return
        trial.set_user_attr(OWNER, f"{socket.gethostname()}:{os.getpid()}")
        attempt(study, trial, sweep)
        report(study, sweep, progress)


def attempt(study: optuna.Study, trial: Trial, sweep: Sweep) -> None:
    """Try one candidate; what was tried before is not computed again."""
    candidate = Candidate(**trial.params)
    before = done(study).get(candidate)
    try:
        if isinstance(before, str):
            raise DeepDiveError(before)
        accuracy, cascades = sweep.accuracy.of(candidate), sweep.dsp_instances
        found = before or figures(candidate, accuracy, sweep.board, sweep.budget, dsp_instances=cascades)
    except DeepDiveError as error:
        trial.set_user_attr(REASON, str(error))
        study.tell(trial, state=TrialState.FAIL)
        return
    trial.set_user_attr(OUTCOME, found.model_dump(mode="json"))
    study.tell(trial, [found.accuracy, found.fps, found.power_w])


def done(study: optuna.Study) -> dict[Candidate, Outcome | str]:
    """The outcome of each candidate that was tried, or why it has none."""
    found: dict[Candidate, Outcome | str] = {}
    for trial in study.get_trials(deepcopy=False):
        candidate = candidate_of(trial)
        if candidate and OUTCOME in trial.user_attrs:
            found[candidate] = Outcome.model_validate(trial.user_attrs[OUTCOME])
        elif candidate and REASON in trial.user_attrs:
            found.setdefault(candidate, str(trial.user_attrs[REASON]))
    return found


def report(study: optuna.Study, sweep: Sweep, progress: Callable[[int, int], None] | None) -> None:
    """Say how far it is."""
    if progress:
        progress(len(done(study)), min(sweep.trials, len(sweep.space.candidates)))


def collected(study: optuna.Study, sweep: Sweep) -> Result:
    """What all processes and machines have found so far."""
    found = done(study)
    return Result.of(
        sweep.board.name,
        BOUNDARY,
        {candidate: one for candidate, one in found.items() if isinstance(one, Outcome)},
        {candidate: one for candidate, one in found.items() if isinstance(one, str)},
    )
