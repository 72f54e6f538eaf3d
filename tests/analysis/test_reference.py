import logging

from chromweave.analysis.reference import cooltools_module


def test_importing_cooltools_leaves_the_root_logger_alone():
    before = list(logging.getLogger().handlers), logging.getLogger().level
    module = cooltools_module("api.insulation")
    assert callable(module.insul_diamond)
    assert (list(logging.getLogger().handlers), logging.getLogger().level) == before
