"""HDR video as players show it on a usual screen: HLG and PQ (ITU-R BT.2100) to sRGB.

The white of paper (75 % of HLG, 203 cd/m2 of PQ: ITU-R BT.2408) becomes white; what is brighter is
compressed into the last steps below it. BT.2020's primaries become BT.709's.
"""

from functools import cache

import numpy as np

PQ, HLG = 16, 18  # ffmpeg's AVCOL_TRC_SMPTE2084, AVCOL_TRC_ARIB_STD_B67
NAMES = {PQ: "PQ", HLG: "HLG"}
PAPER_PQ, PEAK_PQ = 203.0, 10_000.0  # cd/m2
PAPER_HLG = 0.75  # of the signal
KNEE = 0.8  # of paper's white, in light: below it brightness is kept
LEVELS = 4096  # of the tables
# ITU-R BT.2087, linear light
TO_BT709 = np.array(
    ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    np.float32,
)


def to_srgb(rgb: np.ndarray, transfer: int) -> np.ndarray:
    """uint16 (H, W, 3), full range, BT.2020 in HLG or PQ -> uint8 (H, W, 3) in sRGB."""
    light = _light(transfer)[rgb >> 4]  # (H, W, 3), 1 = paper
    light = light @ TO_BT709.T
    peak = light.max(-1, keepdims=True)
    # by the largest channel, so that hues stay
    light *= _compressed(peak) / np.maximum(peak, 1e-6)
    steps = np.sqrt(light.clip(0, 1)) * (LEVELS - 1)
    return _encoded()[steps.astype(np.uint16)]


def _compressed(peak: np.ndarray) -> np.ndarray:
    """Light as it is up to KNEE, then ever slower towards 1; paper's white lands at 0.95."""
    over = np.maximum(peak - KNEE, 0) / (1 - KNEE)
    return np.where(peak < KNEE, peak, KNEE + (1 - KNEE) * np.tanh(over)).astype(np.float32)


@cache
def _light(transfer: int) -> np.ndarray:
    """float32 (LEVELS,): the light of each signal, 1 = paper."""
    signal = np.linspace(0, 1, LEVELS)
    paper = _hlg(np.array(PAPER_HLG)) if transfer == HLG else PAPER_PQ / PEAK_PQ
    return ((_hlg(signal) if transfer == HLG else _pq(signal)) / paper).astype(np.float32)


def _hlg(signal: np.ndarray) -> np.ndarray:
    """The inverse of HLG's OETF: [0, 1] -> scene light."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def _pq(signal: np.ndarray) -> np.ndarray:
    """PQ's EOTF: [0, 1] -> light, 1 = 10,000 cd/m2."""
    m1, m2, c1, c2, c3 = 0.1593017578, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = signal ** (1 / m2)
    return (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)


@cache
def _encoded() -> np.ndarray:
    """uint8 (LEVELS,): sRGB of the square of each step."""
    light = np.linspace(0, 1, LEVELS) ** 2
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * coded).round().astype(np.uint8)
