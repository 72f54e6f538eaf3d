"""Every command of the three tasks, from stores to experiments; each reads only what others wrote before it.

One chromosome of the simulated genome and one epoch: what is asked is whether files fit, not what is learned.
"""

import io
import json
from contextlib import chdir, redirect_stderr, redirect_stdout

import cooler
import cooltools
import numpy as np
import pandas as pd
import pybigtools
import pytest
from matplotlib.image import imread

from chromweave.cli import main as cli
from chromweave.workflows import evaluation_rows, experiments

pytestmark = pytest.mark.slow

CHROM, LENGTH = "chr3", 8_002_700
BOTH = ("--track", "ATAC", "--track", "DNase")
ONCE = ("--epochs", "1")
SPLIT = ("--split", "blocks", "--gap", "500000")
PLACE = f"{CHROM}:4,000,000-4,005,000"


class Place:
    """A folder, and commands run inside it."""

    def __init__(self, folder, genome):
        self.folder, self.genome = folder, genome

    def code(self, *words):
        """Exit code, and what was written to standard output and error."""
        out, err = io.StringIO(), io.StringIO()
        with chdir(self.folder), redirect_stdout(out), redirect_stderr(err):
            code = cli.run([*map(str, words), "--json", "--quiet"])
        return code, out.getvalue(), err.getvalue()

    def run(self, *words):
        code, out, err = self.code(*words)
        assert code == 0, err
        return json.loads(out)

    def table(self, name):
        return pd.read_csv(self.folder / name, sep="\t")

    def tracks(self, line, *names):
        files = self.genome.cell_lines[line].tracks
        return [word for name in names for word in ("--track", f"{name}={files[name]}")]


@pytest.fixture(scope="module")
def stores(tmp_path_factory, tiny_genome):
    """Two cell lines, the first of them with half of its contacts, and the second without any."""
    place = Place(tmp_path_factory.mktemp("tasks"), tiny_genome)
    shared = ("--assembly", tiny_genome.chrom_sizes, "--chrom", CHROM)
    for name, line in tiny_genome.cell_lines.items():
        place.run(
            *("build", f"{name}.store", "--contacts", line.contacts, "--resolution", 5000),
            *(*shared, *place.tracks(name, "ATAC", "DNase", "CAGE")),
        )
    bare = place.run("build", "bare.store", *shared, *place.tracks("B", "ATAC", "DNase"))
    assert bare["resolutions"] == []
    thinned = place.run("thin", "half.store", "--store", "A.store", "--fraction", 0.5)
    measured = cooler.Cooler(f"{tiny_genome.cell_lines['A'].contacts}::/resolutions/5000")
    pixels = measured.matrix(balance=False, as_pixels=True).fetch(CHROM)
    stored = pixels["bin2_id"] - pixels["bin1_id"] < 2_250_000 // 5000
    assert thinned["contacts"]["5000"] == pytest.approx(pixels["count"][stored].sum() / 2, rel=0.01)
    return place


@pytest.fixture(scope="module")
def tables(stores):
    for name in "AB":
        grid = stores.run(
            *("windows", f"grid.{name}.parquet", "--store", f"{name}.store", "--step", 200_000, *SPLIT)
        )
    off = stores.run(
        *("windows", "off.parquet", "--store", "A.store", "--step", 200_000, "--max-distance", 400_000),
        *SPLIT,
    )
    assert off["train grid"] > 2 * grid["train grid"] > 0
    for name, line in stores.genome.cell_lines.items():
        loops = stores.run(
            *("windows", f"loops.{name}.parquet", "--store", f"{name}.store", "--around", "loops"),
            *("--loops", line.loops, "--protocol", "strict", *SPLIT),
        )
        assert loops["train loop"] == loops["train negative"] > 20
        sites = stores.run(
            *("windows", f"tss.{name}.parquet", "--store", f"{name}.store", "--around", "tss"),
            *("--tss", line.genes, *SPLIT),
        )
        assert sites["test tss"] > 10
    return stores


def test_lists_of_loops(stores):
    """Loops of a line that the other does not have stand out in its own map alone."""
    a, b = (stores.genome.cell_lines[name].loops for name in "AB")
    compared = stores.run(
        *("loops", "compare", a, b, "--assembly", stores.genome.chrom_sizes, "--out", "both.bedpe")
    )
    assert min(compared["both"], *compared["only_in"].values()) > 10
    measured = stores.run(
        *("loops", "quantify", "both.bedpe", "--store", "A.store", "--store", "B.store"),
        *("--resolution", 5000, "--out", "measured.bedpe"),
    )
    table = pd.read_csv(stores.folder / "measured.bedpe", sep="\t", na_values=".", keep_default_na=False)
    assert (
        measured["in_A"]["scored"] == measured["in_B"]["scored"] == table["enrichment_A"].notna().sum() > 20
    )
    gained = (table["enrichment_A"] - table["enrichment_B"]).groupby(table["found_in"]).median()
    (only_a, only_b) = compared["only_in"]
    assert gained[only_a] > gained["both"] > gained[only_b]
    validated = stores.run(
        *("loops", "validate", "both.bedpe", a, "--store", "A.store", "--resolution", 5000, "--out", "valid")
    )
    assert validated["recall"] == 1 > validated["precision"] > validated["shifted_control"]


def test_the_papers_protocol(stores):
    line = stores.genome.cell_lines["A"]
    made = stores.run(
        *("windows", "paper.parquet", "--store", "A.store", "--around", "loops", "--loops", line.loops),
        *("--protocol", "paper", "--split", "random"),
    )
    assert made["train loop"] > made["valid loop"] > 0 < made["test negative"]
    assert pd.read_parquet(stores.folder / "paper.parquet")["split"].nunique() == 3


@pytest.fixture(scope="module")
def models(tables):
    """A pre-training, and of each task a model that reads tracks alone, and another."""
    tables.run("pretrain", "pre", "--store", "A.store", "--windows", "off.parquet", *BOTH, *ONCE)
    for run, task, mode, *more in (
        ("loops", "loops", "bimodal", "--from", "pre", "--tune", "frozen"),
        ("loops.tracks", "loops", "tracks", "--from", "pre"),
        ("contacts", "contacts", "infer_map", "--from", "pre"),
        ("contacts.clip", "contacts", "tracks", *BOTH, "--target", "clip"),
        ("signal", "expression", "map", "--from", "pre", "--tune", "probe"),
        ("signal.tracks", "expression", "tracks", *BOTH, "--signal", "CAGE", "--least-known", "0.4"),
    ):
        windows = {"loops": "loops", "contacts": "grid", "expression": "tss"}[task] + ".A.parquet"
        tuned = tables.run(
            *("finetune", run, "--task", task, "--mode", mode, *more),
            *("--store", "A.store", "--windows", windows, *ONCE),
        )
        assert np.isfinite(tuned["loss"])
    return tables


def all_rows(place, out, task):
    """Values of what was judged on all windows: by method, then by metric."""
    table = place.table(f"{out}/{task}.tsv")
    assert set(table["task"]) == {task}
    assert json.loads((place.folder / out / f"{task}.json").read_text())
    rows = table[table["stratum"] == "all"]
    return {method: part.set_index("metric")["value"] for method, part in rows.groupby("method")}


def test_loops_beside_another_model(models):
    models.run(
        *("evaluate", "scores.loops", "--model", "loops", "--beside", "tracks=loops.tracks"),
        *("--store", "A.store", "--windows", "loops.A.parquet", "--block", 500_000),
    )
    rows = all_rows(models, "scores.loops", "loops")
    assert {"model", "tracks", "distance alone", "model - tracks", "model - distance alone"} <= set(rows)
    assert all(0 <= rows[name]["auroc"] <= 1 for name in ("model", "tracks", "distance alone"))
    difference = rows["model"]["auroc"] - rows["tracks"]["auroc"]
    assert rows["model - tracks"]["auroc"] == pytest.approx(difference)


def test_contacts_of_a_line_whose_trivial_rows_learn_from_another(models):
    models.run(
        *("evaluate", "scores.contacts", "--model", "contacts", "--beside", "clipped=contacts.clip"),
        *("--store", "B.store", "--windows", "grid.B.parquet", "--block", 500_000),
        *("--trivial-store", "A.store", "--trivial-windows", "grid.A.parquet"),
    )
    rows = all_rows(models, "scores.contacts", "contacts")
    assert {"model", "clipped"} < set(rows)
    assert any("same place" in name for name in rows)
    trivial = [name for name in rows if " - " not in name and name not in ("model", "clipped")]
    assert all(-1 <= rows[name]["scc"] <= 1 for name in ("model", *trivial) if "scc" in rows[name])


def test_expression_beside_another_model(models):
    models.run(
        *("evaluate", "scores.signal", "--model", "signal", "--beside", "tracks=signal.tracks"),
        *("--store", "A.store", "--windows", "tss.A.parquet", "--block", 500_000),
    )
    rows = all_rows(models, "scores.signal", "expression")
    assert {"model", "tracks", "promoter accessibility"} <= set(rows)
    assert np.isfinite(rows["model"]).all()


@pytest.fixture(scope="module")
def predicted(models):
    """The map of a line without contacts."""
    done = models.run(
        *("predict", "contacts", "predicted.mcool", "--model", "contacts", "--store", "bare.store")
    )
    assert done["chromosomes"] == [CHROM]
    return models


@pytest.mark.filterwarnings("ignore:The default of observed=False:FutureWarning")  # in cooltools
def test_a_predicted_map_is_read_by_others(predicted):
    """cooler opens it; cooltools gives its decay and insulation."""
    opened = cooler.Cooler(f"{predicted.folder}/predicted.mcool::/resolutions/5000")
    pixels, weight = opened.pixels()[:], opened.bins()[:]["weight"]
    assert pixels["count"].dtype.kind == "f"
    assert np.isfinite(pixels["count"]).all()
    assert pixels["count"].max() > 0
    here = (opened.bins()[:]["chrom"] == CHROM).to_numpy()
    assert set(weight[here].dropna()) == {1.0}
    assert weight[~here].isna().all()
    view = pd.DataFrame({"chrom": [CHROM], "start": [0], "end": [LENGTH], "name": [CHROM]})
    decay = cooltools.expected_cis(opened, view_df=view, ignore_diags=0)
    near, far = (decay.loc[decay["dist"] == bins, "balanced.avg"].item() for bins in (2, 40))
    assert near > far >= 0
    score = cooltools.insulation(opened, [50_000], view_df=view)["log2_insulation_score_50000"]
    assert np.isfinite(score).mean() > 0.8
    assert score.std() > 0


def test_a_predicted_map_becomes_a_store(predicted):
    """With the tracks beside it, what reads maps reads this one, too."""
    built = predicted.run(
        *("build", "predicted.store", "--contacts", "predicted.mcool", "--resolution", 5000),
        *("--assembly", predicted.genome.chrom_sizes, *predicted.tracks("B", "ATAC", "DNase")),
    )
    assert built["weights"] == {"5000": ["weight"]}
    assert predicted.run("inspect", "predicted.store", "--verify")["verified"]
    loops = predicted.genome.cell_lines["B"].loops
    scored = predicted.run(
        *("predict", "loops", "read.bedpe", "--model", "loops", "--store", "predicted.store"),
        *("--loops", loops),
    )
    assert scored["scored"] > 20


def test_a_picture_of_a_predicted_map(predicted):
    region = f"{CHROM}:3,000,000-5,000,000"
    predicted.run(
        *("predict", "picture", "predicted.png", "predicted.mcool", "--store", "bare.store"),
        *("--region", region, "--track", "ATAC"),
    )
    image = imread(predicted.folder / "predicted.png")
    assert min(image.shape[:2]) > 200
    assert image[..., :3].std() > 0.05


def test_expression_along_the_genome(models):
    genes = models.genome.cell_lines["B"].genes
    done = models.run(
        *("predict", "expression", "signal.B", "--model", "signal.tracks", "--store", "bare.store"),
        *("--tss", genes, "--chrom", CHROM),
    )
    known = pd.read_csv(genes, sep="\t")
    table = models.table("signal.B.genes.tsv")
    assert len(table) == done["genes"] == (known["chrom"] == CHROM).sum()
    assert np.isfinite(table["predicted"].dropna()).all()
    assert table["predicted"].notna().sum() == done["genes"] - done["without_prediction"] > 50
    with pybigtools.open(str(models.folder / "signal.B.bw")) as file:
        values = file.values(CHROM, fillna=None)
    assert (values[np.isfinite(values)] >= 0).all()
    assert np.isfinite(values).mean() > 0.9


def test_probabilities_of_given_loops(models):
    loops = models.genome.cell_lines["B"].loops
    done = models.run(
        *("predict", "loops", "scored.bedpe", "--model", "loops.tracks", "--store", "bare.store"),
        *("--loops", loops),
    )
    table = models.table("scored.bedpe")
    assert len(table) == done["pairs"] == len(loops.read_text().splitlines())
    probability = pd.to_numeric(table["probability"], errors="coerce")
    assert probability.notna().sum() == done["scored"] > 20
    assert probability.dropna().between(0, 1).all()
    assert (probability.isna() == (table["reason"] != ".")).all()


def pixels(path):
    opened = cooler.Cooler(str(path))
    return opened.matrix(balance=False).fetch((CHROM, 3_700_000, 4_300_000))


def test_a_site_deleted_in_a_predicted_map(models):
    done = models.run("perturb", "deleted", "--model", "contacts", "--store", "bare.store", "--delete", PLACE)
    assert done["mean_abs_log2_ratio"] > 0
    folder = models.folder / "deleted"
    before, after, difference = (
        pixels(folder / f"{name}.cool") for name in ("before", "after", "difference")
    )
    assert np.isfinite(before).all()
    np.testing.assert_allclose(after - before, difference, rtol=1e-4, atol=1e-6)
    assert np.abs(difference).max() > 0
    assert {"distance", "insulation"} <= set(models.table("deleted/perturbation.tsv")["measure"])


def test_a_site_scaled_for_the_other_tasks(models):
    loops = models.genome.cell_lines["B"].loops
    for run, *more in (("signal.tracks",), ("loops.tracks", "--loops", loops)):
        done = models.run(
            *("perturb", f"scaled.{run}", "--model", run, "--store", "bare.store", *more),
            *("--scale", f"{PLACE}=3", "--track", "ATAC"),
        )
        assert done["region"].startswith(CHROM)
        assert len(models.table(f"scaled.{run}/perturbation.tsv")) > 0


def test_screens(models):
    """Boundaries deleted, for what that does to predicted loops; anchors attenuated, as in the paper."""
    line = models.genome.cell_lines["B"]
    intervals = models.folder / "here.bed"
    rows = line.truth["boundaries"].read_text().splitlines(keepends=True)
    intervals.write_text("".join(row for row in rows if row.startswith(f"{CHROM}\t")))
    done = models.run(
        *("screen", "boundaries.tsv", "--model", "contacts", "--store", "bare.store"),
        *("--intervals", intervals, "--delete", "--loops", line.loops),
    )
    table = models.table("boundaries.tsv")
    effect = table["effect"].dropna().abs()
    assert len(effect) == done["scored"] > 5
    assert effect.is_monotonic_decreasing
    assert table["reason"][table["effect"].isna()].notna().all()
    assert (models.folder / "boundaries.tsv.png").stat().st_size > 5000
    attenuated = models.run(
        *("screen", "anchors.tsv", "--model", "loops.tracks", "--store", "bare.store"),
        *("--loops", line.loops, "--scale", 0.5, "--scale", 0.2),
    )
    assert attenuated["edits"] == 2 * len(line.loops.read_text().splitlines())
    assert {"predicted_times 0.5", "predicted_times 0.2"} < set(attenuated)


@pytest.fixture
def undrawn(monkeypatch):
    """Evaluations of arms draw nothing, which is half of their time; the experiment's own figure is there."""
    monkeypatch.setattr(evaluation_rows, "image_bytes", lambda figure: b"left out")


def arms(place, out, name):
    """Rows of single arms, of the model, on all windows."""
    table = place.table(f"{out}/{name}.tsv")
    assert (place.folder / out / f"{name}.png").stat().st_size > 5000
    rows = table[(table["row"] == "arm") & (table["method"] == "model") & (table["stratum"] == "all")]
    return table, rows


def test_few_shot_goes_on_where_it_was_interrupted(models, undrawn, monkeypatch):
    words = (
        *("experiment", "few-shot", "few", "--store", "A.store", "--windows", "loops.A.parquet"),
        *("--mode", "tracks", "--from", "pre", "--ratio", 0.5, "--draws", 1, "--least-windows", 0, *ONCE),
    )

    def interrupted(message):
        if message.startswith("arm 2 of 2"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(experiments, "notify", interrupted)
        code, _, said = models.code(*words)
    assert code == 130
    assert "An experiment goes on with the same command." in said
    assert not (models.folder / "few/few-shot.tsv").exists()
    (first,) = (models.folder / "few/runs").glob("*/model.safetensors")
    written = first.stat().st_mtime_ns
    models.run(*words)
    assert first.stat().st_mtime_ns == written
    assert len(list((models.folder / "few/runs").glob("*/model.safetensors"))) == 2
    table, rows = arms(models, "few", "few-shot")
    assert set(rows["start"]) == {"pre-trained", "scratch"}
    assert rows.loc[rows["metric"] == "auroc", "value"].between(0, 1).all()
    assert rows["train_windows"].nunique() == 1
    assert "pre-trained - scratch" in set(table["start"])


def test_cross_cell(models, undrawn):
    models.run(
        *("experiment", "cross-cell", "cross", "--task", "contacts", "--mode", "tracks", *BOTH, *ONCE),
        *("--store", "A.store", "--store", "B.store"),
        *("--windows", "grid.A.parquet", "--windows", "grid.B.parquet"),
    )
    _, rows = arms(models, "cross", "cross-cell")
    scores = rows[rows["metric"] == "scc"].set_index(["train_line", "test_line"])["value"]
    assert set(scores.index) == {(a, b) for a in "AB" for b in "AB"}
    assert np.isfinite(scores).all()


def test_ablation(models, undrawn):
    models.run(
        *("experiment", "ablation", "ablation", "--task", "contacts", *BOTH, *ONCE, "--pretrain-epochs", 1),
        *("--pretrain-store", "A.store", "--pretrain-windows", "grid.A.parquet"),
        *("--store", "A.store", "--windows", "grid.A.parquet", "--arm", "scratch", "--arm", "tracks"),
    )
    _, rows = arms(models, "ablation", "ablation")
    assert set(rows["arm"]) == {"scratch", "tracks"}
    assert rows["value"].notna().any()


def test_depth(models, undrawn):
    models.run(
        *("experiment", "depth", "depth", "--model", "loops", "--store", "A.store"),
        *("--windows", "loops.A.parquet", "--fraction", 1, "--fraction", 0.5),
    )
    table, rows = arms(models, "depth", "depth")
    scores = rows[rows["metric"] == "auroc"].set_index("fraction")["value"]
    assert set(scores.index) == {1.0, 0.5}
    assert scores.between(0, 1).all()
    assert "none" in set(table["model"].fillna("none"))
    assert (models.folder / "depth/stores/fraction-0.5.seed-0.store").is_dir()


def test_nothing_half_written(predicted):
    assert not list(predicted.folder.rglob(".*"))
