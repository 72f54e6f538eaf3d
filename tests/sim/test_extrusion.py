from dataclasses import replace

import numpy as np
import pytest

from chromweave.sim.extrusion import Extrusion, extrude
from chromweave.sim.genome import cell_state, lay_out, stream

MODEL = Extrusion()


@pytest.fixture(scope="module")
def chromosome():
    """2 Mb with one convergent pair of perfect motifs, at 600 kb (+) and 1 Mb (-)."""
    sequence = lay_out("chr1", 2_000_000, 5_000, seed=0)
    ctcf = sequence.ctcf.iloc[:2].assign(position=[602_000, 1_002_000], strand=["+", "-"])
    sequence = replace(sequence, ctcf=ctcf)
    state = cell_state(sequence, "A", 0)
    return sequence, state


def run(chromosome, occupancy, strands=("+", "-"), snapshots=3_000):
    sequence, state = chromosome
    sequence = replace(sequence, ctcf=sequence.ctcf.assign(strand=list(strands)))
    state = replace(state, occupancy=np.array(occupancy))
    model = replace(MODEL, separation=400_000)
    return extrude(sequence, state, model, snapshots, stream(0, "test"))


def test_legs_are_ordered_and_never_share_a_site(chromosome):
    found = run(chromosome, (0.9, 0.9), snapshots=200)
    assert found.left.shape == found.right.shape == (200, 5)
    assert (found.left < found.right).all()
    assert found.left.min() >= 0
    assert found.right.max() < 400
    for left, right in zip(found.left, found.right, strict=True):
        assert len(set(left) | set(right)) == 10
        # loops lie beside or inside one another, and never cross
        for l1, r1 in zip(left, right, strict=True):
            assert not ((left < l1) & (right > l1) & (right < r1)).any()


def held(found):
    return ((found.left == 120) & (found.right == 200)).any(axis=1).mean()


def test_convergent_sites_hold_a_loop(chromosome):
    assert held(run(chromosome, (0.95, 0.95))) > 0.1
    assert held(run(chromosome, (0.0, 0.0))) < 0.01


def test_orientation_matters(chromosome):
    assert held(run(chromosome, (0.95, 0.95), ("-", "+"))) < 0.01


def test_one_unbound_anchor_loses_the_loop(chromosome):
    assert held(run(chromosome, (0.95, 0.0))) < 0.2 * held(run(chromosome, (0.95, 0.95)))


def test_longer_processivity_makes_longer_loops(chromosome):
    sequence, state = chromosome
    state = replace(state, occupancy=np.zeros(2))

    def mean_loop(processivity):
        model = replace(MODEL, separation=500_000, processivity=processivity)
        found = extrude(sequence, state, model, 500, stream(0, "length"))
        return (found.right - found.left).mean() * found.site

    assert mean_loop(100_000) < 0.6 * mean_loop(300_000)
    # An unhindered leg pair grows to its processivity on average; neighbours only shorten it.
    assert 50_000 < mean_loop(100_000) < 115_000


def test_same_stream_same_conformations(chromosome):
    first, second = run(chromosome, (0.5, 0.5), snapshots=20), run(chromosome, (0.5, 0.5), snapshots=20)
    np.testing.assert_array_equal(first.left, second.left)
