"""What FitConfig refuses, and the learning rate worked out by hand."""

import pytest
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

from chromweave.errors import ConfigError
from chromweave.training import settings
from chromweave.training.settings import FitConfig, check_surroundings, rate_factor


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"patience": 0}, "patience must be at least 1"),
        ({"accumulate": 0}, "accumulate must be at least 1"),
        ({"checkpoint_every": 0}, "checkpoint_every must be at least 1"),
        ({"devices": 0}, "devices must be at least 1"),
        ({"nodes": -1}, "nodes must be at least 1"),
        ({"learning_rate": 0.0}, "must be positive"),
        ({"weight_decay": -1.0}, "not negative"),
        ({"warmup_steps": -1}, "warmup_steps must not be negative"),
        ({"gradient_clip": 0.0}, "gradient_clip must be positive"),
        ({"final_rate": 1.5}, r"final_rate must lie in \[0, 1\]"),
        ({"ema": 1.0}, "ema must lie between 0 and 1"),
        ({"schedule": "step"}, "schedule must be one of constant, cosine"),
        ({"precision": "16-mixed"}, "precision must be one of 32-true, bf16-mixed"),
        ({"strategy": "dp"}, "strategy must be one of auto, ddp, fsdp"),
        ({"batch_size": 30, "devices": 4, "nodes": 2}, "devices x nodes = 8 processes; make it a multiple"),
        ({"strategy": "fsdp"}, "ask for more devices"),
        ({"strategy": "fsdp", "devices": 2, "ema": 0.9}, "cannot be averaged"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        FitConfig(**changes)


def test_processes():
    assert FitConfig().processes == 1
    assert FitConfig(devices=4, nodes=2).processes == 8


def test_the_rate_rises_and_stays():
    config = FitConfig(warmup_steps=3)
    assert [rate_factor(config, step, 8) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


def test_the_rate_falls_along_half_a_cosine_to_the_last_step():
    config = FitConfig(warmup_steps=1, schedule="cosine", final_rate=0.2)
    found = [rate_factor(config, step, 6) for step in range(8)]
    # half-way between 1 and 0.2 at half the way from step 1 to step 5
    lower = 0.2 + 0.8 * (1 - 2**-0.5) / 2
    assert found == pytest.approx([0.5, 1, 1.2 - lower, 0.6, lower, 0.2, 0.2, 0.2])
    assert rate_factor(FitConfig(schedule="cosine"), 0, 1) == 1


def test_torchrun_and_the_settings_must_agree(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "4")
    check_surroundings(FitConfig(devices=2, nodes=2))
    with pytest.raises(ConfigError, match="torchrun started 4 processes, but devices x nodes is 1 x 1"):
        check_surroundings(FitConfig())


SRUN = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "2"}


@pytest.fixture
def srun(monkeypatch):
    """Puts what SLURM would say into the environment; None takes it out."""

    def say(**values):
        names = (*SRUN, "SLURM_JOB_NAME", "TORCHELASTIC_RUN_ID", "WORLD_SIZE")
        for name, value in (dict.fromkeys(names) | SRUN | values).items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)

    return say


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": None}, "--nodes=2 --ntasks=1"),
        ({"SLURM_NTASKS": "3"}, "--nodes=2 --ntasks=3 --ntasks-per-node=2"),
        ({"SLURM_NNODES": "1"}, "--nodes=1 --ntasks=4 --ntasks-per-node=2"),
        ({"SLURM_NTASKS_PER_NODE": "4"}, "--nodes=2 --ntasks=4 --ntasks-per-node=4"),
        ({"SLURM_NTASKS_PER_NODE": None}, "--nodes=2 --ntasks=4"),  # Lightning's own refusal
    ],
)
def test_srun_and_the_settings_must_agree(srun, said, told):
    srun(**said)
    assert SLURMEnvironment.detect()
    with pytest.raises(ConfigError) as caught:
        check_surroundings(FitConfig(devices=2, nodes=2))
    assert str(caught.value) == (
        f"srun was told {told}, but devices x nodes is 2 x 2; say the same to both: srun --nodes=2 "
        "--ntasks-per-node=2, without --ntasks."
    )


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"SLURM_NNODES": None},
        {"SLURM_NTASKS": None},  # no tasks: Lightning starts the processes
        {"SLURM_NTASKS": "1", "SLURM_JOB_NAME": "bash"},
        {"SLURM_NTASKS": "1", "SLURM_JOB_NAME": "interactive"},
        {"SLURM_NTASKS": "2", "TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4"},  # one torchrun a machine
    ],
)
def test_srun_is_not_asked_where_it_fits_or_lightning_would_not(srun, said):
    srun(**said)
    check_surroundings(FitConfig(devices=2, nodes=2))


def test_one_process_is_alone_whatever_srun_started(srun):
    srun()
    check_surroundings(FitConfig())


def test_tensorboard_has_to_be_there(monkeypatch):
    monkeypatch.setattr(settings, "find_spec", lambda name: None)
    check_surroundings(FitConfig())
    with pytest.raises(ConfigError, match=r"pip install 'chromweave\[tensorboard\]'"):
        check_surroundings(FitConfig(tensorboard=True))
