"""Train the recogniser by whose features made digits are compared with real ones; it is used for nothing else.

    python -m train.recogniser    the textbook's network on MNIST, weights/recogniser.safetensors and its card

It trains no generator and judges no label, so what it sees is nobody's aim. Two minutes of two cores.
"""

from collections.abc import Sequence
from pathlib import Path

from tasks import weights
from tasks.classification import DigitClassifier
from train import data, digits, options, report
from train.digit_measures import test_accuracy


def ship(train_set: data.ImageSet, test: data.ImageSet, seed: int, runs: Path, resume: bool, out: Path) -> weights.Card:
    done = digits.train_textbook(seed, train_set, runs, resume)
    held_out = min(digits.HELD_OUT, len(train_set) // 5)
    accuracy = test_accuracy(DigitClassifier(done.network, digits.blank_card(angles=[0])), test)
    card = weights.Card(
        name="recogniser",
        task="measuring",
        title="Digit recogniser for measuring",
        architecture="two convolutions with max pooling, a dense layer of 128 (the features) and one of 10",
        parameters=sum(p.numel() for p in done.network.parameters()),
        config={},
        preprocess={"size": 28, "range": [0, 1], "ink": "bright on black"},
        classes=list(DigitClassifier.LABELS),
        metrics=[weights.Metric("accuracy", round(accuracy, 2), "%", "test", len(test), "one seed")],
        data=report.about_data(
            test,
            f"{len(train_set) - held_out:,} digits to train on",
            f"{held_out:,} for the curve; {len(test):,} test digits",
        ),
        training=report.about_training(
            "python -m train.recogniser",
            seed,
            done.minutes,
        ),
        paper="Heusel et al. 2017 (arXiv 1706.08500) for the distance that is taken of its features",
        limits="Measures generators; the digit reader of the Classification tab is another network.",
        curve=done.curve,
    )
    return weights.save(done.network, card, out)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options.training(__doc__, "MNIST/raw", seed=7, ship=False)
    args = options.parse(parser, arguments)
    if args.smoke:
        train_set, test = digits.synthetic(1200), digits.synthetic(200, seed=1)
    else:
        train_set, test = data.mnist(args.data, train=True), data.mnist(args.data, train=False)
    print(ship(train_set, test, args.seed, args.runs / "recogniser", args.resume, args.out).headline)


if __name__ == "__main__":
    main()
