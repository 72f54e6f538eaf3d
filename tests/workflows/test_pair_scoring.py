"""Given pairs are scored line by line; what cannot be scored stays, with its reason."""

import json

import numpy as np
import pandas as pd
import pytest

from chromweave.errors import FileFormatError, ModelError, OutputError, SchemaError
from chromweave.io.pairs import read_bedpe
from chromweave.workflows.pair_scoring import TOO_FAR, predict_loops
from tests.fakes import FakeTrack, build_fake, random_contacts
from tests.fakes_tasks import (
    PLACES,
    RESOLUTION,
    CentreOfBins,
    EachBin,
    fake_model,
    save_untrained,
    signal,
    stored_means,
    track_store,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return track_store(patch, tmp_path_factory.mktemp("pairs") / "a.store")


def lines(*rows, header=None):
    return "".join("\t".join(map(str, row)) + "\n" for row in ([header] if header else []) + list(rows))


def anchors(chrom, first, second, chrom2=None):
    """A pair by its bins, not at their start."""
    return (chrom, first * 1000 + 300, first * 1000 + 900, chrom2 or chrom, second * 1000, second * 1000 + 1)


# Windows of 8 bins: anchors from 4 to 37 on chr1, to 16 on chr2; bins 11 and 30 of chr1 are without data.
ROWS = [
    (*anchors("chr1", 20, 9), "first"),  # the second anchor starts before the first
    (*anchors("2", 4, 16), "edges"),
    (*anchors("chr1", 8, 8, "chr2"), "between"),
    (*anchors("chrUn", 8, 9), "nowhere"),
    (*anchors("chr1", 3, 9), "left"),
    (*anchors("chr1", 5, 38), "right"),
    (*anchors("chr1", 5, 41), "beyond"),
    (*anchors("chr1", 11, 20), "dark"),
    (*anchors("chr1", 5, 29), "last"),
]
REASONS = [
    "", "", "between two chromosomes", "chromosome not in the store", "window sticks out of the chromosome",
    "window sticks out of the chromosome", "anchor beyond the chromosome", "anchor without track data", "",
]  # fmt: skip


@pytest.mark.parametrize("temperature", [None, 2.5])
def test_pairs_keep_their_order_and_say_why_not(store, tmp_path, temperature):
    (tmp_path / "pairs.bedpe").write_text(lines(*ROWS))
    more = {} if temperature is None else {"temperature": temperature}
    model = fake_model("loops", CentreOfBins(), **more)
    done = predict_loops(
        tmp_path / "out.bedpe", model=model, store=store, loops=tmp_path / "pairs.bedpe", batch_size=2
    )
    assert done.table["reason"].tolist() == REASONS
    assert done.scored == 3
    assert done.reasons["window sticks out of the chromosome"] == 2
    one, two = stored_means(store, "chr1"), stored_means(store, "chr2")
    logit = np.array([one[9] + one[20], two[4] + two[16], one[5] + one[29]]) - 5
    expected = 1 / (1 + np.exp(-logit / (temperature or 1)))
    scored = done.table["probability"].dropna()
    np.testing.assert_allclose(scored, expected, atol=1e-5)
    assert scored.index.tolist() == [0, 1, 8]

    read = pd.read_csv(tmp_path / "out.bedpe", sep="\t", na_values=".", dtype={"#chrom1": str, "chrom2": str})
    coordinates = ["#chrom1", "start1", "end1", "chrom2", "start2", "end2"]
    assert list(read.columns) == [*coordinates, "name", "probability", "reason"]
    np.testing.assert_allclose(read["probability"], done.table["probability"], rtol=1e-5)
    assert read.iloc[:, 6].tolist() == [row[6] for row in ROWS]
    assert read["#chrom1"].tolist() == [row[0] for row in ROWS]
    said = json.loads((tmp_path / "out.bedpe.json").read_text())
    assert (said["pairs"], said["scored"], said["temperature"]) == (9, 3, temperature or 1.0)
    assert said["not_scored"] == done.reasons


def test_a_header_comes_along_and_an_earlier_score_does_not(store, tmp_path):
    header = ("#chrom1", "start1", "end1", "chrom2", "start2", "end2", "color", "probability", "fdr")
    path = tmp_path / "pairs.bedpe"
    path.write_text(
        lines((*anchors("chr1", 20, 9), "0,0,255", 0.5, 0.01), anchors("chr1", 9, 9), header=header)
    )
    model = save_untrained(tmp_path / "run", "loops", temperature=3.0)
    done = predict_loops(tmp_path / "out.bedpe", model=model, store=store, loops=path)
    assert list(done.table.columns)[6:] == ["color", "fdr", "probability", "reason"]
    assert done.table["fdr"].tolist() == ["0.01", ""]
    again = read_bedpe(tmp_path / "out.bedpe", PLACES)
    np.testing.assert_allclose(again["probability"], done.table["probability"], rtol=1e-5)
    twice = predict_loops(tmp_path / "twice.bedpe", model=model, store=store, loops=tmp_path / "out.bedpe")
    assert (tmp_path / "twice.bedpe").read_text() == (tmp_path / "out.bedpe").read_text()
    assert twice.reasons == {}


def test_a_model_that_reads_the_map_scores_where_there_is_one(tmp_path, monkeypatch):
    """Bins 20, 8 and 40 are masked by the weights, 11 and 30 have no data; 15 diagonals are stored."""
    contacts = random_contacts(resolutions=(RESOLUTION,), chroms=("chr1",), assembly=PLACES, freak=7)
    tracks = [FakeTrack("ATAC", {chrom: signal("ATAC", chrom) for chrom in PLACES.chromosomes})]
    store = build_fake(
        monkeypatch, tmp_path / "b.store", contacts, tracks, assembly=PLACES, max_distance=15_000
    )
    pairs = [(20, 22), (10, 25), (10, 24), (9, 11), (12, 29)]
    (tmp_path / "pairs.bedpe").write_text(lines(*(anchors("chr1", *pair) for pair in pairs)))
    given = {"store": store, "loops": tmp_path / "pairs.bedpe"}
    masked, far, dark = "anchor masked in the map", TOO_FAR, "anchor without track data"
    by_map = predict_loops(
        tmp_path / "o.bedpe", model=save_untrained(tmp_path / "m", "loops", mode="map"), **given
    )
    assert by_map.table["reason"].tolist() == [masked, far, "", "", far]
    assert by_map.scored == 2
    both = fake_model("loops", CentreOfBins(), tracks=("ATAC",), mode="bimodal")
    assert predict_loops(tmp_path / "o.bedpe", model=both, **given).table["reason"].tolist() == [
        masked, far, "", dark, far,
    ]  # fmt: skip
    alone = fake_model("loops", CentreOfBins(), tracks=("ATAC",), mode="tracks")
    assert predict_loops(tmp_path / "o.bedpe", model=alone, **given).reasons == {dark: 1}


def test_what_does_not_fit_is_refused(store, tmp_path):
    path, out = tmp_path / "pairs.bedpe", tmp_path / "out.bedpe"
    path.write_text(lines(anchors("chr1", 20, 9)))
    model = fake_model("loops", CentreOfBins())
    with pytest.raises(
        ModelError, match=r"at hand: is a model of finetune --task expression; .* of finetune --task loops"
    ):
        predict_loops(out, model=fake_model("expression", EachBin()), store=store, loops=path)
    with pytest.raises(ModelError, match="has no layer of 1,000 bp"):
        predict_loops(out, model=fake_model("loops", CentreOfBins(), mode="bimodal"), store=store, loops=path)
    for wrong in (0, -1.0, float("nan"), "hot"):
        bad = fake_model("loops", CentreOfBins(), temperature=wrong)
        with pytest.raises(ModelError, match="its temperature is"):
            predict_loops(out, model=bad, store=store, loops=path)
    with pytest.raises(FileFormatError, match="no such file"):
        predict_loops(out, model=model, store=store, loops=tmp_path / "none.bedpe")
    for row, message in (
        (("chr1", 1, 2), "line 1 has 3 columns"),
        (("chr1", 9000, 9000, "chr1", 1, 2), "line 1 has start 9,000 and end 9,000"),
        (("chr1", "x", 9000, "chr1", 1, 2), "'x' as start1"),
    ):
        path.write_text(lines(row))
        with pytest.raises(SchemaError, match=message):
            predict_loops(out, model=model, store=store, loops=path)
    path.write_text(lines(anchors("chr1", 20, 9)))
    out.mkdir()
    with pytest.raises(OutputError, match="is a directory"):
        predict_loops(out, model=model, store=store, loops=path)
