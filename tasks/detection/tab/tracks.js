// Tracks of what this browser finds: boxes of neighbouring frames that overlap are one object. Simpler than
// the server's (tasks/detection/tracker.py): it knows no camera motion and finds nobody again after a second.
const TRACK_FLOOR = 0.1; // confidence that keeps a track alive
function deviceTracks() {
  const SAME = 0.25,
    CONFIRMED = 3, // frames
    LOST_MS = 1000;
  let tracks = [],
    next = 1,
    before = 0, // when the last frame was
    patience = LOST_MS; // longer where frames are rare
  const counted = new Map(); // class id -> tracks that were confirmed

  function overlap(a, b) {
    const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0]),
      h = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
    const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
    return w <= 0 || h <= 0 ? 0 : (w * h) / (area(a) + area(b) - w * h);
  }
  const expected = ({box, speed, at}, now) =>
    box.map((v, i) => v + speed[i % 2] * Math.min(now - at, LOST_MS / 2));
  // boxes (numbers of `answer`) and tracks in pairs, those that overlap most first
  function pairs(answer, numbers, free, now) {
    const all = numbers.flatMap((i) =>
      free.map((track) => [overlap(answer.boxes[i], expected(track, now)), i, track]),
    );
    const used = new Set(),
      found = [];
    for (const [share, i, track] of all.sort((a, b) => b[0] - a[0])) {
      if (share < SAME || used.has(i) || used.has(track)) continue;
      used.add(i).add(track);
      found.push([i, track]);
    }
    return found;
  }
  function see(track, box, kind, now) {
    const past = Math.max(1, now - track.at);
    const moved = [0, 1].map(
      (axis) => (box[axis] + box[axis + 2] - track.box[axis] - track.box[axis + 2]) / 2 / past,
    );
    track.speed = track.speed.map((v, axis) => 0.7 * v + 0.3 * moved[axis]);
    track.votes.set(kind, (track.votes.get(kind) || 0) + 1);
    Object.assign(track, {box, at: now, frames: track.frames + 1});
    track.kind = [...track.votes].reduce((a, b) => (b[1] > a[1] ? b : a))[0];
  }
  // A track counts once, as what it was mostly taken for so far.
  function count(track) {
    if (track.frames < CONFIRMED || track.counted === track.kind) return;
    if (track.counted !== null) counted.set(track.counted, counted.get(track.counted) - 1);
    counted.set(track.kind, (counted.get(track.kind) || 0) + 1);
    track.counted = track.kind;
  }
  return {
    clear() {
      tracks = [];
      next = 1;
      before = 0;
      patience = LOST_MS;
      counted.clear();
    },
    // an answer with boxes down to TRACK_FLOOR -> those that are on a track, with `track` and `tracks`
    update(answer, confidence, now) {
      if (before) patience = Math.max(LOST_MS, 0.7 * patience + 0.9 * (now - before));
      before = now;
      tracks = tracks.filter((track) => now - track.at < patience);
      const numbers = answer.boxes.map((_, i) => i),
        sure = numbers.filter((i) => answer.confidence[i] >= confidence);
      const first = pairs(answer, sure, tracks, now),
        taken = new Set(first.flat());
      const unsure = numbers.filter((i) => answer.confidence[i] < confidence);
      const left = tracks.filter((track) => !taken.has(track));
      const found = [...first, ...pairs(answer, unsure, left, now)];
      for (const [i, track] of found) see(track, answer.boxes[i], answer.kind[i], now);
      for (const i of sure.filter((i) => !taken.has(i))) {
        const kind = answer.kind[i],
          begun = {id: next++, box: answer.boxes[i], speed: [0, 0], at: now, frames: 1};
        Object.assign(begun, {kind, votes: new Map([[kind, 1]]), counted: null});
        tracks.push(begun);
        found.push([i, begun]);
      }
      found.forEach(([, track]) => count(track));
      return {
        ...answer,
        boxes: found.map(([i]) => answer.boxes[i]),
        confidence: found.map(([i]) => answer.confidence[i]),
        kind: found.map(([, track]) => track.kind),
        track: found.map(([, track]) => track.id),
        tracks: [...counted].filter(([, n]) => n > 0),
      };
    },
  };
}
