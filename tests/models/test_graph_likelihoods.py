import numpy as np
import pytest
import torch
from scipy import stats

from chromweave.models.graph_likelihoods import LIKELIHOODS, Bernoulli, NegativeBinomial, Poisson

RATE = torch.tensor([-2.0, 0.0, 1.5, 4.0])
COUNTS = torch.tensor([0.0, 1.0, 7.0, 40.0])
DISTANCE = torch.tensor([1, 2, 9, 20])


def negative_binomial():
    family = NegativeBinomial(20)
    with torch.no_grad():
        family.log_size.height.normal_(0, 0.3, generator=torch.Generator().manual_seed(0))
    return family


def test_poisson_is_scipys():
    found = Poisson(20).log_prob(COUNTS, RATE, DISTANCE)
    np.testing.assert_allclose(found, stats.poisson.logpmf(COUNTS, RATE.exp()), rtol=1e-5)


def test_negative_binomial_is_torchs_and_scipys():
    family = negative_binomial()
    size, mean = family.log_size(DISTANCE).exp().detach(), RATE.exp()
    found = family.log_prob(COUNTS, RATE, DISTANCE).detach()
    assert size.std() > 0.05
    np.testing.assert_allclose(found, stats.nbinom.logpmf(COUNTS, size, size / (size + mean)), rtol=1e-4)
    torchs = torch.distributions.NegativeBinomial(size, logits=RATE - size.log()).log_prob(COUNTS)
    torch.testing.assert_close(found, torchs, rtol=1e-4, atol=1e-5)


def test_bernoulli_is_torchs():
    label = (COUNTS > 0).float()
    found = Bernoulli(20).log_prob(COUNTS, RATE, DISTANCE)
    torch.testing.assert_close(found, torch.distributions.Bernoulli(logits=RATE).log_prob(label))


FAMILIES = [Bernoulli(20), Poisson(20), negative_binomial()]


@pytest.mark.parametrize("family", FAMILIES, ids=list(LIKELIHOODS))
def test_none_is_a_count_of_zero(family):
    none = family.log_none(RATE, DISTANCE)
    torch.testing.assert_close(none, family.log_prob(torch.zeros(4), RATE, DISTANCE), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES, ids=list(LIKELIHOODS))
def test_evidence_orders_pairs_by_the_probability_of_a_contact(family):
    rate = torch.linspace(-6, 2, 60)
    distance = torch.arange(60) % 20 + 1
    contact = -torch.expm1(family.log_none(rate.double(), distance))
    evidence = family.evidence(rate, distance)
    assert torch.equal(torch.argsort(contact), torch.argsort(evidence))


@pytest.mark.parametrize("family", FAMILIES, ids=list(LIKELIHOODS))
def test_evidence_never_saturates(family):
    rate = torch.tensor([-90.0, -60.0, -30.0, -12.0, -9.9, 3.0, 20.0])
    found = family.evidence(rate, torch.full((7,), 3)).detach()
    assert torch.isfinite(found).all()
    assert (found.diff() > 0).all()


@pytest.mark.parametrize("family", FAMILIES, ids=list(LIKELIHOODS))
def test_gradients_at_the_extremes_are_finite(family):
    rate = torch.tensor([-60.0, -5.0, 0.0, 12.0]).requires_grad_()
    total = family.log_prob(COUNTS, rate, DISTANCE).sum() + family.log_none(rate, DISTANCE).sum()
    (total + family.evidence(rate, DISTANCE).sum()).backward()
    assert torch.isfinite(rate.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in family.parameters())


def test_the_size_that_fits_is_found():
    """Counts of size 3 at every distance: a few hundred steps of Adam bring the learned size there."""
    rng = np.random.default_rng(0)
    distance = torch.from_numpy(rng.integers(1, 21, 4000))
    counts = torch.from_numpy(rng.negative_binomial(3, 3 / (3 + 5.0), 4000)).float()
    family, rate = NegativeBinomial(20), torch.full((4000,), float(np.log(5.0)))
    optimizer = torch.optim.Adam(family.parameters(), lr=0.03)
    for _ in range(150):
        optimizer.zero_grad()
        (-family.log_prob(counts, rate, distance).mean()).backward()
        optimizer.step()
    assert family.log_size(distance).exp().mean().item() == pytest.approx(3, rel=0.2)
