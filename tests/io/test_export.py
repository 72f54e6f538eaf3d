import numpy as np
import pandas as pd
import pytest

from chromweave.errors import ChromosomeError, DataError, FileFormatError, OutputError
from chromweave.genome import Assembly
from chromweave.io.export import (
    Embedding,
    read_embedding,
    write_bedgraph,
    write_bigwig,
    write_embedding,
    write_table,
)

NAN = float("nan")
TOY = Assembly("toy", {"chr1": 95, "chr2": 20, "chr3": 500})
VALUES = {"2": np.array([1.5, -2.0]), "chr1": np.array([0.25, NAN, NAN, 4, 0, 1, 2, 3, 4, 5.5])}


def test_bigwig_read_back_by_pybigwig(tmp_path):
    import pyBigWig

    write_bigwig(tmp_path / "a.bw", VALUES, 10, TOY)
    with pyBigWig.open(str(tmp_path / "a.bw")) as file:
        assert file.chroms() == {"chr1": 95, "chr2": 20}
        assert file.intervals("chr2") == ((0, 10, 1.5), (10, 20, -2.0))
        runs = file.intervals("chr1")
    assert runs[0] == (0, 10, 0.25)
    assert runs[1] == (30, 40, 4.0), "masked bins have no run"
    assert runs[-1] == (90, 95, 5.5), "the last bin ends with the chromosome"


def test_bigwig_read_back_by_pybigtools(tmp_path):
    import pybigtools

    write_bigwig(tmp_path / "a.bw", VALUES, 10, TOY)
    values = pybigtools.open(str(tmp_path / "a.bw")).values("chr1", 0, 95, fillna=None)
    np.testing.assert_array_equal(values[0:95:10], VALUES["chr1"])


def test_bedgraph(tmp_path):
    write_bedgraph(tmp_path / "a.bedgraph", VALUES, 10, TOY)
    lines = (tmp_path / "a.bedgraph").read_text().splitlines()
    assert lines[0] == "chr1\t0\t10\t0.25"
    assert lines[1] == "chr1\t30\t40\t4"
    assert lines[-1] == "chr2\t10\t20\t-2"
    assert len(lines) == 10


def test_wrong_number_of_bins(tmp_path):
    with pytest.raises(DataError, match=r"chr1 has 10 bins of 10 bp in toy, but values of shape \(9,\)"):
        write_bigwig(tmp_path / "a.bw", {"chr1": np.zeros(9)}, 10, TOY)
    assert list(tmp_path.iterdir()) == []


def test_unknown_chromosome(tmp_path):
    with pytest.raises(ChromosomeError, match="chrX"):
        write_bedgraph(tmp_path / "a.bedgraph", {"chrX": np.zeros(9)}, 10, TOY)


def test_an_empty_bigwig_is_refused(tmp_path):
    with pytest.raises(DataError, match="no bin has a value"):
        write_bigwig(tmp_path / "a.bw", {"chr2": np.full(2, NAN)}, 10, TOY)


def test_table(tmp_path):
    write_table(tmp_path / "t.tsv", pd.DataFrame({"a": [1, 2], "b": [1 / 3, NAN], "c": ["x", "y"]}))
    assert (tmp_path / "t.tsv").read_text() == "a\tb\tc\n1\t0.333333\tx\n2\t\ty\n"


def test_a_directory_in_the_way(tmp_path):
    with pytest.raises(OutputError, match="is a directory"):
        write_table(tmp_path, pd.DataFrame({"a": [1]}))


def embedding(**changes):
    parts = {
        "bins": pd.DataFrame(
            {
                "chrom": "chr1",
                "start": [0, 10, 20],
                "end": [10, 20, 25],
                "masked": [False, True, False],
                "compartment": ["A", "N", "B"],
                "E1": [0.5, NAN, -0.5],
            }
        ),
        "latent": np.array([[1, 2], [3, 4]], dtype=np.float32),
        "layouts": {"umap": np.array([[0.0, 1], [1, 0]])},
        "provenance": {"model": "m", "resolution": 10, "features": ["CTCF", "ATAC"], "commit": None},
    }
    return Embedding(**{**parts, **changes})


def test_embedding_round_trip(tmp_path):
    write_embedding(tmp_path / "e.h5ad", embedding())
    back = read_embedding(tmp_path / "e.h5ad")
    pd.testing.assert_frame_equal(back.bins, embedding().bins)
    np.testing.assert_array_equal(back.latent, embedding().latent)
    np.testing.assert_array_equal(back.layouts["umap"], [[0, 1], [1, 0]])
    assert back.provenance["model"] == "m"
    assert list(back.provenance["features"]) == ["CTCF", "ATAC"]
    assert "commit" not in back.provenance
    full = back.full()
    assert full.shape == (3, 2)
    assert np.isnan(full[1]).all()
    assert full[2].tolist() == [3, 4]


def test_embedding_is_an_anndata_of_the_valid_bins(tmp_path):
    import anndata

    write_embedding(tmp_path / "e.h5ad", embedding())
    table = anndata.read_h5ad(tmp_path / "e.h5ad")
    assert table.obs_names.tolist() == ["chr1:0-10", "chr1:20-25"]
    assert table.obs["compartment"].tolist() == ["A", "B"]
    assert np.isfinite(table.X).all()
    np.testing.assert_array_equal(table.obsm["X_vgae"], table.X)
    rows = pd.read_csv(tmp_path / "e.bins.tsv", sep="\t")
    assert rows["masked"].tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent": np.zeros((3, 2))}, r"2 valid bins .* latent has shape \(3, 2\)"),
        ({"latent": np.array([[NAN, 1], [1, 1]])}, "not finite"),
        ({"layouts": {"umap": np.zeros(2)}}, "umap has shape"),
        ({"bins": pd.DataFrame({"chrom": ["chr1"], "start": [0], "end": [1]})}, "column masked"),
    ],
)
def test_impossible_embeddings(changes, message):
    with pytest.raises(DataError, match=message):
        embedding(**changes)


def test_not_an_embedding(tmp_path):
    import anndata

    with pytest.raises(FileFormatError, match="no such file"):
        read_embedding(tmp_path / "absent.h5ad")
    (tmp_path / "text.h5ad").write_text("hello")
    with pytest.raises(FileFormatError, match="no AnnData"):
        read_embedding(tmp_path / "text.h5ad")
    anndata.AnnData(X=np.zeros((2, 2), dtype=np.float32)).write_h5ad(tmp_path / "other.h5ad")
    with pytest.raises(FileFormatError, match="no embedding of chromweave"):
        read_embedding(tmp_path / "other.h5ad")
