"""Edits of raw signal, held against a step-by-step reference."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.data.dataset import WindowDataset
from chromweave.data.edits import SignalEdit, SignalEditor
from chromweave.data.transforms import WindowTransform
from chromweave.errors import ConfigError, DataError
from chromweave.genome import Interval
from tests.fakes import build_fake, random_track

RESOLUTION, BINS = 10_000, 6
TRACKS = ("ATAC", "DNase")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        tracks = [random_track("ATAC", 1), random_track("DNase", 2)]
        return build_fake(patch, tmp_path_factory.mktemp("edits") / "a.store", None, tracks)


@pytest.fixture(scope="module")
def editor(store):
    return SignalEditor(store, TRACKS, ("chr2", "chr1"), RESOLUTION)


def windows(store, x, y, chroms=("chr2", "chr1")):
    """Raw windows of chr2 and then of chr1 with the same anchors."""
    transform = WindowTransform(tracks=TRACKS, signal="raw")
    table = pd.DataFrame({"chrom": np.repeat(chroms, len(x)), "x": [*x, *x], "y": [*y, *y]})
    table[["x", "y"]] *= RESOLUTION
    table = table.assign(label=np.nan, split="test", kind="grid")
    dataset = WindowDataset(
        [store], [table], transform, split="predict", resolution=RESOLUTION, window_bins=BINS, contacts=False
    )
    assert dataset.chromosomes == ("chr2", "chr1")
    return dataset.batch(range(len(dataset)))


def step_by_step(store, batch, lists):
    """What every single position of every window should be."""
    found = batch.tracks.clone()
    half = BINS // 2
    for k, edits in enumerate(lists):
        chrom = ("chr2", "chr1")[int(batch.chrom[k])]
        for position in range(found.shape[1]):
            anchor, place = (
                (batch.x, position) if position < found.shape[1] // 2 else (batch.y, position - 300 * 2)
            )
            start = (int(anchor[k]) - half) * RESOLUTION + place * 100
            for edit in edits:
                bases = min(edit.interval.end, start + 100) - max(edit.interval.start, start)
                if edit.interval.chrom != chrom or bases < 50:
                    continue
                for t, name in enumerate(TRACKS):
                    if not batch.track_mask[k, position, t] or (edit.tracks and name not in edit.tracks):
                        continue
                    if edit.factor is None:
                        stored = store.track(name, chrom).mean
                        found[k, position, t] = float(np.nanmedian(stored.astype(np.float32)))
                    else:
                        found[k, position, t] *= np.float32(edit.factor)
    return found


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        (100, 300, 1, 3),
        (150, 250, 1, 3),
        (151, 249, 2, 2),
        (130, 180, 1, 2),
        (149, 251, 1, 3),
        (151, 1050, 2, 11),
        (151, 1049, 2, 10),
        (0, 50, 0, 1),
    ],
)
def test_steps_covered_at_least_by_half(start, end, first, last):
    interval = Interval("chr1", start, end)
    if first == last:
        with pytest.raises(ConfigError, match="covers half of no 100 bp step"):
            SignalEdit(interval)
    else:
        assert SignalEdit(interval).steps == range(first, last)


@settings(max_examples=200, deadline=None)
@given(start=st.integers(0, 2_000), length=st.integers(50, 3_000))
def test_steps_are_those_a_count_of_bases_gives(start, length):
    covered = np.bincount(np.arange(start, start + length) // 100, minlength=60)
    expected = np.flatnonzero(covered >= 50)
    if len(expected):
        assert list(SignalEdit(Interval("chr1", start, start + length)).steps) == expected.tolist()
    else:
        with pytest.raises(ConfigError):
            SignalEdit(Interval("chr1", start, start + length))


@pytest.mark.parametrize("factor", [-0.1, float("nan"), float("inf"), 1e7])
def test_a_factor_is_a_number_from_0(factor):
    with pytest.raises(ConfigError, match="scaled by a number from 0"):
        SignalEdit(Interval("chr1", 0, 1000), factor=factor)


EDITS = st.builds(
    SignalEdit,
    st.builds(
        lambda chrom, start, length: Interval(chrom, start, start + length),
        st.sampled_from(["chr1", "chr2"]),
        st.integers(20_000, 170_000),
        st.integers(100, 30_000),
    ),
    st.sampled_from([(), ("ATAC",), ("DNase",), ("DNase", "ATAC")]),
    st.sampled_from([None, 0.0, 0.5, 2.0]),
)


@settings(max_examples=8, deadline=None)
@given(shared=st.lists(EDITS, max_size=3))
def test_one_list_for_all_windows(store, editor, shared):
    batch = windows(store, [5, 8], [5, 11])
    found = editor.edited(batch, shared)
    torch.testing.assert_close(found, step_by_step(store, batch, [shared] * 4), rtol=0, atol=0)


@settings(max_examples=8, deadline=None)
@given(lists=st.lists(st.lists(EDITS, max_size=2), min_size=4, max_size=4))
def test_a_list_for_each_window(store, editor, lists):
    batch = windows(store, [5, 8], [9, 8])
    found = editor.edited(batch, lists)
    torch.testing.assert_close(found, step_by_step(store, batch, lists), rtol=0, atol=0)


def test_edits_are_made_in_order(store, editor):
    batch = windows(store, [5], [5])
    here = Interval("chr1", 40_000, 41_000)
    background = torch.from_numpy(editor.background("chr1"))
    known = batch.track_mask[1, 200:210]  # the window starts at bin 2: 20 kb, 200 steps before the edit
    later = editor.edited(batch, [SignalEdit(here), SignalEdit(here, factor=3.0)])[1, 200:210]
    last = editor.edited(batch, [SignalEdit(here, factor=3.0), SignalEdit(here)])[1, 200:210]
    assert known.any()
    torch.testing.assert_close(later, background * 3 * known, rtol=0, atol=0)
    torch.testing.assert_close(last, background * known, rtol=0, atol=0)


def test_nothing_else_changes(store, editor):
    batch = windows(store, [5], [5])
    before = batch.tracks.clone()
    one = editor.edited(batch, [SignalEdit(Interval("chr1", 20_000, 80_000), factor=1.0)])
    away = editor.edited(batch, [SignalEdit(Interval("chr1", 80_000, 1_900_000))])
    none = editor.edited(batch, [])
    gone = editor.edited(batch, [SignalEdit(Interval("chr1", 0, 500_000), factor=0.0)])
    for same in (one, away, none, batch.tracks):
        assert torch.equal(same, before)
    assert torch.equal(gone[0], before[0])
    assert not gone[1].any()
    assert before[1].any()


def test_the_background_is_the_median_of_what_is_known(store, editor):
    stored = random_track("DNase", 2).values["chr2"]
    assert editor.background("chr2")[1] == pytest.approx(np.nanmedian(stored), rel=1e-3)
    assert editor.background("chr1").dtype == np.float32


def test_an_edit_takes_hold_where_there_is_data(store, editor):
    batch = windows(store, [5], [5])
    steps = np.isnan(store.track("ATAC", "chr1").mean[:1000].astype(np.float32))
    empty = 300 + int(np.flatnonzero(steps[300:])[0])
    here = Interval("chr1", empty * 100, empty * 100 + 100)
    away = SignalEdit(Interval("chr1", 100_000, 110_000))
    assert editor.take_hold(batch, [away]).tolist() == [False, False]
    assert editor.take_hold(batch, [SignalEdit(here, ("ATAC",))]).tolist() == [False, False]
    wider = SignalEdit(Interval("chr1", here.start, here.end + 1000), ("ATAC",), 1.0)
    assert editor.take_hold(batch, [away, wider]).tolist() == [False, True]
    assert editor.take_hold(batch, []).tolist() == [False, False]


def test_a_track_without_data_stays_without(tmp_path, monkeypatch):
    nothing = random_track("DNase", 2)
    nothing.values["chr1"][:] = np.nan
    store = build_fake(monkeypatch, tmp_path / "a.store", None, [random_track("ATAC", 1), nothing])
    editor = SignalEditor(store, TRACKS, ("chr2", "chr1"), RESOLUTION)
    batch = windows(store, [5], [5])
    found = editor.edited(batch, [SignalEdit(Interval("chr1", 0, 100_000))])
    assert not found[1, :, 1].any()
    assert found.isfinite().all()


def test_signal_along_a_region(store, editor):
    region = Interval("chr1", 40_050, 60_001)
    edits = [SignalEdit(Interval("chr1", 50_000, 51_000), ("ATAC",), 2.0)]
    found = editor.along(region, edits)
    stored = np.asarray(store.track("ATAC", "chr1").mean[400:601], np.float32)
    assert found.before.shape == found.after.shape == (201, 2)
    np.testing.assert_array_equal(found.before[:, 0], stored)
    expected = stored.copy()
    expected[100:110] *= 2
    np.testing.assert_array_equal(found.after[:, 0], expected)
    np.testing.assert_array_equal(found.after[:, 1], found.before[:, 1])
    assert np.isnan(found.after).any()


def test_what_does_not_fit_is_refused(store, editor):
    batch = windows(store, [5], [5])
    here = Interval("chr1", 40_000, 41_000)
    with pytest.raises(DataError, match="is of the track CAGE; the windows have ATAC, DNase"):
        editor.edited(batch, [SignalEdit(here, ("CAGE",))])
    with pytest.raises(DataError, match="3 lists of edits for 2 windows"):
        editor.edited(batch, [[SignalEdit(here)]] * 3)


def test_an_edit_says_what_it_does():
    here = Interval("chr1", 40_000, 41_000)
    assert str(SignalEdit(here)) == "chr1:40,000-41,000 deleted"
    assert str(SignalEdit(here, ("ATAC",), 0.5)) == "chr1:40,000-41,000 times 0.5 (ATAC)"
