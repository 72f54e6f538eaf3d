"""A forest from a store's windows: what it learns, and that it does without torch."""

import subprocess
import sys

import pytest

from chromweave.baselines.peakachu import PeakachuConfig
from chromweave.data.windows import loop_windows
from chromweave.errors import DataError
from chromweave.evaluation.classification import auroc
from chromweave.workflows.loop_patches import window_enrichment
from chromweave.workflows.peakachu_forest import grow_peakachu
from tests.fakes_loops import RESOLUTION, SPLIT, WINDOW_BINS, loop_store, planted

QUICK = PeakachuConfig(trees=15, depths=(8,), balanced=(False,), criteria=("gini",))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        store = loop_store(patch, tmp_path_factory.mktemp("forest") / "a.store", tracks=())
    return store, loop_windows(store, planted(), SPLIT, window_bins=WINDOW_BINS, resolution=RESOLUTION).table


def test_a_forest_of_some_windows_knows_others(place):
    store, table = place
    train, test = (table[table["split"] == split] for split in ("train", "test"))
    said = grow_peakachu(store, train, config=QUICK).predict(window_enrichment(store, test, RESOLUTION, 6))
    assert auroc(test["label"].to_numpy(), said) > 0.95


def test_windows_without_a_label_take_no_part(place):
    store, table = place
    some = table[table["split"] == "train"].copy()
    some.loc[some["label"] == 0, "label"] = float("nan")
    with pytest.raises(DataError, match="one class"):
        grow_peakachu(store, some, config=QUICK)


def test_torch_is_not_loaded():
    """A process that grows a forest is measured: it holds no more than it needs."""
    code = (
        "import sys, chromweave.workflows.peakachu_forest, chromweave.workflows.annotation_callers; "
        "raise SystemExit(sorted({'torch', 'lightning', 'matplotlib'} & set(sys.modules)) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
