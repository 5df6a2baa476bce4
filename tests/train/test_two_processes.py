"""A training on two processes ends where it ends on one."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from tests.conftest import ROOT, free_port


def trained(out: Path, processes: int) -> dict[str, torch.Tensor]:
    """The weights of tests/train/small_training.py after its steps on one or two processes."""
    several = (
        ["--multi_gpu"] if processes > 1 else []
    )  # what accelerate calls it on processors, too
    command = [
        *(
            sys.executable,
            "-m",
            "accelerate.commands.launch",
            *several,
            "--num_processes",
            str(processes),
        ),
        *("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"),
        *("--main_process_port", str(free_port()), "-m", "tests.train.small_training", str(out)),
    ]
    env = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{processes} processes" in done.stdout
    found: dict[str, torch.Tensor] = torch.load(out, weights_only=True)
    return found


def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    """Each takes half of every batch and gradients are averaged: equal but for rounding."""
    alone, together = trained(tmp_path / "one.pt", 1), trained(tmp_path / "two.pt", 2)
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, rtol=1e-4, atol=1e-5)
