"""A part of one split: how many, which, and nothing else changed."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromweave.data.subsets import take_ratio
from chromweave.data.tables import read_windows, write_windows
from chromweave.errors import ConfigError
from chromweave.progress import Silent, reporting


def windows(train=40, positives=4, valid=5, test=3):
    """The first rows of the train split are loops."""
    split = ["train"] * train + ["valid"] * valid + ["test"] * test
    n = len(split)
    table = pd.DataFrame(
        {"chrom": "chr1", "x": np.arange(n) * 100, "y": np.arange(n) * 100, "label": 0.0, "split": split}
    ).assign(kind="loop")
    table.loc[: positives - 1, "label"] = 1.0
    table = table.sample(frac=1, random_state=0).reset_index(drop=True)  # splits mixed
    table.attrs = {
        "kind": "chromweave windows", "schema_version": 1, "resolution": 100, "window_bins": 10, "seed": 7,
    }  # fmt: skip
    return table


def of(table, split):
    return table[table["split"] == split].reset_index(drop=True)


@given(st.integers(1, 300), st.floats(0.001, 1), st.integers(0, 3), st.integers(0, 3))
def test_the_floor_of_the_part_without_replacement(train, ratio, seed, draw):
    table = windows(train, positives=0)
    if int(train * ratio + 1e-9) == 0:
        with pytest.raises(ConfigError, match=rf"of {train} windows of the train split is less than one"):
            take_ratio(table, ratio, seed=seed, draw=draw)
        return
    part = take_ratio(table, ratio, seed=seed, draw=draw)
    taken = of(part, "train")
    assert len(taken) == np.floor(train * ratio + 1e-9)
    assert taken["x"].is_unique
    merged = table.merge(part, how="inner")
    assert merged["x"].tolist() == part["x"].tolist()  # rows as they were, in their order
    for split in ("valid", "test"):
        pd.testing.assert_frame_equal(of(part, split), of(table, split))


@pytest.mark.parametrize(("train", "ratio", "rows"), [(100, 0.29, 29), (30, 0.1, 3), (19, 0.1, 1), (7, 1, 7)])
def test_floors_by_hand(train, ratio, rows):
    assert len(of(take_ratio(windows(train, 0), ratio, seed=0), "train")) == rows


def test_draws_differ_and_repeat_and_are_nested():
    table = windows(200, 0)

    def drawn(ratio, **options):
        return set(of(take_ratio(table, ratio, **options), "train")["x"])

    assert drawn(0.1, seed=1) == drawn(0.1, seed=1, draw=0)
    others = [drawn(0.1, seed=1, draw=1), drawn(0.1, seed=2), drawn(0.1, seed=2, draw=1)]
    assert all(one != drawn(0.1, seed=1) for one in others)
    assert drawn(0.1, seed=1) < drawn(0.2, seed=1) < drawn(1, seed=1)


def test_every_row_is_as_likely():
    table = windows(20, 0)
    seen = np.zeros(20)
    for draw in range(2000):
        seen[of(take_ratio(table, 0.25, seed=0, draw=draw), "train")["x"] // 100] += 1
    # 500 expected with a deviation of 19; six of those.
    assert abs(seen - 500).max() < 6 * np.sqrt(2000 * 0.25 * 0.75)


def test_each_label_has_its_part():
    part = of(take_ratio(windows(40, 4), 0.25, seed=0, stratified=True), "train")
    assert part["label"].value_counts().to_dict() == {0.0: 9, 1.0: 1}
    few = of(take_ratio(windows(40, 4), 0.01, seed=0, stratified=True), "train")
    assert few["label"].value_counts().to_dict() == {0.0: 1, 1.0: 1}
    unlabelled = windows(40, 0).assign(label=np.nan)
    assert len(of(take_ratio(unlabelled, 0.25, seed=0, stratified=True), "train")) == 10


class Heard(Silent):
    def __init__(self):
        self.messages = []

    def notify(self, message):
        self.messages.append(message)


def test_a_label_that_is_lost_is_said():
    heard = Heard()
    with reporting(heard):
        take_ratio(windows(40, 20), 0.5, seed=0)
        assert heard.messages == []
        lost = take_ratio(windows(40, 1), 0.025, seed=0)
    assert set(of(lost, "train")["label"]) == {0.0}
    assert heard.messages == ["no window with the label 1 was drawn; a stratified draw takes some of each"]


def test_whole_copies_fill_an_epoch_and_are_kept_on_disk(tmp_path):
    table = windows(40, 4)
    part = take_ratio(table, 0.1, seed=3, draw=2, least_rows=10)
    counts = of(part, "train")["x"].value_counts()
    assert counts.tolist() == [3, 3, 3, 3]
    assert set(counts.index) == set(of(take_ratio(table, 0.1, seed=3, draw=2), "train")["x"])
    assert len(of(part, "valid")) == 5
    assert len(of(take_ratio(table, 0.1, seed=3, least_rows=4), "train")) == 4
    assert {key: part.attrs[key] for key in table.attrs} == table.attrs
    assert part.attrs["subset"] == {
        "split": "train", "ratio": 0.1, "seed": 3, "draw": 2, "stratified": False,
        "of": 40, "taken": 4, "copies": 3,
    }  # fmt: skip
    write_windows(tmp_path / "few.parquet", part)
    again = read_windows(tmp_path / "few.parquet", splits=("train", "valid", "test"))
    pd.testing.assert_frame_equal(again, part)
    assert again.attrs == part.attrs
    assert "subset" not in table.attrs


def test_another_split():
    part = take_ratio(windows(), 0.4, seed=0, split="valid")
    assert [len(of(part, split)) for split in ("train", "valid", "test")] == [40, 2, 3]


def test_what_is_refused():
    table = windows()
    for ratio in (0, -0.1, 1.1, float("nan")):
        with pytest.raises(ConfigError, match="above 0 and is at most 1"):
            take_ratio(table, ratio, seed=0)
    with pytest.raises(ConfigError, match="not 'tests'"):
        take_ratio(table, 0.5, seed=0, split="tests")
    with pytest.raises(ConfigError, match="least_rows"):
        take_ratio(table, 0.5, seed=0, least_rows=-1)
    with pytest.raises(ConfigError, match=r"0.5 of 0 windows of the train split"):
        take_ratio(table[table["split"] != "train"], 0.5, seed=0)
    with pytest.raises(ConfigError, match=r"0.5 of 0 windows of the train split"):
        take_ratio(table[table["split"] != "train"], 0.5, seed=0, stratified=True)
    with pytest.raises(ConfigError, match=r"0.01 of 40 windows of the train split is less than one"):
        take_ratio(table, 0.01, seed=0)
