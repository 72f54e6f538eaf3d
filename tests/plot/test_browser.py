import numpy as np
import pandas as pd
import pytest

from chromweave.errors import DataError
from chromweave.plot.browser import browser_figure
from chromweave.plot.style import image_bytes
from chromweave.plot.tracks import SignalTrack


@pytest.fixture
def along(region):
    starts = np.arange(region.start, region.end, 10_000)
    base = pd.DataFrame({"chrom": "chr22", "start": starts, "end": starts + 10_000})
    rng = np.random.default_rng(0)
    return {
        "tracks": [
            SignalTrack("ATAC", rng.gamma(1, 1, 4000), region.start, 100),
            SignalTrack("CTCF", np.full(4000, np.nan), region.start, 100, "RPGC"),
        ],
        "compartments": base.assign(compartment=np.where(np.arange(40) < 20, "A", "B")),
        "insulation": base.assign(log2_insulation_score=rng.normal(size=40), is_boundary=np.arange(40) == 9),
        "calls": pd.DataFrame(
            {
                "chrom1": ["chr22"],
                "start1": [20_050_000],
                "end1": [20_060_000],
                "chrom2": ["chr22"],
                "start2": [20_200_000],
                "end2": [20_210_000],
            }
        ),
    }


def test_every_panel_shares_the_genomic_axis(contacts, region, along, texts):
    figure = browser_figure(contacts, region, 10_000, unit="contacts", **along)
    top, bar, *below = figure.axes
    assert [ax.get_ylabel() for ax in below] == ["A/B", "insulation\n(log2)", "ATAC", "CTCF\n(RPGC)"]
    assert all(ax.get_xlim() == (region.start, region.end) for ax in (top, *below))
    assert bar.get_ylabel() == "contacts"
    assert texts(figure).count("chr22 (Mb)") == 1
    assert {"called loops", "no data", str(region)} <= set(texts(figure))


def test_panels_stand_exactly_under_the_map(contacts, region, along):
    figure = browser_figure(contacts, region, 10_000, **along)
    figure.draw_without_rendering()
    top, _, *below = [ax.get_position() for ax in figure.axes]
    for box in below:
        assert (box.x0, box.x1) == pytest.approx((top.x0, top.x1), abs=1e-6)


def test_the_map_alone(contacts, region, assert_legible):
    figure = browser_figure(contacts, region, 10_000, max_distance=100_000, title="K562")
    assert len(figure.axes) == 2
    assert figure.axes[0].get_ylim() == (0, 100_000)
    assert figure.axes[0].get_title("left") == "K562"
    assert figure.axes[0].get_xlabel() == "chr22 (Mb)"
    assert_legible(figure)


def test_browser_is_legible(contacts, region, along, assert_legible):
    assert_legible(browser_figure(contacts, region, 10_000, truth=along["calls"], **along))


def test_no_loops_and_no_contacts(region, along):
    along["calls"] = along["calls"].iloc[:0]
    assert image_bytes(browser_figure(np.full((40, 40), np.nan), region, 10_000, **along))


def test_a_map_of_another_region_is_refused(region):
    with pytest.raises(DataError, match="cut both from the same region"):
        browser_figure(np.ones((3, 3)), region, 10_000)


@pytest.mark.real_data
def test_a_real_map_is_legible(real_data, assert_legible):
    import hictkpy

    from chromweave.genome import Interval

    where = Interval("chr22", 30_000_000, 33_000_000)
    file = hictkpy.File(f"{real_data}/k562_chr22_hg38/K562.chr22.mcool::/resolutions/10000")
    matrix = file.fetch("chr22:30,000,000-33,000,000").to_numpy().astype(float)
    figure = browser_figure(matrix, where, 10_000, max_distance=1_500_000, unit="contacts (raw)")
    low, high = figure.axes[0].collections[0].get_clim()
    assert low == 0.5  # the smallest count above zero, halved, so that one contact is told from none
    assert 100 < high <= matrix.max()
    assert_legible(figure)
