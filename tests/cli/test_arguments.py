"""Text to values."""

import pytest

from chromweave.cli.arguments import named_files
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
