"""The graph system's verbs, in the order they are used.

``train`` on one cell line, ``finetune`` on another, ``encode`` them and others, lay them out with ``umap``,
``call_compartments``, ``read`` an encoding against annotations, and ``compare`` two.
"""

from .compartments import call_compartments
from .graph_comparison import CompareConfig, Comparison, compare
from .graph_encoding import encode, umap
from .graph_finetuning import finetune
from .graph_reading import ReadConfig, read
from .graph_training import KIND, GraphTrainConfig, GraphTrainResult, train

__all__ = [
    "KIND",
    "CompareConfig",
    "Comparison",
    "GraphTrainConfig",
    "GraphTrainResult",
    "ReadConfig",
    "call_compartments",
    "compare",
    "encode",
    "finetune",
    "read",
    "train",
    "umap",
]
