import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.errors import DataError
from chromweave.evaluation import edge_sampling as module
from chromweave.evaluation.classification import auroc
from chromweave.evaluation.edge_sampling import DEGREE_MATCHED, SAMPLINGS, NonContacts, edge_samples
from tests.fakes_edges import as_set, decaying, task_of


def test_every_non_contact_in_range_is_listed():
    # Nodes at bins 0, 1, 3, 4 (bin 2 masked); contacts 0-1 and 1-4; range two bins.
    contact = np.zeros((4, 4), dtype=bool)
    for i, j in ((0, 1), (1, 3)):
        contact[i, j] = contact[j, i] = True
    task = task_of(contact, bins=[0, 1, 3, 4], max_bins=2, held_out_fraction=0.0)
    # In range by bins: 0-1 (1), 1-3 (2), 3-4 (1); as nodes (0,1), (1,2), (2,3); (0,1) is a contact.
    assert as_set(NonContacts(task).near) == {(1, 2), (2, 3)}


@given(seed=st.integers(0, 10_000), n=st.integers(12, 30))
@settings(max_examples=25, deadline=None)
def test_negatives_are_never_contacts_and_stay_on_their_chromosome(seed, n):
    contact = decaying(n, seed)
    chrom = (np.arange(n) >= n // 2).astype(int)
    contact &= chrom[:, None] == chrom[None, :]
    bins = np.concatenate([np.arange(n // 2), np.arange(n - n // 2)])
    task = task_of(contact, bins=bins, chrom=chrom, max_bins=8)
    source = NonContacts(task)
    rng = np.random.default_rng(seed)
    matched = source.matched(task.held_out, rng)
    for name, pairs in (
        ("uniform", source.uniform(20, rng)),
        ("in-range", source.in_range(20, rng)),
        ("matched", matched.negatives),
    ):
        assert (pairs[0] < pairs[1]).all()
        assert (chrom[pairs[0]] == chrom[pairs[1]]).all()
        assert not contact[pairs[0], pairs[1]].any()
        assert len(as_set(pairs)) == pairs.shape[1], "a pair is drawn once"
        if name != "uniform":
            assert task.distance(pairs).max(initial=0) <= 8
    assert sorted(task.distance(matched.positives)) == sorted(task.distance(matched.negatives))
    assert as_set(matched.positives) <= as_set(task.held_out)


def test_uniform_draws_of_a_genome_too_large_to_list(monkeypatch):
    task = task_of(decaying(40))
    listed = as_set(NonContacts(task).uniform(10**6, np.random.default_rng(0)))
    monkeypatch.setattr(module, "_ENUMERATE", 0)
    drawn = NonContacts(task).uniform(60, np.random.default_rng(0))
    assert drawn.shape == (2, 60)
    assert as_set(drawn) <= listed
    assert drawn[1].max() == 39, "the last node can be drawn"


def test_samples_are_balanced_even_where_non_contacts_run_out():
    contact = ~np.eye(30, dtype=bool)
    contact[3, 9] = contact[9, 3] = contact[4, 20] = contact[20, 4] = False
    samples = edge_samples(task_of(contact), 0)
    assert tuple(samples) == SAMPLINGS
    assert samples["uniform"].positives.shape == samples["uniform"].negatives.shape == (2, 2)
    assert samples["uniform"].labels.tolist() == [True, True, False, False]


def test_a_complete_graph_has_no_negatives():
    with pytest.raises(DataError, match="no non-contact for the 'matched' sampling"):
        edge_samples(task_of(~np.eye(20, dtype=bool)), 0)


def test_nothing_held_out_is_an_error():
    with pytest.raises(DataError, match="no contact is held out"):
        edge_samples(task_of(decaying(20), held_out_fraction=0.0), 0)


def test_degrees_say_nothing_when_they_are_matched():
    visibility = np.where(np.arange(300) % 2, 1.0, 0.3)
    task = task_of(decaying(300, scale=40, visibility=visibility))
    samples = edge_samples(task, 0, degree_matched=True)
    assert list(samples) == [*SAMPLINGS, DEGREE_MATCHED]
    sample = samples[DEGREE_MATCHED]
    assert sample.positives.shape == sample.negatives.shape
    assert sample.positives.shape[1] > 500
    assert sorted(task.distance(sample.positives)) == sorted(task.distance(sample.negatives))
    product = {name: np.log1p(task.degree)[s.pairs].sum(axis=0) for name, s in samples.items()}
    assert auroc(samples["matched"].labels, product["matched"]) > 0.7
    assert auroc(sample.labels, product[DEGREE_MATCHED]) == pytest.approx(0.5, abs=0.02)


def test_a_fourth_sampling_leaves_the_three_as_they_were():
    task = task_of(decaying(60))
    three, four = edge_samples(task, 3), edge_samples(task, 3, degree_matched=True)
    for name in SAMPLINGS:
        np.testing.assert_array_equal(three[name].pairs, four[name].pairs)
