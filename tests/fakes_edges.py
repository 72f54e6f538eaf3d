"""Edge tasks made of a matrix of contacts."""

import numpy as np

from chromweave.evaluation.edge_sampling import EdgeTask


def task_of(contact, *, bins=None, chrom=None, held_out_fraction=0.3, max_bins=None, seed=0):
    """An edge task from a symmetric boolean matrix of contacts among nodes."""
    n = len(contact)
    bins = np.arange(n) if bins is None else np.asarray(bins)
    chrom = np.zeros(n, dtype=int) if chrom is None else np.asarray(chrom)
    known = np.stack(np.nonzero(np.triu(contact, 1)))
    max_bins = int(bins.max()) if max_bins is None else max_bins
    near = known[:, (bins[known[1]] - bins[known[0]]) <= max_bins]
    order = np.random.default_rng(seed).permutation(near.shape[1])
    k = int(near.shape[1] * held_out_fraction)
    return EdgeTask(chrom, bins, near[:, np.sort(order[k:])], near[:, np.sort(order[:k])], known, max_bins)


def decaying(n, seed=0, scale=6.0, visibility=None):
    rng = np.random.default_rng(seed)
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    visibility = np.ones(n) if visibility is None else visibility
    contact = np.triu(rng.random((n, n)) < np.exp(-distance / scale) * np.outer(visibility, visibility), 1)
    return contact | contact.T


def auc_of(table):
    return table[table["metric"] == "auc"].set_index(["method", "sampling"])["value"]


def as_set(pairs):
    return {(int(i), int(j)) for i, j in pairs.T}
