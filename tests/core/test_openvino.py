"""Precision is explicit, and an output that is not finite in bf16 is computed in fp32."""

import logging
from typing import Any

import numpy as np
import pytest
import torch

from tasks.core import device, openvino

pytestmark = pytest.mark.skipif(not openvino.is_installed(), reason="OpenVINO is not installed")


def small_model() -> Any:
    torch.manual_seed(0)
    model = openvino.convert(torch.nn.Conv2d(3, 4, 3), torch.zeros(1, 3, 8, 8))
    model.reshape([1, 3, 8, 8])
    return model


class NanInBf16:
    """A compiled model whose outputs are NaN."""

    def __init__(self, real: Any):
        self.inputs = real.inputs
        self.requests = 0

    def create_infer_request(self) -> "NanInBf16":
        self.requests += 1
        return self

    def infer(self, inputs: list[np.ndarray]) -> None:
        assert [x.shape for x in inputs] == [(1, 3, 8, 8)]

    def get_output_tensor(self, n: int) -> Any:
        return type("Tensor", (), {"data": np.full((1, 4, 6, 6), np.nan, np.float32)})


def test_nan_in_bf16_is_computed_again_in_fp32(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    compile_model, hints = openvino.compile_model, []

    def fake(model: Any, streams: int, precision: str) -> Any:
        hints.append(precision)
        real = compile_model(model, streams, "f32")
        return NanInBf16(real) if precision == "bf16" else real

    monkeypatch.setattr(openvino, "compile_model", fake)
    with caplog.at_level(logging.WARNING, "image_lab"):
        pool = openvino.RequestPool(small_model(), 1, 1, "bf16")
    assert hints == ["bf16", "f32"] and pool.precision == "f32"
    assert "not finite in bf16" in caplog.text
    assert np.isfinite(pool.run([[np.ones((1, 3, 8, 8), np.float32)]])).all()


def test_a_finite_network_keeps_its_precision(caplog: pytest.LogCaptureFixture) -> None:
    for precision in ("f32", "bf16"):
        assert openvino.RequestPool(small_model(), 1, 1, precision).precision == precision
    assert not caplog.records


def test_the_hint_is_always_set(monkeypatch: pytest.MonkeyPatch) -> None:
    configs: list[dict[str, Any]] = []

    class Core:
        def compile_model(self, model: Any, where: str, config: dict[str, Any]) -> None:
            configs.append(config)

    monkeypatch.setattr(openvino, "library", lambda: type("Library", (), {"Core": Core}))
    for precision in ("f32", "bf16"):
        openvino.compile_model(None, 2, precision)
    assert [config["INFERENCE_PRECISION_HINT"] for config in configs] == ["f32", "bf16"]


@pytest.mark.parametrize("is_native", [True, False])
def test_bf16_only_where_it_is_native(is_native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "bf16_is_native", lambda: is_native)
    found = {task: openvino.precision_for(task) for task in openvino.PRECISIONS}
    assert found["detection"] == found["diffusion"] == "f32"
    assert found["segmentation"] == ("bf16" if is_native else "f32")


def test_pieces_come_out_in_order() -> None:
    model = small_model()
    pool = openvino.RequestPool(model, 2, 2, "f32")
    pieces = [[np.full((1, 3, 8, 8), i, np.float32)] for i in range(7)]
    together = pool.run(pieces)
    assert together.shape == (7, 4, 6, 6)
    for i, piece in enumerate(pieces):
        np.testing.assert_array_equal(together[i : i + 1], pool.run([piece]))
