"""Named dimensions of the restated networks are checked while these tests run, like those of the models."""

from jaxtyping import install_import_hook

NETWORKS = (
    "sizes",
    "layers",
    "epiphany",
    "corigami",
    "epcot",
    "graphreg",
    "dloopcaller",
    "refhic",
    "networks",
)

install_import_hook([f"chromweave.baselines.{name}" for name in NETWORKS], "beartype.beartype")
