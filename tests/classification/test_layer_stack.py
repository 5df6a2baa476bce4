"""tasks/networks/layer_stack.py: what can be written, what it builds, what is refused."""

import pytest
import torch

from tasks.classification.digit_training import CNN, MLP
from tasks.networks.digit_cnn import TextbookCNN
from tasks.networks.layer_stack import LayerStack


@pytest.mark.parametrize(
    "layers", [CNN, MLP, "conv 8", "pool", "CONV 4 , pool,, dense 3", "dense 1"]
)
def test_gives_ten_logits(layers: str) -> None:
    network = LayerStack(layers)
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_the_cnn_is_the_textbooks() -> None:
    """The same layers: with the same weights, the same logits."""
    ours, textbook = LayerStack(CNN), TextbookCNN()
    tensors = textbook.state_dict().values()
    ours.load_state_dict(dict(zip(ours.state_dict(), tensors, strict=True)))
    x = torch.rand(3, 1, 28, 28)
    assert torch.allclose(ours(x), textbook(x), atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ("", "1 to 8 layers"),
        (", ,", "1 to 8 layers"),
        ("pool," * 9, "1 to 8 layers"),
        ("conv", "'conv' is no layer"),
        ("conv 0", "'conv 0' is no layer"),
        ("conv 65", "1 to 64 channels"),
        ("dense 99999999999999999999", "1 to 512 units"),
        ("conv ²", "no layer"),
        ("pool 2", "'pool 2' is no layer"),
        ("lstm 5", "'lstm 5' is no layer"),
        ("<img src=x>", "no layer"),
        ("dense 10, conv 5", "dense layers come last"),
        ("dense 10, pool", "dense layers come last"),
        ("pool, pool, pool, pool, pool", "px left"),
        ("pool, pool, pool, pool, conv 3", "px left"),
        ("conv 64, dense 512", "parameters"),
        ("conv 64, conv 64, pool, pool", "multiplications"),
    ],
)
def test_refused_with_a_sentence(layers: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LayerStack(layers)
