// Detection in the visitor's browser: what tasks/detection/detector.py does before and after the network.
// Put into a worker, behind tasks/ui/on_device/worker.js.
const STRIDE = 32,
  GREY = 114,
  MOST = 300,
  FINAL = 6; // columns of a network's final boxes
const up = (n) => Math.ceil(n / STRIDE) * STRIDE;
const bars = ({width, height}) => ({
  left: Math.round((up(width) - width) / 2 - 0.1),
  top: Math.round((up(height) - height) / 2 - 0.1),
});

// RGBA bytes, their longer side the network's -> float32 (1, 3, H, W) in [0, 1], grey bars around
function letterbox({pixels, width, height}) {
  const [W, H] = [up(width), up(height)],
    {left, top} = bars({width, height}),
    out = new Float32Array(3 * W * H).fill(GREY / 255);
  for (let channel = 0; channel < 3; channel++)
    for (let y = 0; y < height; y++) {
      let to = channel * W * H + (y + top) * W + left,
        from = 4 * y * width + channel;
      for (let x = 0; x < width; x++, from += 4) out[to++] = pixels[from] / 255;
    }
  return {data: out, dims: [1, 3, H, W]};
}

// (4 + classes, anchors) -> [left, top, right, bottom, confidence, class], surest first
function candidates(raw, classes, anchors, confidence, wanted) {
  const kept = [];
  for (let i = 0; i < anchors; i++) {
    let kind = 0,
      best = -1;
    for (let c = 0; c < classes; c++) {
      const value = raw[(4 + c) * anchors + i];
      if (value > best) [best, kind] = [value, c];
    }
    if (best <= confidence || (wanted && !wanted.includes(kind))) continue;
    const [x, y, w, h] = [0, 1, 2, 3].map((row) => raw[row * anchors + i]);
    kept.push([x - w / 2, y - h / 2, x + w / 2, y + h / 2, best, kind]);
  }
  return kept.sort((a, b) => b[4] - a[4]);
}
function overlap(a, b) {
  const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0]),
    h = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (w <= 0 || h <= 0) return 0;
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  return (w * h) / (area(a) + area(b) - w * h);
}
// non-maximum suppression, each class by itself
function suppress(boxes, iou) {
  const kept = [];
  for (const box of boxes) {
    if (kept.length === MOST) break;
    if (!kept.some((other) => other[5] === box[5] && overlap(box, other) > iou)) kept.push(box);
  }
  return kept;
}

function before(message) {
  const {data, dims} = letterbox(message);
  return {images: new ort.Tensor('float32', data, dims)};
}
function after(outputs, {width, height, confidence, iou, classes: wanted, final}) {
  const {data, dims} = Object.values(outputs)[0];
  let boxes;
  if (final) {
    boxes = [];
    for (let i = 0; i < dims[1]; i++) boxes.push([...data.subarray(FINAL * i, FINAL * (i + 1))]);
    boxes = boxes
      .filter((b) => b[4] > confidence && (!wanted || wanted.includes(b[5])))
      .slice(0, MOST);
  } else boxes = suppress(candidates(data, dims[1] - 4, dims[2], confidence, wanted), iou);
  const {left, top} = bars({width, height}),
    share = (v, bar, side) => Math.min(1, Math.max(0, (v - bar) / side));
  return {
    boxes: boxes.map(([x1, y1, x2, y2]) => [
      share(x1, left, width),
      share(y1, top, height),
      share(x2, left, width),
      share(y2, top, height),
    ]),
    confidence: boxes.map((b) => b[4]),
    kind: boxes.map((b) => b[5]),
  };
}
