"""Text to values."""

import pytest

from chromweave.cli.arguments import cell_lines, named_files
from chromweave.errors import ConfigError


def test_named_files():
    assert named_files(["ATAC=a.bw", "DNase=b=c.bw"], "--track") == {"ATAC": "a.bw", "DNase": "b=c.bw"}
    assert named_files(None, "--track") == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [(["a.bw"], "write NAME=FILE"), (["A=x", "A=y"], "given twice"), (["=x"], "NAME=FILE")],
)
def test_refusals(values, message):
    with pytest.raises(ConfigError, match=message):
        named_files(values, "--track")


def test_one_cell_line_is_called_after_its_map():
    (line,) = cell_lines(
        ["data/K562.chr22.mcool::/resolutions/5000"], ["ATAC=a.bw", "DNase=d.bw"], ["l.bedpe"]
    )
    assert (line.name, line.contacts) == ("K562", "data/K562.chr22.mcool::/resolutions/5000")
    assert dict(line.tracks) == {"ATAC": "a.bw", "DNase": "d.bw"}
    assert line.loops == "l.bedpe"


def test_two_cell_lines_own_their_tracks():
    first, second = cell_lines(["A=a.mcool", "B=b.hic"], ["A:ATAC=a.bw", "B:ATAC=b.bw"], ["B=b.bedpe"])
    assert (first.name, dict(first.tracks), first.loops) == ("A", {"ATAC": "a.bw"}, None)
    assert (second.contacts, dict(second.tracks), second.loops) == ("b.hic", {"ATAC": "b.bw"}, "b.bedpe")


@pytest.mark.parametrize(
    ("contacts", "tracks", "message"),
    [
        (["A=a", "B=b", "C=c"], [], "one or two"),
        (["x/K.mcool", "y/K.mcool"], [], "name two maps apart"),
        (["A=a", "B=b"], ["ATAC=a.bw"], "say which cell line"),
        (["A=a", "B=b"], ["C:ATAC=a.bw"], "there are A, B"),
        (["A=a"], ["ATAC"], "write NAME=FILE.bw"),
    ],
)
def test_cell_lines_that_cannot_be_told(contacts, tracks, message):
    with pytest.raises(ConfigError, match=message):
        cell_lines(contacts, tracks, None)
