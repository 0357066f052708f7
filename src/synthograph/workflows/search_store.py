"""What processes of a search share: every trial, in Optuna's journal or in a database.

The only file that knows Optuna. It draws parameters and keeps what came of them; who trains, when
a trial is ended and who takes over the work of a dead process is decided elsewhere.
"""

import contextlib
import json
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthograph.core.addresses import hidden
from synthograph.core.errors import BlockedError, UserError, one_line
from synthograph.core.files import disk_errors, refuse_unwritable
from synthograph.core.locks import Lock
from synthograph.core.untrusted.documents import JsonObject
from synthograph.results.base import Count, Many, Plain, Schema
from synthograph.results.search import ParameterKind, Rung, SearchTrial, Settings
from synthograph.workflows.search_space import Parameter

if TYPE_CHECKING:
    import optuna

JOURNAL = "trials.journal"
SEARCH, FINALS = "search", "finals"
DRAWN, HOME, ALIVE, WAY, RECORD = "drawn", "home", "alive", "way", "record"
"""Names of what is noted of a study, and of a trial."""
WORST = 1e9
"""By how much a constraint is missed that has no value: a journal holds no infinity."""
MISSING = (
    "a search needs Optuna, which is not installed: pip install 'synthograph[tune]', then run the "
    "same command"
)
MAX_STARTUP, MIN_STARTUP = 10, 4
"""Trials that are drawn at random before drawing learns from them: a quarter, within these."""


@dataclass(frozen=True)
class _JournalLock:
    """The lock of a journal: Optuna's own outlives a process that was killed."""

    lock: Lock

    def acquire(self) -> bool:
        """Take it as soon as it is free."""
        self.lock.wait()
        return True

    def release(self) -> None:
        """Let others have it."""
        self.lock.release()


class Way(Schema):
    """How far a trial is.

    Attributes:
        rungs: what was measured so far.
        seconds: that it took so far.
        taken_up: how often a process went on with it whose predecessor was gone.
    """

    rungs: Many[Rung] = ()
    seconds: float = 0.0
    taken_up: Count = 0


@dataclass(frozen=True)
class Noted:
    """A trial as the processes of a search see it.

    Attributes:
        number: from 0.
        running: whether some process is, or was, at it.
        drawn: path to value; None where its process ended before all was drawn.
        home: folder that its runs are in, by name.
        alive: when its process last said so, in seconds since 1970.
        way: how far it is, while it runs.
        record: what came of it; None while it runs.
    """

    number: int
    running: bool
    drawn: Settings | None
    home: str
    alive: float
    way: Way
    record: SearchTrial | None

    @property
    def counted(self) -> bool:
        """Whether it is one of the trials of the budget."""
        return self.running or self.record is not None

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """What was measured of it so far."""
        return self.way.rungs if self.record is None else self.record.rungs

    @property
    def seconds(self) -> float:
        """That it took so far."""
        return self.way.seconds if self.record is None else self.record.seconds

    @property
    def kimg(self) -> float:
        """Thousands of images that each of its runs has seen."""
        return self.rungs[-1].kimg if self.rungs else 0.0


class Store:
    """Trials of one search. Every method reads what other processes wrote.

    Args:
        url: of a database; None for a journal in the folder.
        folder: of the search.
        name: of the search.
        sha256: of what it was begun with.
        smaller: whether smaller values are better, by objective.
        seed: of draws.

    Raises:
        UserError: Optuna is missing, the database cannot be reached or is locked, or the study is
            that of another search.
    """

    def __init__(
        self,
        url: str | None,
        folder: Path,
        *,
        name: str,
        sha256: str,
        smaller: Sequence[bool],
        seed: int,
    ) -> None:
        self._optuna, self._seed = _optuna(), seed
        self.where = hidden(url or str(folder / JOURNAL))
        with self._errors():
            self._study = self._optuna.create_study(
                storage=url or self._journal(folder / JOURNAL),
                study_name=name,
                directions=["minimize" if each else "maximize" for each in smaller],
                load_if_exists=True,
            )
            begun = self._study.user_attrs.get(SEARCH)
            if begun is None and not self._study.trials:
                self._study.set_user_attr(SEARCH, sha256)
            elif begun != sha256:
                raise _another(self.where, name)

    def _journal(self, path: Path) -> "optuna.storages.BaseStorage":
        parts = self._optuna.storages.journal
        lock = Lock(path.with_name(f".{path.name}.lock"), f"{path}: another process writes")

        with disk_errors(path):
            with lock:
                _cut_torn_line(path)
            return self._optuna.storages.JournalStorage(
                parts.JournalFileBackend(str(path), lock_obj=_JournalLock(lock))
            )

    # --- reading ----------------------------------------------------------------------------------

    def trials(self) -> list[Noted]:
        """Every trial that was begun."""
        running = self._optuna.trial.TrialState.RUNNING
        with self._errors():
            found = self._study.get_trials(deepcopy=False)
        return [
            Noted(
                number=each.number,
                running=each.state == running,
                drawn=each.user_attrs.get(DRAWN),
                home=each.user_attrs.get(HOME, ""),
                alive=each.user_attrs.get(ALIVE, 0.0),
                way=Way.parse(each.user_attrs.get(WAY, {}), self.where),
                record=self._record(each.user_attrs.get(RECORD)),
            )
            for each in found
            if each.state != self._optuna.trial.TrialState.WAITING
        ]

    # --- writing ----------------------------------------------------------------------------------

    def ask(
        self, parameters: Sequence[Parameter], home: str, *, trials: int, fixed: Settings | None
    ) -> Noted:
        """Begin a trial.

        Args:
            parameters: what to draw, in order.
            home: name of the folder that its runs go to.
            trials: in all, as planned.
            fixed: values instead of draws.
        """
        with self._errors():
            # of its own for every trial: a process that starts again draws other numbers
            seed = self._seed + 7919 * len(self._study.get_trials(deepcopy=False))
            self._study.sampler = self._sampler(seed, trials)
            if fixed:
                self.begin_again(fixed)
            trial = self._study.ask()
            trial.set_user_attr(HOME, home)
            drawn: Settings = {}
            for parameter in parameters:
                if parameter.holds(drawn):
                    drawn[parameter.path] = _suggest(trial, parameter)
            trial.set_user_attr(ALIVE, time.time())
            trial.set_user_attr(DRAWN, drawn)
        return Noted(trial.number, True, drawn, home, time.time(), Way(), None)

    def take_up(self, noted: Noted) -> Noted:
        """Go on with a trial whose process is gone."""
        way = noted.way.replace(taken_up=noted.way.taken_up + 1)
        self.note(noted.number, way)
        return replace(noted, way=way)

    def note(self, number: int, way: Way) -> None:
        """How far a trial is."""
        with self._errors():
            self._trial(number).set_user_attr(WAY, way.tree())

    def begin_again(self, drawn: Settings) -> None:
        """Have the next trial drawn so, such as that of a process that is gone."""
        with self._errors():
            self._study.enqueue_trial({path: _encoded(value) for path, value in drawn.items()})

    def beat(self, number: int) -> None:
        """Say that a trial's process is alive."""
        with self._errors():
            self._trial(number).set_user_attr(ALIVE, time.time())

    def report(self, number: int, kimg: float, value: float) -> None:
        """The only objective of a trial on its way; of several Optuna takes none."""
        if len(self._study.directions) == 1:
            with self._errors():
                self._trial(number).report(value, round(kimg * 1000))

    def finish(
        self, record: SearchTrial, values: Sequence[float] | None, constraints: Mapping[str, float]
    ) -> None:
        """Note what came of a trial.

        Args:
            record: all of it.
            values: objectives of one that came to the end; None for any other.
            constraints: measure to by how much it is missed; 0 or less keeps it.
        """
        states = self._optuna.trial.TrialState
        with self._errors():
            trial = self._trial(record.number)
            for name, missed in constraints.items():
                trial.set_constraint(name, min(missed, WORST))
            trial.set_user_attr(RECORD, record.tree())
            state = states.PRUNED if values is None else states.COMPLETE
            self._study.tell(record.number, values, state=state)

    def forget(self, number: int) -> None:
        """A trial whose process ended before all was drawn, or that began again elsewhere."""
        with self._errors():
            self._study.tell(number, state=self._optuna.trial.TrialState.FAIL)

    def finals_at(self, home: str) -> str:
        """Name of the folder where finalists are trained again: of whoever came first."""
        with self._errors():
            if FINALS not in self._study.user_attrs:
                self._study.set_user_attr(FINALS, home)
            return str(self._study.user_attrs[FINALS])

    # --- inside -----------------------------------------------------------------------------------

    def _record(self, tree: JsonObject | None) -> SearchTrial | None:
        return None if tree is None else SearchTrial.parse(tree, self.where)

    def _trial(self, number: int) -> "optuna.trial.Trial":
        found = self._study.get_trials(deepcopy=False)[number]
        return self._optuna.trial.Trial(self._study, found._trial_id)

    def _sampler(self, seed: int, trials: int) -> "optuna.samplers.BaseSampler":
        startup = min(max(trials // 4, MIN_STARTUP), MAX_STARTUP)
        return self._optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=startup,
            multivariate=True,
            group=True,  # of conditional parameters: those that are drawn together
            constant_liar=True,  # processes side by side do not draw alike
        )

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """What goes wrong with the storage, in one line.

        Raises:
            UserError: it cannot be used; `BlockedError` where it is locked.
        """
        with store_errors(self.where), warnings.catch_warnings():
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            yield


def refuse_storage(url: str, name: str, sha256: str) -> None:
    """Refuse a database that a search could not use, before anything is made; nothing is written.

    Args:
        url: of the database, which may be empty.
        name: of the search.
        sha256: of what it is begun with.

    Raises:
        UserError: it cannot be reached, or holds a study of this name that is another search's;
            `BlockedError` where it is locked.
    """
    optuna, where = _optuna(), hidden(url)
    with store_errors(where):
        import sqlalchemy  # comes with the same extra

        address = sqlalchemy.make_url(url)
        if address.get_backend_name() == "sqlite" and address.database:
            file = Path(address.database)
            if not file.parent.is_dir():
                raise UserError(f"{where}: there is no folder {file.parent}: make it")
            refuse_unwritable(file)
            if not file.exists():  # connecting would make it
                return
        engine = sqlalchemy.create_engine(address)
        try:
            tables = sqlalchemy.inspect(engine).get_table_names()
        finally:
            engine.dispose()
        if "studies" not in tables:
            return
        shared = optuna.storages.RDBStorage(url, skip_table_creation=True)
        begun = {each.study_name: each.user_attrs for each in shared.get_all_studies()}
        if begun.get(name, {}).get(SEARCH, sha256) != sha256:
            raise _another(where, name)


def _another(where: str, name: str) -> UserError:
    return UserError(
        f"{where}: holds the study of another search called {name}: name another --outdir or "
        "--storage, or give the search another name"
    )


@contextlib.contextmanager
def store_errors(where: str) -> Iterator[None]:
    """What goes wrong with a storage, in one line.

    Args:
        where: file or URL, in messages.

    Raises:
        UserError: it cannot be used; `BlockedError` where it is locked.
    """
    try:
        yield
    except (UserError, OSError, KeyboardInterrupt):
        raise
    except ImportError as error:
        raise UserError(
            f"{where}: a database needs its driver, which is not installed ({error}): pip install "
            "'psycopg[binary]' for postgresql://, mysqlclient for mysql://, 'synthograph[tune]' "
            "for sqlite://; or leave --storage out for a journal in the folder of the search"
        ) from None
    except Exception as error:
        names = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
        if not names & {"sqlalchemy", "optuna"} and not isinstance(error, ValueError | KeyError):
            raise
        said = hidden(one_line(str(error.__cause__ or error))).partition(" [SQL")[0][:160]
        if "locked" in said:
            raise BlockedError(
                f"{where}: the database is locked by another program ({said}): end that, or let "
                "several processes share a server's database or the journal (no --storage)"
            ) from None
        raise UserError(
            f"{where}: cannot be used for a search ({said}): check the address, or leave --storage "
            "out for a journal in the folder of the search"
        ) from None


def importances(
    parameters: Sequence[Parameter],
    drawn: Sequence[Settings],
    values: Sequence[float],
    *,
    smaller: bool,
) -> dict[str, float]:
    """Share of the variation of values that each parameter explains (PED-ANOVA, Watanabe et al.
    2023); empty where too few trials differ.

    Args:
        parameters: of the space.
        drawn: of every trial.
        values: of every trial, measured at the same place.
        smaller: whether smaller ones are better.
    """
    optuna = _optuna()
    study = optuna.create_study(direction="minimize")
    by_path = {each.path: each for each in parameters}
    for draw, value in zip(drawn, values, strict=True):
        known = {path: _encoded(one) for path, one in draw.items() if path in by_path}
        study.add_trial(
            optuna.trial.create_trial(
                params=known,
                distributions={path: _distribution(by_path[path]) for path in known},
                value=value if smaller else -value,
            )
        )
    if len(values) < MIN_STARTUP or len({*values}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found: dict[str, float] = optuna.importance.get_param_importances(study)
        except (ValueError, RuntimeError):  # nothing varies
            return {}
    return {path: min(max(float(share), 0.0), 1.0) for path, share in found.items()}


def _optuna() -> Any:  # noqa: ANN401 - the module
    try:
        import optuna  # takes long, and is not always there
    except ImportError:
        raise UserError(MISSING) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _suggest(trial: "optuna.trial.Trial", parameter: Parameter) -> Plain:
    path, low, high = parameter.path, parameter.low or 0.0, parameter.high or 0.0
    if parameter.kind is ParameterKind.CHOICE:
        found = trial.suggest_categorical(path, [_encoded(each) for each in parameter.choices])
        return next(each for each in parameter.choices if _encoded(each) == found)
    if parameter.kind is ParameterKind.INTEGER:
        step = int(parameter.step or 1)
        return trial.suggest_int(path, int(low), int(high), step=step, log=parameter.log)
    return trial.suggest_float(path, low, high, step=parameter.step, log=parameter.log)


def _distribution(parameter: Parameter) -> "optuna.distributions.BaseDistribution":
    kinds = _optuna().distributions
    if parameter.kind is ParameterKind.CHOICE:
        return kinds.CategoricalDistribution([_encoded(each) for each in parameter.choices])
    if parameter.kind is ParameterKind.INTEGER:
        step = int(parameter.step or 1)
        return kinds.IntDistribution(
            int(parameter.low or 0), int(parameter.high or 0), log=parameter.log, step=step
        )
    return kinds.FloatDistribution(
        parameter.low, parameter.high, log=parameter.log, step=parameter.step
    )


def _encoded(value: Plain) -> Any:  # noqa: ANN401 - what Optuna keeps
    """A value as Optuna keeps it: it knows numbers and texts."""
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value


def _cut_torn_line(path: Path) -> None:
    """Remove what a power cut left of the last line, which nothing could be appended to."""
    data = path.read_bytes() if path.exists() else b""
    if data and not data.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(data.rfind(b"\n") + 1)
