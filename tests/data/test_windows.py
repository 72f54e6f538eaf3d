"""Window tables: which anchors become windows, with which label and split, and what was dropped why."""

import pandas as pd
import pytest

from chromweave.data.build import build
from chromweave.data.windows import QualityFilter, grid_windows, loop_windows, tss_windows
from chromweave.errors import ConfigError, ResolutionError, SchemaError
from chromweave.genome import BlockSplit, ChromSplit, Interval
from tests.fakes import build_fake, random_contacts, random_track

RES = 10_000
SPLIT = ChromSplit(("chr1",), ("chr2",), ())
SMALL_WINDOWS = {"resolution": RES, "window_bins": 10, "lower": 4, "upper": 40}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        out = tmp_path_factory.mktemp("windows") / "a.store"
        return build_fake(patch, out, random_contacts(), [random_track()], max_distance=800_000)


def loops(*rows):
    """(chrom1, bin1, chrom2, bin2) -> BEDPE with anchors of two bins."""
    return pd.DataFrame(
        [
            {
                "chrom1": a, "start1": i * RES + 500, "end1": (i + 2) * RES,
                "chrom2": b, "start2": j * RES, "end2": (j + 2) * RES, "name": f"loop{k}",
            }
            for k, (a, i, b, j) in enumerate(rows)
        ]
    )  # fmt: skip


def test_every_rule_counts_what_it_drops(store):
    table = loops(
        ("chr1", 20, "chr1", 30),
        ("1", 30, "1", 20),  # the same two bins, the other way round
        ("chr1", 40, "chr2", 60),
        ("chr3", 20, "chr3", 30),
        ("chr1", 20, "chr1", 23),
        ("chr1", 20, "chr1", 61),
        ("chr1", 20, "chr1", 24),
        ("chr1", 20, "chr1", 60),
        ("chr1", 4, "chr1", 30),
        ("chr1", 180, "chr1", 197),
        ("chr1", 150, "chr1", 160),
        ("chr2", 50, "chr2", 62),
    )
    report = loop_windows(
        store,
        table,
        ChromSplit(("chr1",), (), ()),
        negatives="none",
        exclude=[Interval("chr1", 1_649_000, 1_650_000)],
        **SMALL_WINDOWS,
    )
    assert dict(report.dropped) == {
        "between two chromosomes": 1,
        "chromosome not in the store": 1,
        "same two bins as another loop": 1,
        "distance out of range": 2,
        "sticks out of the chromosome": 2,
        "touches an excluded region": 1,
        "in no split": 1,
        "too few non-zero entries": 0,
    }
    assert list(zip(report.table["x"] // RES, report.table["y"] // RES, strict=True)) == [
        (20, 24),
        (20, 30),
        (20, 60),
    ]
    assert set(report.table["kind"]) == {"loop"}
    assert report.table["label"].tolist() == [1, 1, 1]
    assert report.table["name"].tolist() == ["loop6", "loop0", "loop7"]
    assert report.summary()["train loop"] == 3
    assert len(table) == len(report.table) + sum(report.dropped.values())


def test_strict_pairs_each_loop_with_a_negative(store):
    table = loops(*[("chr1", x, "chr1", x + 12) for x in (20, 60, 120)], ("chr2", 30, "chr2", 50))
    report = loop_windows(store, table, SPLIT, seed=5, **SMALL_WINDOWS)
    assert report.summary() | {"windows": 8, "train loop": 3, "train negative": 3} == report.summary()
    for _, half in report.table.groupby(["chrom", "split"]):
        gaps = {label: sorted(one["y"] - one["x"]) for label, one in half.groupby("label")}
        assert gaps[0.0] == gaps[1.0]
    assert report.table.attrs["protocol"] == "loops, negatives strict"
    pd.testing.assert_frame_equal(
        report.table, loop_windows(store, table, SPLIT, seed=5, **SMALL_WINDOWS).table
    )
    assert not report.table.equals(loop_windows(store, table, SPLIT, seed=6, **SMALL_WINDOWS).table)


def test_one_filter_for_both_classes(store):
    table = loops(*[("chr1", x, "chr1", x + 12) for x in range(10, 180, 10)])
    for quality in (None, QualityFilter(min_nonzero=0.95), QualityFilter(centre_to_corner=0.5)):
        report = loop_windows(store, table, SPLIT, quality=quality, **SMALL_WINDOWS)
        assert (report.table["label"] == 1).sum() == (report.table["label"] == 0).sum() > 0


def test_the_middle_of_an_anchor_may_decide(store):
    one = loops(("chr1", 20, "chr1", 40))
    start = loop_windows(store, one, SPLIT, negatives="none", **SMALL_WINDOWS).table
    middle = loop_windows(store, one, SPLIT, negatives="none", anchor="middle", **SMALL_WINDOWS).table
    assert (start["x"][0], middle["x"][0], middle["y"][0]) == (200_000, 210_000, 410_000)


def test_blocks_keep_a_gap(store):
    split = BlockSplit.fractions([Interval("chr1", 0, 2_000_000)], gap=200_000)
    report = grid_windows(store, split, step=RES, resolution=RES, window_bins=10)
    assert set(report.table["split"]) == {"train", "valid", "test"}
    ends = {s: (g["x"].min() - 5 * RES, g["x"].max() + 5 * RES) for s, g in report.table.groupby("split")}
    assert ends["valid"][0] - ends["train"][1] >= 200_000
    assert ends["test"][0] - ends["valid"][1] >= 200_000


def test_grid_centres(store):
    table = grid_windows(store, SPLIT, step=65_000, resolution=RES, window_bins=10).table
    first = table[table["chrom"] == "chr1"]
    assert (first["x"] == first["y"]).all()
    assert first["x"].tolist()[:5] == [
        50_000,
        110_000,
        180_000,
        240_000,
        310_000,
    ]  # // of 50, 115, 180, 245, 310 kb
    assert first["x"].max() + 5 * RES <= 2_010_000
    assert table["label"].isna().all()
    assert set(table["split"]) == {"train", "valid"}


def test_tss_windows_are_unique_per_bin(store):
    genes = pd.DataFrame(
        {
            "chrom": ["chr1", "chr1", "2", "chr3", "chr1"],
            "tss": [505_000, 509_999, 600_000, 500_000, 20_000],
            "name": ["A", "B", "C", "D", "E"],
        }
    )
    report = tss_windows(store, genes, SPLIT, resolution=RES, window_bins=10)
    assert report.table["name"].tolist() == ["A", "C"]
    assert report.table["x"].tolist() == report.table["y"].tolist() == [500_000, 600_000]
    assert report.dropped["second gene in a bin"] == 1
    assert report.dropped["sticks out of the chromosome"] == 1


def test_a_store_of_tracks_only_has_windows_too(tmp_path, monkeypatch):
    bare = build_fake(monkeypatch, tmp_path / "bare.store", tracks=[random_track()])
    report = grid_windows(bare, SPLIT, step=100_000, resolution=RES, window_bins=10)
    # Centres from 50 kb, as long as half a window fits behind them.
    assert len(report.table[report.table["chrom"] == "chr1"]) == 20
    assert "too few non-zero entries" not in report.dropped
    assert report.table.attrs["layer_sha256"] == ""
    genes = pd.DataFrame({"chrom": ["chr1"], "tss": [505_000], "name": ["A"]})
    assert len(tss_windows(bare, genes, SPLIT, resolution=RES, window_bins=10).table) == 1
    with pytest.raises(ConfigError, match="no contacts to judge windows by"):
        grid_windows(bare, SPLIT, resolution=RES, quality=QualityFilter())
    with pytest.raises(ResolutionError, match="no contacts, only tracks"):
        loop_windows(bare, loops(("chr1", 20, "chr1", 40)), SPLIT, negatives="none", **SMALL_WINDOWS)


def test_an_empty_result_is_a_table_all_the_same(store):
    report = loop_windows(store, loops(("chr3", 1, "chr3", 9)), SPLIT, **SMALL_WINDOWS)
    assert len(report.table) == 0
    assert list(report.table.columns)[:5] == ["chrom", "x", "y", "label", "split"]


def test_what_is_refused(store):
    one = loops(("chr1", 20, "chr1", 40))
    with pytest.raises(ConfigError, match="strict, anchors, paper, none, not 'many'"):
        loop_windows(store, one, SPLIT, negatives="many", **SMALL_WINDOWS)
    with pytest.raises(ConfigError, match="0 <= lower <= upper"):
        loop_windows(store, one, SPLIT, resolution=RES, lower=9, upper=3)
    with pytest.raises(SchemaError, match="needs the column chrom2"):
        loop_windows(store, one.drop(columns="chrom2"), SPLIT, **SMALL_WINDOWS)
    with pytest.raises(ResolutionError, match="no layer of 5,000 bp"):
        loop_windows(store, one, SPLIT)
    with pytest.raises(ConfigError, match="step must be"):
        grid_windows(store, SPLIT, step=0, resolution=RES)
    with pytest.raises(ConfigError, match="upper must be"):
        grid_windows(store, SPLIT, upper=-1, resolution=RES)


@pytest.mark.real_data
def test_the_published_scheme_on_k562_chr22(real_data, tmp_path):
    """229 positives and 234 negatives: what the official recipe kept of the CTCF ChIA-PET loops of chr22."""
    from chromweave.io.intervals import read_bedpe

    folder = real_data / "k562_chr22_hg38"
    store = build(tmp_path / "a.store", contacts=folder / "K562.chr22.mcool", resolutions=[5000])
    found = read_bedpe(folder / "K562.CTCF_ChIA-PET.bedpe", store.assembly)
    report = loop_windows(store, found, ChromSplit(("chr22",), (), ()), negatives="paper")
    assert report.table["kind"].value_counts().to_dict() == {"negative": 234, "loop": 229}
    distance = (report.table["y"] - report.table["x"]) // 5000
    # The negatives' far half lets distance alone sort the classes: .765 was measured on the official windows.
    ranks = distance.rank()
    positive = report.table["label"] == 0
    auroc = (ranks[positive].mean() - (positive.sum() + 1) / 2) / (~positive).sum()
    assert auroc == pytest.approx(0.765, abs=0.04)

    amplicon = Interval("chr22", 19_000_000, 23_300_000)
    blocks = BlockSplit.fractions([Interval("chr22", 23_300_000, 50_818_468)])
    strict = loop_windows(store, found, blocks, exclude=[amplicon])
    for _, one in strict.table.groupby("split"):
        gaps = {label: sorted(rows["y"] - rows["x"]) for label, rows in one.groupby("label")}
        assert gaps[0.0] == gaps[1.0]
        assert len(gaps[1.0]) > 5
    assert strict.dropped["touches an excluded region"] > 100
    assert (strict.table["x"] - 125_000 >= 23_300_000).all()
