"""The card says what the run folder says, marks what is missing, and nothing else."""

import json

import pytest

from chromweave import config as configs
from chromweave.data.windows import loop_windows
from chromweave.errors import FileFormatError, ModelError
from chromweave.models.mixhic import MixHicConfig, MixHicPretrain
from chromweave.models.tasks import ContactModel, ExpressionModel, LoopModel
from chromweave.training.checkpoint import ModelDescription, save_model
from chromweave.workflows import model_card
from chromweave.workflows.model_card import training_data, write_model_card
from chromweave.workflows.networks import CONTACTS, EXPRESSION, LOOPS, PRETRAIN
from chromweave.workflows.seen_places import covered_stretches
from tests.fakes_loops import RESOLUTION, SPLIT, WINDOW_BINS, loop_store, planted

CONFIG = MixHicConfig(channels=8, heads=1, depth=1, window_bins=16, positions=1600)
DATA = {
    "assembly": "sim-tiny",
    "resolution": 5000,
    "window_bins": 16,
    "transform": {"tracks": ["ATAC", "H3K27ac|x"], "weight": "default", "scaled": True, "contacts": "clip"},
}
PROVENANCE = {
    "chromweave": "0.1.0",
    "command": "chromweave pretrain RUN --seed 7",
    "time": "2026-01-02T03:04:05+00:00",
    "packages": {"numpy": "2.4", "torch": "2.13"},
    "seed": 7,
    "inputs": [{"path": "/home/someone/K562.store", "bytes": 10, "sha256": "ab" * 32}],
    "epochs": 3,
    "best_epoch": 2,
    "include_test_chromosomes": False,
    "validation": {
        "loss": 2.5, "retrieval_top1": 0.125, "retrieval_top5": 0.5, "retrieval_chance": 0.01,
        "alignment": 0.75,
    },
    "data": [
        {
            "name": "K562",
            "manifest_sha256": "cd" * 32,
            "train": {"windows": 1234, "chromosomes": ["chr1", "chr2"]},
            "valid": {"windows": 100, "chromosomes": ["chr3"]},
        }
    ],
}  # fmt: skip
OTHERS = "Windows of other tables may lie where training windows lie; `chromweave evaluate` says how many do."
METRICS = (
    "step,epoch,split,metric,value\n5,1,train,loss,4\n9,1,valid,loss,3.5\n9,1,valid,retrieval_top1,0.02\n"
)
SETTINGS = "[loss]\ncontrastive = 1.0\n\n[fit]\nepochs = 3\nlearning_rate = 0.002\ngradient_clip = 1.0\n"


def write_run(path, provenance=PROVENANCE, network=None, kind=PRETRAIN, config=CONFIG, **model):
    network = network or MixHicPretrain(config)
    described = ModelDescription(
        kind, {"network": configs.to_mapping(config), **model}, DATA, dict(provenance)
    )
    save_model(path, network, described)
    return path


def card_of(run):
    path = write_model_card(run)
    assert path == run / "README.md"
    return path.read_text()


def without(*names):
    return {name: value for name, value in PROVENANCE.items() if name not in names}


@pytest.fixture
def run(tmp_path):
    path = write_run(tmp_path / "run")
    (path / "metrics.csv").write_text(METRICS)
    (path / "config.toml").write_text(SETTINGS)
    return path


def test_the_front_matter_is_the_hubs(run):
    head = card_of(run).split("---")[1].strip().splitlines()
    assert head == [
        "library_name: chromweave",
        "tags:",
        '- "biology"',
        '- "genomics"',
        '- "Hi-C"',
        '- "chromatin"',
        '- "mixhic-pretrain"',
        '- "sim-tiny"',
        '- "simulated data"',
    ]


def test_every_part_is_what_the_run_says(run):
    card = card_of(run)
    parameters = sum(p.numel() for p in MixHicPretrain(CONFIG).parameters())
    for line in (
        f"It has {parameters:,} parameters and sizes of its own.",
        "| channels | 8 |",
        "| pools | 2, 5, 5 |",
        "| assembly | `sim-tiny` |",
        "| window | 16 x 16 bins, 80,000 bp a side |",
        "| signal tracks, in this order | `ATAC`, `H3K27ac\\|x` |",
        "| balancing vector | `default` |",
        f"| `K562` | 1,234 | chr1, chr2 | 100 | chr3 | `{'cd' * 32}` |",
        f"No window of the test split of these tables was trained on. {OTHERS}",
        "3 epochs were trained; the weights are those of epoch 2.",
        "| contrastive | 1.0 |",
        "| learning_rate | 0.002 |",
        "| seed | 7 |",
        "| command | `chromweave pretrain RUN --seed 7` |",
        "| commit | not recorded |",
        "| packages | numpy 2.4, torch 2.13 |",
    ):
        assert line in card.splitlines(), line
    assert "/home/someone" not in card
    assert 'chromweave.load("FOLDER")' in card
    assert "The data are simulated" in card


def test_chance_stands_beside_retrieval(run):
    rows = [line.split(" | ") for line in card_of(run).splitlines() if line.startswith("| `")]
    scores = {row[0].strip("| `"): row[1:4] for row in rows}
    assert scores["loss"] == ["2.5", "3.5", "–"]
    assert scores["retrieval_top1"] == ["0.125", "0.02", "0.01"]
    assert scores["retrieval_top5"] == ["0.5", "–", "0.05"]
    assert scores["alignment"] == ["0.75", "–", "–"]
    assert "retrieval_chance" not in scores


def test_test_chromosomes_that_were_trained_on_are_told(tmp_path):
    card = card_of(write_run(tmp_path / "run", {**PROVENANCE, "include_test_chromosomes": True}))
    assert "**Windows of the test split were trained on**" in card


@pytest.mark.parametrize(
    ("network", "kind"),
    [(LoopModel(CONFIG, "map"), LOOPS), (ExpressionModel(CONFIG, "map"), EXPRESSION)],
    ids=["loops", "expression"],
)
def test_fine_tuning_reads_no_test_windows_and_pretraining_may_have(tmp_path, network, kind):
    known, unknown = PROVENANCE, without("include_test_chromosomes")
    told = {}
    for name, provenance in {
        "scratch": unknown,
        "after unknown": {**unknown, "pretrained": "before", "transferred_tensors": 12},
        "after all": {
            **known,
            "pretrained": "before",
            "transferred_tensors": 12,
            "include_test_chromosomes": True,
        },
    }.items():
        run = write_run(tmp_path / name, provenance, network, kind, mode="map")
        (told[name],) = [line for line in card_of(run).splitlines() if "of the test split" in line]
    assert told["scratch"] == f"No window of the test split of these tables was trained on. {OTHERS}"
    assert told["after unknown"].startswith("Whether windows of the test split were trained on is not")
    assert told["after all"].startswith("**Windows of the test split were trained on**")


def test_the_settings_tell_of_test_chromosomes_too(tmp_path):
    run = write_run(tmp_path / "run", without("include_test_chromosomes"))
    (run / "config.toml").write_text("include_test_chromosomes = true\n")
    assert "**Windows of the test split were trained on**" in card_of(run)


def test_what_was_not_recorded_is_said_to_be_missing(tmp_path):
    bare = without("data", "include_test_chromosomes", "validation", "best_epoch", "packages")
    card = card_of(write_run(tmp_path / "run", bare))
    assert "How many windows of which chromosomes were used is not recorded" in card
    assert f"| `K562.store` | `{'ab' * 32}` |" in card.splitlines()
    assert "Whether windows of the test split were trained on is not recorded." in card
    assert "No window was held out for validation" in card
    assert "- It was never validated." in card
    assert "The settings are not recorded." in card
    assert "| packages | not recorded |" in card.splitlines()


def test_a_loop_model_says_where_it_started(tmp_path):
    more = {"pretrained": "/home/someone/before", "transferred_tensors": 12}
    network = LoopModel(CONFIG, "map")
    card = card_of(write_run(tmp_path / "run", {**PROVENANCE, **more}, network, LOOPS, mode="map"))
    assert "# MIX-HIC, fine-tuned for chromatin loops" in card.splitlines()
    assert "Its mode is `map`." in card
    assert "Training started from 12 tensors of the pre-trained run `before`." in card
    assert "chromweave loops call OUT.bedpe --model FOLDER --store STORE" in card


def test_what_the_pre_training_read_is_told_where_it_is_known(tmp_path):
    network = LoopModel(CONFIG, "map")
    other = [{**PROVENANCE["data"][0], "name": "GM12878"}]
    more = {"pretrained": "before", "transferred_tensors": 12}
    told = card_of(
        write_run(
            tmp_path / "a", {**PROVENANCE, **more, "pretraining_data": other}, network, LOOPS, mode="map"
        )
    )
    assert f"| `GM12878` | 1,234 | chr1, chr2 | 100 | chr3 | `{'cd' * 32}` |" in told.splitlines()
    unknown = card_of(write_run(tmp_path / "b", {**PROVENANCE, **more}, network, LOOPS, mode="map"))
    assert "Where that run took its windows from is not recorded." in unknown.splitlines()


TUNED = {**PROVENANCE, "pretrained": "/home/someone/before", "transferred_tensors": 12}


def test_a_temperature_is_told(tmp_path):
    network = LoopModel(CONFIG, "map")
    card = card_of(write_run(tmp_path / "run", TUNED, network, LOOPS, mode="map", temperature=0.83125))
    assert "Its logits are divided by a temperature of 0.8313, which was fitted on the validation" in card
    without_one = card_of(write_run(tmp_path / "other", TUNED, network, LOOPS, mode="map"))
    assert "Its logits are divided" not in without_one  # pre-training's temperature is another


def test_a_contact_model_says_what_it_predicts_and_from_what(tmp_path):
    model = {"mode": "infer_map", "output": "linear", "expected": [9.0, 4.0], "farthest_bins": 60}
    scored = {**TUNED, "validation": {"loss": 0.25, "pearson": 0.5}}
    card = card_of(
        write_run(tmp_path / "run", scored, ContactModel(CONFIG, output="linear"), CONTACTS, **model)
    )
    for line in (
        "# MIX-HIC, fine-tuned for contact maps",
        "It gives the contacts of a window from the signal tracks along its two segments.",
        "The anchors of its training windows lie up to 300,000 bp apart.",
        "| contacts are predicted as | `clip` |",
        f"No window of the test split of these tables, nor of those of its pre-training, was trained on. "
        f"{OTHERS}",
        "chromweave predict contacts OUT.mcool --model FOLDER --store STORE",
    ):
        assert line in card.splitlines(), line
    (row,) = [line for line in card.splitlines() if line.startswith("| `pearson`")]
    assert row.split(" | ")[1:4] == ["0.5", "–", "0"]
    assert "distance alone has a high one" in row
    (limit,) = [line for line in card.splitlines() if line.startswith("- It reads")]
    assert "It reads the tracks `ATAC`, `H3K27ac\\|x` of `sim-tiny` at 5,000 bp" in limit
    assert "another assembly or without these tracks are refused" in limit
    assert "linear probe" not in card


def test_an_expression_model_names_its_signal_and_where_it_comes_from(tmp_path):
    model = {"mode": "map", "signal": "CAGE", "probe": True}
    run = write_run(tmp_path / "run", TUNED, ExpressionModel(CONFIG, "map", True), EXPRESSION, **model)
    described = json.loads((run / "config.json").read_text())
    described["data"]["transform"]["tracks"] = []
    (run / "config.json").write_text(json.dumps(described))
    (run / "config.toml").write_text('tune = "probe"\n')
    card = card_of(run)
    for line in (
        "# MIX-HIC, fine-tuned for expression",
        "It predicts the track `CAGE`.",
        "It is a linear probe: one dense layer on the tokens of the pre-trained model.",
        "Training started from 12 tensors of the pre-trained run `before`, which were kept as they are.",
        "| signal tracks, in this order | none |",
        "| contacts are given as | `clip` |",
        "chromweave predict expression OUT_PREFIX --model FOLDER --store STORE",
    ):
        assert line in card.splitlines(), line
    (limit,) = [line for line in card.splitlines() if line.startswith("- It reads")]
    assert "It reads contacts of `sim-tiny` at 5,000 bp, prepared as above." in limit
    assert "of another assembly or without this resolution are refused" in limit


def test_a_pretrained_model_reads_both(run):
    (limit,) = [line for line in card_of(run).splitlines() if line.startswith("- It reads")]
    assert "It reads contacts and the tracks `ATAC`, `H3K27ac\\|x` of `sim-tiny`" in limit
    assert "or without this resolution or without these tracks are refused" in limit


def test_a_preset_is_called_by_its_name(tmp_path):
    config = MixHicConfig(channels=16, heads=1, window_bins=16, positions=1600)
    assert "the sizes of the preset `tiny`" in card_of(write_run(tmp_path / "run", config=config))


def test_a_damaged_run_is_refused(run, tmp_path):
    (run / "config.toml").write_text("[fit")
    with pytest.raises(FileFormatError, match=r"config\.toml: is no TOML"):
        write_model_card(run)
    assert not (run / "README.md").exists()
    with pytest.raises(ModelError, match="is no model folder"):
        write_model_card(tmp_path)


def test_training_data_counts_windows_and_chromosomes(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        store = loop_store(patch, tmp_path / "a.store")
    table = loop_windows(store, planted(), SPLIT, window_bins=WINDOW_BINS, resolution=RESOLUTION).table
    # 120 planted loops on each chromosome, and as many negatives
    train = table[table["split"] == "train"]
    covered = covered_stretches(train)["chr1"].tolist()
    assert covered[0][0] == train[["x", "y"]].to_numpy().min() - WINDOW_BINS // 2 * RESOLUTION
    (said,) = training_data([store], [table])
    assert said == {
        "name": "a",
        "manifest_sha256": store.manifest_sha256,
        "train": {"windows": 240, "chromosomes": ["chr1"], "stretches": {"chr1": covered}},
        "valid": {"windows": 240, "chromosomes": ["chr2"]},
    }


def test_more_stretches_than_a_card_can_hold_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(model_card, "_MOST_STRETCHES", 0)
    with pytest.MonkeyPatch.context() as patch:
        store = loop_store(patch, tmp_path / "a.store")
    table = loop_windows(store, planted(), SPLIT, window_bins=WINDOW_BINS, resolution=RESOLUTION).table
    assert training_data([store], [table])[0]["train"] == {"windows": 240, "chromosomes": ["chr1"]}
