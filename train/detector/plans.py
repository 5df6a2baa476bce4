"""The hyper-parameters of the digit detector's training."""

from dataclasses import dataclass

ARCHITECTURE = "yolo11n.yaml"
# gains of the three parts of the loss: ultralytics' defaults
GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}


@dataclass(frozen=True)
class Plan:
    """What one training does. The defaults are those of the shipped weights."""

    # 23 minutes on two cores; the validation curve is still rising slowly (LOG.md)
    steps: int = 1900
    minutes: float | None = None  # instead of the steps
    batch: int = 16  # scenes a step
    lr: float = 2e-3  # ultralytics' rule for AdamW and ten classes, rounded
    ema: float = 0.999
    size: int = 320  # px, in training and in use
    # share of the training with smaller scenes, which cost 0.4 times as much
    small_until: float = 0.6
    small: float = 0.6  # their size, relative to `size`
    n_val: int = 300  # validation scenes
    n_test: int = 2000  # test scenes

    def size_at(self, share: float) -> int:
        """px of the scenes when `share` of the training is done, a multiple of 32."""
        if share >= self.small_until:
            return self.size
        return 32 * round(self.small * self.size / 32)


SMOKE = Plan(steps=3, batch=2, size=96, n_val=4, n_test=20)
