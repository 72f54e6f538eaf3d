"""The exception tree. Every message names what was found where, and what to do about it.

The command line turns any :class:`ChromweaveError` into one sentence and exit code 2.
"""

__all__ = [
    "AssemblyError",
    "BalancingError",
    "ChromosomeError",
    "ChromweaveError",
    "ConfigError",
    "DataError",
    "FileFormatError",
    "InterruptedTraining",
    "ModelError",
    "OutputError",
    "ResolutionError",
    "SchemaError",
    "StoreError",
    "TrainingError",
    "WeightError",
]


class ChromweaveError(Exception):
    """Anything a user can put right; never raised for a defect of the package."""


class ConfigError(ChromweaveError):
    """An unknown key, a value of the wrong type or out of range, or options that exclude each other."""


class OutputError(ChromweaveError):
    """The output cannot be written: it exists, its folder is missing or read-only, or the disk is full."""


class DataError(ChromweaveError):
    """An input is there but cannot be used."""


class FileFormatError(DataError):
    """A file is missing, truncated, corrupt, of another kind, or a directory where a file is meant."""


class SchemaError(DataError):
    """A table lacks a column, or holds values its schema does not allow."""


class AssemblyError(DataError):
    """Chromosome names or lengths do not belong to the assembly in use."""


class ChromosomeError(AssemblyError):
    """A chromosome asked for is not there."""


class ResolutionError(DataError):
    """A resolution asked for is not there."""


class WeightError(DataError):
    """A balancing vector asked for is not there, or its direction cannot be told."""


class BalancingError(DataError):
    """Matrix balancing did not converge."""


class StoreError(DataError):
    """A region store is damaged, unfinished or of an unknown version."""


class ModelError(DataError):
    """A model folder is damaged, or does not fit the data it is given."""


class TrainingError(ChromweaveError):
    """Training cannot go on: the loss or its gradient is no longer a number."""


class InterruptedTraining(ChromweaveError):
    """Training was asked to stop, has kept its state, and can go on from there.

    Parameters
    ----------
    message
        What happened, and how to go on.
    signal
        What asked for it: ``"SIGTERM"`` or ``"Ctrl-C"``.
    """

    def __init__(self, message: str, *, signal: str = "SIGTERM") -> None:
        super().__init__(message)
        self.signal = signal
