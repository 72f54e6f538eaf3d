"""Transforms worked out by hand."""

import numpy as np
import pytest
import torch

from chromweave.config import from_mapping, to_mapping
from chromweave.data.transforms import WindowTransform
from chromweave.errors import ConfigError


def test_contacts():
    values = torch.tensor([[0.0, 51], [255, 1000]])
    clipped = WindowTransform().of_contacts(values)
    np.testing.assert_allclose(clipped, [[0, 0.2], [1, 1]])
    assert clipped.dtype == torch.float32
    assert values[1, 1] == 1000  # the caller's tensor is left alone
    logs = WindowTransform(contacts="log1p", clip=99).of_contacts(values)
    np.testing.assert_allclose(logs, np.log([[1, 52], [100, 100]]) / np.log(100), rtol=1e-6)


def test_standardised_windows_have_mean_0_and_deviation_1_over_known_entries():
    maps = torch.tensor([[[0.0, 1], [3, 7]], [[5, 5], [5, 5]]])
    mask = torch.tensor([[[True, True], [True, False]], [[True, True], [True, True]]])
    found = WindowTransform(contacts="standard").of_contacts(maps, mask)
    logs = np.log([1, 2, 4])
    expected = (logs - logs.mean()) / logs.std()
    np.testing.assert_allclose(found[0].ravel(), [*expected, 0], rtol=1e-5)
    np.testing.assert_array_equal(found[1], 0)  # a flat window says nothing
    assert found.dtype == torch.float32
    assert maps[0, 1, 1] == 7
    unmasked = WindowTransform(contacts="standard").of_contacts(maps)
    np.testing.assert_allclose([unmasked[0].mean(), unmasked[0].std(correction=0)], [0, 1], atol=1e-6)


def test_signal():
    values = torch.tensor([[0.0], [1], [3], [-2]])
    np.testing.assert_allclose(WindowTransform().of_signal(values)[:, 0], [0, 1, 2, 0])
    np.testing.assert_array_equal(WindowTransform(signal="raw").of_signal(values)[:, 0], [0, 1, 3, -2])
    assert values[3] == -2


def test_it_travels_as_a_config():
    transform = WindowTransform(
        ("ATAC", "DNase"), weight="KR", clip=100.0, augmentations=("swap", "thin"), thin_least=0.5
    )
    assert from_mapping(WindowTransform, to_mapping(transform)) == transform
    with pytest.raises(ConfigError, match="unknown key 'clipping'"):
        from_mapping(WindowTransform, {"clipping": 3})
    with pytest.raises(ConfigError, match="must be one of"):
        from_mapping(WindowTransform, {"signal": "log10"})
    with pytest.raises(ConfigError, match="must be one of"):
        from_mapping(WindowTransform, {"augmentations": ["turn"]})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"clip": 0}, "clip must be"),
        ({"tracks": ("ATAC", "ATAC")}, "track is named twice"),
        ({"augmentations": ("flip", "flip")}, "augmentation is named twice"),
        ({"jitter_bins": -1}, "jitter_bins"),
        ({"thin_least": 0.0}, "thin_least"),
        ({"thin_least": 1.1}, "thin_least"),
    ],
)
def test_what_makes_no_sense(wrong, message):
    with pytest.raises(ConfigError, match=message):
        WindowTransform(**wrong)


def test_contacts_over_expected_ones():
    """Entry (a, b) belongs to diagonal b - a + bins - 1; log((value + 1) / (expected + 1)) by hand."""
    transform = WindowTransform(contacts="observed_expected")
    maps = torch.tensor([[[3.0, 7.0], [1.0, 0.0]]])
    expected = torch.tensor([[1.0, 3.0, 0.0]])  # lower left, main diagonal, upper right
    found = transform.of_contacts(maps, torch.tensor([[[True, True], [True, False]]]), expected)
    wanted = torch.tensor([[[0.0, 8.0], [1.0, 1.0]]])
    wanted[0] = torch.log(torch.tensor([[4 / 4, 8 / 1], [2 / 2, 1.0]]))
    torch.testing.assert_close(found, wanted)
    with pytest.raises(ConfigError, match="need the expected ones"):
        transform.of_contacts(maps)
