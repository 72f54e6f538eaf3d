"""Given loops in other maps: numbers by hand, reasons where there are none, and columns for each store."""

import json

import numpy as np
import pandas as pd
import pytest

from chromweave.analysis.enrichment import EnrichmentConfig, peak_enrichment
from chromweave.analysis.loops import CandidateConfig
from chromweave.errors import AssemblyError, ConfigError, OutputError, ResolutionError, StoreError
from chromweave.files import sha256
from chromweave.genome import Assembly
from chromweave.workflows.foundation_settings import LoopCallConfig
from chromweave.workflows.loop_calling import call_loops
from chromweave.workflows.loop_quantities import LoopQuantities, quantify_loops
from tests.fakes import FakeContacts, build_fake
from tests.fakes_loops import loop_store
from tests.fakes_maps import pixels_of, symmetric

PLACES = Assembly("places", {"chr1": 302_000, "chr2": 150_000, "chr3": 100_000})
BINS, BAND = 61, 30
BRIGHT = (12, 24)
DARK = 40


def by_distance(n):
    """Contacts at each distance in a map of equal weights: 2400 / d^2."""
    return 2400.0 / np.maximum(np.arange(n), 1) ** 2


def square(n, weight, bright=0):
    """A map whose balanced values depend on distance alone, but for one pixel."""
    counts = by_distance(n)[np.abs(np.subtract.outer(np.arange(n), np.arange(n)))]
    counts = counts / (weight[:, None] * weight)
    if bright:
        counts[BRIGHT] = bright
    return symmetric(np.nan_to_num(counts))  # nothing is counted at the masked bin


def weights_of(n):
    """Every third bin is seen half as well as others; one is masked."""
    weight = np.where(np.arange(n) % 3 == 0, 2.0, 1.0)
    if n > DARK:
        weight[DARK] = np.nan
    return weight


def make_store(patch, out, bright=40, resolutions=(5000,), assembly=PLACES, **options):
    maps, weights = {}, {}
    for resolution in resolutions:
        for chrom in ("chr1", "chr2"):
            n = -(-assembly.length(chrom) // resolution)
            weights["weight", chrom, resolution] = weights_of(n)
            maps[chrom, resolution] = square(n, weights_of(n), bright if chrom == "chr1" else 0)
    return build_fake(
        patch,
        out,
        FakeContacts(maps, weights, assembly),
        assembly=assembly,
        max_distance=BAND * 5000,
        **options,
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return make_store(patch, tmp_path_factory.mktemp("quantities") / "a.store")


def line(chrom, x, y, *more, chrom2=None, width=5000):
    return (chrom, x * width, (x + 1) * width, chrom2 or chrom, y * width, (y + 1) * width, *more)


def bedpe(path, *rows, header=None):
    text = "".join("\t".join(map(str, row)) + "\n" for row in ([header] if header else []) + list(rows))
    path.write_text(text)
    return path


def test_numbers_by_hand(store, tmp_path):
    """At 12 bins lie 61 - 12 pairs less the two of the masked bin: one of 40 x 4, the rest 2400 / 144."""
    loops = bedpe(tmp_path / "l.bedpe", line("chr1", 24, 12), line("1", 13, 20), line("chr2", 3, 9))
    done = quantify_loops(loops, stores=[store])
    assert (done.resolution, done.scored, done.reasons) == (5000, {"a": 3}, {"a": {}})
    weight = 2 * 2  # bins 12 and 24
    mean = (46 * 2400 / 144 + 40 * weight) / 47
    bright, plain, other = (row for _, row in done.table.iterrows())
    assert bright["observed_a"] == 40
    assert bright["expected_a"] == pytest.approx(mean / weight)
    assert bright["oe_a"] == pytest.approx(40 * weight / mean)
    assert plain[["observed_a", "expected_a"]].tolist() == pytest.approx([2400 / 49] * 2)
    assert other["expected_a"] == pytest.approx(2400 / 36 / 4)  # both bins are seen half as well
    assert other["oe_a"] == pytest.approx(1)
    assert bright["enrichment_a"] > 3 > 1 > abs(plain["enrichment_a"])


def test_the_expectation_never_rises(store, tmp_path, monkeypatch):
    """The bright pixel lifts distance 12 above 11: the two have one mean, in which pairs weigh the same."""
    dazzling = make_store(monkeypatch, tmp_path / "b.store", bright=100)
    loops = bedpe(tmp_path / "l.bedpe", line("chr1", 13, 23), line("chr1", 13, 24), line("chr1", 13, 25))
    expected = quantify_loops(loops, stores=[dazzling]).table["expected_b"]
    pooled = (48 * 2400 / 121 + 46 * 2400 / 144 + 100 * 4) / (48 + 47)
    assert 2400 / 121 < pooled < 24
    np.testing.assert_allclose(expected, [24, pooled / 2, pooled])  # bin 24 is seen half as well


def test_enrichment_is_that_of_the_peak(store, tmp_path):
    """Of the same map laid out in memory, with backgrounds that reach twice their radius beyond the loop."""
    done = quantify_loops(bedpe(tmp_path / "l.bedpe", line("chr1", *BRIGHT)), stores=[store])
    weight, config = weights_of(BINS), EnrichmentConfig.of_resolution(5000)
    expected = by_distance(BAND)
    expected[:2], expected[12] = np.nan, (46 * 2400 / 144 + 160) / 47
    matrix = square(BINS, weight, 40)
    found = peak_enrichment(
        pixels_of(matrix, max_distance=BAND * 5000),
        *([b] for b in BRIGHT),
        expected,
        weight=weight,
        config=config,
    )
    np.testing.assert_allclose(done.table["enrichment_a"], found.score)
    np.testing.assert_allclose(done.table["background_a"], found.background)
    assert found.score[0] > 3


REASONS = {
    line("chr1", 10, 20): "",
    line("chr1", 8, 8, chrom2="chr2"): "between two chromosomes",
    line("chr3", 2, 9): "chromosome not in the store's map",
    line("chrUn", 2, 9): "chromosome not in the store's map",
    line("chr2", 2, 30): "anchor beyond the chromosome",
    line("chr1", 10, 10 + BAND): "farther apart than the stored contacts",
    line("chr1", 10, 9 + BAND): "",
    line("chr1", 60, DARK): "anchor masked in the map",
    line("chr1", DARK, DARK): "anchor masked in the map",
    line("chr1", 10, 10): "anchors closer than two bins",
    line("chr1", 11, 10): "anchors closer than two bins",
    line("chr1", 12, 10): "",
    line("chr1", 45, 60): "",  # the last bin is short
}


def test_what_cannot_be_scored_says_why(store, tmp_path):
    loops = bedpe(tmp_path / "l.bedpe", *REASONS)
    done = quantify_loops(loops, stores=[store], resolution=5000, out=tmp_path / "o.bedpe")
    assert done.table["reason_a"].tolist() == list(REASONS.values())
    known = done.table["reason_a"] == ""
    for name in ("observed", "expected", "oe", "enrichment", "background"):
        assert np.isfinite(done.table.loc[known, f"{name}_a"]).all()
        assert done.table.loc[~known, f"{name}_a"].isna().all()
    assert done.scored == {"a": 4}
    assert done.reasons["a"]["anchor masked in the map"] == 2
    assert sum(done.reasons["a"].values()) == len(REASONS) - 4


def test_where_nothing_is_expected(tmp_path, monkeypatch):
    """Beyond 20 bins the map is empty."""
    n = 61
    counts = square(n, np.ones(n))
    counts[np.abs(np.subtract.outer(np.arange(n), np.arange(n))) > 20] = 0
    contacts = FakeContacts({("chr1", 5000): counts}, {("weight", "chr1", 5000): np.ones(n)}, PLACES)
    empty = build_fake(monkeypatch, tmp_path / "e.store", contacts, assembly=PLACES, max_distance=150_000)
    loops = bedpe(tmp_path / "l.bedpe", line("chr1", 10, 30), line("chr1", 10, 31))
    done = quantify_loops(loops, stores=[empty])
    assert done.table["reason_e"].tolist() == ["", "nothing expected at this distance"]
    assert done.table["observed_e"].isna().tolist() == [False, True]
    alone = quantify_loops(bedpe(tmp_path / "m.bedpe", line("chr1", 10, 31)), stores=[empty])
    assert alone.summary("e") == {
        "scored": 0, "not_scored": {"nothing expected at this distance": 1}, "oe": None,
        "median_enrichment": None,
    }  # fmt: skip


def test_a_loop_is_measured_by_its_midpoints_and_by_itself(store, tmp_path):
    """Anchors of any width; and the other loops of a list change nothing."""
    wide = ("chr1", 57_000, 68_000, "chr1", 110_000, 134_999)  # 62.5 and 122.4995 kb: bins 12 and 24
    alone = quantify_loops(bedpe(tmp_path / "w.bedpe", wide), stores=[store], resolution=5000).table
    others = bedpe(tmp_path / "o.bedpe", line("chr1", 1, 29), line("chr1", *BRIGHT), line("chr1", 30, 32))
    among = quantify_loops(others, stores=[store]).table
    ours = [name for name in alone if name.endswith("_a")]
    assert alone[ours].iloc[0].tolist() == among[ours].iloc[1].tolist()
    assert alone["observed_a"].item() == 40


def test_called_loops_have_in_their_own_map_the_numbers_of_the_call(tmp_path, monkeypatch):
    """Called from the map alone, as far as it is stored, so that both see the same distances."""
    own = loop_store(monkeypatch, tmp_path / "own.store")
    config = LoopCallConfig.without_model(
        candidates=CandidateConfig(max_distance=595_000, pvalue=1e-4), fdr=None
    )
    called = call_loops(tmp_path / "c.bedpe", store=own, model=None, resolution=5000, config=config)
    assert len(called) > 50
    measured = quantify_loops(tmp_path / "c.bedpe", stores=[own]).table
    for theirs, ours in (
        ("score", "enrichment"),
        ("observed", "observed"),
        ("expected", "expected"),
        ("oe", "oe"),
    ):
        np.testing.assert_allclose(measured[theirs].astype(float), measured[f"{ours}_own"], rtol=1e-6)


def test_columns_for_each_store(store, tmp_path, monkeypatch):
    other = make_store(monkeypatch, tmp_path / "b.store", bright=80, name="B line")
    header = ("#chrom1", "start1", "end1", "chrom2", "start2", "end2", "name", "score", "oe_a", "observed")
    loops = bedpe(tmp_path / "l.bedpe", line("chr1", *BRIGHT, "x", 5, 9, 7), header=header)
    out = tmp_path / "out" / "o.bedpe"
    done = quantify_loops(loops, stores=[store, other.path], out=out)
    assert done.table[["observed_a", "observed_B line"]].iloc[0].tolist() == [40, 80]
    assert list(done.table)[6:] == [
        "name", "score", "observed",
        *(f"{name}_{cell}" for cell in ("a", "B line")
          for name in ("observed", "expected", "oe", "enrichment", "background", "reason")),
    ]  # fmt: skip
    read = pd.read_csv(out, sep="\t", na_values=".")
    assert list(read.columns) == ["#chrom1", *list(done.table)[1:]]
    assert read["oe_a"].item() == pytest.approx(done.table["oe_a"].item(), rel=1e-5)
    assert read["name"].item() == "x"
    said = json.loads((tmp_path / "out" / "o.bedpe.json").read_text())
    assert (said["kind"], said["loops"], said["resolution"]) == ("measured loops", 1, 5000)
    assert said["scored"] == {"a": 1, "B line": 1}
    assert said["weights"] == {"a": "weight", "B line": "weight"}
    files = (loops, store.path / "manifest.json", other.path / "manifest.json")
    assert [one["sha256"] for one in said["inputs"]] == [sha256(file) for file in files]

    again = quantify_loops(out, stores=[store, other], out=tmp_path / "again.bedpe")
    assert (tmp_path / "again.bedpe").read_text() == out.read_text()
    assert again.scored == done.scored


def test_summary_of_a_store():
    table = pd.DataFrame(
        {
            "observed_a": [6.0, 2.0, np.nan],
            "expected_a": [1.0, 3.0, np.nan],
            "enrichment_a": [4.0, -1.0, np.nan],
            "reason_a": ["", "", "why"],
        }
    )
    done = LoopQuantities(5000, table, {"a": 2}, {"a": {"why": 1}})
    assert done.summary("a") == {"scored": 2, "not_scored": {"why": 1}, "oe": 2.0, "median_enrichment": 1.5}
    assert LoopQuantities(5000, table, {"a": 2}, {"a": {}}).summary("a")["not_scored"] is None


def test_stores_of_one_name_are_known_by_their_folders(store, tmp_path, monkeypatch):
    twin = make_store(monkeypatch, tmp_path / "twin.store", name="a")
    loops = bedpe(tmp_path / "l.bedpe", line("chr1", *BRIGHT))
    assert set(quantify_loops(loops, stores=[store, twin]).scored) == {"a", "twin"}
    with pytest.raises(ConfigError, match=r"two of the stores are called a,.*rename"):
        quantify_loops(loops, stores=[store, store])


def test_in_which_bins(store, tmp_path, monkeypatch):
    two = make_store(monkeypatch, tmp_path / "two.store", resolutions=(5000, 10_000))
    coarse = bedpe(tmp_path / "c.bedpe", line("chr1", 6, 12, width=10_000), line("chrUn", 1, 2, width=777))
    assert quantify_loops(coarse, stores=[two]).resolution == 10_000
    assert quantify_loops(coarse, stores=[two, store]).resolution == 5000  # both have it
    assert quantify_loops(coarse, stores=[two], resolution=5000).resolution == 5000
    odd = bedpe(tmp_path / "o.bedpe", ("chr1", 1, 2, "chr1", 50_000, 60_000))
    assert quantify_loops(odd, stores=[two]).resolution == 5000
    ten = make_store(monkeypatch, tmp_path / "ten.store", resolutions=(10_000,))
    with pytest.raises(
        ResolutionError, match=r"no layer of contacts in common \(.*5,000; .*ten\.store: 10,000"
    ):
        quantify_loops(odd, stores=[store, ten])
    with pytest.raises(ResolutionError, match=r"ten\.store: has no layer of 5,000 bp"):
        quantify_loops(odd, stores=[store, ten], resolution=5000)


def test_what_does_not_fit_is_refused(store, tmp_path, monkeypatch):
    loops = bedpe(tmp_path / "l.bedpe", line("chr1", *BRIGHT))
    with pytest.raises(ConfigError, match="give one"):
        quantify_loops(loops, stores=[])
    elsewhere = Assembly("elsewhere", dict(PLACES.chromosomes))
    other = make_store(monkeypatch, tmp_path / "o.store", assembly=elsewhere)
    with pytest.raises(AssemblyError, match=r"o\.store: is of elsewhere, and .*a\.store of places"):
        quantify_loops(loops, stores=[store, other])
    with pytest.raises(StoreError, match=r"none\.store"):
        quantify_loops(loops, stores=[tmp_path / "none.store"])
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="is a directory"):
        quantify_loops(loops, stores=[store], out=tmp_path / "out")
