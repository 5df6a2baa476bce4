"""How many tracks a clip gives, against how many digits it shows.

    python -m benchmarks.counting [--videos NAME ...] [--seed N]

Videos are generated: sheets of digits by the bundled GAN under a camera that pans, shakes, turns
and zooms, with things in front, blur, night, flicker and cuts, at 3 to 60 frames a second; and
digits that move by themselves. They are written as video files and counted as the page does it,
with the bundled digit detector. The truth counts each digit whose centre is in view for half a
second; after a cut all are new. Writes benchmarks/results/counting.csv, a line for each clip.

The tracker's settings were chosen on other seeds than the one of the results.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.results import record
from tasks import loaders
from tasks.core.video.writer import VideoWriter
from tasks.detection import sample_scenes
from tasks.detection.video import detect_in_video

VIEW_WH = (640, 480)  # px
INSIDE = 15.0  # px of the view between a digit's centre and the edge: then it is in view
SEEN_S = 0.5  # for which a digit is in view before it must be counted
RESULT_SEED = 100


@dataclass
class World:
    """A large image with digits at known places."""

    rgb: np.ndarray  # uint8 (H, W, 3)
    centres: np.ndarray  # float64 (N, 2), px


@dataclass
class Pose:
    """What the camera shows: the world around `centre`, `zoom` px of the view for a px of it."""

    centre: tuple[float, float]
    zoom: float = 0.75
    degrees: float = 0.0


Look = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
Scene = tuple[World, Callable[[float], Pose]]


def plain(rgb: np.ndarray, t: float, rng: np.random.Generator) -> np.ndarray:
    return rgb


@dataclass
class Clip:
    """Scenes one after the other, with cuts between them; `look` is what happens to each frame."""

    name: str
    fps: int
    seconds: float  # of each scene
    scenes: list[Scene]
    look: Look = plain

    def frames(self, seed: int) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(seed)
        for world, pose in self.scenes:
            for n in range(round(self.seconds * self.fps)):
                t = n / self.fps
                view = cv2.warpAffine(
                    world.rgb,
                    view_of(pose(t)),
                    VIEW_WH,
                    flags=cv2.INTER_AREA,
                    borderMode=cv2.BORDER_CONSTANT,
                    borderValue=(120, 100, 80),  # the desk
                )
                yield self.look(view, t, rng)

    def truth(self) -> int:
        """Digits that are in view for SEEN_S in all; after a cut they are new ones."""
        total = 0
        for world, pose in self.scenes:
            times = np.arange(0, self.seconds, 1 / self.fps)
            inside = np.zeros(len(world.centres))
            for t in times:
                warp = view_of(pose(t))
                at = world.centres @ warp[:, :2].T + warp[:, 2]
                inside += ((at > INSIDE) & (at < np.array(VIEW_WH) - INSIDE)).all(1)
            total += int((inside / self.fps >= SEEN_S).sum())
        return total


def view_of(pose: Pose) -> np.ndarray:
    """World px -> view px, float64 (2, 3)."""
    warp = cv2.getRotationMatrix2D(pose.centre, pose.degrees, pose.zoom)
    warp[:, 2] += np.array(VIEW_WH) / 2 - pose.centre  # type: ignore[arg-type]  # cv2's hints
    return warp


# -- worlds ----------------------------------------------------------------------------------------


def sheets(seed: int, n: int = 1) -> World:
    """`n` sheets of 15 digits, side by side."""
    rgbs, centres = [], []
    width = sample_scenes.SHEET_HW[1]
    for i in range(n):
        digits = loaders.gan_generator().generate(sample_scenes.DIGITS, seed + i)
        rgbs.append(sample_scenes.digit_sheet(digits, seed + i))
        centres.append(sample_scenes.digit_centres(seed + i) + np.array([i * width, 0]))
    return World(np.concatenate(rgbs, 1), np.concatenate(centres))


MIDDLE = (480.0, 360.0)  # of a sheet
WHOLE = 0.62  # zoom at which a sheet is in view with a margin


def still(t: float) -> Pose:
    return Pose(MIDDLE, WHOLE)


def handheld(strength: float, zoom: float = WHOLE) -> Callable[[float], Pose]:
    """Drift and tremor as of a hand; `strength` 1: some 20 px."""

    def pose(t: float) -> Pose:
        x = 14 * np.sin(2.1 * t) + 6 * np.sin(9.3 * t + 1) + 2.5 * np.sin(31 * t)
        y = 11 * np.sin(1.7 * t + 2) + 5 * np.sin(8.1 * t) + 2.5 * np.sin(27 * t + 1)
        turn = 1.2 * np.sin(1.9 * t) + 0.4 * np.sin(11 * t)
        wider = zoom * (1 + 0.03 * strength * np.sin(1.3 * t) - 0.04 * strength)
        return Pose((MIDDLE[0] + strength * x, MIDDLE[1] + strength * y), wider, strength * turn)

    return pose


def circle(t: float) -> Pose:
    """As in the page's own clip: digits leave and return."""
    return Pose((480 - 60 * np.cos(np.pi * t / 2), 360 - 70 * np.sin(np.pi * t / 2)), 640 / 780)


def pan(seconds: float, width: float, returns: bool = False) -> Callable[[float], Pose]:
    def pose(t: float) -> Pose:
        share = 0.5 - 0.5 * np.cos(np.pi * t / seconds * (2 if returns else 1))
        return Pose((480 + share * (width - 960), 360.0), WHOLE)

    return pose


def zooming(t: float) -> Pose:
    return Pose(MIDDLE, 0.55 + 0.35 * (0.5 - 0.5 * np.cos(np.pi * t / 2)))


def turning(t: float) -> Pose:
    return Pose(MIDDLE, 0.5, 18 * np.sin(np.pi * t / 2))


# -- what happens to a frame -----------------------------------------------------------------------


def hand_before(rgb: np.ndarray, t: float, rng: np.random.Generator) -> np.ndarray:
    """A sleeve that wanders over the sheet and back."""
    out = rgb.copy()
    x = int(-160 + 900 * (0.5 - 0.5 * np.cos(np.pi * t / 2)))
    cv2.line(out, (x, 520), (x + 120, 60), (92, 70, 60), 110, cv2.LINE_AA)
    return out


def blurred(rgb: np.ndarray, t: float, rng: np.random.Generator) -> np.ndarray:
    """Smeared along the motion, and out of focus now and then."""
    kernel = np.zeros((13, 13), np.float32)
    cv2.line(kernel, (0, 6), (12, 6), 1.0, 1)
    out = cv2.filter2D(rgb, -1, kernel / kernel.sum())
    return cv2.GaussianBlur(out, (0, 0), 0.5 + 2.5 * max(0.0, np.sin(3 * t)))


def night(rgb: np.ndarray, t: float, rng: np.random.Generator) -> np.ndarray:
    dark = rgb * np.float32(0.22) + rng.normal(0, 7, rgb.shape).astype(np.float32)
    return dark.clip(0, 255).astype(np.uint8)


def flicker(rgb: np.ndarray, t: float, rng: np.random.Generator) -> np.ndarray:
    return (rgb * np.float32(rng.uniform(0.45, 1.0))).astype(np.uint8)


# -- digits that move by themselves ----------------------------------------------------------------


@dataclass
class Belt(Clip):
    """Digits that pass before a still camera, in rows to and fro; some vanish behind a post."""

    rows: int = 3
    digits_a_row: int = 5
    speed: float = 150.0  # px a second
    post: bool = False

    def frames(self, seed: int) -> Iterator[np.ndarray]:
        n = self.rows * self.digits_a_row
        digits = loaders.gan_generator().generate(n, seed)
        large = [cv2.resize(d, (96, 96), interpolation=cv2.INTER_CUBIC) for d in digits]
        rng = np.random.default_rng(seed)
        width, height = VIEW_WH
        for frame in range(round(self.seconds * self.fps)):
            out = np.full((height, width, 3), (236, 236, 230), np.float32)
            out[150:165] = out[315:330] = (150, 160, 170)  # between the belts, with bolts
            for bolt in range(20, width, 47):
                out[150:165, bolt : bolt + 9] = out[315:330, bolt + 15 : bolt + 24] = (60, 60, 70)
            out += rng.normal(0, 2, out.shape)
            for i, digit in enumerate(large):
                x, y = self._at(i, frame / self.fps)
                place = np.array([[1, 0, x - 48], [0, 1, y - 48]], np.float64)
                alpha = cv2.warpAffine(digit, place, VIEW_WH)[..., None] / np.float32(255)
                alpha = np.clip(1.6 * alpha - 0.2, 0, 1)
                out = (1 - alpha) * out + alpha * np.array((30, 40, 110), np.float32)
            if self.post:
                cv2.rectangle(out, (300, 0), (370, height), (90, 110, 90), cv2.FILLED)
            yield out.clip(0, 255).astype(np.uint8)

    def truth(self) -> int:
        total = 0
        for i in range(self.rows * self.digits_a_row):
            times = np.arange(0, self.seconds, 1 / self.fps)
            at = np.array([self._at(i, t)[0] for t in times])
            total += ((at > INSIDE) & (at < VIEW_WH[0] - INSIDE)).sum() / self.fps >= SEEN_S
        return int(total)

    def _at(self, i: int, t: float) -> tuple[float, float]:
        """Centre of digit `i`, px; every other row runs backwards."""
        row, place = divmod(i, self.digits_a_row)
        along = self.speed * t - 150.0 * place + 140
        x = along if row % 2 == 0 else VIEW_WH[0] - along
        return x, VIEW_WH[1] * (row + 0.5) / self.rows


def clips(seed: int) -> list[Clip]:
    """All of them; a seed gives other digits, places and sheets."""
    one, other, three = sheets(seed), sheets(seed + 10), sheets(seed + 20, 3)
    width = 3 * sample_scenes.SHEET_HW[1]
    return [
        Clip("still", 15, 3, [(one, still)]),
        Clip("pan in a circle", 15, 4, [(one, circle)]),
        Clip("pan over three sheets", 30, 6, [(three, pan(6, width))]),
        Clip("pan there and back", 15, 8, [(three, pan(8, width, True))]),
        Clip("pan, 5 a second", 5, 12, [(three, pan(12, width))]),
        Clip("hand-held", 15, 4, [(one, handheld(1))]),
        Clip("hand-held, strong", 30, 4, [(one, handheld(2.5, 0.55))]),
        Clip("hand-held, 3 a second", 3, 8, [(one, handheld(1))]),
        Clip("hand-held, 60 a second", 60, 3, [(one, handheld(1.5))]),
        Clip("zoom in and out", 15, 4, [(one, zooming)]),
        Clip("turn", 24, 4, [(one, turning)]),
        Clip("occlusion", 15, 4, [(one, handheld(0.7))], hand_before),
        Clip("blur", 15, 4, [(one, handheld(1))], blurred),
        Clip("night", 15, 4, [(one, handheld(1))], night),
        Clip("flicker", 15, 4, [(one, handheld(1))], flicker),
        Clip("cut", 15, 2, [(one, handheld(1)), (other, handheld(0.8))]),
        Clip("cut there and back", 25, 1.6, [(s, handheld(0.6)) for s in (one, other, one)]),
        Belt("moving digits", 25, 6, []),
        Belt("moving digits, 5 a second", 5, 6, [], speed=110),
        Belt("moving digits behind a post", 30, 6, [], post=True),
    ]


# -- counting --------------------------------------------------------------------------------------


def count(clip: Clip, seed: int, folder: Path) -> tuple[int, int]:
    """(tracks, frames), as the page counts a file of the clip."""
    with VideoWriter(folder / "clip", *VIEW_WH, clip.fps) as out:
        for frame in clip.frames(seed):
            out.write(frame)
    steps = detect_in_video(out.path, loaders.detector("digits"), folder)
    for progress in steps:
        last = progress
    return sum(last.tracks.values()), last.frames


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", nargs="+", help="names; default: all")
    parser.add_argument("--seed", type=int, default=RESULT_SEED)
    args = parser.parse_args()
    errors = []
    for clip in clips(args.seed):
        if args.videos and clip.name not in args.videos:
            continue
        with tempfile.TemporaryDirectory() as folder:
            tracks, frames = count(clip, args.seed, Path(folder))
        truth = clip.truth()
        errors.append(abs(tracks - truth) / truth)
        row = {"clip": clip.name, "fps": clip.fps, "frames": frames, "seed": args.seed}
        counted: dict[str, float | int | str] = {"digits": truth, "tracks": tracks}
        record("counting", {**row, **counted, "error_percent": round(100 * errors[-1], 1)})
    mean, most = np.mean(errors), max(errors)
    print(f"mean error {100 * mean:.1f} %, largest {100 * most:.1f} %")


if __name__ == "__main__":
    main()
