"""How deep a map has to be: models and trivial rows on binomially thinned contacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from .. import config as configs
from ..data.store import RegionStore
from ..data.tables import SPLITS, describe_windows, read_windows, write_windows
from ..data.thin import thin_store
from ..errors import BalancingError, ConfigError, ModelError
from ..files import read_json
from ..plot.curves import strata_figure
from ..schemas import Column
from ..training.checkpoint import read_description
from .evaluation_rows import EvaluateConfig
from .experiment_input import require_samples
from .experiment_steps import identity, once
from .experiment_tables import (
    arm_rows,
    experiment_schema,
    mean_rows,
    shown_metrics,
    with_intervals,
    write_experiment,
)
from .experiments import Arm, Bench, Fitting, Verbs, consecutive, open_bench
from .finetuning import Task
from .foundation_settings import FinetuneConfig
from .model_input import open_stores
from .networks import TASKS, wrong_kind

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["DEPTH", "depth"]

DEPTH = experiment_schema(
    "depth",
    Column("model", "text", "name of its run folder; none in trivial rows"),
    Column("fraction", "number", "chance of each contact to stay"),
    Column("retrained", "boolean", "fine-tuned at this depth; False: as it was given"),
)


@dataclass(frozen=True)
class _Settings:
    fractions: tuple[float, ...]
    retrain: bool
    seeds: int


class _Model(NamedTuple):
    """A model under test, and how it was trained: None where it is not to be trained again."""

    name: str
    run: Path
    config: FinetuneConfig | None
    pretrained: Path | None
    seed: int


class _Thinned(NamedTuple):
    """A thinned store and its windows; or why there are none."""

    store: Path
    windows: Path
    missing: str


def depth(
    out: str | Path,
    *,
    models: Sequence[str | Path],
    store: str | Path,
    windows: str | Path,
    fractions: Sequence[float] = (1.0, 0.5, 0.2, 0.1),
    retrain: bool = False,
    seeds: int = 1,
    evaluation: EvaluateConfig | None = None,
    metric: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
    verbs: Verbs | None = None,
) -> pd.DataFrame:
    """Test models on maps with a part of their contacts; windows and labels stay what they were.

    Every store tested on is balanced anew, that of the fraction 1 included, so that nothing but depth
    differs. Trivial rows learn from training windows of the same depth, a model only if it is trained again.
    Where contacts are predicted, the truth is the thinned map.

    Parameters
    ----------
    out
        Folder for ``depth.tsv``, ``.json`` and ``.png``, the thinned stores, and everything that is trained;
        see :func:`~chromweave.workflows.few_shot.few_shot`.
    models
        Runs of finetune, all for one task, with folders of different names.
    store, windows
        The store, and its window table with all three splits.
    fractions
        Chances of a contact to stay, above 0, at most 1.
    retrain
        Also fine-tune each model anew at every depth, with its own settings.
    seeds
        Thinnings of each fraction (and trainings on them), with consecutive seeds.
    evaluation, seed, overwrite, verbs
        As in :func:`~chromweave.workflows.few_shot.few_shot`.
    metric
        What the figure shows; the first of the evaluation by default.

    Returns
    -------
    pandas.DataFrame
        Schema :data:`DEPTH`: rows ``"arm"`` and ``"mean"`` over seeds. Trivial rows are of the first seed. A
        fraction whose map cannot be balanced, or holds nothing to judge, has rows without value whose note
        says so.

    Raises
    ------
    ConfigError
        A fraction is out of range; models are of several tasks or share a name; or what is in the folder was
        made with other settings.
    DataError
        Models, windows and store do not fit one another.
    """
    wanted = tuple(sorted(fractions, reverse=True))
    if not wanted or not all(0 < fraction <= 1 for fraction in wanted) or len(set(wanted)) < len(wanted):
        raise ConfigError(f"fractions lie above 0, are at most 1, and differ from each other; not {wanted}.")
    task = _task(models)
    known = [_model(Path(run), retrain) for run in models]
    names = [model.name for model in known]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"two models have folders called {twice[0]!r}, and could not be told apart.")
    repeats = consecutive(seed, seeds)
    (opened,) = open_stores(store)
    require_samples(task, opened, windows)
    inputs = [*models, store, windows]
    bench = open_bench(
        out, "depth", _Settings(wanted, retrain, seeds),
        seed=seed, inputs=inputs, overwrite=overwrite, verbs=verbs, evaluation=evaluation,
    )  # fmt: skip
    arms = []
    for fraction in wanted:
        for repeat in repeats:
            thinned = _thinned(bench, opened, Path(windows), fraction, repeat)
            for model in known:
                if fraction < 1 or repeat == seed:  # nothing is drawn where every contact stays
                    arms.append(_arm(model, None, thinned, fraction, repeat))
                if model.config is not None:
                    fitting = _fitting(model, task, thinned, fraction, repeat - seed)
                    arms.append(_arm(model, fitting, thinned, fraction, fitting.seed))
    rows = _rows(bench, arms)
    figure = _figure(rows, shown_metrics(rows, metric, 1)[0])
    return write_experiment(out, "depth", rows, DEPTH, figure, inputs=inputs)


def _task(models: Sequence[str | Path]) -> Task:
    """The one task of all models."""
    tasks = {kind: task for task, kind in TASKS.items()}
    found = {}
    for run in models:
        kind = read_description(run).kind
        if kind not in tasks:
            raise wrong_kind(run, kind, "finetune")
        found[tasks[kind]] = run
    if len(found) != 1:
        said = ", ".join(f"{run}: {task}" for task, run in found.items()) or "none is given"
        raise ConfigError(f"depth needs models of one task ({said}).")
    return cast(Task, next(iter(found)))


def _model(run: Path, retrain: bool) -> _Model:
    name = run.resolve().name
    if not retrain:
        return _Model(name, run, None, None, 0)
    config = configs.load(FinetuneConfig, run / "config.toml")
    config = replace(config, fit=replace(config.fit, devices=1, nodes=1, strategy="auto"))
    source = read_description(run).provenance.get("pretrained")
    if source is not None and not Path(source).is_dir():
        raise ModelError(
            f"{run}: was fine-tuned from {source}, which is not there; it cannot be trained again without."
        )
    seed = int(read_json(run / "run.json")["seed"])
    return _Model(name, run, config, None if source is None else Path(source), seed)


def _thinned(bench: Bench, store: RegionStore, windows: Path, fraction: float, seed: int) -> _Thinned:
    """The store thinned, unless it is there, and the same windows of it."""
    name = f"fraction-{fraction:g}" + (f".seed-{seed}" if fraction < 1 else "")
    thin, table = bench.out / "stores" / f"{name}.store", bench.out / "windows" / f"{name}.parquet"
    settings = {"store": identity(store.path), "fraction": fraction, "seed": seed if fraction < 1 else None}

    def make(begun: bool) -> str:
        try:
            thin_store(thin, store, fraction, seed=seed)
        except BalancingError as error:
            return str(error)
        return ""

    missing = once(thin, settings, make)
    if not missing:
        settings = {"windows": identity(windows), "store": settings}
        once(table, settings, lambda begun: _move(table, store, windows, RegionStore.open(thin)))
    return _Thinned(thin, table, missing)


def _move(out: Path, store: RegionStore, windows: Path, thinned: RegionStore) -> None:
    """Write the windows of `store` as windows of `thinned`: the same rows, labels and splits."""
    table = read_windows(windows, store=store, splits=SPLITS)
    about = table.attrs
    table.attrs = dict(about) | describe_windows(
        thinned,
        about["resolution"],
        window_bins=about["window_bins"],
        seed=about["seed"],
        protocol=about["protocol"],
    )
    write_windows(out, table)


def _fitting(model: _Model, task: Task, thinned: _Thinned, fraction: float, shift: int) -> Fitting:
    assert model.config is not None
    seed = model.seed + shift
    name = f"{model.name}.fraction-{fraction:g}.seed-{seed}"
    return Fitting(name, task, thinned.store, thinned.windows, model.config, seed, model.pretrained)


def _arm(model: _Model, fitting: Fitting | None, thinned: _Thinned, fraction: float, seed: int) -> Arm:
    again = fitting is not None
    source = None if thinned.missing else fitting or model.run
    return Arm(
        name=f"{model.name}.fraction-{fraction:g}.seed-{seed}{'.retrained' if again else ''}",
        conditions={"model": model.name, "fraction": fraction, "retrained": again},
        model=source,
        store=thinned.store,
        windows=thinned.windows,
        seed=seed,
        trivial={"model": "none", "fraction": fraction, "retrained": False},
        missing=thinned.missing,
        may_hold_nothing=fraction < 1,
    )


def _rows(bench: Bench, arms: Sequence[Arm]) -> pd.DataFrame:
    import pandas as pd

    rows = arm_rows(bench.run(arms), DEPTH)
    return pd.concat([rows, mean_rows(rows, DEPTH, ["model", "fraction", "retrained"])], ignore_index=True)


def _figure(rows: pd.DataFrame, metric: str) -> Figure:
    """A line for each model and trivial row over the depths."""
    import pandas as pd

    rows = rows[(rows["metric"] == metric) & (rows["stratum"] == "all")]
    means = with_intervals(rows, ["model", "fraction", "retrained"])
    again = means["retrained"].map({True: ", retrained", False: ""})
    trivial = rows[(rows["row"] == "arm") & (rows["model"] == "none")]
    shown = pd.concat([means.assign(method=means["model"] + again), trivial], ignore_index=True)
    shown = shown.assign(stratum=shown["fraction"].map(lambda value: f"{100 * value:g} % of contacts"))
    return strata_figure(shown, metric, trivial=tuple(dict.fromkeys(trivial["method"])))
