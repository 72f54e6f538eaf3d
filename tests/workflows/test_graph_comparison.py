"""Comparisons of encodings that were never trained: frames, replicates, and what the files say."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ortho_group

from chromweave.cli import main as cli
from chromweave.errors import ConfigError
from chromweave.io.export import Embedding, write_embedding
from chromweave.workflows.graph_comparison import CompareConfig, compare

BINS = 300
SHIFTED = slice(120, 150)


def embedding(seed=0, *, weights="a", shifted=False, turned=False, noise=0.05):
    """Compartments in runs of 15, in six dimensions; `shifted` bins go elsewhere and change compartment."""
    rng = np.random.default_rng(seed)
    calls = np.where((np.arange(BINS) // 15) % 2, "B", "A").astype(object)
    own = np.random.default_rng(99).normal(size=(BINS, 6)) + np.where(calls == "A", 1, -1)[:, None]
    if shifted:
        own[SHIFTED] *= -1
        calls[SHIFTED] = np.where(calls[SHIFTED] == "A", "B", "A")
    latent = own + rng.normal(0, noise, own.shape)
    if turned:
        latent = latent @ ortho_group.rvs(6, random_state=seed)
    start = np.arange(BINS, dtype=np.int64) * 1000
    bins = pd.DataFrame({"chrom": "chr1", "start": start, "end": start + 1000, "masked": start == 5000})
    bins["compartment"] = np.where(bins["masked"], "N", calls)
    bins["E1"] = np.where(bins["masked"], np.nan, np.where(calls == "A", 1.0, -1.0))
    origin = {
        "weights_sha256": weights, "assembly": "small", "chrom_sizes": {"chr1": BINS * 1000},
        "resolution": 1000,
    }  # fmt: skip
    return Embedding(bins, latent[~bins["masked"]].astype(np.float32), provenance=origin)


@pytest.fixture
def files(tmp_path):
    made = {
        "first": embedding(0),
        "second": embedding(1, shifted=True),
        "replicate": embedding(2),
        "another": embedding(3),
        "turned": embedding(4, weights="b", shifted=True, turned=True),
        "turned_replicate": embedding(5, weights="c", turned=True),
        "turned_too": embedding(7, weights="d", turned=True),
        "turned_twin": embedding(6, weights="c", turned=True),
    }
    for name, one in made.items():
        write_embedding(tmp_path / f"{name}.h5ad", one)
    return {name: tmp_path / f"{name}.h5ad" for name in made}


def test_one_model_is_one_frame(files, tmp_path):
    found = compare(tmp_path / "out", first=files["first"], second=files["second"], permutations=19)
    assert found.alignment.method == "one encoder"
    assert found.summary["frame"] == "one encoder"
    assert not (tmp_path / "out" / "shifted.tsv").exists()
    assert "qvalue" not in found.distances.columns
    assert found.distances["cosine"][SHIFTED].min() > 1.8
    assert found.switches.set_index(["first", "second"])["bins"].loc[[("A", "B"), ("B", "A")]].tolist() == [
        15, 15,
    ]  # fmt: skip


def test_another_model_is_turned_onto_the_first(files, tmp_path):
    found = compare(tmp_path / "out", first=files["first"], second=files["turned"], permutations=19)
    assert found.alignment.method == "procrustes"
    assert found.alignment.bins == BINS - 30 - 1
    assert "procrustes on 269 stable bins" in found.summary["frame"]
    assert found.distances["cosine"][SHIFTED].min() > 1.8
    assert found.distances["cosine"].drop(range(120, 150)).max() < 0.1
    said = json.loads((tmp_path / "out" / "run.json").read_text())
    assert said["alignment"]["method"] == "procrustes"
    summary = pd.read_csv(tmp_path / "out" / "summary.tsv", sep="\t").set_index("what")["value"]
    assert summary["frame"].startswith("procrustes on 269")


@pytest.mark.parametrize(
    ("second", "replicates"),
    [("second", ["replicate", "another"]), ("turned", ["turned_replicate", "turned_too"])],
)
def test_replicates_are_the_null(files, tmp_path, second, replicates):
    found = compare(
        tmp_path / "out", first=files["first"], second=files[second],
        replicates=[files[name] for name in replicates], permutations=19,
    )  # fmt: skip
    called = set(np.flatnonzero(found.distances["shifted"]))
    assert set(range(120, 150)) <= called
    assert len(called) < 40
    assert found.summary["beyond_replicates"] == len(called)
    assert "replicates_called" not in found.summary  # a single chromosome
    assert 0 < found.summary["replicates_mean"] < 0.05
    by = found.by_compartment.set_index(["compartment", "distance"])
    assert (by["replicates_mean"].loc[:, "cosine"] < 0.05).all()
    assert by.loc[("A", "cosine"), "mean"] > by.loc[("A", "cosine"), "replicates_mean"]
    written = pd.read_csv(tmp_path / "out" / "shifted.tsv", sep="\t")
    assert set(written["start"] // 1000) == called
    assert written["qvalue"].is_monotonic_increasing
    assert (written["qvalue"] <= 0.05).all()
    bins = pd.read_csv(tmp_path / "out" / "bins.tsv", sep="\t")
    assert bins.loc[bins["masked"], "qvalue"].isna().all()


@pytest.mark.parametrize(
    ("second", "replicates", "sentence"),
    [
        ("second", ["turned_replicate"], "conditions are of one model, and it and the first are not"),
        ("turned", ["replicate"], "conditions are of different models, and it and the first are not"),
        ("turned", ["turned_replicate", "turned_twin"], "different models, and it and .*replicate.h5ad are"),
    ],
)
def test_replicates_of_another_frame_are_no_null(files, tmp_path, second, replicates, sentence):
    with pytest.raises(ConfigError, match=sentence):
        compare(
            tmp_path / "out", first=files["first"], second=files[second],
            replicates=[files[name] for name in replicates],
        )  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_a_replicate_that_is_the_first_again_makes_everything_shift(files, tmp_path):
    """A null of zeros: what the files say is what the null was, not a floor of our own."""
    again = shutil.copy(files["first"], tmp_path / "again.h5ad")
    shutil.copy(files["first"].with_suffix(".bins.tsv"), tmp_path / "again.bins.tsv")
    found = compare(
        tmp_path / "out", first=files["first"], second=files["second"], replicates=[again],
        permutations=19,
    )  # fmt: skip
    assert found.summary["replicates_mean"] == pytest.approx(0, abs=1e-9)
    assert found.distances["shifted"].sum() > 290


def test_bins_that_only_grow_longer_are_called_by_l2(tmp_path):
    """Twice as long is as near as replicates by the cosine, and not by the length of the difference."""
    first, longer = embedding(0), embedding(1)
    latent = longer.latent.copy()
    latent[110:150] *= 3
    files = {name: tmp_path / f"{name}.h5ad" for name in ("first", "second", "replicate")}
    for name, one in zip(files, (first, replace(longer, latent=latent), embedding(2)), strict=True):
        write_embedding(files[name], one)
    given = {"first": files["first"], "second": files["second"], "replicates": [files["replicate"]]}
    called = {
        name: compare(tmp_path / name, distance=name, permutations=9, **given) for name in ("cosine", "l2")
    }
    assert not called["cosine"].distances["shifted"].any()
    far = np.flatnonzero(called["l2"].distances["shifted"])
    assert set(range(111, 151)) <= set(far)  # a masked bin has no row of the latent
    assert len(far) < 45
    track = pd.read_csv(tmp_path / "l2" / "delta.bedgraph", sep="\t", header=None)
    known = called["l2"].distances.dropna(subset="l2")
    np.testing.assert_allclose(track[3], known["l2"], rtol=1e-5)
    assert called["l2"].summary["replicates_mean"] > called["cosine"].summary["replicates_mean"]


def on_two_chromosomes(one):
    """The same, its last 150 bins on a chromosome of their own."""
    bins = one.bins.copy()
    bins.loc[150:, "chrom"] = "chr2"
    bins.loc[150:, ["start", "end"]] -= 150_000
    sizes = {"chr1": 150_000, "chr2": 150_000}
    return replace(one, bins=bins, provenance={**one.provenance, "chrom_sizes": sizes})


def test_chromosomes_of_unlike_noise_are_told_of(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("chromweave.workflows.graph_comparison.notify", said.append)
    made = {"first": embedding(0), "second": embedding(1, shifted=True), "replicate": embedding(2)}
    noisy = made["replicate"].latent.copy()
    noisy[:149] += np.random.default_rng(0).normal(0, 3, (149, 6))
    files = {name: tmp_path / f"{name}.h5ad" for name in ("first", "second", "replicate", "noisy")}
    for name, one in {**made, "noisy": replace(made["replicate"], latent=noisy)}.items():
        write_embedding(files[name], on_two_chromosomes(one))
    settings = {"first": files["first"], "second": files["second"], "permutations": 9}
    warning = "of bins would be called between replicates, each chromosome beside the others"
    calm = compare(tmp_path / "calm", replicates=[files["replicate"]], **settings)
    assert calm.summary["replicates_called"] < 0.02
    assert not any(warning in line for line in said)
    wild = compare(tmp_path / "wild", replicates=[files["noisy"]], **settings)
    assert 0.3 < wild.summary["replicates_called"] < 0.5
    assert any(warning in line for line in said)


def test_a_null_too_small_to_call_anything_says_so(files, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("chromweave.workflows.graph_comparison.notify", said.append)
    found = compare(
        tmp_path / "out", first=files["first"], second=files["second"], replicates=[files["replicate"]],
        fdr=0.01, permutations=9,
    )  # fmt: skip
    # 150 distances of replicates in A, one less in B: p is at least 1 / 151, and 30 such bins of 299 are at
    # a rate of 0.066.
    assert not found.distances["shifted"].any()
    assert "the least p-value is 0.0066; more chromosomes or replicates" in said[0]
    assert pd.read_csv(tmp_path / "out" / "shifted.tsv", sep="\t").empty


def test_the_command(files, tmp_path, capsys):
    words = ["compare", tmp_path / "out", files["first"], files["second"], "--replicates", files["replicate"]]
    words += ["--replicates", files["another"], "--fdr", "0.06", "--permutations", "9"]
    assert cli.run(list(map(str, words))) == 0
    shown = capsys.readouterr().out
    assert "one encoder" in shown
    assert "beyond replicates  3" in shown
    assert (tmp_path / "out" / "shifted.tsv").is_file()


def test_one_cell_line_is_no_comparison(files, tmp_path, capsys):
    with pytest.raises(ConfigError, match=r"first\.h5ad: is given twice"):
        compare(tmp_path / "out", first=files["first"], second=files["first"])
    with pytest.raises(ConfigError, match=r"first\.h5ad: is given twice"):
        compare(tmp_path / "out", first=files["first"], second=files["second"], replicates=[files["first"]])
    assert cli.run(["compare", str(tmp_path / "out"), str(files["first"])]) == 2
    assert "SECOND.h5ad" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_other_assemblies_and_other_bins_are_no_comparison(files, tmp_path, capsys):
    one = embedding(1)
    write_embedding(tmp_path / "lifted.h5ad", replace(one, provenance={**one.provenance, "assembly": "hg38"}))
    wide = one.bins.assign(start=one.bins["start"] * 2, end=one.bins["end"] * 2)
    write_embedding(tmp_path / "coarse.h5ad", replace(one, bins=wide))
    for other, sentence in (
        ("lifted", "are of small and hg38"),
        ("coarse", "300 of 1,000 bp on chr1; 300 of 2,000 bp on chr1"),
    ):
        words = ["compare", str(tmp_path / "out"), str(files["first"]), str(tmp_path / f"{other}.h5ad")]
        assert cli.run(words) == 2
        shown = capsys.readouterr().err
        assert shown.startswith("chromweave: error: ")
        assert sentence in shown
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"fdr": 1.0}, "fdr must lie"),
        ({"permutations": 0}, "at least 1"),
        ({"distance": "angle"}, "distance must be cosine or l2 or l1, not 'angle'"),
    ],
)
def test_settings_out_of_range(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        CompareConfig(**settings)


def test_no_compartments_to_align_by(files, tmp_path):
    for name in ("first", "turned"):
        one = embedding(0) if name == "first" else embedding(4, weights="b", turned=True)
        bare = replace(one, bins=one.bins.drop(columns=["compartment", "E1"]))
        write_embedding(tmp_path / f"{name}.h5ad", bare)
    found = compare(tmp_path / "out", first=tmp_path / "first.h5ad", second=tmp_path / "turned.h5ad")
    assert found.switches is None
    assert found.alignment.bins == BINS - 1
