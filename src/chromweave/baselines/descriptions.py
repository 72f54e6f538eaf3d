"""What each restated method keeps of its paper, and what it adapts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import ConfigError

__all__ = ["Description", "describe"]


@dataclass(frozen=True)
class Description:
    """What a method has of the paper's.

    Attributes
    ----------
    kept
        As it is there.
    adapted
        Otherwise, since the input is one window of contacts and two segments of tracks.
    """

    kept: str
    adapted: str


_EPCOT = Description(
    "the convolutions of its encoder, each task's depth-wise convolution and trunk ({trunk}), and for "
    "contacts the mean, product and distance of a pair, and dilated 9 x 9 convolutions",
    "signal at 100 bp instead of sequence and accessibility at 1 bp, so smaller pools and one convolution "
    "less; no pre-training on epigenomic labels; both segments in one row of tokens{places}; a map is made "
    "symmetric only where both segments are the same",
)

_DESCRIPTIONS: Mapping[str, Description] = {
    "epiphany": Description(
        "a convolutional network shared by the bins' windows, recurrent layers both ways with residuals, a "
        "vector of contacts from each bin",
        "windows of 10 bins, max-pools of 2, 2 recurrent layers of 256 instead of 3 of 1200; a bin answers "
        "with its row or column, which are added, instead of a zig-zag stripe; no adversarial loss",
    ),
    "corigami": Description(
        "the signal encoder's residual blocks, 8 transformer layers, pairs of bins decoded by dilated "
        "residual convolutions",
        "no sequence branch; 6 blocks from 100 bp to bins instead of 12 from 1 bp; both segments in one row "
        "of tokens; a map is made symmetric where both segments are the same",
    ),
    "epcot-lstm": Description(
        _EPCOT.kept.format(trunk="recurrent layers both ways"), _EPCOT.adapted.format(places="")
    ),
    "epcot-transformer": Description(
        _EPCOT.kept.format(trunk="a transformer"),
        _EPCOT.adapted.format(places=", with sinusoidal places instead of relative ones"),
    ),
    "epi-cnn": Description(
        "three convolutions to 5 kb bins, 8 dilated ones with residuals, an exponential output",
        "a segment at a time; dilations begin anew where they would leave it; squared error of "
        "log2(1 + rate), which begins near 0, instead of a Poisson likelihood of windows of 6 Mb",
    ),
    "epi-graph": Description(
        "three convolutions to 5 kb bins, 2 layers of graph attention by sigmoids with 4 heads, an "
        "exponential output",
        "the graph of one window, between its two segments; an edge is a pixel more than a standard "
        "deviation above the mean of its diagonal instead of a contact that HiC-DC+ calls; squared error of "
        "log2(1 + rate), which begins near 0",
    ),
    "dloopcaller": Description(
        "two pictures, contacts and the product of both bins' accessibility, scaled by window; three "
        "convolutions, one hidden layer",
        "contacts as transformed for all models; windows and labels of the benchmark instead of its own "
        "negatives, chosen by held-out chromosomes",
    ),
    "refhic": Description(
        "one encoder of contacts and contacts over expected for study and references, attention from the "
        "study's code to theirs, the head",
        "other cell lines of the project are the panel; no contrastive pre-training, down-sampling or focal "
        "loss",
    ),
    "peakachu": Description(
        "the square of observed/expected around a pixel (its second version), the Gaussian of one bin, "
        "scaling by window, the forest, a grid of settings chosen by Matthews' coefficient",
        "a grid of two depths and two class weights instead of three each; folds are blocks of the genome "
        "instead of random windows; a missing entry stays missing instead of 0; loops are not moved to the "
        "brightest pixel nearby",
    ),
    "hicexplorer": Description(
        "observed/expected, a continuous negative binomial for each distance, its thresholds, one candidate "
        "for each neighbourhood, rank-sum tests of the peak against what lies around it",
        "masked bins are no part of anything instead of empty; balanced contacts on the scale of counts; the "
        "surroundings, which its paper leaves open, are HiCCUPS' four",
    ),
}


def describe(name: str) -> Description:
    """What is kept of the paper's network, and what is adapted.

    Raises
    ------
    ConfigError
        There is no such baseline.
    """
    if name not in _DESCRIPTIONS:
        raise ConfigError(f"no baseline {name!r}; there are {', '.join(_DESCRIPTIONS)}.")
    return _DESCRIPTIONS[name]
