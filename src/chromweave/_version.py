"""The package's version, apart so that neither set-up nor provenance imports anything else."""

__version__ = "0.1.0"
