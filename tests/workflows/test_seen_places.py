"""Places that were trained on, by hand and against looking at every pair."""

import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromweave.progress import reporting
from chromweave.workflows.seen_places import (
    covered_stretches,
    seen_places,
    tell_seen_places,
    tell_trained_places,
)
from tests.fakes_experiments import News


def table(*rows, bins=4, resolution=1000):
    made = pd.DataFrame(rows, columns=["chrom", "x", "y"])
    made.attrs = {"resolution": resolution, "window_bins": bins}
    return made


def test_by_hand():
    """Sides of 4 kb around the middle of a bin: anchors 4 kb apart just touch end to end, 3 kb overlap."""
    learned = table(("chr1", 10_000, 50_000))
    judged = table(
        ("chr1", 14_000, 14_000),  # end to end with the first side
        ("chr1", 13_000, 90_000),
        ("chr1", 90_000, 53_000),  # one side is enough
        ("chr2", 10_000, 50_000),
        ("chr1", 0, 30_000),
    )
    assert seen_places(judged, covered_stretches(learned)).tolist() == [False, True, True, False, False]
    assert not seen_places(judged, covered_stretches(learned.iloc[:0])).any()


def test_stretches_by_hand():
    """Sides of 4 kb, 2 kb to either side of an anchor; those that touch end to end are one."""
    made = covered_stretches(
        table(
            ("chr1", 10_000, 14_000),
            ("chr1", 19_000, 30_000),
            ("chr2", 5_000, 5_000),
            ("chr1", 29_000, 3_000),
        )
    )
    assert {chrom: found.tolist() for chrom, found in made.items()} == {
        "chr1": [[1000, 5000], [8000, 16_000], [17_000, 21_000], [27_000, 32_000]],
        "chr2": [[3000, 7000]],
    }


windows = st.lists(
    st.tuples(st.sampled_from(["chr1", "chr2"]), st.integers(0, 60), st.integers(0, 60)), max_size=12
)


@given(windows, windows, st.integers(1, 9), st.integers(1, 9))
def test_against_every_pair(judged, learned, bins, others):
    first = table(*((c, 1000 * x, 1000 * y) for c, x, y in judged), bins=bins)
    second = table(*((c, 1000 * x, 1000 * y) for c, x, y in learned), bins=others)
    expected = [
        any(c == d and abs(a - b) < (bins + others) / 2 for d, *sides in learned for a in own for b in sides)
        for c, *own in judged
    ]
    assert seen_places(first, covered_stretches(second)).tolist() == expected


@pytest.mark.parametrize(("at", "lines"), [(10_000, 1), (40_000, 0)])
def test_it_is_said_only_where_there_are_any(at, lines):
    news = News()
    with reporting(news):
        count = tell_seen_places("A on B", table(("chr1", at, at)), table(("chr1", 10_000, 12_000)))
    assert (count, len(news.lines)) == (lines, lines)
    assert all("A on B: 1 of 1 test windows touch" in line for line in news.lines)


def data(**train):
    return [{"name": "K562", "train": {"chromosomes": ["chr1"], **train}}]


COVERED = data(stretches={"chr1": [[8000, 14_000]]})
JUDGED = (("chr1", 15_000, 60_000), ("chr1", 40_000, 40_000), ("chr2", 10_000, 10_000))


@pytest.mark.parametrize(
    ("provenance", "counts", "said"),
    [
        ({"data": COVERED}, {"fine-tuning": 1}, ["1 of the 3 .* touch windows that its fine-tuning"]),
        ({"data": data()}, {"fine-tuning": 2}, ["2 of the 3 .* lie on chromosomes that its fine-tuning"]),
        (
            {"data": [], "pretrained": "p", "pretraining_data": COVERED},
            {"fine-tuning": 0, "pre-training": 1},
            ["1 of the 3 .* touch windows that its pre-training learned from"],
        ),
        (
            {"data": [], "pretrained": "p"},
            {"fine-tuning": 0},
            ["where its pre-training took windows from is not recorded"],
        ),
        ({"data": data(stretches={"chr1": [[0, 9000]], "chr3": [[0, 99_000]]})}, {"fine-tuning": 0}, []),
        ({}, {}, ["where its fine-tuning took windows from is not recorded"]),
    ],
)
def test_where_a_model_was_trained_is_told(provenance, counts, said):
    news = News()
    with reporting(news):
        assert tell_trained_places("m", table(*JUDGED), provenance) == counts
    assert len(news.lines) == len(said)
    for line, pattern in zip(news.lines, said, strict=True):
        assert re.match(rf"m: {pattern}", line)
