import bioframe
import cooltools
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import lil_matrix
from scipy.sparse.csgraph import dijkstra

from chromweave.sim.extrusion import Conformations
from chromweave.sim.polymer import COARSE_BINS, Polymer, expected_contacts, shortest_ways


def test_a_loop_is_a_shortcut():
    # 0-1-2-3-4-5 with 1 and 4 linked: 0 to 5 is two steps and a link, 0 to 3 goes round through 4.
    ways = shortest_ways(np.array([1], np.int32), np.array([4], np.int32), n_bins=6, width=6)
    assert ways[0].tolist() == [0, 1, 2, 3, 2, 3]
    assert ways[1, :5].tolist() == [0, 1, 2, 1, 2]
    assert ways[2, :4].tolist() == [0, 1, 2, 3]


@st.composite
def loops(draw):
    """Loops on 24 bins that lie beside or inside one another."""
    marks = draw(st.lists(st.sampled_from("(.)"), min_size=24, max_size=24))
    opened, left, right = [], [], []
    for position, mark in enumerate(marks):
        if mark == "(":
            opened.append(position)
        elif mark == ")" and opened:
            left.append(opened.pop())
            right.append(position)
    order = draw(st.permutations(range(len(left))))
    return np.array(left, np.int32)[list(order)], np.array(right, np.int32)[list(order)]


@settings(max_examples=150, deadline=None)
@given(loops(), st.sampled_from([(1, 1), (2, 1), (1, 3)]))
def test_ways_are_those_of_dijkstra(legs, lengths):
    left, right = legs
    step, link = lengths
    graph = lil_matrix((24, 24))
    for i in range(23):
        graph[i, i + 1] = step
    for i, j in zip(left, right, strict=True):
        graph[i, j] = min(link, graph[i, j] or link)
    truth = dijkstra(graph.tocsr(), directed=False)
    ways = shortest_ways(left, right, 24, 24, step, link)
    for i in range(24):
        np.testing.assert_array_equal(ways[i, : 24 - i], truth[i, i:])


def test_without_cohesin_the_chain_law_is_met():
    model = Polymer(compartments=0.0)
    expected = expected_contacts(None, np.zeros(100), 5_000, 200_000, model)
    assert expected.near.shape == (100, 40)
    law = (np.arange(40) * 5_000 + model.capture) ** -model.exponent
    np.testing.assert_allclose(expected.near[0] / expected.near[0, 0], law / law[0], rtol=1e-5)
    assert (expected.near[99, 1:] == 0).all()
    np.testing.assert_allclose(expected.by_distance(), expected.near[0], rtol=1e-5)


def test_the_far_part_continues_the_near_part():
    model = Polymer(compartments=0.0)
    expected = expected_contacts(None, np.zeros(1_000), 5_000, 1_000_000, model)
    square = expected.width // COARSE_BINS
    assert expected.far[square] / expected.by_distance()[-1] == pytest.approx(1.0, abs=0.03)
    assert expected.far[2 * square] / expected.far[square] == pytest.approx(2**-model.far_exponent)


def test_compartments_are_a_plaid():
    compartment = np.repeat([1.0, -1.0, 1.0], 40)
    model = Polymer(compartments=0.5, compartment_distance=200_000)
    flat = expected_contacts(None, np.zeros(120), 5_000, 600_000, Polymer(compartments=0.0))
    plaid = expected_contacts(None, compartment, 5_000, 600_000, model)
    ratio = plaid.near / np.where(flat.near > 0, flat.near, 1)
    assert np.log(ratio[0, 40]) == pytest.approx(-0.25, abs=1e-5)  # 200 kb: half of the full effect
    assert np.log(ratio[0, 80]) == pytest.approx(0.5 * 400 / 600, abs=1e-5)


def test_at_is_symmetric_and_nan_outside():
    expected = expected_contacts(None, np.zeros(50), 5_000, 100_000, Polymer())
    assert expected.at(np.array([3]), np.array([7]))[0] == expected.near[3, 4]
    assert expected.at(np.array([7]), np.array([3]))[0] == expected.near[3, 4]
    assert np.isnan(expected.at(np.array([0, -1, 49]), np.array([30, 2, 50]))).all()


def test_a_held_loop_makes_a_dot():
    left = np.full((10, 1), 20, np.int32)
    right = np.full((10, 1), 60, np.int32)
    expected = expected_contacts(Conformations(left, right, 5_000), np.zeros(100), 5_000, 400_000, Polymer())
    plain = expected_contacts(None, np.zeros(100), 5_000, 400_000, Polymer())
    assert expected.near[20, 40] == plain.near[0, 1]  # across the link: as near as neighbours
    assert expected.near[15, 10] == plain.near[15, 10]  # outside of the loop nothing changes


def test_coarse_bins_see_the_same_loops():
    left = np.full((10, 1), 20, np.int32)
    right = np.full((10, 1), 60, np.int32)
    found = Conformations(left, right, 5_000)
    expected = expected_contacts(found, np.zeros(40), 25_000, 800_000, Polymer())
    plain = expected_contacts(None, np.zeros(40), 25_000, 800_000, Polymer())
    assert expected.near[4, 8] > 10 * plain.near[4, 8]


# cooltools groups by categories without saying how (its FutureWarning).
cooltools_warns = pytest.mark.filterwarnings("ignore:The default of observed=False:FutureWarning")


# What follows from the model on the simulated genome, by the field's own tools.


@cooltools_warns
def test_contacts_fall_with_distance(balanced):
    table = cooltools.expected_cis(
        balanced[5_000], view_df=bioframe.make_viewframe(balanced[5_000].chromsizes)
    )
    total = table.groupby("dist")[["balanced.sum", "n_valid"]].sum()
    mean = (total["balanced.sum"] / total["n_valid"]).to_numpy()
    distance = np.arange(10, 201)  # 50 kb to 1 Mb
    slope = np.polyfit(np.log(distance), np.log(mean[distance]), 1)[0]
    assert -1.3 < slope < -0.7
    assert mean[1_000] < mean[400] < mean[200]


def planted_compartments(line, bins):
    table = pd.read_csv(line.truth["compartments"], sep="\t", names=["chrom", "start", "end", "name"])
    middle = (bins["start"] + bins["end"]) // 2
    sign = np.zeros(len(bins))
    for row in table.itertuples():
        inside = (bins["chrom"] == row.chrom) & (middle >= row.start) & (middle < row.end)
        sign[inside] = 1.0 if row.name == "A" else -1.0
    return sign


@cooltools_warns
def test_first_eigenvector_follows_the_planted_compartments(balanced, line_a):
    contact_map = balanced[100_000]
    bins = contact_map.bins()[:][["chrom", "start", "end"]]
    phase = bins.assign(value=planted_compartments(line_a, bins))
    view = bioframe.make_viewframe(contact_map.chromsizes)
    _, vectors = cooltools.eigs_cis(contact_map, phase, view_df=view, n_eigs=1)
    vectors = vectors.assign(planted=phase["value"]).dropna()
    for _, part in vectors.groupby("chrom", observed=True):
        assert np.corrcoef(part["E1"], part["planted"])[0, 1] > 0.9


def share_near(positions, called, reach):
    """Share of (chrom, position) rows that have a call within `reach` bp."""
    hits = [
        (np.abs(called.loc[called["chrom"] == chrom, "middle"] - at) <= reach).any()
        for chrom, at in positions
    ]
    return np.mean(hits)


@cooltools_warns
def test_insulation_minima_lie_at_planted_boundaries(balanced, line_a):
    table = cooltools.insulation(balanced[5_000], [100_000], ignore_diags=2)
    called = table[table["is_boundary_100000"]].assign(middle=lambda t: (t["start"] + t["end"]) / 2)
    planted = pd.read_csv(
        line_a.truth["boundaries"], sep="\t", names=["chrom", "start", "end", "name", "strength"]
    )
    strong = planted[planted["strength"] > 0.5]
    assert len(strong) > 30
    positions = [(row.chrom, (row.start + row.end) / 2) for row in strong.itertuples()]
    shifted = [(chrom, at + shift) for chrom, at in positions for shift in (-120_000, 110_000)]
    assert share_near(positions, called, 25_000) >= 0.8
    assert share_near(shifted, called, 25_000) < 0.35
