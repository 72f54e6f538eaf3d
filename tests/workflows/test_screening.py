"""Screens held against single perturbations, predictions of edited stores, and effects worked out by hand."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from chromweave.data.edits import SignalEdit
from chromweave.data.transforms import WindowTransform
from chromweave.errors import ConfigError, DataError, FileFormatError, ModelError
from chromweave.genome import Interval
from chromweave.workflows.edit_effects import insulation_at_centre, log2_change, loop_strength
from chromweave.workflows.pair_scoring import predict_loops
from chromweave.workflows.perturbation import perturb
from chromweave.workflows.screen_table import SCREEN
from chromweave.workflows.screening import screen
from tests.fakes import FakeTrack, build_fake
from tests.fakes_tasks import (
    BINS,
    PLACES,
    RESOLUTION,
    CentreOfBins,
    EachBin,
    PairsOfBins,
    bin_means,
    fake_model,
    save_untrained,
    stored_means,
    track_store,
)

RAW = WindowTransform(tracks=("ATAC", "DNase"), signal="raw", clip=1.0)


class Symmetric(PairsOfBins):
    """Entry (a, b) is the product of both bins' means, and one: the same wherever the window lies."""

    def forward(self, contact_map, tracks):
        x, y = bin_means(tracks, self.bins).unbind(1)
        found = super().forward(contact_map, tracks)
        return replace(found, value=(x[:, :, None] * y[:, None, :] + 1)[:, None])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return track_store(patch, tmp_path_factory.mktemp("screening") / "a.store")


def bed(path, rows):
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    return path


INTERVALS = [
    ("chr1", 14_000, 15_000, "small"),
    ("chr1", 22_000, 24_500, "wide"),
    ("chr2", 9_000, 10_200, "other"),
    ("chr1", 17_050, 17_150, "steps"),
]


def contact_model(**more):
    return fake_model("contacts", Symmetric(), transform=RAW, **more)


def window_by_hand(store, x, y, edited=(), factor=1.0, chrom="chr1"):
    """Contacts of `Symmetric` in a window, from 100 bp steps; `edited` are ranges of steps."""
    steps = np.stack([np.asarray(store.track(n, chrom).mean, np.float64) for n in ("ATAC", "DNase")], axis=1)
    known = np.isfinite(steps).any(1)
    steps = np.nan_to_num(steps)
    for start, end in edited:
        steps[start:end] *= factor
    n_bins = -(-PLACES.length(chrom) // RESOLUTION)
    pad = n_bins * 10 - len(steps)
    means = np.pad(steps, ((0, pad), (0, 0))).reshape(n_bins, -1).mean(1)
    dark = ~np.pad(known, (0, pad)).reshape(n_bins, -1).any(1)
    rows, columns = (slice(anchor - BINS // 2, anchor + BINS // 2) for anchor in (x, y))
    found = means[rows][:, None] * means[columns] + 1
    found[dark[rows]] = np.nan
    found[:, dark[columns]] = np.nan
    return found


def test_effects_of_intervals_on_the_map(store, tmp_path):
    out = tmp_path / "screen.tsv"
    found = screen(
        out, model=contact_model(), store=store, intervals=bed(tmp_path / "a.bed", INTERVALS), factors=[2.0]
    )
    table = found.table.set_index("name")
    expected = {
        "small": (14, [(140, 150)]),
        "wide": (23, [(220, 245)]),
        "steps": (17, [(170, 172)]),  # 50 bp of each is enough
    }
    for name, (middle, steps) in expected.items():
        before = window_by_hand(store, middle, middle)
        after = window_by_hand(store, middle, middle, steps, 2.0)
        row = table.loc[name]
        assert row["mean_abs_log2_ratio"] == pytest.approx(
            np.nanmean(np.abs(log2_change(before, after))), rel=1e-4
        )
        scores = insulation_at_centre(np.stack([before, after]))
        assert row["insulation_before"] == pytest.approx(scores[0], abs=1e-5)
        assert row["insulation_change"] == pytest.approx(scores[1] - scores[0], abs=1e-5)
        assert (row["x"], row["y"]) == (middle * RESOLUTION, middle * RESOLUTION)
        assert row["effect"] == row["mean_abs_log2_ratio"]
    assert found.scored == 4
    assert found.table["effect"].is_monotonic_decreasing
    assert found.table["rank"].tolist() == [1, 2, 3, 4]
    assert found.recall is None
    read = pd.read_csv(out, sep="\t", keep_default_na=False, na_values={"effect": ""})
    SCREEN.check(read, "read back")
    assert read["name"].tolist() == found.table["name"].tolist()
    said = json.loads((tmp_path / "screen.tsv.json").read_text())
    assert (said["kind"], said["scored"], said["effect"]) == ("screen", 4, "mean_abs_log2_ratio")
    assert (tmp_path / "screen.tsv.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("factor", [None, 0.25])
def test_a_screen_equals_single_perturbations(store, tmp_path, factor):
    """The stand-in says the same in every window, so that the map put together is each window's."""
    model = contact_model(farthest_bins=30)  # far enough for the corners of windows
    found = screen(
        tmp_path / "s.tsv",
        model=model,
        store=store,
        intervals=bed(tmp_path / "a.bed", INTERVALS),
        factors=[factor],
        tracks=["DNase"],
    ).table.set_index("name")
    for chrom, start, end, name in INTERVALS:
        edit = SignalEdit(Interval(chrom, start, end), ("DNase",), factor)
        done = perturb(tmp_path / name, model=model, store=store, edits=[edit])
        (wall,) = done.table[done.table["measure"] == "insulation"].itertuples()
        row = found.loc[name]
        assert row["insulation_before"] == pytest.approx(wall.before, abs=1e-5)
        assert row["insulation_change"] == pytest.approx(wall.change, abs=1e-5)
        assert row["insulation_change"] != 0


def test_one_edit_does_not_see_another(store, tmp_path):
    every = screen(
        tmp_path / "all.tsv",
        model=contact_model(),
        store=store,
        intervals=bed(tmp_path / "a.bed", INTERVALS),
    )
    for row in INTERVALS:
        alone = screen(
            tmp_path / "one.tsv",
            model=contact_model(),
            store=store,
            intervals=bed(tmp_path / "one.bed", [row]),
        )
        together = every.table[every.table["name"] == row[3]].drop(columns="rank").reset_index(drop=True)
        pd.testing.assert_frame_equal(together, alone.table.drop(columns="rank"))


def test_batches_do_not_matter(store, tmp_path):
    run = save_untrained(tmp_path / "run", "contacts")
    intervals = bed(tmp_path / "a.bed", INTERVALS)
    tables = [
        screen(tmp_path / "s.tsv", model=run, store=store, intervals=intervals, batch_size=size).table
        for size in (1, 3, 64)
    ]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0], atol=1e-5)
    assert (tables[0]["effect"] > 0).all()


def test_a_factor_of_1_has_no_effect(store, tmp_path):
    run = save_untrained(tmp_path / "run", "contacts")
    found = screen(
        tmp_path / "s.tsv",
        model=run,
        store=store,
        intervals=bed(tmp_path / "a.bed", INTERVALS),
        factors=[1.0],
    )
    assert (found.table["effect"] == 0).all()
    assert (found.table["insulation_change"] == 0).all()
    assert found.table["name"].tolist() == [row[3] for row in INTERVALS]  # ties stay in order


def test_what_cannot_be_scored_stays_with_a_reason(store, tmp_path):
    rows = [
        ("chr1", 1_000, 2_000, "end"),
        ("chr1", 11_000, 12_000, "dark"),
        ("chr1", 10_000, 19_000, "long"),
        ("chr1", 20_030, 20_060, "short"),
        ("chr2", 10_000, 11_000, "fine"),
        ("chr3", 3_000, 4_000, "small chromosome"),
    ]
    found = screen(
        tmp_path / "s.tsv", model=contact_model(), store=store, intervals=bed(tmp_path / "a.bed", rows)
    )
    assert found.table[["name", "reason"]].values.tolist() == [
        ["fine", ""],
        ["end", "window sticks out of the chromosome"],
        ["dark", "no data to edit"],
        ["long", "longer than a window"],
        ["short", "shorter than half a step of 100 bp"],
        ["small chromosome", "window sticks out of the chromosome"],
    ]
    assert found.table["rank"].isna().tolist() == [False] + [True] * 5
    assert found.table["effect"].isna().tolist() == [False] + [True] * 5


def bedpe(path, pairs, names=None):
    rows = [
        ("chr1", i * 1000, (i + 1) * 1000, "chr1", j * 1000, (j + 1) * 1000, name)
        for (i, j), name in zip(pairs, names or [f"{i}-{j}" for i, j in pairs], strict=True)
    ]
    return bed(path, rows)


def test_loops_on_predicted_maps(tmp_path, monkeypatch):
    """Windows of 20 bins: loops of up to 13 in one around them, a longer one where the model was trained."""
    store = track_store(monkeypatch, tmp_path / "a.store")
    transform = replace(RAW, clip=1.0)
    model = fake_model("contacts", Symmetric(20), transform=transform, bins=20, farthest_bins=15)
    loops = bedpe(tmp_path / "a.bedpe", [(14, 25), (13, 28), (14, 30), (16, 18), (3, 9)])
    intervals = bed(
        tmp_path / "a.bed", [("chr1", 14_000, 15_000, "a"), ("chr1", 28_500, 29_000, "b"),
                             ("chr1", 17_000, 18_500, "c"), ("chr1", 20_000, 21_000, "d")],
    )  # fmt: skip
    found = screen(
        tmp_path / "s.tsv", model=model, store=store, intervals=intervals, loops=loops, factors=[3.0]
    ).table
    pairs = found[["name", "loop", "reason"]].values.tolist()
    assert sorted(pairs) == [
        ["a", "14-25", ""],
        ["a", "14-30", "longer than the windows the model was trained on"],
        ["b", "13-28", ""],
        ["c", "16-18", "the anchors are less than 3 bins apart"],
        ["d", "", "no loop has an anchor in it"],
    ]
    near, far = (found[found["loop"] == name].iloc[0] for name in ("14-25", "13-28"))
    assert (near["x"], near["y"]) == (19_000, 19_000)
    assert (far["x"], far["y"]) == (13_000, 28_000)
    for row, (x, y), steps in ((near, (19, 19), (140, 150)), (far, (13, 28), (285, 290))):
        maps = np.stack([around(store, x, y), around(store, x, y, [steps], 3.0)])
        i, j = int(row["start1"]) // 1000 - x + 10, int(row["start2"]) // 1000 - y + 10
        strength = loop_strength(maps, np.array([i, i]), np.array([j, j]))
        assert row["strength_before"] == pytest.approx(strength[0], abs=1e-5)
        assert row["strength_after"] == pytest.approx(strength[1], abs=1e-5)
        assert row["effect"] == row["strength_change"] == pytest.approx(strength[1] - strength[0], abs=1e-5)
    assert "insulation_change" not in found


def around(store, x, y, edited=(), factor=1.0):
    """:func:`window_by_hand` with 20 bins a side."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "BINS", 20)
        return window_by_hand(store, x, y, edited, factor)


def test_all_loops_whose_windows_an_interval_touches(store, tmp_path):
    model = fake_model("loops", CentreOfBins(), transform=RAW)
    loops = bedpe(tmp_path / "a.bedpe", [(14, 25), (19, 31), (33, 36)])
    intervals = bed(tmp_path / "a.bed", [("chr1", 17_500, 18_500, "a"), ("chr1", 35_000, 36_000, "b")])
    arguments = {"model": model, "store": store, "intervals": intervals, "loops": loops}
    some = screen(tmp_path / "s.tsv", **arguments, all_loops=True).table
    # Windows reach from 4 bins before an anchor to 4 behind; 14 to 18 does, as does 19 from 15 on.
    assert sorted(some[["name", "loop"]].values.tolist()) == [["a", "14-25"], ["a", "19-31"], ["b", "33-36"]]
    # Only an edit of the anchor itself changes the stand-in's answer; none of these is one.
    assert (some["effect"] == 0).all()
    with pytest.raises(DataError, match="nothing can be scored; a: no loop has an anchor in it"):
        screen(tmp_path / "s.tsv", **arguments)


def test_probabilities_before_are_those_of_predict(store, tmp_path):
    run = save_untrained(tmp_path / "run", "loops", mode="tracks", temperature=1.7)
    loops = bedpe(tmp_path / "a.bedpe", [(14, 25), (17, 22), (11, 22)])
    found = screen(tmp_path / "s.tsv", model=run, store=store, loops=loops, factors=[0.0]).table
    scored = predict_loops(tmp_path / "p.bedpe", model=run, store=store, loops=loops)
    before = found.set_index("loop")["probability_before"].loc[["14-25", "17-22", "11-22"]]
    np.testing.assert_allclose(before, scored.table["probability"], rtol=1e-5)
    assert found.set_index("loop")["reason"].loc["11-22"] == "no data at an anchor"


def test_loops_that_are_still_predicted_when_their_anchors_are_attenuated(store, tmp_path):
    """MIX-HIC's in-silico experiment, with a model whose logit is the sum of both anchors' means, less 5."""
    means = stored_means(store, "chr1")
    pairs = [(5, 14), (6, 20), (13, 27), (9, 33), (4, 12), (2, 15)]
    loops = bedpe(tmp_path / "a.bedpe", pairs)
    factors = [1.0, 0.5, 0.3, 0.1]
    model = fake_model("loops", CentreOfBins(), transform=RAW, temperature=3.0)
    found = screen(tmp_path / "s.tsv", model=model, store=store, loops=loops, factors=factors)
    inside = np.array(pairs[:5])  # the last one's window sticks out
    total = means[inside].sum(1)
    assert found.recall["factor"].tolist() == factors
    assert found.recall["loops"].tolist() == [5] * 4
    assert found.recall["before"].tolist() == [int((total >= 5).sum())] * 4
    after = [int((total * factor >= 5).sum()) for factor in factors]
    assert found.recall["after"].tolist() == after
    assert after[0] > after[1] >= after[3]
    rows = found.table[(found.table["factor"] == 0.5) & (found.table["loop"] == "13-27")]
    assert rows["logit_change"].item() == pytest.approx(-0.5 * means[[13, 27]].sum() / 3, rel=1e-4)
    assert rows[["start", "end"]].values.tolist() == [[13_000, 28_000]]
    assert (found.table["reason"] == "window sticks out of the chromosome").sum() == 4
    said = json.loads((tmp_path / "s.tsv.json").read_text())
    assert [row["after"] for row in said["recall"]] == after


def test_anchors_that_overlap_are_edited_once(store, tmp_path):
    row = ("chr1", 14_000, 16_000, "chr1", 15_000, 17_000)
    model = fake_model("loops", CentreOfBins(), transform=RAW)
    found = screen(
        tmp_path / "s.tsv", model=model, store=store, loops=bed(tmp_path / "a.bedpe", [row]), factors=[0.5]
    ).table
    means = stored_means(store, "chr1")[[14, 15]]
    assert found["logit_change"].item() == pytest.approx(-0.5 * means.sum(), rel=1e-5)


def test_expression(store, tmp_path):
    model = fake_model("expression", EachBin(), transform=RAW, signal="CAGE")
    found = screen(
        tmp_path / "s.tsv",
        model=model,
        store=store,
        intervals=bed(tmp_path / "a.bed", INTERVALS[:1]),
        factors=[2.0],
    ).table
    means, place = stored_means(store, "chr1")[10:18], np.arange(BINS) / 10
    edited = means * np.where(np.arange(10, 18) == 14, 2, 1)
    halves = [
        log2_change(np.maximum(means + shift, 0), np.maximum(edited + shift, 0))
        for shift in (-place, 2 * place)
    ]
    known = np.arange(10, 18) != 11  # dark
    assert found["effect"].item() == pytest.approx(np.abs(np.stack(halves)[:, known]).mean(), rel=1e-4)


def test_what_does_not_fit_is_refused(store, tmp_path):
    intervals = bed(tmp_path / "a.bed", INTERVALS)
    loops = bedpe(tmp_path / "a.bedpe", [(14, 25)])
    contacts, out = contact_model(), tmp_path / "s.tsv"
    with pytest.raises(ConfigError, match="name what is edited"):
        screen(out, model=contacts, store=store)
    with pytest.raises(ConfigError, match="say what is done"):
        screen(out, model=contacts, store=store, intervals=intervals, factors=[])
    for factor in (-1.0, float("nan")):
        with pytest.raises(ConfigError, match="scaled by a number from 0"):
            screen(out, model=contacts, store=store, intervals=intervals, factors=[factor])
    with pytest.raises(ConfigError, match="give both"):
        screen(out, model=contacts, store=store, intervals=intervals, all_loops=True)
    with pytest.raises(ConfigError, match="name them with --loops"):
        screen(out, model=fake_model("loops", CentreOfBins()), store=store, intervals=intervals)
    expression = fake_model("expression", EachBin(), signal="CAGE")
    with pytest.raises(ConfigError, match="says nothing of loops"):
        screen(out, model=expression, store=store, intervals=intervals, loops=loops)
    with pytest.raises(ModelError, match="does not read the track CAGE"):
        screen(out, model=contacts, store=store, intervals=intervals, tracks=["CAGE"])
    with pytest.raises(ModelError, match="reads no tracks"):
        screen(out, model=fake_model("loops", CentreOfBins(), mode="map"), store=store, loops=loops)
    (tmp_path / "empty.bed").write_text("# nothing\n")
    with pytest.raises(FileFormatError, match=r"empty\.bed"):
        screen(out, model=contacts, store=store, intervals=tmp_path / "empty.bed")
    long = bed(tmp_path / "long.bed", [("chr1", 10_000, 19_000)])
    with pytest.raises(DataError, match="nothing can be scored; chr1:10,000-19,000: longer than a window"):
        screen(out, model=contacts, store=store, intervals=long)
    assert not out.exists()


def test_chromosomes_that_the_store_lacks(tmp_path, monkeypatch):
    values = np.ones(404, np.float32)
    tracks = [FakeTrack(name, {"chr1": values}) for name in ("ATAC", "DNase")]
    store = build_fake(monkeypatch, tmp_path / "a.store", None, tracks, assembly=PLACES)
    found = screen(
        tmp_path / "s.tsv",
        model=contact_model(),
        store=store,
        intervals=bed(tmp_path / "a.bed", INTERVALS),
    )
    assert found.table.set_index("name")["reason"].loc["other"] == "chromosome not in the store"
