"""What is made once stays, what was begun goes on, what was made otherwise is refused."""

import math

import pytest

from chromweave.errors import ConfigError, DataError
from chromweave.files import write_json
from chromweave.training.engine import FitConfig
from chromweave.workflows.experiment_steps import identity, once, plain, training_settings
from chromweave.workflows.foundation_settings import FinetuneConfig, LoadingConfig


class Maker:
    """Writes its target, counts, and fails as often as it is told."""

    def __init__(self, target, failures=0):
        self.target, self.failures, self.begun = target, failures, []

    def __call__(self, begun):
        self.begun.append(begun)
        if len(self.begun) <= self.failures:
            raise DataError("broken off")
        self.target.write_text("made")
        return {"calls": len(self.begun), "missing": math.nan}


def test_a_step_is_made_once_and_tells_the_same_again(tmp_path):
    make = Maker(tmp_path / "deep" / "thing")
    (tmp_path / "deep").mkdir()
    first = once(make.target, {"ratio": 0.1, "clip": math.inf}, make)
    assert first == {"calls": 1, "missing": None}
    assert once(make.target, {"ratio": 0.1, "clip": math.inf}, make) == first
    assert make.begun == [False]


def test_a_step_that_was_begun_is_told_so(tmp_path):
    make = Maker(tmp_path / "thing", failures=2)
    for _ in range(2):
        with pytest.raises(DataError):
            once(make.target, {}, make)
    once(make.target, {}, make)
    assert make.begun == [False, True, True]


def test_a_product_that_is_gone_is_made_again(tmp_path):
    make = Maker(tmp_path / "thing")
    once(make.target, {}, make)
    make.target.unlink()
    once(make.target, {}, make)
    assert make.begun == [False, True]


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"fit": {"epochs": 3, "rate": 1.0}, "store": "a" * 64}, r"fit\.epochs was 2, and is 3"),
        ({"fit": {"epochs": 2, "rate": math.inf}, "store": "a" * 64}, r"fit\.rate was 1\.0, and is inf"),
        ({"fit": {"epochs": 2, "rate": 1.0}, "store": "b" * 64}, "store has another content"),
        ({"fit": {"epochs": 2, "rate": 1.0}}, r"store was a+\.\.\., and is not set"),
    ],
)
def test_other_settings_are_refused_by_name(tmp_path, now, said):
    make = Maker(tmp_path / "thing")
    once(make.target, {"fit": {"epochs": 2, "rate": 1.0}, "store": "a" * 64}, make)
    with pytest.raises(ConfigError, match=f"thing: .*{said}.*--overwrite"):
        once(make.target, now, make)
    assert make.begun == [False]


def test_a_product_is_known_by_its_settings_and_an_input_by_its_content(tmp_path):
    make = Maker(tmp_path / "thing")
    once(make.target, {"ratio": (0.1, 0.2)}, make)
    assert identity(make.target) == {"ratio": [0.1, 0.2]}
    given = tmp_path / "given.parquet"
    given.write_text("a")
    known = identity(given)
    assert len(known) == 64
    given.write_text("b")
    assert identity(given) != known
    run = tmp_path / "run"
    run.mkdir()
    write_json(run / "run.json", {"seed": 1})
    assert len(identity(run)) == 64
    assert identity(None) is None
    with pytest.raises(DataError, match=r"none\.store: there is no such file, store or run"):
        identity(tmp_path / "none.store")


def test_only_settings_that_change_results_count():
    usual = FinetuneConfig()
    elsewhere = FinetuneConfig(
        fit=FitConfig(**{**vars(usual.fit), "accelerator": "gpu", "checkpoint_every": 7}),
        loading=LoadingConfig(workers=3),
    )
    assert training_settings(usual) == training_settings(elsewhere)
    longer = FinetuneConfig(fit=FitConfig(**{**vars(usual.fit), "epochs": 99}))
    assert training_settings(usual) != training_settings(longer)


def test_plain_values():
    assert plain({"a": (1, math.nan, -math.inf), 2: {"x": None}}) == {
        "a": [1, None, "-inf"],
        "2": {"x": None},
    }
