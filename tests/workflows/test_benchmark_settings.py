"""The file of a benchmark: what is read, from where, and what is refused."""

from pathlib import Path

import pytest

from chromweave import config as configs
from chromweave.errors import ConfigError
from chromweave.workflows.benchmark_settings import (
    BenchConfig,
    Line,
    Methods,
    PretrainingInput,
    ablated,
    label,
    load_bench,
)

COMMITTED = sorted((Path(__file__).parents[2] / "benchmarks" / "configs").glob("*.toml"))


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_every_committed_file_can_be_read(path):
    config = load_bench(path, data="/data")
    assert config.lines[0].store.startswith("/data/")
    assert config.graph is not None or config.taking_part("loops")


def test_paths_start_from_the_file_or_from_where_they_are_said_to(tmp_path):
    lines = (Line("a", "a.store", contacts="sub/a.parquet"),)
    before = PretrainingInput(stores=("b.store",), windows=("b.parquet",))
    configs.save(BenchConfig(lines=lines, pretraining=before), tmp_path / "bench.toml")
    for folder in (tmp_path, tmp_path / "else"):
        config = load_bench(tmp_path / "bench.toml", None if folder == tmp_path else folder)
        (line,) = config.lines
        assert (line.store, line.contacts) == (str(folder / "a.store"), str(folder / "sub" / "a.parquet"))
        assert (line.expression, line.published) == (None, None)
        assert config.pretraining.stores == (str(folder / "b.store"),)
        assert config.pretraining.run is None


def test_methods_have_the_papers_names():
    assert [label(name) for name in Methods().contacts] == [
        "MIX-HIC", "Epiphany", "C.Origami", "EPCOT-LSTM", "EPCOT-transformer",
    ]  # fmt: skip
    assert [label(name) for name in Methods().loops] == ["MIX-HIC", "Peakachu", "DLoopCaller", "RefHiC"]
    assert "mix-hic-map" in ablated("loops")
    assert "mix-hic-map" not in ablated("contacts")


def test_settings_that_do_not_fit():
    with pytest.raises(ConfigError, match="no method 'peakachu' for contacts; there are mix-hic, epiphany"):
        Methods(contacts=("peakachu",))
    with pytest.raises(ConfigError, match="two cell lines have one name among a, a"):
        BenchConfig(lines=(Line("a", "x"), Line("a", "y")))
    with pytest.raises(ConfigError, match="a pre-training has stores and windows, or a run"):
        PretrainingInput()
    with pytest.raises(ConfigError, match="1 stores and 2 window tables to pre-train on"):
        PretrainingInput(stores=("a",), windows=("b", "c"))
    with pytest.raises(ConfigError, match="no cell line has windows for loops"):
        BenchConfig(lines=(Line("a", "x"),)).taking_part("loops")
    with pytest.raises(ConfigError, match="a timeout must be above 0 seconds"):
        BenchConfig(lines=(Line("a", "x"),), timeout=0)
