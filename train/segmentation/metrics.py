"""Loss and metrics of segmentation: Lovasz-softmax; intersection over union of a data set."""

import torch
import torch.nn.functional as F
from torch import Tensor

from train.segmentation.data import VOID


def lovasz_softmax(probabilities: Tensor, labels: Tensor) -> Tensor:
    """A smooth surrogate of 1 - mean IoU.

    Berman, Triki, Blaschko 2018, arXiv 1705.08790, eqs. 8 and 9.

    Args:
        probabilities: float (P, C) of P pixels.
        labels: int64 (P,); VOID is ignored.
    Returns:
        The mean over the classes of the pixels; 0 where there is no labelled pixel.
    """
    probabilities, labels = probabilities[labels != VOID], labels[labels != VOID]
    truth = F.one_hot(labels, probabilities.shape[1]).T.to(probabilities.dtype)  # (C, P)
    present = truth.sum(1) > 0
    if not present.any():
        return probabilities.sum() * 0
    truth = truth[present]
    errors, order = (truth - probabilities.T[present]).abs().sort(1, descending=True)
    return (errors * _lovasz_gradient(truth.gather(1, order))).sum(1).mean()


def _lovasz_gradient(truth: Tensor) -> Tensor:
    """Growth of the Jaccard loss with each wrong pixel, (C, P), in order of falling error."""
    total = truth.sum(1, keepdim=True)
    intersection = total - truth.cumsum(1)
    union = total + (1 - truth).cumsum(1)
    jaccard = 1 - intersection / union
    return torch.diff(jaccard, dim=1, prepend=torch.zeros_like(total))


def class_weights(frequencies: Tensor) -> Tensor:
    """1 / log(1.1 + p) of each class's share p of the pixels, their mean 1; (C,).

    After ENet, arXiv 1606.02147.
    """
    weights = 1 / torch.log(1.1 + frequencies)
    return (weights / weights.mean()).float()


def confusion(labels: Tensor, predictions: Tensor, n: int) -> Tensor:
    """Pixels [true class][predicted class], int64 (n, n), without VOID."""
    known = labels != VOID
    return torch.bincount(
        labels[known].long() * n + predictions[known].long(), minlength=n * n
    ).reshape(n, n)


def iou(matrix: Tensor) -> Tensor:
    """IoU of each class, float64 (n,); NaN for a class that is neither there nor predicted."""
    m = matrix.double()
    both = m.diagonal()
    return both / (m.sum(0) + m.sum(1) - both)


def mean_iou(matrix: Tensor) -> float:
    """In [0, 1], over the classes that are there or predicted; all pixels of a set together."""
    return float(iou(matrix).nanmean())
