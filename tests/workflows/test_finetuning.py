"""Fine-tuning for contacts, expression and loops, end to end; the window table's test rows are poison."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from chromweave.data.dataset import WindowDataset
from chromweave.data.store import RegionStore
from chromweave.data.transforms import WindowTransform
from chromweave.data.windows import grid_windows, loop_windows, read_windows, write_windows
from chromweave.errors import (
    ChromosomeError,
    ConfigError,
    DataError,
    ModelError,
    ResolutionError,
    StoreError,
)
from chromweave.evaluation.calibration import fit_temperature
from chromweave.models.mixhic import MixHicConfig
from chromweave.training.checkpoint import read_weights
from chromweave.training.engine import FitConfig
from chromweave.training.regression import ContactRegression
from chromweave.workflows.contact_scale import mean_expected
from chromweave.workflows.finetuning import finetune, loop_scores
from chromweave.workflows.foundation import pretrain
from chromweave.workflows.foundation_settings import FinetuneConfig, LoadingConfig, PretrainConfig
from chromweave.workflows.loop_scores import score_windows
from chromweave.workflows.networks import load
from tests.fakes import build_fake
from tests.fakes_loops import (
    ASSEMBLY,
    CHROMS,
    RESOLUTION,
    SPLIT,
    WINDOW_BINS,
    fake_track,
    loop_store,
    planted,
)

READ = ("ATAC", "DNase")
NETWORK = MixHicConfig(channels=8, heads=1, depth=1, position_encoding="sinusoidal", contact_mixing=True)
FIT = FitConfig(epochs=1, batch_size=24, learning_rate=2e-3, warmup_steps=3, accelerator="cpu")
OURS = WindowTransform(tracks=READ, contacts="observed_expected")
QUICK = FinetuneConfig(network=NETWORK, fit=FIT, transform=OURS)
CONTACTS = replace(QUICK, mode="infer_map")


def poisoned(table):
    """No test window can be cut: some stick out of their chromosome, the others are on one nobody has."""
    changed = table.reset_index(drop=True)
    test = np.flatnonzero(changed["split"] == "test")
    assert len(test) > 20
    changed.loc[test[::2], ["x", "y"]] = 2_000_000_000
    changed["chrom"] = changed["chrom"].astype(str)
    changed.loc[test[1::2], "chrom"] = "chr99"
    changed.loc[test, "label"] = np.nan
    changed.attrs = dict(table.attrs)
    return changed


def fewer(table, every):
    changed = table.iloc[::every].reset_index(drop=True)
    changed.attrs = dict(table.attrs)
    return changed


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store with maps and three tracks, one without tracks, one without maps; tables with poison."""
    folder = tmp_path_factory.mktemp("finetuning")
    with pytest.MonkeyPatch.context() as patch:
        store = loop_store(patch, folder / "a.store", tracks=(*READ, "CAGE"))
        loop_store(patch, folder / "maps.store", tracks=())
        rng = np.random.default_rng(0)
        tracks = [fake_track(name, planted(), rng) for name in (*READ, "CAGE")]
        bare = build_fake(patch, folder / "tracks.store", None, tracks, assembly=ASSEMBLY)
    table = loop_windows(store, planted(), SPLIT, window_bins=WINDOW_BINS, resolution=RESOLUTION).table
    write_windows(folder / "w.parquet", poisoned(fewer(table, 3)))
    grid = grid_windows(bare, SPLIT, window_bins=WINDOW_BINS, resolution=RESOLUTION, step=40_000).table
    grid["label"] = np.arange(len(grid)) % 2.0  # by hand: a store without maps can tell no loop from others
    write_windows(folder / "bare.parquet", poisoned(grid))
    return folder


@pytest.fixture(scope="module")
def pretrained(place):
    config = PretrainConfig(network=NETWORK, fit=FIT, transform=OURS)
    return pretrain(
        place / "pre", stores=place / "a.store", windows=place / "w.parquet", config=config, seed=1
    )


def tune(place, run, task, config=QUICK, store="a", windows="w", **options):
    return finetune(
        run,
        stores=place / f"{store}.store",
        windows=place / f"{windows}.parquet",
        task=task,
        config=config,
        **{"seed": 1, **options},
    )


def described(result):
    return json.loads((result.run / "config.json").read_text())


def batch_of(place, data, windows=40, **options):
    """Validation windows, transformed as the description of a model says."""
    transform = WindowTransform(**{k: tuple(v) if isinstance(v, list) else v for k, v in data.items()})
    transform = replace(transform, augmentations=())
    table, store = read_windows(place / "w.parquet"), RegionStore.open(place / "a.store")
    return WindowDataset([store], [table], transform, split="valid", **options).batch(range(windows))


# --- contacts


@pytest.fixture(scope="module")
def contacts(place, pretrained):
    return tune(place, place / "contacts", "contacts", CONTACTS, pretrained=pretrained.run)


def test_a_model_says_what_its_pre_training_read(contacts, pretrained):
    said, before = described(contacts)["provenance"], described(pretrained)["provenance"]
    assert said["pretraining_data"] == before["data"]
    assert before["data"][0]["train"]["stretches"].keys() == {"chr1"}


def test_a_contact_model_says_how_to_turn_its_answers_into_contacts(place, contacts):
    table = read_windows(place / "w.parquet")
    training = table[table["split"] == "train"]
    said = described(contacts)
    assert said["kind"] == "mixhic-contacts"
    assert (said["model"]["mode"], said["model"]["output"]) == ("infer_map", "linear")
    assert "probe" not in said["model"]
    assert "temperature" not in said["model"]
    assert said["model"]["farthest_bins"] == ((training["y"] - training["x"]) // RESOLUTION).max()
    store = RegionStore.open(place / "a.store")
    expected = mean_expected([store], [table], OURS, RESOLUTION)
    np.testing.assert_allclose(said["model"]["expected"], expected, rtol=1e-5)
    assert (said["data"]["transform"]["contacts"], said["data"]["transform"]["tracks"]) == (
        "observed_expected", list(READ),
    )  # fmt: skip
    assert set(contacts.fit.best_metrics) == {"loss", "pearson"}
    assert said["provenance"]["validation"]["pearson"] == pytest.approx(contacts.fit.best_metrics["pearson"])
    assert (contacts.train_windows, contacts.valid_windows) == (80, 80)


def test_a_contact_model_comes_back_and_has_the_score_that_was_kept(place, contacts):
    loaded = load(contacts.run)
    assert (loaded.network.mode, loaded.network.output, loaded.network.training) == (
        "infer_map", "linear", False,
    )  # fmt: skip
    store_batch = batch_of(place, loaded.description.data["transform"])
    with torch.inference_mode():
        value = loaded.network(None, store_batch.tracks).value
    assert value.shape == (40, 1, WINDOW_BINS, WINDOW_BINS)
    assert value.std() > 0


def test_fine_tuning_takes_over_what_the_task_needs(contacts):
    moved, new, left = (
        {name.split(".")[0] for name in names}
        for names in (contacts.transfer.moved, contacts.transfer.new, contacts.transfer.left)
    )
    assert moved == {"track_encoder", "track_halves", "to_map"}
    assert new == {"fusion", "decoder", "head"}
    assert left == {"map_encoder", "map_halves", "to_tracks", "log_temperature"}


@pytest.mark.parametrize("scale", ["clip", "log1p"])
def test_bounded_contacts_need_no_expectation(place, pretrained, tmp_path, scale):
    """The scale is the fine-tuning's own, not that of the pre-training."""
    config = replace(CONTACTS, mode="tracks", transform=replace(OURS, contacts=scale), masked=False)
    result = tune(place, tmp_path / "r", "contacts", config, pretrained=pretrained.run)
    said = described(result)
    assert (said["model"]["mode"], said["model"]["output"]) == ("tracks", "sigmoid")
    assert "expected" not in said["model"]
    assert said["data"]["transform"]["contacts"] == scale
    assert load(pretrained.run).description.data["transform"]["contacts"] == "observed_expected"
    value = load(result.run).network(None, torch.rand(2, 1600, 2)).value
    assert 0 < value.min() < value.max() < 1


def test_standardised_contacts_are_no_target(place, tmp_path):
    config = replace(CONTACTS, transform=replace(OURS, contacts="standard"))
    with pytest.raises(ConfigError, match="cannot be turned back"):
        tune(place, tmp_path / "r", "contacts", config)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("mode", ["bimodal", "map", "infer_tracks"])
def test_contacts_are_not_predicted_from_contacts(place, tmp_path, mode):
    with pytest.raises(ConfigError, match=f"must not read them; its mode is infer_map or tracks, not {mode}"):
        tune(place, tmp_path / "r", "contacts", replace(QUICK, mode=mode))


# --- expression


@pytest.fixture(scope="module")
def expression(place, pretrained):
    config = replace(QUICK, fit=replace(FIT, epochs=5))
    return tune(place, place / "expression", "expression", config, pretrained=pretrained.run)


def test_expression_is_learned_where_tracks_peak_together(place, expression):
    """Peaks of CAGE are at the anchors, as those of the tracks that are read; their noise is not shared."""
    assert expression.fit.best_metrics["pearson"] > 0.5
    said = described(expression)
    assert said["kind"] == "mixhic-expression"
    assert said["model"].keys() == {"network", "mode", "signal", "least_known"}
    assert (said["model"]["mode"], said["model"]["signal"]) == ("bimodal", "CAGE")
    assert said["data"]["transform"]["tracks"] == list(READ)
    loaded = load(expression.run)
    assert loaded.network.mixing.contact_weight is not None
    batch = batch_of(place, loaded.description.data["transform"], target="CAGE")
    with torch.inference_mode():
        value = loaded.network(batch.contact_map, batch.tracks).value
    found = np.corrcoef(value[batch.target_mask], batch.target[batch.target_mask])[0, 1]
    assert found == pytest.approx(expression.fit.best_metrics["pearson"], abs=0.15)  # of half the windows


def test_mixing_is_the_tasks_own_choice(place, pretrained, tmp_path):
    config = replace(QUICK, network=replace(NETWORK, contact_mixing=False, head_dropout=0.1))
    result = tune(place, tmp_path / "r", "expression", config, pretrained=pretrained.run)
    network = load(result.run).network
    assert not hasattr(network, "mixing")
    assert network.config.head_dropout == 0.1


def test_a_model_does_not_read_what_it_predicts(place, pretrained, tmp_path):
    config = replace(QUICK, transform=replace(OURS, tracks=()))  # all three that the store has
    with pytest.raises(ConfigError, match=r"would read the track CAGE, .*without that one\.$"):
        tune(place, tmp_path / "r", "expression", config)
    config = replace(QUICK, signal="DNase")
    with pytest.raises(ConfigError, match=r"read the track DNase, .*without that one, when pre-training"):
        tune(place, tmp_path / "r", "expression", config, pretrained=pretrained.run)
    assert not (tmp_path / "r").exists()


def test_a_map_model_may_predict_any_track(place, tmp_path):
    """It reads none, whatever the settings name."""
    config = replace(QUICK, mode="map", signal="DNase", transform=replace(OURS, tracks=()))
    said = described(tune(place, tmp_path / "r", "expression", config))
    assert (said["data"]["transform"]["tracks"], said["model"]["signal"]) == ([], "DNase")


def test_a_signal_with_few_values_can_be_predicted(place, tmp_path):
    """One step of 50 in every bin has a value: none counts, unless a setting says that this is enough."""
    rng = np.random.default_rng(0)
    tracks = [fake_track(name, planted(), rng) for name in (*READ, "CAGE")]
    for values in tracks[2].values.values():
        values[np.arange(len(values)) % 50 != 20] = np.nan
    with pytest.MonkeyPatch.context() as patch:
        build_fake(patch, place / "sparse.store", None, tracks, assembly=ASSEMBLY, name="tracks")
    given = {"store": "sparse", "windows": "bare"}
    config = replace(QUICK, mode="tracks")
    with pytest.raises(DataError, match=r"CAGE covers 0\.5 of no bin of the train windows.*set least_known"):
        tune(place, tmp_path / "half", "expression", config, **given)
    assert not (tmp_path / "half").exists()
    some = tune(place, tmp_path / "some", "expression", replace(config, least_known=0.02), **given)
    assert some.fit.best_metrics["loss"] > 0
    assert np.isfinite(some.fit.best_metrics["pearson"])
    assert described(some)["model"]["least_known"] == 0.02


def test_a_signal_that_is_not_there_is_named_with_those_that_are(place, pretrained, tmp_path):
    config = replace(QUICK, signal="PRO-cap")
    with pytest.raises(DataError, match=r"a\.store: has no track 'PRO-cap'; it has ATAC, DNase, CAGE"):
        tune(place, tmp_path / "r", "expression", config, pretrained=pretrained.run)
    assert not (tmp_path / "r").exists()


# --- loops


@pytest.fixture(scope="module")
def loops(place, pretrained):
    config = replace(QUICK, fit=replace(FIT, epochs=6))
    return tune(place, place / "loops", "loops", config, pretrained=pretrained.run)


def test_loops_get_the_temperature_that_calibrates_them_on_validation(place, loops):
    loaded = load(loops.run)
    batch = batch_of(place, loaded.description.data["transform"], windows=80)
    with torch.inference_mode():
        logit = loaded.network(batch.contact_map, batch.tracks).logit
    expected = fit_temperature(batch.label.numpy(), logit.numpy())
    assert 0.05 < expected < 20  # neither bound
    assert described(loops)["model"]["temperature"] == pytest.approx(expected, rel=1e-3)
    assert set(loops.fit.best_metrics) == {"loss", "auroc", "average_precision"}


def test_loop_scores_by_hand():
    """Three of four pairs are in order; precision is 1 at the first loop and 2/3 at the second."""
    found = loop_scores(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.3, 0.1]))
    assert found == {"auroc": 0.75, "average_precision": pytest.approx(5 / 6)}


def test_unlabelled_windows_train_anything_but_loops(place, tmp_path):
    table = read_windows(place / "w.parquet", splits=["train", "valid"])
    table["label"] = np.nan
    write_windows(tmp_path / "w.parquet", table)
    given = {"stores": place / "a.store", "windows": tmp_path / "w.parquet"}
    with pytest.raises(
        DataError, match="the split 'train' has 80 windows: 0 loops, 0 without, 80 unlabelled"
    ):
        finetune(tmp_path / "l", config=QUICK, **given)
    assert finetune(tmp_path / "c", task="contacts", config=CONTACTS, **given).train_windows == 80


def test_thinning_would_thin_the_target_too(place, tmp_path):
    thinned = replace(CONTACTS, transform=replace(OURS, augmentations=("swap", "thin")))
    with pytest.raises(ConfigError, match="'thin' thins the map that is to be predicted"):
        tune(place, tmp_path / "c", "contacts", thinned)
    assert not (tmp_path / "c").exists()


def test_jitter_moves_labels_but_not_targets(place, tmp_path):
    jittered = replace(OURS, augmentations=("swap", "flip", "jitter"))
    with pytest.raises(ConfigError, match="'jitter' moves the anchors that loops are labels of"):
        tune(place, tmp_path / "l", "loops", replace(QUICK, transform=jittered))
    result = tune(place, tmp_path / "c", "contacts", replace(CONTACTS, transform=jittered))
    assert np.isfinite(result.fit.best_metrics["pearson"])


# --- what stays as it is


@pytest.mark.parametrize(
    ("task", "mode", "learned"),
    [
        ("loops", "bimodal", {"fusion", "head"}),
        ("contacts", "infer_map", {"fusion", "decoder", "head"}),
        ("expression", "infer_tracks", {"fusion", "head"}),
    ],
)
def test_frozen_weights_are_those_of_the_pretrained_model(place, pretrained, tmp_path, task, mode, learned):
    before = read_weights(pretrained.run)
    for kind in ("frozen", "probe"):
        config = replace(QUICK, mode=mode, tune=kind)
        result = tune(place, tmp_path / kind, task, config, pretrained=pretrained.run)
        after = read_weights(result.run)
        for name in result.transfer.moved:
            assert torch.equal(after[name], before[name]), name
        assert {name.split(".")[0] for name in result.transfer.new} == (
            {"head"} if kind == "probe" else learned
        )
        assert described(result)["model"].get("probe", False) is (kind == "probe")
        assert load(result.run).network.probe is (kind == "probe")
    full = tune(place, tmp_path / "full", task, replace(QUICK, mode=mode), pretrained=pretrained.run)
    after = read_weights(full.run)
    assert not any(torch.equal(after[n], before[n]) for n in full.transfer.moved if n.endswith("qkv.weight"))


@pytest.mark.parametrize("kind", ["frozen", "probe"])
def test_from_scratch_there_is_nothing_to_keep(place, tmp_path, kind):
    with pytest.raises(
        ConfigError, match=f"tune '{kind}' keeps pre-trained weights as they are; name the run"
    ):
        tune(place, tmp_path / "r", "loops", replace(QUICK, tune=kind))
    assert not (tmp_path / "r").exists()


# --- stores that lack what is not read


@pytest.mark.parametrize("task", ["loops", "expression"])
@pytest.mark.parametrize("mode", ["tracks", "infer_map"])
def test_a_store_without_maps_does_for_what_reads_none(place, pretrained, tmp_path, task, mode):
    given = {"store": "tracks", "windows": "bare", "pretrained": pretrained.run}
    result = tune(place, tmp_path / "r", task, replace(QUICK, mode=mode), **given)
    assert result.train_windows > 40
    monitored = "auroc" if task == "loops" else "pearson"
    assert np.isfinite(result.fit.best_metrics[monitored])


def test_contacts_are_learned_and_read_only_where_there_are_some(place, pretrained, tmp_path):
    given = {"store": "tracks", "windows": "bare", "pretrained": pretrained.run}
    for task, config in (
        ("contacts", CONTACTS),
        ("expression", QUICK),
        ("loops", replace(QUICK, mode="map")),
    ):
        with pytest.raises(ResolutionError, match=r"tracks\.store has no contacts; build that layer"):
            tune(place, tmp_path / "r", task, config, **given)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("mode", ["map", "infer_tracks"])
@pytest.mark.parametrize("scratch", [False, True])
def test_a_store_without_tracks_does_for_what_reads_none(place, pretrained, tmp_path, mode, scratch):
    config = replace(QUICK, mode=mode, transform=replace(OURS, tracks=()))
    before = None if scratch else pretrained.run
    result = tune(place, tmp_path / "r", "loops", config, store="maps", pretrained=before)
    assert described(result)["data"]["transform"]["tracks"] == []
    table = read_windows(place / "w.parquet", splits=["valid"])
    scores = score_windows(result.run, place / "maps.store", table)
    np.testing.assert_array_equal(score_windows(result.run, place / "a.store", table), scores)


def test_tracks_are_read_only_where_there_are_some(place, pretrained, tmp_path):
    with pytest.raises(ModelError, match=r"maps\.store: lacks the track ATAC, DNase"):
        tune(place, tmp_path / "r", "loops", QUICK, store="maps", pretrained=pretrained.run)
    config = replace(QUICK, transform=replace(OURS, tracks=()))
    with pytest.raises(DataError, match=r"no track in common \(.*maps\.store: none\)"):
        tune(place, tmp_path / "r", "loops", config, store="maps")


# --- runs


def test_an_interrupted_run_resumes_to_the_same_weights(place, pretrained, contacts, tmp_path, monkeypatch):
    step, calls = ContactRegression.step, []

    def interrupted(self, model, batch):
        calls.append(1)
        if len(calls) > 2:
            raise KeyError("power cut")
        return step(self, model, batch)

    config = replace(CONTACTS, fit=replace(FIT, checkpoint_every=1))
    arguments = (place, tmp_path / "r", "contacts", config)
    with monkeypatch.context() as patch:
        patch.setattr(ContactRegression, "step", interrupted)
        with pytest.raises(KeyError, match="power cut"):
            tune(*arguments, pretrained=pretrained.run)
    assert not (tmp_path / "r" / "config.json").exists()
    resumed = tune(*arguments, pretrained=pretrained.run, resume=True)
    assert resumed.fit == contacts.fit
    first, second = described(contacts), described(resumed)
    assert first["weights_sha256"] == second["weights_sha256"]
    assert first["model"] == second["model"]
    for other in (
        replace(config, mode="tracks"),
        replace(config, tune="frozen"),
        replace(config, masked=False),
    ):
        with pytest.raises(ConfigError, match="started with other settings"):
            tune(place, tmp_path / "r", "contacts", other, pretrained=pretrained.run, resume=True)


def test_a_resident_store_trains_alike(place, pretrained, expression, tmp_path):
    config = replace(QUICK, fit=replace(FIT, epochs=5), loading=LoadingConfig(resident=True))
    result = tune(place, tmp_path / "r", "expression", config, pretrained=pretrained.run)
    for name, value in expression.fit.best_metrics.items():
        assert result.fit.best_metrics[name] == pytest.approx(value, abs=0.02)


def test_two_stores_have_one_expectation(place, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        second = loop_store(patch, tmp_path / "b.store", tracks=READ, seed=3)
    table = loop_windows(second, planted(), SPLIT, window_bins=WINDOW_BINS, resolution=RESOLUTION).table
    write_windows(tmp_path / "b.parquet", poisoned(fewer(table, 4)))
    stores, windows = [place / "a.store", second], [place / "w.parquet", tmp_path / "b.parquet"]
    result = finetune(
        tmp_path / "r", stores=stores, windows=windows, task="contacts", config=CONTACTS, seed=1
    )
    tables = [read_windows(path) for path in windows]
    expected = mean_expected([RegionStore.open(stores[0]), second], tables, OURS, RESOLUTION)
    np.testing.assert_allclose(described(result)["model"]["expected"], expected, rtol=1e-5)
    assert result.train_windows == 80 + 60


def test_what_is_no_task_is_refused(place, tmp_path):
    with pytest.raises(ConfigError, match="no task 'genes'; there are loops, contacts, expression"):
        tune(place, tmp_path / "r", "genes")


def test_a_task_starts_from_no_other_task(place, contacts, tmp_path):
    with pytest.raises(
        ModelError, match="is a model of finetune --task contacts; give a run folder of pretrain"
    ):
        tune(place, tmp_path / "r", "expression", pretrained=contacts.run)


# --- the test split


def test_the_test_rows_of_these_tables_cannot_be_cut(place):
    """All of the above went well although they cannot, so that nothing above has cut them."""
    store = RegionStore.open(place / "a.store")
    table = read_windows(place / "w.parquet", splits=["test"])
    assert len(table) == 80
    beyond, elsewhere = (table[table["chrom"] == chrom] for chrom in ("chr3", "chr99"))
    assert len(beyond) + len(elsewhere) == len(table)
    for rows, error, message in (
        (beyond, DataError, "sticks out of the chromosome"),
        (elsewhere, ChromosomeError, "chr99"),
    ):
        rows.attrs = dict(table.attrs)
        with pytest.raises(error, match=message):
            WindowDataset([store], [rows], replace(OURS, contacts="clip"), split="test").batch([0])
    every = WindowDataset([store], [table], OURS, split="test")
    with pytest.raises((ChromosomeError, DataError)):
        every.batch(range(len(every)))


def test_test_windows_that_are_trained_on_are_cut(place, tmp_path):
    """The one way to open them, which pretrain has to be told to take."""
    config = PretrainConfig(network=NETWORK, fit=FIT, transform=OURS, include_test_chromosomes=True)
    with pytest.raises((ChromosomeError, DataError)):
        pretrain(tmp_path / "r", stores=place / "a.store", windows=place / "w.parquet", config=config)


def test_no_file_of_a_test_chromosome_is_opened(place, tmp_path):
    """A store whose test chromosome is rubble trains every task."""
    with pytest.MonkeyPatch.context() as patch:
        store = loop_store(patch, tmp_path / "a.store", tracks=(*READ, "CAGE"))
    files = [path for path in store.path.rglob("*") if path.is_file()]
    ruined = [path for path in files if "chr3" in str(path.relative_to(store.path))]
    assert len(ruined) > 6
    for path in ruined:
        path.write_bytes(b"\xff" * path.stat().st_size)
    rubble = RegionStore.open(store.path)
    for read in (lambda: rubble.layer("chr3", RESOLUTION).layout, lambda: rubble.track("ATAC", "chr3").mean):
        with pytest.raises(StoreError, match=r"chr3[./].* is missing or damaged"):
            read()
    given = {"stores": store.path, "windows": place / "w.parquet", "seed": 1}
    before = pretrain(
        tmp_path / "p", config=PretrainConfig(network=NETWORK, fit=FIT, transform=OURS), **given
    )
    for task, config in (("loops", QUICK), ("contacts", CONTACTS), ("expression", QUICK)):
        result = finetune(tmp_path / task, task=task, pretrained=before.run, config=config, **given)
        trained = described(result)["provenance"]["data"][0]
        assert trained["train"]["chromosomes"] + trained["valid"]["chromosomes"] == list(CHROMS[:2])
