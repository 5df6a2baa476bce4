"""`Tracker` gives each object a number that it keeps from frame to frame (BoT-SORT), and counts.

Aharon et al. 2022, BoT-SORT (arXiv 2206.14651), Ultralytics' implementation, and three things more:
an object whose place left the view and comes back keeps its number (`camera_motion`), its class is
a vote over its life, and it is counted once it was seen in several frames. A number stands for a
track, not for an identity: who leaves by walking and returns gets another one.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tasks.detection.camera_motion import CameraMotion
from tasks.detection.checkpoints import import_ultralytics
from tasks.detection.detector import Detections

TRACKING_FLOOR = 0.1  # least confidence of boxes that continue a track but start none
MAX_COST = 0.8  # 1 - IoU x confidence; a box above it does not continue a track
SAME_OBJECT = 0.7  # IoU of two boxes of different classes that are one object
PATIENCE_S = 3.0  # s that an object may be missed at a place in view
PATIENCE_OUTSIDE_S = (
    30.0  # s that a place outside the view is remembered; the motion's errors add up
)
COAST_S = 0.5  # s that a missed object is thought to move on; then it stays where it is
FRAMES_TO_COUNT = 3  # in which an object is seen before it counts
SECONDS_TO_COUNT = 0.2  # from the first of them to the last, where frames come quickly
CONFIDENCE_TO_COUNT = 0.5  # that it reaches at least once
RETURN_IOU = 0.3  # of a box with the place where a missed object should be
NEAR = 1.5  # diagonals that an object moves between two frames at most, where frames come slowly
NEAR_PLACE = 0.6  # diagonals between the place of a missed object and a box of its class
CUT = 0.3  # likeness of two frames below which they are different scenes, whatever is in them
PERHAPS_CUT = 0.8  # below it they are, if fewer than KEPT of the objects are where they were
KEPT = 0.5  # share of the objects
# share of the objects that a motion leaves where they are not, more than none: it is a sleeve's
FOLLOWED_ANOTHER = 0.3
EDGE = 3.0  # px; a box this close to the frame's edge may be a part of an object


@dataclass
class Life:
    """What is remembered of a track."""

    first_s: float
    votes: defaultdict[int, float] = field(  # class id -> sum of confidences
        default_factory=lambda: defaultdict(float)
    )
    frames: int = 0
    seen_s: float = 0.0  # when last
    missed_s: float = 0.0  # while its place was in view
    best: float = 0.0  # highest confidence
    box: np.ndarray = field(default_factory=lambda: np.zeros(4))  # when last seen, px
    place: np.ndarray = field(
        default_factory=lambda: np.zeros(4)
    )  # of the whole, moves with the view

    @property
    def class_id(self) -> int:
        return max(self.votes, key=self.votes.__getitem__)

    @property
    def counts(self) -> bool:
        """Whether it was seen often enough."""
        return (
            self.frames >= FRAMES_TO_COUNT
            and self.seen_s - self.first_s >= SECONDS_TO_COUNT
            and self.best >= CONFIDENCE_TO_COUNT
        )


class Tracker:
    """Numbers objects across frames and counts them; one tracker for each visitor or video."""

    def __init__(self, confidence: float = 0.25):
        import_ultralytics()
        from ultralytics.utils import IterableSimpleNamespace

        # boxes of at least `confidence` are matched first and may start a track
        settings = IterableSimpleNamespace(
            track_high_thresh=confidence,
            track_low_thresh=min(TRACKING_FLOOR, confidence),
            new_track_thresh=confidence,
            track_buffer=10**9,  # frames; `_forget` counts seconds
            match_thresh=MAX_COST,
            fuse_score=True,
            gmc_method=None,  # ours, below
            proximity_thresh=0.5,
            appearance_thresh=0.8,
            with_reid=False,
        )
        self._lives: dict[int, Life] = {}
        self._ended: Counter[int] = Counter()  # class id -> tracks that counted and are over
        self._camera = CameraMotion()
        self._bot_sort = _bot_sort_class()(settings, self._lives)
        self._frames, self._now = 0, 0.0

    def update(
        self,
        found: Detections,
        confidence: float | None = None,
        rgb: np.ndarray | None = None,
        seconds: float | None = None,
    ) -> Detections:
        """The boxes of `found` that belong to a track, with its number and the class of its votes.

        Once a frame, in order. `found` may hold boxes below `confidence`: they continue a track,
        start none, and are not returned.

        Args:
            rgb: the frame, uint8 (H, W, 3): by it the camera's motion is compensated and cuts end
                all tracks.
            seconds: when the frame was taken; None: 1/25 s after the one before.
        """
        from ultralytics.engine.results import Boxes

        args = self._bot_sort.args
        if confidence is not None:
            args.track_high_thresh = args.new_track_thresh = confidence
            args.track_low_thresh = min(TRACKING_FLOOR, confidence)
        found = one_box_an_object(found)
        self._step(found, rgb, seconds)
        boxes = np.column_stack((found.xyxy, found.confidence, found.class_id))
        tracks = self._bot_sort.update(Boxes(boxes.astype(np.float32), (1, 1))).reshape(-1, 8)
        index, ids = tracks[:, -1].astype(int), tracks[:, 4].astype(np.int64)
        size_wh = None if rgb is None else (rgb.shape[1], rgb.shape[0])
        for i, track in zip(index, ids, strict=True):
            self._note(found, int(i), int(track), size_wh)
        self._forget(size_wh)
        shown = found.confidence[index] >= args.track_high_thresh
        index, ids = index[shown], ids[shown]
        return Detections(
            found.xyxy[index],
            found.confidence[index],
            np.array([self._lives[int(i)].class_id for i in ids], np.int64),
            found.class_names,
            ids,
            found.speed_ms,
            found.prepared_ms,
            found.precision,
        )

    def counts(self) -> dict[int, int]:
        """Class id -> tracks so far that were seen in several frames, most first."""
        now = Counter(life.class_id for life in self._lives.values() if life.counts)
        return dict((self._ended + now).most_common())

    def _step(self, found: Detections, rgb: np.ndarray | None, seconds: float | None) -> None:
        """The clock and the camera go on to the next frame."""
        before, self._now = self._now, self._now + 0.04 if seconds is None else seconds
        passed = max(0.0, self._now - before) if self._frames else 0.0
        self._frames += 1
        warp = np.eye(2, 3)
        if rgb is not None:
            warp, likeness = self._camera.update(rgb, found.xyxy)
            kept, still = (self._kept(found, w, before) for w in (warp, np.eye(2, 3)))
            if still - kept > FOLLOWED_ANOTHER:
                warp, kept = np.eye(2, 3), still
            if likeness < CUT or (likeness < PERHAPS_CUT and kept < KEPT):
                self._end_all()
        for life in self._lives.values():
            life.place = moved(life.place, warp)
        self._bot_sort.step(warp, passed, None if rgb is None else rgb.shape[1::-1])

    def _kept(self, found: Detections, warp: np.ndarray, before: float) -> float:
        """Share of the last frame's objects that are where the camera's motion puts them."""
        lives = [life for life in self._lives.values() if life.seen_s == before]
        if not lives:
            return 1.0
        overlap = ious(np.array([moved(life.box, warp) for life in lives]), found.xyxy)
        same = np.array([life.class_id for life in lives])[:, None] == found.class_id
        kept = (overlap > RETURN_IOU) & same
        return float(kept.any(1).mean())

    def _note(self, found: Detections, i: int, track: int, size_wh: tuple[int, int] | None) -> None:
        """Box `i` belongs to `track`."""
        life = self._lives.setdefault(track, Life(self._now))
        box, confidence = found.xyxy[i].astype(np.float64), float(found.confidence[i])
        life.votes[int(found.class_id[i])] += confidence
        life.frames += 1
        life.seen_s, life.missed_s = self._now, 0.0
        life.best = max(life.best, confidence)
        life.box = box
        # of an object that is partly outside the view, the place of the whole is remembered
        if life.frames == 1 or size_wh is None or not touches_edge(box, size_wh):
            life.place = box

    def _forget(self, size_wh: tuple[int, int] | None) -> None:
        """End the tracks that were missed for too long; those outside the view are kept longer."""
        alive = {t.track_id for t in self._bot_sort.tracked_stracks + self._bot_sort.lost_stracks}
        over = set(self._lives) - alive
        for track, life in self._lives.items():
            if life.seen_s == self._now:
                continue
            if size_wh is None or share_inside(life.place, size_wh) > 0.5:
                life.missed_s += self._bot_sort.passed_s
            outside_s = self._now - life.seen_s
            if life.missed_s > PATIENCE_S or outside_s > PATIENCE_OUTSIDE_S:
                over.add(track)
        for track in over:
            self._end(track)
        lost = self._bot_sort.lost_stracks
        self._bot_sort.lost_stracks = [t for t in lost if t.track_id not in over]
        self._bot_sort.removed_stracks.clear()  # of no use here, and they would pile up

    def _end(self, track: int) -> None:
        life = self._lives.pop(track)
        if life.counts:
            self._ended[life.class_id] += 1

    def _end_all(self) -> None:
        for track in list(self._lives):
            self._end(track)
        self._bot_sort.end_all()


def _bot_sort_class() -> Any:
    """A class made on first use: Ultralytics takes a second to import."""
    from ultralytics.trackers.bot_sort import BOTSORT
    from ultralytics.trackers.utils import matching
    from ultralytics.trackers.utils.stracks import multi_gmc

    class BotSort(BOTSORT):  # type: ignore[misc]
        """Matches what is left over in two further ways: by place, and by nearness."""

        def __init__(self, settings: Any, lives: dict[int, Life]):
            super().__init__(settings)
            self.lives, self.warp, self.passed_s = lives, np.eye(2, 3), 0.0
            self.size_wh: tuple[int, int] | None = None

        def step(self, warp: np.ndarray, passed_s: float, size_wh: tuple[int, int] | None) -> None:
            self.warp, self.passed_s, self.size_wh = warp, passed_s, size_wh
            for track in self.lost_stracks:
                life = self.lives.get(track.track_id)
                if life is not None and life.missed_s > COAST_S:
                    track.mean[4:6] = 0  # type: ignore[index]  # a track has one

        def end_all(self) -> None:
            self.tracked_stracks, self.lost_stracks, self.removed_stracks = [], [], []
            self.frame_id = 0  # the first frame of a scene needs no confirmation

        def _pre_first_associate(self, pool: Any, unconfirmed: Any, *_: Any) -> None:
            multi_gmc(pool, self.warp)
            multi_gmc(unconfirmed, self.warp)

        def _post_first_association(
            self, pool: Any, boxes: Any, tracks: Any, left: Any, activated: Any, refind: Any
        ) -> tuple[list[int], list[int]]:
            tracks, left = list(tracks), list(left)
            for by_place, limit in ((True, 1 - RETURN_IOU), (False, 1.0)):
                if not tracks or not left:
                    break
                some, new = [pool[t] for t in tracks], [boxes[i] for i in left]
                if by_place:
                    cost = _cost_by_place(some, new, self.lives, self.size_wh)
                else:
                    cost = _cost_by_nearness(some, new, self.lives, self.frame_id)
                matches, _, _ = matching.linear_assignment(cost, thresh=limit)
                for t, i in matches:
                    self._apply_match(pool[tracks[t]], boxes[left[i]], activated, refind)
                used_t, used_i = {int(t) for t, _ in matches}, {int(i) for _, i in matches}
                tracks = [t for n, t in enumerate(tracks) if n not in used_t]
                left = [i for n, i in enumerate(left) if n not in used_i]
            return tracks, left

    return BotSort


def _cost_by_place(
    tracks: list[Any], boxes: list[Any], lives: dict[int, Life], size_wh: tuple[int, int] | None
) -> np.ndarray:
    """1 - IoU with the part in view of the place where each track was last seen whole."""
    places = np.array([lives[t.track_id].place if t.track_id in lives else t.xyxy for t in tracks])
    if size_wh is not None:
        places = places.clip(0, [*size_wh, *size_wh])
    return (1 - ious(places, np.array([b.xyxy for b in boxes]))).astype(np.float32)


def _cost_by_nearness(
    tracks: list[Any], boxes: list[Any], lives: dict[int, Life], frame: int
) -> np.ndarray:
    """Distance over size, 1 at the limit, to boxes of the same class and a like size.

    From where the object should be if it was seen in the frame before, else from its place.
    """
    cost = np.full((len(tracks), len(boxes)), 2.0, np.float32)
    for t, track in enumerate(tracks):
        life = lives.get(track.track_id)
        if life is None:
            continue
        was_seen = frame - track.end_frame <= 1
        near, (x, y, w, h) = (
            (NEAR, track.xywh) if was_seen else (NEAR_PLACE, centre_and_sides(life.place))
        )
        for i, box in enumerate(boxes):
            x2, y2, w2, h2 = box.xywh
            similar = 0.6 < np.sqrt(max(w * h, 1e-6) / max(w2 * h2, 1e-6)) < 1.6
            if similar and int(box.cls) == life.class_id:
                cost[t, i] = np.hypot(x - x2, y - y2) / (near * np.hypot(w, h))
    return cost


def one_box_an_object(found: Detections) -> Detections:
    """Without the less confident of two boxes that lie on each other and differ in class."""
    if len(found) < 2:
        return found
    overlap, keep = ious(found.xyxy, found.xyxy), np.ones(len(found), bool)
    for i in np.argsort(-found.confidence, kind="stable"):
        if keep[i]:
            other = (overlap[i] > SAME_OBJECT) & (np.arange(len(found)) != i)
            keep &= ~(other & (found.confidence <= found.confidence[i]))
    if keep.all():
        return found
    return Detections(
        found.xyxy[keep],
        found.confidence[keep],
        found.class_id[keep],
        found.class_names,
        None,
        found.speed_ms,
        found.prepared_ms,
        found.precision,
    )


def ious(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of each of `a`, (N, 4), with each of `b`, (M, 4): (N, M)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = np.prod((high - low).clip(0), -1)
    area_a, area_b = (np.prod((x[:, 2:] - x[:, :2]).clip(0), -1) for x in (a, b))
    union = area_a[:, None] + area_b[None] - both
    out: np.ndarray = np.divide(both, union, out=np.zeros(union.shape), where=union > 0)
    return out


def moved(box: np.ndarray, warp: np.ndarray) -> np.ndarray:
    """A box (4,) after a similarity (2, 3): its centre moves, its sides are zoomed."""
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    centre = warp[:, :2] @ centre + warp[:, 2]
    half = half * np.hypot(warp[0, 0], warp[1, 0])
    return np.concatenate([centre - half, centre + half])


def centre_and_sides(box: np.ndarray) -> np.ndarray:
    return np.concatenate([(box[:2] + box[2:]) / 2, box[2:] - box[:2]])


def touches_edge(box: np.ndarray, size_wh: tuple[int, int]) -> bool:
    width, height = size_wh
    return bool(min(box[0], box[1]) < EDGE or box[2] > width - EDGE or box[3] > height - EDGE)


def share_inside(box: np.ndarray, size_wh: tuple[int, int]) -> float:
    """Share of a box's area that lies in the frame."""
    inside = box.clip(0, [*size_wh, *size_wh])
    area = float(np.prod(box[2:] - box[:2]))
    return float(np.prod(inside[2:] - inside[:2])) / area if area > 0 else 0.0
