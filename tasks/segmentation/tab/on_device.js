// Segmentation in the visitor's browser: what tasks/segmentation/segmenter.py does before and after the network.
// Put into a worker, behind tasks/ui/on_device/worker.js.
const STRIDE = 32;
const up = (n) => Math.ceil(n / STRIDE) * STRIDE;

// RGBA bytes -> uint8 (1, H, W, 3), last row and column repeated until both sides are multiples of 32
function before({pixels, width, height}) {
  const [W, H] = [up(width), up(height)],
    out = new Uint8Array(3 * W * H);
  for (let y = 0, to = 0; y < H; y++)
    for (let x = 0; x < W; x++) {
      const from = 4 * (Math.min(y, height - 1) * width + Math.min(x, width - 1));
      for (let channel = 0; channel < 3; channel++) out[to++] = pixels[from + channel];
    }
  return {images: new ort.Tensor('uint8', out, [1, H, W, 3])};
}
// probabilities (1, C, H, W) -> class ids as the red of RGBA pixels, and each class's share
function after(outputs, {width, height}) {
  const {data, dims} = Object.values(outputs)[0],
    [, classes, H, W] = dims,
    ids = new Uint8ClampedArray(4 * width * height),
    counts = new Array(classes).fill(0);
  for (let y = 0, to = 0; y < height; y++)
    for (let x = 0; x < width; x++, to += 4) {
      let best = 0;
      for (let c = 1; c < classes; c++)
        if (data[(c * H + y) * W + x] > data[(best * H + y) * W + x]) best = c;
      ids[to] = best;
      ids[to + 3] = 255;
      counts[best]++;
    }
  return {ids, width, height, shares: counts.map((n) => n / (width * height))};
}
