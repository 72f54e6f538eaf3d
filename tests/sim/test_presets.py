import pytest

from chromweave.errors import ConfigError
from chromweave.sim.presets import PRESETS, Preset


def test_unknown_preset_lists_the_choices():
    with pytest.raises(ConfigError, match=r"no preset 'huge'; choose from tiny, small, chromosome"):
        Preset.named("huge")


def test_chromosome_preset_is_of_the_size_of_chr1():
    assert dict(Preset.named("chromosome").chromosomes) == {"chr1": 248_956_422}


@pytest.mark.parametrize("preset", PRESETS.values(), ids=str)
def test_coarser_maps_are_sums_of_the_finest(preset):
    assert preset.resolutions[0] == 5_000
    assert all(resolution % 5_000 == 0 for resolution in preset.resolutions)
    assert preset.near % 5_000 == 0


def test_last_bins_are_short():
    for length in Preset.named("tiny").chromosomes.values():
        assert length % 5_000
