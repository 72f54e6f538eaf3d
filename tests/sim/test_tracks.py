import numpy as np
import pandas as pd
import pybigtools
import pytest

from chromweave.genome import Assembly
from chromweave.sim.genome import cell_state, lay_out, stream
from chromweave.sim.tracks import TRACKS, signal_tracks, write_bigwig


@pytest.fixture(scope="module")
def chromosome():
    sequence = lay_out("chr1", 6_000_050, 5_000, seed=1)
    state = cell_state(sequence, "A", 1)
    genes = pd.DataFrame(
        {"accessibility": state.promoter_access, "expression": np.linspace(0, 200, len(sequence.genes))}
    )
    return sequence, state, genes, signal_tracks(sequence, state, genes, stream(1, "tracks"))


def at(track, positions):
    """Highest signal within 300 bp of each position."""
    windows = np.asarray(positions) // 100
    return np.nanmax([track[np.clip(windows + k, 0, len(track) - 1)] for k in range(-3, 4)], axis=0)


def test_every_track_covers_what_maps_and_nothing_else(chromosome):
    sequence, _, _, tracks = chromosome
    assert tuple(tracks) == TRACKS
    unseen = np.repeat(sequence.visibility == 0, 50)[:60_001]
    for track in tracks.values():
        assert track.shape == (60_001,)
        np.testing.assert_array_equal(np.isnan(track), unseen)
        assert np.nanmin(track) >= 0


def test_background_is_low_and_peaks_are_high(chromosome):
    _, _, _, tracks = chromosome
    for name in ("ATAC", "DNase", "CTCF", "H3K27ac"):
        assert 0.2 <= np.nanmedian(tracks[name]) <= 1.0
        assert 15 < np.nanmax(tracks[name]) < 300


def test_ctcf_signal_follows_occupancy(chromosome):
    sequence, state, _, tracks = chromosome
    height = at(tracks["CTCF"], sequence.ctcf["position"])
    assert np.corrcoef(height, state.occupancy)[0, 1] > 0.9


def test_only_active_enhancers_are_acetylated(chromosome):
    sequence, state, _, tracks = chromosome
    tss = sequence.genes["tss"].to_numpy()
    position = sequence.enhancers["position"].to_numpy()
    height = at(tracks["H3K27ac"], position)
    active = state.enhancer_activity > 0
    poised = ~active & (state.enhancer_access > 0.3)
    assert np.median(height[active]) > 4 * np.median(height[~active])
    assert np.abs(position[:, None] - tss).min() > 10_000
    assert np.median(at(tracks["ATAC"], position[poised])) > 5


def test_cage_follows_expression_on_the_gene_s_side(chromosome):
    sequence, _, genes, tracks = chromosome
    downstream = np.where(sequence.genes["strand"] == "+", 60, -60)
    height = at(tracks["CAGE"], sequence.genes["tss"].to_numpy() + downstream)
    assert np.corrcoef(height, genes["expression"])[0, 1] > 0.9
    assert np.nanmedian(tracks["CAGE"]) == 0


def test_h3k27me3_marks_compartment_b(chromosome):
    _, state, _, tracks = chromosome
    compartment = np.repeat(state.compartment, 50)[:60_001]
    in_b, in_a = compartment < -0.9, compartment > 0.9
    assert np.nanmean(tracks["H3K27me3"][in_b]) > 1.8 * np.nanmean(tracks["H3K27me3"][in_a])


def test_bigwig_round_trip(tmp_path):
    assembly = Assembly("made-up", {"chr2": 450, "chr1": 300})
    signals = {
        "chr2": np.array([1, 1, np.nan, 0, 2.5], np.float32),
        "chr1": np.array([np.nan, 4, 4], np.float32),
    }
    write_bigwig(tmp_path / "x.bw", signals, assembly)
    with pybigtools.open(str(tmp_path / "x.bw")) as reader:
        assert reader.chroms() == {"chr1": 300, "chr2": 450}
        assert list(reader.records("chr2")) == [(0, 200, 1.0), (300, 400, 0.0), (400, 450, 2.5)]
        assert list(reader.records("chr1")) == [(100, 300, 4.0)]
