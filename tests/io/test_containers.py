import pytest

from chromweave.errors import FileFormatError
from chromweave.io.containers import container_of, contents_of

from .conftest import RESOLUTION, write_cool


def test_a_cool(cool_file, toy):
    assert container_of(cool_file, "") == "cool"
    assert contents_of(cool_file, "cool") == (dict(toy.chromosomes), (RESOLUTION,))


def test_an_mcool_and_its_parts(tmp_path, toy, maps):
    file = str(tmp_path / "a.mcool")
    write_cool(f"{file}::/resolutions/10000", dict(toy.chromosomes), maps)
    assert container_of(f"{file}", "/resolutions/10000") == "cool"
    with pytest.raises(FileFormatError, match="no cooler there; the file has /resolutions/10000"):
        container_of(file, "/resolutions/5000")


def test_text_behind_a_uri(tmp_path):
    (tmp_path / "a.mcool").write_text("no map")
    with pytest.raises(FileFormatError, match="no HDF5 file"):
        container_of(str(tmp_path / "a.mcool"), "/resolutions/5000")


def test_variable_bins_have_no_resolution(tmp_path):
    import cooler
    import pandas as pd

    bins = pd.DataFrame({"chrom": "chr1", "start": [0, 10, 30], "end": [10, 30, 100]})
    pixels = pd.DataFrame({"bin1_id": [0], "bin2_id": [1], "count": [3]})
    file = str(tmp_path / "a.cool")
    cooler.create_cooler(file, bins, pixels, ordered=True)
    assert contents_of(file, "cool") == ({"chr1": 100}, ())
