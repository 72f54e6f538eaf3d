from dataclasses import replace

import numpy as np
import pandas as pd
import pybigtools
import pytest

from chromweave.sim.genome import cell_state, lay_out, stream
from chromweave.sim.polymer import ExpectedContacts
from chromweave.sim.truth import (
    LoopRule,
    Regulation,
    boundary_strength,
    contact_response,
    expression,
    planted_loops,
)


def flat_map(n_bins=400, width=200):
    """Every near pixel 1."""
    squares = n_bins // 10
    return ExpectedContacts(
        np.ones((n_bins, width), np.float32), np.ones(squares), np.zeros(squares), np.zeros(squares), 5_000
    )


@pytest.fixture
def chromosome():
    """Three bound motifs: + at bin 100, + at bin 103, - at bin 160."""
    sequence = lay_out("chr1", 2_000_000, 5_000, seed=0)
    ctcf = pd.DataFrame(
        {"position": [502_000, 517_000, 802_000], "strand": ["+", "+", "-"], "boundary": [0, 0, 0]}
    )
    sequence = replace(sequence, ctcf=ctcf, boundaries=np.array([510_000]))
    return sequence, replace(cell_state(lay_out("chr1", 2_000_000, 5_000, 0), "A", 0),
                             occupancy=np.array([0.9, 0.5, 0.8]))  # fmt: skip


def test_a_peak_between_convergent_motifs_is_a_loop(chromosome):
    expected = flat_map()
    expected.near[100, 60] = 3.0
    found = planted_loops(*chromosome, expected, LoopRule())
    assert found[["bin1", "bin2"]].to_numpy().tolist() == [[100, 160]]
    assert found["strength"].tolist() == [3.0]
    assert found[["occupancy1", "occupancy2"]].to_numpy().tolist() == [[0.9, 0.8]]


def test_no_peak_no_loop(chromosome):
    assert planted_loops(*chromosome, flat_map(), LoopRule()).empty


def test_a_domain_corner_is_no_loop(chromosome):
    expected = flat_map()
    expected.near[:] = 0.3
    for i in range(100, 161):
        expected.near[i, : 161 - i] = 1.0  # a plain square: its corner is no brighter than its inside
    assert planted_loops(*chromosome, expected, LoopRule()).empty


def test_divergent_or_unbound_motifs_hold_no_loop(chromosome):
    sequence, state = chromosome
    expected = flat_map()
    expected.near[100, 60] = 3.0
    divergent = replace(sequence, ctcf=sequence.ctcf.assign(strand=["-", "-", "+"]))
    assert planted_loops(divergent, state, expected, LoopRule()).empty
    unbound = replace(state, occupancy=np.array([0.02, 0.5, 0.8]))
    assert planted_loops(sequence, unbound, expected, LoopRule()).empty


def test_boundary_strength_is_that_of_the_weaker_side(chromosome):
    sequence, state = chromosome
    # + side: 1 - 0.1 * 0.5 = 0.95; - side: 0.8
    assert boundary_strength(sequence, state) == pytest.approx([0.8])


def test_contact_response_by_hand():
    expected, rule = flat_map(), Regulation(half=60_000, steepness=4.0)
    positions = np.array([600_000, 700_000])
    response = contact_response(expected, expected.by_distance(), 500_000, positions, rule)
    # Rows are full of ones, past the chromosome's end too: the mean of diagonal k is 400 / (400 - k).
    x = np.array([1 / np.sqrt(400 / 380 * 400 / 388), 1 / np.sqrt(400 / 360 * 400 / 388)]) ** 4
    np.testing.assert_allclose(response, x / (1 + x))


def test_expression_needs_accessibility_and_contact(chromosome):
    sequence, state = chromosome
    genes = pd.DataFrame({"tss": [500_000, 500_000, 1_000_000]})
    enhancers = pd.DataFrame({"position": [600_000]})
    sequence = replace(sequence, genes=genes, enhancers=enhancers)
    state = replace(state, promoter_access=np.array([1.0, 0.01, 1.0]), enhancer_activity=np.array([2.0]))
    expected = flat_map()
    expected.near[120, 80] = 0.0  # the third gene never meets the enhancer
    rule = Regulation(noise=0.0)
    found = expression(sequence, state, expected, rule, stream(0, "x"))
    response = contact_response(expected, expected.by_distance(), 500_000, np.array([600_000]), rule)[0]
    assert found["enhancer_input"].tolist() == pytest.approx([2 * response, 2 * response, 0.0])
    assert found["expression"].tolist() == pytest.approx(
        [10 * (0.1 + 2 * response), 0.1 * (0.1 + 2 * response), 1.0]
    )


# On the simulated genome, from the files a user would have.


def pile(contact_map, loops, reach=10):
    """Mean observed / expected around pixel pairs, by the true visibility; (2 reach + 1,) squared."""
    around = np.arange(-reach, reach + 1)
    total, number = np.zeros((2, len(around), len(around)))
    for chrom, part in loops.groupby("chrom1"):
        matrix = contact_map.matrix(balance=True).fetch(chrom)
        expected = np.array([np.nanmean(np.diagonal(matrix, k)) for k in range(401)])
        for i, j in part[["bin1", "bin2"]].to_numpy():
            if i < reach or j + reach >= len(matrix) or not 2 * reach < j - i < 400 - 2 * reach:
                continue
            window = matrix[np.ix_(i + around, j + around)]
            ratio = window / expected[np.abs((j + around)[None, :] - (i + around)[:, None])]
            total += np.nan_to_num(ratio)
            number += ~np.isnan(ratio)
    return total / number


def centre_over_background(pile_up):
    corners = [pile_up[:6, :6], pile_up[:6, -6:], pile_up[-6:, :6], pile_up[-6:, -6:]]
    return pile_up[10, 10] / np.mean(corners)


@pytest.fixture(scope="module")
def loops(line_a):
    table = pd.read_csv(line_a.truth["loops"], sep="\t")
    return table.assign(bin1=table["start1"] // 5_000, bin2=table["start2"] // 5_000)


def test_planted_loops_are_peaks_in_the_counts(balanced, loops):
    assert len(loops) > 100
    pile_up = pile(balanced[5_000], loops)
    assert centre_over_background(pile_up) > 2
    assert pile_up[10, 10] / pile_up[-6:, :6].mean() > 2  # and not merely corners of domains


def test_loops_permuted_within_their_distance_are_no_peaks(balanced, loops):
    rng = np.random.default_rng(0)
    distance = (loops["bin2"] - loops["bin1"]).to_numpy()
    first = rng.integers(12, 1_600 - 12 - distance)
    permuted = loops.assign(bin1=first, bin2=first + distance)
    assert 0.8 < centre_over_background(pile(balanced[5_000], permuted)) < 1.2


def test_expression_follows_the_map_beyond_accessibility_and_distance(balanced, tiny_genome, line_a):
    """Partial correlations of log expression with acetylation x contact, all read from the files."""
    genes = pd.read_csv(line_a.truth["genes"], sep="\t")
    enhancers = pd.read_csv(line_a.truth["enhancers"], sep="\t", header=None)
    rows = []
    with pybigtools.open(str(line_a.tracks["H3K27ac"])) as acetylation:
        for chrom, part in genes.groupby("chrom"):
            matrix = balanced[5_000].matrix(balance=True).fetch(chrom)
            mean = np.array([np.nanmean(np.diagonal(matrix, k)) for k in range(120)])
            start = enhancers.loc[enhancers[0] == chrom, 1].to_numpy()
            bins = start // 5_000
            signal = np.array(
                [
                    acetylation.values(chrom, s - 600, s + 1_000, bins=1, fillna=None)[0]
                    for s in start.tolist()
                ]
            )
            for gene in part.itertuples():
                here = gene.tss // 5_000
                near = np.abs(bins - here) < 100
                typical = mean[np.abs(bins[near] - here)]
                contact = np.nan_to_num(matrix[here, bins[near]])
                by_contact = (signal[near] * contact).sum()
                by_distance = (signal[near] * typical).sum()
                rows.append((gene.expression, gene.accessibility, by_contact, by_distance))
    level, access, by_contact, by_distance = np.log(np.array(rows) + 1e-4).T
    assert partial_correlation(level, by_contact, access) > 0.3
    assert partial_correlation(level, by_contact, access, by_distance) > 0.2


def partial_correlation(x, y, *given):
    design = np.column_stack([np.ones(len(x)), *given])
    left, right = (v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (x, y))
    return np.corrcoef(left, right)[0, 1]
