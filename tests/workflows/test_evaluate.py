"""One verb for three tasks; evaluation and fine-tuning alike refuse what does not fit, in a sentence."""

import json
from dataclasses import replace

import pytest

from chromweave.data.store import RegionStore
from chromweave.data.windows import write_windows
from chromweave.errors import (
    AssemblyError,
    ChromosomeError,
    ChromweaveError,
    ConfigError,
    DataError,
    FileFormatError,
    ModelError,
)
from chromweave.evaluation.table import read_results
from chromweave.schemas import RESULTS
from chromweave.training.engine import FitConfig
from chromweave.workflows.evaluate import evaluate
from chromweave.workflows.evaluate_contacts import TRIVIAL_CONTACT_ROWS
from chromweave.workflows.evaluate_expression import TRIVIAL_EXPRESSION_ROWS
from chromweave.workflows.evaluate_loops import TRIVIAL_LOOP_ROWS
from chromweave.workflows.finetuning import finetune
from chromweave.workflows.foundation_settings import FinetuneConfig
from tests.fakes_evaluation import (
    ASSEMBLY,
    GIVEN,
    READ,
    SIGNAL,
    asked,
    cell_line,
    changed,
    everything,
    untrained,
)

ROWS = {"loops": TRIVIAL_LOOP_ROWS, "contacts": TRIVIAL_CONTACT_ROWS, "expression": TRIVIAL_EXPRESSION_ROWS}
pytestmark = pytest.mark.usefixtures("quick")


def evaluated(place, out, task="loops", **more):
    return evaluate(out, **asked(place, task, **more))


@pytest.mark.parametrize("task", GIVEN)
def test_the_model_says_for_which_task(place, tmp_path, task):
    table = evaluated(place, tmp_path / "out", task, seed=3)
    RESULTS.check(table, "the results")
    assert set(table["task"]) == {task}
    assert set(table["method"]) == {"model", *ROWS[task], *(f"model - {row}" for row in ROWS[task])}
    assert set(table["seed"]) == {3}
    assert read_results(tmp_path / "out" / f"{task}.json").equals(table)
    assert evaluated(place, tmp_path / "again", task, seed=3).equals(table)


@pytest.fixture(scope="module")
def turned_round(place, tmp_path_factory):
    """The first cell line again, its tracks in another order."""
    with pytest.MonkeyPatch.context() as patch:
        store = cell_line(patch, tmp_path_factory.mktemp("order") / "a.store", backwards=True)
    first = RegionStore.open(place / "a.store")
    assert store.track_names == first.track_names[::-1] == (SIGNAL, *READ[::-1])
    return store


@pytest.mark.parametrize("task", GIVEN)
def test_tracks_are_found_by_name(place, tmp_path, task, turned_round):
    table = evaluated(place, tmp_path / "out", task)
    assert evaluated(place, tmp_path / "turned", task, store=turned_round.path).equals(table)


def test_fine_tuning_finds_tracks_by_name(place, tmp_path, turned_round):
    untrained(tmp_path / "pre", "pretrain")
    sums = [
        json.loads(
            (tuned(place, tmp_path / str(i), tmp_path / "pre", store=store).run / "config.json").read_text()
        )
        for i, store in enumerate((place / "a.store", turned_round.path))
    ]
    assert sums[0]["weights_sha256"] == sums[1]["weights_sha256"]
    assert [one["data"]["transform"]["tracks"] for one in sums] == [list(READ)] * 2


def tuned(place, run, pretrained, store=None, windows=None):
    fit = FitConfig(epochs=1, batch_size=40, warmup_steps=1, accelerator="cpu")
    return finetune(
        run,
        stores=store or place / "a.store",
        windows=windows or place / "loops.parquet",
        pretrained=pretrained,
        config=replace(FinetuneConfig.preset("tiny"), fit=fit),
    )


# --- what is refused


def test_a_pre_trained_model_has_no_task(place, tmp_path):
    untrained(tmp_path / "pre", "pretrain")
    with pytest.raises(ModelError, match="/pre: is a model of pretrain; give a run folder of finetune"):
        evaluated(place, tmp_path / "out", model=tmp_path / "pre")
    with pytest.raises(
        ModelError, match=r"loop_model: is a model of finetune --task loops; give .* of pretrain"
    ):
        tuned(place, tmp_path / "out", place / "loop_model")
    assert not (tmp_path / "out").exists()


def test_what_is_no_model_at_all(place, tmp_path):
    with pytest.raises(ModelError, match=r"a\.store: is no model folder"):
        evaluated(place, tmp_path / "out", model="a.store")


@pytest.mark.parametrize("name", ["model", "distance alone", "same place, training line"])
def test_two_rows_have_two_names(place, tmp_path, name):
    with pytest.raises(
        ConfigError, match=f"a row is called '{name}' already; name the model beside it other"
    ):
        evaluated(place, tmp_path / "out", beside={name: place / "loop_model"})


def test_scores_of_others_need_a_name_of_their_own_and_a_loop_model(place, tmp_path):
    with pytest.raises(ConfigError, match="a row is called 'twice' already"):
        evaluated(place, tmp_path, beside={"twice": place / "loop_model"}, scores={"twice": "t.tsv"})
    with pytest.raises(ConfigError, match=r"for loops; .*map_model is of the task contacts"):
        evaluated(place, tmp_path, "contacts", scores={"theirs": "t.tsv"})


@pytest.fixture(scope="module")
def strangers(place, tmp_path_factory):
    """Stores and tables that do not fit a model of a.store, and the error and what it has to say of each."""
    folder = tmp_path_factory.mktemp("strangers")
    with pytest.MonkeyPatch.context() as patch:
        cell_line(patch, folder / "no_dnase.store", tracks=("ATAC", SIGNAL))
        cell_line(patch, folder / "mm10.store", assembly=replace(ASSEMBLY, name="mm10"))
    write_windows(folder / "w.parquet", changed(everything(place / "loops.parquet"), chrom="chr99"))
    return folder


@pytest.mark.parametrize(
    ("wrong", "error", "sentence"),
    [
        ({"store": "mm10.store"}, (ModelError, AssemblyError), r"mm10\.store.* mm10"),
        ({"store": "no_dnase.store"}, ModelError, r"no_dnase\.store: lacks the track DNase; .*--add-track"),
        ({"store": "none.store"}, ChromweaveError, r"none\.store"),
        ({"windows": "maps_b.parquet"}, DataError, r"maps_b\.parquet: .*made for other contacts .*make wind"),
        ({"windows": "none.parquet"}, FileFormatError, r"none\.parquet: no such file; .*chromweave windows"),
        (
            {"windows": "loop_model/config.json"},
            FileFormatError,
            r"config\.json: is no readable window table",
        ),
        ({"model": {"resolution": 10_000}}, ModelError, r"a\.store: has no layer of 10,000 bp.*--resolution"),
        ({"model": {"bins": 32}}, ModelError, "16 bins of 5,000 bp, and the model .* 32 bins.*make windows"),
    ],
    ids=str,
)
@pytest.mark.parametrize("verb", ["evaluate", "finetune"])
def test_what_does_not_fit_the_model(place, strangers, tmp_path, wrong, error, sentence, verb):
    wrong = dict(wrong)
    options = wrong.pop("model", {})
    model = untrained(tmp_path / "m", "loops" if verb == "evaluate" else "pretrain", **options)
    paths = {
        key: strangers / name if (strangers / name).exists() else place / name for key, name in wrong.items()
    }
    call = {
        "evaluate": lambda: evaluated(place, tmp_path / "out", model=model, **paths),
        "finetune": lambda: tuned(place, tmp_path / "out", model, **paths),
    }[verb]
    with pytest.raises(error, match=sentence):
        call()
    assert not (tmp_path / "out").exists()


def test_windows_of_a_chromosome_that_is_not_there(place, strangers, tmp_path):
    with pytest.raises(ChromosomeError, match=r"chr99"):
        evaluated(place, tmp_path / "out", windows=strangers / "w.parquet")
    assert not (tmp_path / "out").exists()
