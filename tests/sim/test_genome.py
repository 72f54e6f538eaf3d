import numpy as np
import pytest

from chromweave.sim.genome import cell_state, lay_out, stream

LENGTH = 10_003_000


@pytest.fixture(scope="module")
def sequence():
    return lay_out("chr1", LENGTH, 5_000, seed=3)


def test_streams_are_named_by_seed_and_purpose():
    first = stream(1, "ctcf", "chr1").random(4)
    np.testing.assert_array_equal(first, stream(1, "ctcf", "chr1").random(4))
    for other in (stream(2, "ctcf", "chr1"), stream(1, "ctcf", "chr2"), stream(1, "genes", "chr1")):
        assert not np.array_equal(first, other.random(4))


def test_the_layout_is_the_same_every_time(sequence):
    again = lay_out("chr1", LENGTH, 5_000, seed=3)
    assert again.ctcf.equals(sequence.ctcf)
    assert again.genes.equals(sequence.genes)
    np.testing.assert_array_equal(again.visibility, sequence.visibility)
    assert not lay_out("chr1", LENGTH, 5_000, seed=4).ctcf.equals(sequence.ctcf)


def test_bins_are_counted_from_the_length(sequence):
    assert sequence.n_bins == 2_001


def test_blocks_tile_the_chromosome_and_alternate(sequence):
    blocks = sequence.blocks
    assert blocks["start"].iloc[0] == 0
    assert blocks["end"].iloc[-1] == LENGTH
    assert (blocks["start"].to_numpy()[1:] == blocks["end"].to_numpy()[:-1]).all()
    assert (blocks["sign"].to_numpy()[1:] == -blocks["sign"].to_numpy()[:-1]).all()
    assert set(blocks["start"][1:]) <= set(sequence.boundaries.tolist())
    assert ((blocks["end"] - blocks["start"]) >= 300_000).all()


def test_boundary_motifs_point_away_from_the_boundary(sequence):
    at_boundary = sequence.ctcf[sequence.ctcf["boundary"] >= 0]
    side = at_boundary["position"].to_numpy() - sequence.boundaries[at_boundary["boundary"].to_numpy()]
    assert (at_boundary["strand"].to_numpy() == np.where(side > 0, "+", "-")).all()
    assert len(at_boundary) > len(sequence.boundaries)


def test_no_feature_where_nothing_maps(sequence):
    assert (sequence.visibility == 0).any()
    for table, column in (
        (sequence.ctcf, "position"),
        (sequence.enhancers, "position"),
        (sequence.genes, "tss"),
    ):
        assert len(table) > 20
        assert (sequence.visibility[table[column].to_numpy() // 5_000] > 0).all()


def test_cell_lines_share_the_sequence_and_differ_in_activity(sequence):
    a, b = cell_state(sequence, "A", 3), cell_state(sequence, "B", 3)
    assert np.array_equal(a.occupancy, cell_state(sequence, "A", 3).occupancy)
    specific = np.abs(a.occupancy - b.occupancy) > 0.2
    assert 0.02 < specific.mean() < 0.3  # most sites are shared
    assert ((a.enhancer_activity > 0) != (b.enhancer_activity > 0)).mean() > 0.15
    facultative = sequence.blocks["facultative"].to_numpy()
    assert not (a.block_sign != b.block_sign)[~facultative].any()


def test_lines_differ_in_10_to_20_percent_of_the_compartments():
    differing = []
    for chrom in range(40):
        sequence = lay_out(f"chr{chrom}", 20_000_000, 50_000, seed=0)
        a, b = cell_state(sequence, "A", 0), cell_state(sequence, "B", 0)
        differing.append((np.sign(a.compartment) != np.sign(b.compartment)).mean())
    assert 0.10 < np.mean(differing) < 0.20


def test_compartment_a_is_the_active_one(sequence):
    state = cell_state(sequence, "A", 3)
    there = state.compartment[sequence.enhancers["position"].to_numpy() // 5_000]
    assert (state.enhancer_activity[there > 0.5] > 0).mean() > 0.35
    assert (state.enhancer_activity[there < -0.5] > 0).mean() < 0.2
    assert np.abs(state.compartment).max() <= 1.0
    assert ((state.occupancy >= 0) & (state.occupancy < 1)).all()
    assert ((state.enhancer_activity > 0) <= (state.enhancer_access > 0)).all()
