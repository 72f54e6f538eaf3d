"""Stores, windows and models to be evaluated: some know nothing, of others it is known what they say."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from chromweave import config as configs
from chromweave.batch import MapTrackBatch, Prediction
from chromweave.data.dataset import WindowDataset
from chromweave.data.store import RegionStore
from chromweave.data.transforms import WindowTransform
from chromweave.data.windows import grid_windows, loop_windows, read_windows, write_windows
from chromweave.evaluation import bootstrap
from chromweave.models.mixhic import MixHicConfig
from chromweave.training.checkpoint import LoadedModel, ModelDescription, save_model
from chromweave.workflows import (
    evaluate_contacts,
    evaluate_expression,
    evaluate_loops,
    evaluation_rows,
    inference,
)
from chromweave.workflows.evaluation_rows import EvaluateConfig
from chromweave.workflows.model_input import ModelInput
from chromweave.workflows.networks import PRETRAIN, TASKS, build_network, load_task
from tests.fakes import FakeContacts, build_fake
from tests.fakes_loops import (
    ASSEMBLY,
    CHROMS,
    RESOLUTION,
    SPLIT,
    WINDOW_BINS,
    fake_map,
    fake_track,
    planted,
)

READ = ("ATAC", "DNase")
SIGNAL = "CAGE"
STEP = 80_000  # 16 bins: windows of a grid lie side by side
MASKED = (100, 101, 350, 600)


def cell_line(
    patch,
    out,
    *,
    seed=0,
    depth=1,
    tracks=(*READ, SIGNAL),
    turned=(),
    backwards=False,
    assembly=ASSEMBLY,
    contacts=True,
):
    """A store with planted loops, four masked bins on each chromosome, and a stretch without signal.

    Tracks that are `turned` are low where others peak; they may be stored in the order opposite to that in
    which they are drawn.
    """
    rng, loops = np.random.default_rng(seed), planted()
    n_bins = ASSEMBLY.length("chr1") // RESOLUTION
    weight = np.full(n_bins, 0.02)
    weight[list(MASKED)] = np.nan
    maps = {(c, RESOLUTION): depth * fake_map(loops[loops["chrom1"] == c], n_bins, rng) for c in CHROMS}
    weights = {("weight", c, RESOLUTION): weight for c in CHROMS}
    made = [fake_track(name, loops, rng) for name in tracks]
    for track in made:
        for values in track.values.values():
            if track.name in turned:
                values[:] = 200 - values
            values[100 * 50 : 104 * 50] = np.nan  # bins 100 to 103
    if backwards:
        made.reverse()
    held = FakeContacts(maps, weights, assembly) if contacts else None
    return build_fake(patch, out, held, made, assembly=assembly, max_distance=600_000)


def changed(table: pd.DataFrame, rows=None, **columns) -> pd.DataFrame:
    """Some rows of a window table, or all, with other values in some columns; it belongs where it did."""
    found = table if rows is None else table[rows]
    found = found.reset_index(drop=True).assign(**columns)
    found.attrs = dict(table.attrs)
    return found


def everything(path) -> pd.DataFrame:
    """A window table with all splits."""
    return read_windows(path, splits=("train", "valid", "test"))


def unreadable(table: pd.DataFrame, split: str) -> pd.DataFrame:
    """No window of this split can be cut: half stick out of their chromosome, half are on one nobody has."""
    poisoned = changed(table)
    rows = np.flatnonzero(poisoned["split"] == split)
    assert len(rows) > 20
    poisoned.loc[rows[::2], ["x", "y"]] = 2_000_000_000
    poisoned["chrom"] = poisoned["chrom"].astype(str)
    poisoned.loc[rows[1::2], "chrom"] = "chr99"
    return poisoned


def make_place(folder):
    """Two cell lines `a` and `b` (of twice the depth), window tables of `a`, and a model for each task."""
    with pytest.MonkeyPatch.context() as patch:
        a = cell_line(patch, folder / "a.store")
        b = cell_line(patch, folder / "b.store", seed=5, depth=2)
    shape = {"window_bins": WINDOW_BINS, "resolution": RESOLUTION}
    loops = loop_windows(a, planted(), SPLIT, **shape).table
    write_windows(folder / "loops.parquet", changed(loops, np.arange(len(loops)) % 3 == 0))
    for store in (a, b):
        write_windows(
            folder / f"maps_{store.name}.parquet",
            grid_windows(store, SPLIT, step=STEP, upper=STEP // RESOLUTION, **shape).table,
        )
        write_windows(
            folder / f"diagonal_{store.name}.parquet", grid_windows(store, SPLIT, step=STEP, **shape).table
        )
    untrained(folder / "loop_model", "loops", temperature=2.0)
    untrained(folder / "map_model", "contacts")
    untrained(folder / "expression_model", "expression")
    return folder


def place_of(tmp_path_factory):
    """The folder of :func:`make_place`, made once for all files of a test run in one process."""
    folder = tmp_path_factory.getbasetemp() / "evaluation"
    if not folder.exists():
        begun = tmp_path_factory.mktemp("evaluation")
        make_place(begun).rename(folder)
    return folder


GIVEN = {
    "loops": ("loop_model", "loops"),
    "contacts": ("map_model", "maps_a"),
    "expression": ("expression_model", "diagonal_a"),
}
"""A task's model and window table in the folder of :func:`make_place`."""

SMALL = EvaluateConfig(block=500_000, batch_size=32)
_PATHS = ("model", "store", "windows", "trivial_store", "trivial_windows")


def asked(place, task, **more):
    """Arguments of an evaluation: a task's model on its windows of `a`, or what is named in `place`."""
    model, windows = GIVEN[task]
    given = {"model": model, "store": "a.store", "windows": f"{windows}.parquet", "config": SMALL, **more}
    return {name: place / value if name in _PATHS else value for name, value in given.items()}


MODES = {"loops": "bimodal", "contacts": "infer_map", "expression": "bimodal", "pretrain": "bimodal"}
OF_TASK = {
    "loops": {},
    "contacts": {"output": "linear", "expected": [300.0 / (1 + d) for d in range(121)]},
    "expression": {"signal": SIGNAL, "least_known": 0.5},
    "pretrain": {},
}


def describe(
    task,
    *,
    mode=None,
    tracks=READ,
    assembly="loopy",
    resolution=RESOLUTION,
    bins=WINDOW_BINS,
    transform=None,
    provenance=None,
    **model,
):
    """A description of a task's model, or of a pre-trained one, as small as can be."""
    sizes = MixHicConfig(
        channels=8,
        heads=1,
        depth=1,
        n_tracks=max(len(tracks), 1),
        window_bins=bins,
        positions=2 * bins * resolution // 100,
        pools=(2, 5, resolution // 1000),
    )
    described = {"network": configs.to_mapping(sizes), "mode": mode or MODES[task], **OF_TASK[task], **model}
    transform = transform or WindowTransform(tracks=tracks, contacts="observed_expected")
    data = configs.to_mapping(ModelInput(assembly, resolution, bins, transform))
    kind = TASKS.get(task, PRETRAIN)
    return ModelDescription(kind, described, data, {"seed": 0, "data": [], **(provenance or {})})


def untrained(folder, task, **options):
    """A run folder with a real network and the weights it began with."""
    described = describe(task, **options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(described.kind, described.model).eval()
    save_model(folder, network, described)
    return folder


class Recites(nn.Module):
    """Gives the answers it was given, window by window, whatever it is shown."""

    def __init__(self, value, logit=None):
        super().__init__()
        self.answers = [None if one is None else torch.as_tensor(np.asarray(one)) for one in (value, logit)]
        self.said = 0

    def forward(self, contact_map, tracks):
        here = slice(self.said, self.said + len(tracks))
        self.said = here.stop
        return Prediction(*(None if one is None else one[here].clone() for one in self.answers))


def stand_in(monkeypatch, network):
    """Whatever run folder a model is loaded from, `network` answers in its place."""

    def load(path, task):
        return LoadedModel(network, load_task(path, task).description)

    monkeypatch.setattr(inference, "load_task", load)


def cut(store, table, tracks=READ, target=None, contacts="linear", **options) -> MapTrackBatch:
    """All windows of a table in one batch."""
    store = store if isinstance(store, RegionStore) else RegionStore.open(store)
    transform = WindowTransform(tracks=tracks, contacts=contacts)
    dataset = WindowDataset([store], [table], transform, split="predict", target=target, **options)
    return dataset.batch(range(len(dataset)))


def score(table, method, metric, stratum="all") -> float:
    """One value of a table of results."""
    rows = table[(table["method"] == method) & (table["metric"] == metric) & (table["stratum"] == stratum)]
    assert len(rows) == 1, (method, metric, stratum)
    return float(rows["value"].iloc[0])


def quick(monkeypatch):
    """A few draws, boosting on next to nothing, and no figures: what is tested is no concern of theirs."""

    def write(out, task, results, opened, config, figures):
        return evaluation_rows.write_evaluation(out, task, results, opened, config, {})

    fewer = bootstrap.BootstrapConfig(draws=2)
    monkeypatch.setattr(bootstrap, "BootstrapConfig", lambda: fewer)
    monkeypatch.setattr(evaluate_loops, "_FEW_DRAWS", fewer)
    few_bins = partial(evaluate_expression.BoostedTracks, 0, limit=300)
    monkeypatch.setattr(evaluate_expression, "BoostedTracks", few_bins)
    for module in (evaluate_loops, evaluate_contacts, evaluate_expression):
        monkeypatch.setattr(module, "write_evaluation", write)
