"""Train the feature extractor behind the Fréchet distance of generated digits.

    python -m train.feature_extractor    the textbook's network on MNIST

Writes weights/feature_extractor.safetensors and its card. The network is used for nothing else: no
generator is trained or chosen with it. Two minutes of two cores.
"""

from collections.abc import Sequence
from pathlib import Path

from tasks.classification.digits import DigitClassifier
from tasks.core import weights
from train import data, digits, options, report
from train.common import synthetic
from train.digit_measures import test_accuracy
from train.loop import Fit


def export(
    done: Fit, n_train: int, test: data.ImageSet, seed: int, folder: Path = weights.FOLDER
) -> weights.Card:
    """Measure on the test digits, write weights and card."""
    held_out = data.n_held_out(n_train)
    accuracy = round(test_accuracy(digits.classifier_of(done.network), test), 2)
    card = weights.Card(
        name="feature_extractor",
        task="evaluation",
        title="Digit feature extractor",
        architecture="two convolutions with max pooling, a dense layer of 128 (the features) and "
        "one of 10",
        parameters=report.n_parameters(done.network),
        config={},
        preprocess={"size": 28, "range": [0, 1], "ink": "bright on black"},
        classes=list(DigitClassifier.LABELS),
        metrics=[weights.Metric("accuracy", accuracy, "%", "test", len(test), "one seed")],
        data=report.about_data(
            test,
            f"{n_train - held_out:,} digits to train on",
            f"{held_out:,} for the curve; {len(test):,} test digits",
        ),
        training=report.about_training("python -m train.feature_extractor", seed, done.minutes),
        paper="Heusel et al. 2017, arXiv 1706.08500, for the distance of its features",
        limits="Measures generators; the digit classifier of the Classification tab is another "
        "network.",
        curve=done.curve,
        test_reads="once, at export",
    )
    return weights.save(done.network, card, folder)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options.training(__doc__, "MNIST/raw", seed=7, export=True)
    args = options.parse(parser, arguments)
    if args.smoke:
        train_set, test = synthetic.clock_hands(1200), synthetic.clock_hands(200, seed=1)
    else:
        train_set, test = data.mnist(args.data, train=True), data.mnist(args.data, train=False)
    run = args.runs / "feature_extractor"
    done = digits.train_textbook(args.seed, train_set, run, args.resume, args.minutes)
    if args.export:
        print(export(done, len(train_set), test, args.seed, args.out).headline)


if __name__ == "__main__":
    main()
