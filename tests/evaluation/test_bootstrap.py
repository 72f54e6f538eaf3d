import numpy as np
import pytest

from chromweave.errors import ConfigError, DataError
from chromweave.evaluation.bootstrap import (
    BootstrapConfig,
    block_bootstrap,
    block_sums,
    bootstrap_sums,
    genome_blocks,
    paired_difference,
)
from chromweave.evaluation.classification import auroc


def mean(values):
    return float(values.mean())


def test_blocks_of_the_genome():
    chrom = np.array(["chr1", "chr1", "chr2", "chr1"])
    assert genome_blocks(chrom).tolist() == [0, 0, 1, 0]
    position = np.array([0, 4_999_999, 0, 5_000_000])
    assert genome_blocks(chrom, position).tolist() == [0, 0, 2, 1]


def test_interval_of_a_mean_has_the_width_of_its_standard_error():
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    found = block_bootstrap(mean, [values], np.arange(400), seed=1)
    assert found.value == values.mean()
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert found.low < found.value < found.high
    assert (found.n, found.n_blocks, found.undefined) == (400, 400, 0)


def test_copies_within_a_block_are_no_evidence():
    """100 blocks of 10 equal samples know as much as 100 samples."""
    values = np.random.default_rng(0).normal(size=100)
    once = block_bootstrap(mean, [values], np.arange(100), seed=1)
    copied = block_bootstrap(mean, [np.repeat(values, 10)], np.repeat(np.arange(100), 10), seed=1)
    alone = block_bootstrap(mean, [np.repeat(values, 10)], np.arange(1000), seed=1)
    assert copied.high - copied.low == pytest.approx(once.high - once.low)
    assert alone.high - alone.low < 0.5 * (once.high - once.low)


def test_seed_decides():
    values = np.random.default_rng(0).normal(size=50)
    first, same, other = (block_bootstrap(mean, [values], np.arange(50), seed=s) for s in (1, 1, 2))
    assert first == same
    assert first.low != other.low


@pytest.mark.parametrize("n_blocks", [1, 4])
def test_few_blocks_have_no_interval(n_blocks):
    found = block_bootstrap(mean, [np.arange(4.0)], np.arange(4) % n_blocks, seed=0)
    assert (found.value, found.n_blocks) == (1.5, n_blocks)
    assert np.isnan([found.low, found.high]).all()
    assert not found.differs_from_zero


def test_draws_without_a_value_are_left_out_and_counted():
    label, score = np.array([1.0, 0.0]), np.array([0.9, 0.1])
    found = block_bootstrap(
        auroc, [label, score], np.arange(2), seed=0, config=BootstrapConfig(200, fewest_blocks=2)
    )
    assert 60 < found.undefined < 140  # half of all draws take one block twice
    assert (found.low, found.high) == (1.0, 1.0)


def test_paired_differences_are_narrower_than_their_parts():
    generator = np.random.default_rng(0)
    label = (generator.random(300) < 0.5).astype(float)
    common = label + generator.normal(size=300)
    better, same = common + 0.3 * label, common + 1e-9 * generator.normal(size=300)
    blocks = np.arange(300) // 5
    gain = paired_difference(auroc, label, better, common, blocks, seed=0)
    assert gain.value == pytest.approx(auroc(label, better) - auroc(label, common))
    assert gain.differs_from_zero
    assert gain.high - gain.low < block_ci(label, common, blocks)
    assert not paired_difference(auroc, label, same, common, blocks, seed=0).differs_from_zero


def block_ci(label, score, blocks):
    found = block_bootstrap(auroc, [label, score], blocks, seed=0)
    return found.high - found.low


def test_wrong_use():
    with pytest.raises(DataError, match="differ in length"):
        block_bootstrap(mean, [np.zeros(3)], np.zeros(2), seed=0)
    with pytest.raises(ConfigError, match="draws >= 1"):
        BootstrapConfig(draws=0)


def test_sums_of_blocks():
    values = np.array([[1.0, 2.0], [3.0, 4.0], [10.0, 20.0]])
    assert block_sums(values, np.array([7, 2, 7])).tolist() == [[3.0, 4.0], [11.0, 22.0]]
    with pytest.raises(DataError, match="3 samples have 2 blocks"):
        block_sums(values, np.array([1, 2]))


def test_sums_resample_as_samples_do():
    """The mean of ratios' numerators and denominators, by samples and by sums of blocks."""
    generator = np.random.default_rng(0)
    top, bottom = generator.uniform(1, 2, (2, 60))
    blocks = generator.integers(0, 12, 60) * 3

    def ratio(a, b):
        return float(a.sum() / b.sum())

    slow = block_bootstrap(ratio, [top, bottom], blocks, seed=4)
    sums = [block_sums(one, blocks) for one in (top, bottom)]
    fast = bootstrap_sums(ratio, sums, n=60, seed=4)
    np.testing.assert_allclose(
        [fast.value, fast.low, fast.high], [slow.value, slow.low, slow.high], rtol=1e-12
    )
    assert (fast.n, fast.n_blocks, fast.undefined) == (60, 12, 0)
    assert fast.low < fast.value < fast.high


def test_no_blocks_have_no_interval():
    found = bootstrap_sums(lambda total: float(total), [np.zeros((0,))], n=0, seed=0)
    assert (found.value, found.n_blocks) == (0.0, 0)
    assert np.isnan(found.low)
