"""A linear classifier on features, fitted in a fraction of a second, and what its folds say.

Multinomial logistic regression with an L2 penalty, by L-BFGS (Liu and Nocedal 1989). The fit on all
frames and five fits that each leave out a fifth are solved together, as one batch of problems.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

FOLDS = 5
PENALTY = 1e-3  # of the squared weights, for features of mean squared length 1
ITERATIONS = 60  # of L-BFGS; 20 to 40 suffice for some hundred frames


class LinearHead(NamedTuple):
    """logits = features @ weight + bias."""

    weight: Tensor  # (D, C)
    bias: Tensor  # (C,)


class Fitted(NamedTuple):
    """The head, and each frame's probabilities by the fit that did not see it."""

    head: LinearHead
    held_out: Tensor | None  # (N, C); None where a class has fewer than FOLDS frames


def fit(features: Tensor, labels: Tensor, n_classes: int) -> Fitted:
    """Fit a head; every class weighs the same, however many frames it has.

    Args:
        features: float32 (N, D).
        labels: int64 (N,), 0 to n_classes - 1, each class at least once.
    """
    counts = labels.bincount(minlength=n_classes)
    center, scale = center_and_scale(features)
    x = (features - center) / scale
    folds = contiguous_folds(labels, n_classes) if int(counts.min()) >= FOLDS else None
    used = torch.ones(1, len(x)) if folds is None else used_by_each_fit(folds)
    weight, bias = _solve(x, labels, used * (1 / counts[labels]) / n_classes, n_classes)
    whole = LinearHead(weight[-1] / scale, bias[-1] - center @ weight[-1] / scale)
    if folds is None:
        return Fitted(whole, None)
    return Fitted(whole, (_by_fold(x, weight, folds) + bias[folds]).softmax(1))


def center_and_scale(features: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (D,), and the root mean squared distance from it."""
    center = features.mean(0)
    return center, (features - center).square().sum(1).mean().sqrt().clamp_min(1e-6)


def contiguous_folds(labels: Tensor, n_classes: int) -> Tensor:
    """int64 (N,), 0 to FOLDS - 1: each class in five runs of neighbouring frames.

    Neighbouring frames of a camera are nearly equal: a random fifth would be known already.
    """
    folds = torch.empty_like(labels)
    for c in range(n_classes):
        (mine,) = torch.where(labels == c)
        folds[mine] = torch.arange(len(mine)) * FOLDS // len(mine)
    return folds


def used_by_each_fit(folds: Tensor) -> Tensor:
    """float32 (FOLDS + 1, N): 1 where a fit uses a frame; the last uses all."""
    parts = torch.stack([folds != k for k in range(FOLDS)])
    return torch.cat([parts, torch.ones(1, len(folds), dtype=torch.bool)]).float()


def _by_fold(x: Tensor, weight: Tensor, folds: Tensor) -> Tensor:
    logits = x.new_empty(len(x), weight.shape[-1])
    for k in range(FOLDS):
        logits[folds == k] = x[folds == k] @ weight[k]
    return logits


def _solve(x: Tensor, labels: Tensor, use: Tensor, n_classes: int) -> tuple[Tensor, Tensor]:
    """Weights (K, D, C) and biases (K, C) of K problems; `use` (K, N): each frame's weight."""
    use = use / use.sum(1, keepdim=True)
    problems, width = len(use), x.shape[1]
    weight = torch.zeros(width, problems, n_classes, requires_grad=True)
    bias = torch.zeros(problems, n_classes, requires_grad=True)
    truth = F.one_hot(labels, n_classes).float()[:, None]  # (N, 1, C)
    optimiser = torch.optim.LBFGS(
        [weight, bias], max_iter=ITERATIONS, history_size=10, line_search_fn="strong_wolfe"
    )

    def closure() -> float:
        optimiser.zero_grad()
        logits = (x @ weight.flatten(1)).unflatten(1, (problems, n_classes)) + bias  # (N, K, C)
        losses = -(logits.log_softmax(2) * truth).sum(2)  # (N, K)
        loss = (losses * use.T).sum() + PENALTY / 2 * weight.square().sum()
        loss.backward()
        return loss  # type: ignore[return-value]

    with torch.enable_grad():
        optimiser.step(closure)
    return weight.detach().transpose(0, 1).contiguous(), bias.detach()


def main_plane(x: Tensor) -> Tensor:
    """float32 (D, 2), orthonormal: the two directions in which centred `x` (N, D) varies most.

    Subspace iteration from fixed random directions.
    """
    found = torch.randn(x.shape[1], 6, generator=torch.Generator().manual_seed(0))
    for _ in range(6):
        found = torch.linalg.qr(x.T @ (x @ found)).Q
    _, _, turned = torch.linalg.svd(x @ found, full_matrices=False)
    return found @ turned[:2].T
