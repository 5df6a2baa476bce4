"""Record the run that Train one opens with: a real training of 14 seconds, and its answers.

    python -m docs.make_training_run

Writes tasks/classification/tab/train_example.json. Seconds are those of one thread's computing, so
that a busy machine records the same run as an idle one.
"""

import json
import time

import torch

from tasks import loaders
from tasks.classification import digit_training
from tasks.classification.digit_training import DigitTraining, Settings, about
from tasks.classification.tab import train
from tasks.core import device
from tasks.ui.widget import encode_base64

SECONDS = 14.0
DRAWN = 3, 11  # class and seed of the digit that stands in for a drawing


def main() -> None:
    torch.set_num_threads(1)
    settings = Settings()
    training = DigitTraining(settings, train.digit_source(), time.process_time)
    label, seed = DRAWN
    digit = loaders.gan_generator().generate(1, seed, label)[0]
    snapshots, answers = [], []
    for snapshot in training.steps():
        if snapshot:
            snapshots.append(snapshot)
            answers.append(train._rounded(training.classify(digit)))
        if training.seconds > SECONDS:
            break
    recorded = {
        "title": about(settings),
        "device": device.name(),
        "digit": encode_base64(digit),
        "snapshots": [train.snapshot_to_json(s) for s in snapshots],
        "answers": answers,
        "charts": train.charts([(about(settings), snapshots)]),
        "kept_aside": train.kept_aside_image(),
        "columns": train.COLUMNS,
        "n_kept_aside": digit_training.KEPT_ASIDE,
    }
    train.RECORDED.write_text(json.dumps(recorded) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
