"""Dataclasses to and from TOML."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from chromweave import config
from chromweave.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    rate: float = 1e-3
    kind: Literal["adam", "sgd"] = "adam"


@dataclass(frozen=True)
class Outer:
    steps: int
    name: str | None = None
    widths: tuple[int, ...] = (1, 2)
    inner: Inner = field(default_factory=Inner)

    def __post_init__(self):
        if self.steps < 0:
            raise ValueError("steps must not be negative")


def test_round_trip(tmp_path):
    value = Outer(3, widths=(4, 5, 6), inner=Inner(0.5, "sgd"))
    config.save(value, tmp_path / "c.toml")
    assert config.load(Outer, tmp_path / "c.toml") == value


def test_what_cannot_be_unset_is_not_left_out():
    @dataclass(frozen=True)
    class Clip:
        norm: float | None = 1.0

    assert config.to_mapping(Clip(2.0)) == {"norm": 2.0}
    with pytest.raises(ConfigError, match=r"Clip\.norm cannot be unset"):
        config.to_mapping(Clip(None))


def test_integers_serve_as_floats():
    assert config.from_mapping(Outer, {"steps": 1, "inner": {"rate": 1}}).inner.rate == 1.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 1, "stpes": 2}, "unknown key 'stpes'; Outer has: steps, name, widths, inner"),
        ({}, "needs a value for steps"),
        ({"steps": "three"}, "steps must be int"),
        ({"steps": True}, "steps must be int"),
        ({"steps": 1, "inner": {"kind": "lion"}}, "must be one of 'adam', 'sgd'"),
        ({"steps": 1, "inner": {"momentum": 1}}, "unknown key 'momentum'"),
        ({"steps": 1, "widths": 3}, "widths must be a list"),
        ({"steps": -1}, "steps must not be negative"),
    ],
)
def test_refusals(values, message):
    with pytest.raises(ConfigError, match=message):
        config.from_mapping(Outer, values)


def test_files_that_are_no_config(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(Outer, tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("steps = ")
    with pytest.raises(ConfigError, match="not valid TOML"):
        config.load(Outer, tmp_path / "bad.toml")
