"""What is shown, to people and to programs."""

import json

import pytest

from chromweave.cli import terminal as terminals
from chromweave.cli.terminal import LineReporter, Terminal, duration


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (62.4, "1:02"), (3661, "1:01:01")])
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_plain_lines_have_rate_and_time_left(monkeypatch, capsys):
    clock = iter([0.0, 1.0, 20.0, 21.0, 22.0])
    monkeypatch.setattr(terminals.time, "monotonic", lambda: next(clock))
    assert list(LineReporter().track("abc", "reading", 3, "chromosome")) == ["a", "b", "c"]
    assert capsys.readouterr().err.splitlines() == [
        "reading: 2/3 chromosome, 0.1 chromosome/s, 0:10 left",
        "reading: done, 3 chromosome in 0:22",
    ]


def test_short_work_is_silent(capsys):
    list(LineReporter().track(range(3), "reading", 3, "it"))
    assert capsys.readouterr().err == ""


def test_results_for_people_and_programs(capsys):
    result = {"windows": 1234, "rate": 0.123456, "names": ["a", "b"], "verified": True, "split": {"train": 3}}
    Terminal().show(result)
    assert capsys.readouterr().out.splitlines() == [
        "windows   1,234",
        "rate      0.1235",
        "names     a, b",
        "verified  yes",
        "split     train 3",
    ]
    Terminal(as_json=True).show(result)
    assert json.loads(capsys.readouterr().out) == result


def test_errors_for_people_and_programs(capsys):
    Terminal(as_json=True).fail("StoreError", "x.store: is damaged.")
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"error": "x.store: is damaged.", "kind": "StoreError"}
    assert shown.err == "chromweave: error: x.store: is damaged.\n"


def test_quiet_has_no_news(capsys):
    Terminal(quiet=True).reporter().notify("news")
    assert capsys.readouterr().err == ""


def test_bars_pass_every_item_on():
    bars = terminals.BarReporter()
    nested = [
        (outer, inner)
        for outer in bars.track("ab", "outer", 2, "it")
        for inner in bars.track([1, 2], "inner", 2, "it")
    ]
    assert nested == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
