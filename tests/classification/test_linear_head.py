"""tasks/classification/linear_head.py: the fit is logistic regression, folds are contiguous."""

import torch

from tasks.classification import linear_head


def blobs(per_class: int, n_classes: int, width: int = 6, apart: float = 3.0) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    centers = apart * torch.eye(width)[:n_classes]
    noise = torch.randn(per_class * n_classes, width, generator=random)
    return centers.repeat_interleave(per_class, 0) + noise


def test_the_gradient_vanishes_at_the_solution() -> None:
    """Of the documented objective: mean cross-entropy over classes plus the penalty."""
    x, labels = blobs(20, 3), torch.arange(3).repeat_interleave(20)
    head = linear_head.fit(x, labels, 3).head
    center, scale = linear_head.center_and_scale(x)
    weight = (head.weight * scale).requires_grad_()
    bias = (head.bias + center @ head.weight).requires_grad_()
    logits = ((x - center) / scale) @ weight + bias
    loss = torch.nn.functional.cross_entropy(logits, labels)  # the classes are equally large
    (loss + linear_head.PENALTY / 2 * weight.square().sum()).backward()
    assert weight.grad is not None and weight.grad.abs().max() < 1e-3


def test_every_class_weighs_the_same() -> None:
    """Fifty frames of one class and five of another, alike: neither is preferred."""
    x = torch.zeros(55, 4)
    labels = torch.tensor([0] * 50 + [1] * 5)
    head = linear_head.fit(x, labels, 2).head
    assert torch.allclose(head.bias.softmax(0), torch.tensor([0.5, 0.5]), atol=1e-3)


def test_folds_are_runs_of_neighbours_and_hold_out_what_is_unlike() -> None:
    labels = torch.tensor([0, 1] * 10)
    folds = linear_head.contiguous_folds(labels, 2)
    assert folds[labels == 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert (linear_head.used_by_each_fit(folds).sum(0) == linear_head.FOLDS).all()


def test_a_frame_does_not_vote_for_itself() -> None:
    """A frame with the wrong label is predicted by its look when held out."""
    x, labels = blobs(10, 2, apart=8), torch.arange(2).repeat_interleave(10)
    labels[0] = 1
    held_out = linear_head.fit(x, labels, 2).held_out
    assert held_out is not None and held_out[0, 0] > 0.5 > held_out[0, 1]


def test_few_frames_have_no_held_out_part() -> None:
    labels = torch.tensor([0, 1, 1, 1, 1, 1])
    assert linear_head.fit(blobs(3, 2), labels, 2).held_out is None


def test_the_main_plane_is_that_of_the_singular_vectors() -> None:
    x = blobs(30, 3) * torch.tensor([5.0, 3.0, 1, 1, 1, 1])
    x = x - x.mean(0)
    exact = torch.linalg.svd(x, full_matrices=False).Vh[:2]
    found = linear_head.main_plane(x)
    assert torch.allclose((exact @ found).abs(), torch.eye(2), atol=1e-2)
