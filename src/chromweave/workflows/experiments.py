"""What every experiment does: arms, each a training and a test of it, run once and laid in one table.

All arms of an experiment get the same windows, tracks, budget and rule for seeds; what differs between them
stands in columns of its own (see :mod:`chromweave.workflows.experiment_tables`).
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ConfigError, DataError, InterruptedTraining, ModelError
from ..evaluation.table import Result, results_table
from ..files import read_json
from ..progress import notify, track
from ..provenance import start_run
from .evaluate import EvaluateConfig, evaluate
from .experiment_steps import identity, once, training_settings
from .finetuning import Task, finetune
from .foundation import pretrain
from .foundation_settings import FinetuneConfig, PretrainConfig

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Arm",
    "Bench",
    "Fitting",
    "Outcome",
    "Pretraining",
    "Verbs",
    "consecutive",
    "open_bench",
]

_FOLDERS = ("windows", "stores", "pretraining", "runs", "evaluations")


@dataclass(frozen=True)
class Verbs:
    """What arms are made with; tests put cheaper ones in their place."""

    pretrain: Callable[..., Any] = pretrain
    finetune: Callable[..., Any] = finetune
    evaluate: Callable[..., pd.DataFrame] = evaluate


@dataclass(frozen=True)
class Pretraining:
    """A pre-training that arms share: its name in the experiment, and what it is given."""

    name: str
    stores: tuple[Path, ...]
    windows: tuple[Path, ...]
    config: PretrainConfig
    seed: int


@dataclass(frozen=True)
class Fitting:
    """A fine-tuning: its name in the experiment, and what it is given."""

    name: str
    task: Task
    store: Path
    windows: Path
    config: FinetuneConfig
    seed: int
    pretrained: Path | Pretraining | None = None


@dataclass(frozen=True)
class Arm:
    """One row of an experiment before it is run.

    Parameters
    ----------
    name
        Names its folder.
    conditions
        What sets the arm apart: values of the experiment's own columns.
    model
        What is tested: a run folder, or the training that makes one. None where there cannot be one.
    store, windows
        What it is tested on, on the split ``test``.
    seed
        Of the training, for the table.
    trivial
        The columns' values in the trivial rows, which several arms may share.
    trivial_from
        Store and windows that the trivial rows learn from, if they are another cell line's.
    missing
        Why the arm cannot be run; empty where it can.
    may_hold_nothing
        Whether its data may turn out to hold nothing to learn from or to judge, which is then a result: the
        arm is listed as one that cannot be run.
    """

    name: str
    conditions: Mapping[str, Any]
    model: Path | Fitting | None
    store: Path
    windows: Path
    seed: int
    trivial: Mapping[str, Any]
    trivial_from: tuple[Path, Path] | None = None
    missing: str = ""
    may_hold_nothing: bool = False


class Outcome(NamedTuple):
    """An arm and its scores (schema `RESULTS`); None where it could not be run."""

    arm: Arm
    scores: pd.DataFrame | None


@dataclass(frozen=True)
class Bench:
    """Where the arms of one experiment are run, and with what.

    Parameters
    ----------
    out
        Folder of the experiment: ``runs/``, ``evaluations/``, and what is derived from the input.
    experiment
        Names its table.
    seed
        Of every evaluation: all arms are judged over the same resampled blocks.
    begin
        Records settings and inputs in the folder.
    verbs
        Pre-training, fine-tuning, evaluation.
    evaluation
        Split and blocks.
    """

    out: Path
    experiment: str
    seed: int
    begin: Callable[[], object]
    verbs: Verbs = field(default_factory=Verbs)
    evaluation: EvaluateConfig = field(default_factory=EvaluateConfig)

    def run(self, arms: Sequence[Arm]) -> list[Outcome]:
        """Train and evaluate every arm that is not complete.

        Raises
        ------
        ConfigError
            An arm is there, made with other settings; the table that is there has one that is not asked for;
            or none can be run.
        InterruptedTraining
            The process was asked to end; the same call goes on from there.
        """
        self._keep_table(arms)
        if all(arm.missing for arm in arms):
            raise ConfigError(f"no arm can be run: {arms[0].missing}")
        self.begin()
        outcomes = []
        for number, arm in enumerate(track(arms, "experiment", unit="arms"), 1):
            notify(f"arm {number} of {len(arms)}: {arm.name}" + (f": {arm.missing}" if arm.missing else ""))
            outcomes.append(self._outcome(arm))
        if all(scores is None for _, scores in outcomes):
            raise ConfigError(f"no arm can be run: {outcomes[0].arm.missing}")
        return outcomes

    def _keep_table(self, arms: Sequence[Arm]) -> None:
        """Refuse to write, in the place of a complete table, one that lacks some of its arms."""
        path = self.out / f"{self.experiment}.json"
        if not path.is_file():
            return
        wanted = [{**arm.conditions, "seed": arm.seed} for arm in arms]
        record = read_json(path)
        if left_out := _left_out(record["results"], wanted):
            raise ConfigError(
                f"{path}: its table would lose arms that are not asked for now ({left_out}); give the "
                f"experiment another folder, ask for all that is there (made by: {record['command']}), with "
                "more if you like, or --overwrite to start it anew."
            )

    def _outcome(self, arm: Arm) -> Outcome:
        if arm.missing:
            return Outcome(arm, None)
        try:
            return Outcome(arm, self._scores(arm))
        except ModelError:
            raise
        except DataError as error:
            if not arm.may_hold_nothing:
                raise
            notify(f"{arm.name}: {error}")
            return Outcome(replace(arm, missing=str(error)), None)

    def pretrained(self, wanted: Path | Pretraining | None) -> Path | None:
        """Run folder of a pre-training, made now if it is not there."""
        if not isinstance(wanted, Pretraining):
            return wanted
        run = self.out / "pretraining" / wanted.name
        settings = {
            "stores": [identity(store) for store in wanted.stores],
            "windows": [identity(table) for table in wanted.windows],
            "config": training_settings(wanted.config),
            "seed": wanted.seed,
        }
        call = {
            "stores": wanted.stores,
            "windows": wanted.windows,
            "config": wanted.config,
            "seed": wanted.seed,
        }
        once(run, settings, lambda begun: _trained(self.verbs.pretrain, run, call, begun))
        return run

    def trained(self, wanted: Path | Fitting) -> Path:
        """Run folder of a fine-tuning, made now if it is not there."""
        if not isinstance(wanted, Fitting):
            return wanted
        pretrained = self.pretrained(wanted.pretrained)
        run = self.out / "runs" / wanted.name
        settings = {
            "task": wanted.task,
            "store": identity(wanted.store),
            "windows": identity(wanted.windows),
            "pretrained": identity(pretrained),
            "config": training_settings(wanted.config),
            "seed": wanted.seed,
        }
        call = {
            "stores": wanted.store,
            "windows": wanted.windows,
            "task": wanted.task,
            "pretrained": pretrained,
            "config": wanted.config,
            "seed": wanted.seed,
        }
        once(run, settings, lambda begun: _trained(self.verbs.finetune, run, call, begun))
        return run

    def _scores(self, arm: Arm) -> pd.DataFrame:
        assert arm.model is not None
        model = self.trained(arm.model)
        out = self.out / "evaluations" / arm.name
        more = {}
        if arm.trivial_from is not None:
            more = {"trivial_store": arm.trivial_from[0], "trivial_windows": arm.trivial_from[1]}
        settings = {
            "model": identity(model),
            "store": identity(arm.store),
            "windows": identity(arm.windows),
            **{name: identity(path) for name, path in more.items()},
            "seed": self.seed,
            "config": asdict(self.evaluation),
        }

        def make(begun: bool) -> list[dict[str, Any]]:
            table = self.verbs.evaluate(
                out,
                model=model,
                store=arm.store,
                windows=arm.windows,
                seed=self.seed,
                config=self.evaluation,
                **more,
            )
            out.mkdir(parents=True, exist_ok=True)
            return _as_rows(table)

        return _as_table(once(out, settings, make))


def _left_out(rows: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> str:
    """What sets arms of a table apart from all that are wanted, in words; empty where none is left out."""
    own = [row for row in rows if (row["row"], row["method"]) == ("arm", "model")]
    made = [{name: row[name] for name in wanted[0]} for row in own]
    lost = [arm for arm in made if arm not in wanted]
    parts = []
    for name in wanted[0]:
        known = [arm[name] for arm in wanted]
        if values := [value for value in dict.fromkeys(arm[name] for arm in lost) if value not in known]:
            parts.append(f"{name} {', '.join(map(str, values))}")
    if lost and not parts:  # each value is wanted, but not all of an arm's together
        parts = [f"{name} {value}" for name, value in lost[0].items()]
    return "; ".join(parts)


def _trained(verb: Callable[..., Any], run: Path, call: Mapping[str, Any], begun: bool) -> dict[str, Any]:
    """Train, from the last checkpoint if there is one; returns the seconds it took."""
    resume = begun and (run / "checkpoints" / "last.ckpt").is_file()
    began = time.monotonic()
    try:
        verb(run, **call, resume=resume)
    except InterruptedTraining as error:
        raise InterruptedTraining(
            f"{run}: stopped by {error.signal}; the same command goes on from its last checkpoint.",
            signal=error.signal,
        ) from error
    return {"seconds": round(time.monotonic() - began, 1)}


def _as_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows = results_table([]).columns
    known = table[list(rows)].astype(object)
    return known.where(known.notna(), None).to_dict("records")


def _as_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    unknown: dict[str, Any] = dict.fromkeys(("value", "low", "high"), math.nan)
    known = [{name: value for name, value in row.items() if value is not None} for row in rows]
    return results_table(Result(**(unknown | row)) for row in known)


def open_bench(
    out: str | Path,
    experiment: str,
    config: Any,
    *,
    seed: int,
    inputs: Sequence[str | Path],
    overwrite: bool = False,
    verbs: Verbs | None = None,
    evaluation: EvaluateConfig | None = None,
) -> Bench:
    """The folder of an experiment, new or to be gone on with.

    Parameters
    ----------
    out
        The folder.
    experiment
        Which one; a folder of another is refused.
    config
        Its settings, a frozen dataclass, written as ``config.toml``.
    seed, verbs, evaluation
        As in :class:`Bench`.
    inputs
        Stores, windows and models; their checksums are kept.
    overwrite
        Delete what is there, the table included, and start anew.

    Raises
    ------
    OutputError
        The folder holds something else.
    """
    folder, kind = Path(out), f"experiment {experiment}"
    begin = partial(start_run, out, kind=kind, config=config, seed=seed, inputs=inputs)
    if overwrite or not _is_begun(folder, kind):
        begin()  # or it is refused, as the folder of something else
    if overwrite:
        for name in _FOLDERS:
            shutil.rmtree(folder / name, ignore_errors=True)
        for suffix in ("tsv", "json", "png"):
            (folder / f"{experiment}.{suffix}").unlink(missing_ok=True)
    return Bench(folder, experiment, seed, begin, verbs or Verbs(), evaluation or EvaluateConfig())


def _is_begun(folder: Path, kind: str) -> bool:
    """Whether such an experiment was begun there; its record stays until new settings are known to fit."""
    record = folder / "run.json"
    return record.is_file() and read_json(record).get("kind") == kind


def consecutive(seed: int, seeds: int) -> range:
    """The seeds of an arm's repetitions.

    Raises
    ------
    ConfigError
        There is none.
    """
    if seeds < 1:
        raise ConfigError(f"an arm needs at least one seed, not {seeds}.")
    return range(seed, seed + seeds)
