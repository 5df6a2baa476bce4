"""The device and its name."""

from tasks.core import device


def test_device_and_its_name_agree() -> None:
    assert device.best().type in ("cpu", "cuda", "mps")
    assert device.name().startswith("CPU, ") == (device.best().type == "cpu")
    assert isinstance(device.bf16_is_native(), bool)
