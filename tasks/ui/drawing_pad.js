// A drawing pad for mouse, pen, finger and keyboard, put behind widget.js. `followPen` tells where the pen is; `inkPad` is
// white paper with strokes of dark ink, an eraser and undo.

// Calls down(point), move(points), up(); points in the canvas's own pixels. By keyboard the arrows move the pen, space
// puts it down and lifts it, Ctrl+Z calls undo(), Delete calls clear().
function followPen(canvas, {down, move, up = () => {}, undo, clear}) {
  const cursor = document.createElement('i');
  let pointer = null,
    keyboard = null,
    isDown = false; // keyboard: where the arrow keys have led
  cursor.className = 'cursor';
  cursor.hidden = true;
  canvas.after(cursor);
  canvas.tabIndex = 0;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) * canvas.width) / box.width,
      ((event.clientY - box.top) * canvas.height) / box.height,
    ];
  };
  function lift() {
    if (pointer === null && !isDown) return;
    pointer = null;
    isDown = false;
    cursor.classList.remove('down');
    up();
  }
  canvas.addEventListener('pointerdown', (event) => {
    if (event.button !== 0 || !event.isPrimary) return; // a second finger or the palm does not draw
    lift();
    cursor.hidden = true;
    try {
      canvas.setPointerCapture(event.pointerId);
    } catch (e) {
      /* a pointer that is gone already */
    }
    pointer = event.pointerId;
    down(place(event));
  });
  canvas.addEventListener('pointermove', (event) => {
    if (event.pointerId === pointer)
      move([...(event.getCoalescedEvents?.() || []), event].map(place));
  });
  for (const kind of ['pointerup', 'pointercancel']) {
    canvas.addEventListener(kind, (event) => {
      if (event.pointerId === pointer) lift();
    });
  }
  canvas.addEventListener('keydown', (event) => {
    const step = ARROWS[event.key],
      key = event.ctrlKey || event.metaKey ? `Ctrl+${event.key}` : event.key;
    const act = {'Ctrl+z': undo, Delete: clear, Backspace: clear}[key];
    if (!step && !act && key !== ' ') return;
    event.preventDefault();
    if (act) return act();
    keyboard ??= [canvas.width / 2, canvas.height / 2];
    if (step) {
      keyboard = [0, 1].map((k) =>
        clamp(keyboard[k] + (step[k] * canvas.width) / 28, 0, canvas.width),
      );
      if (isDown) move([keyboard]);
    } else if (isDown) lift();
    else {
      isDown = true;
      cursor.classList.add('down');
      down(keyboard);
    }
    cursor.hidden = false;
    Object.assign(cursor.style, {
      left: `${(100 * keyboard[0]) / canvas.width}%`,
      top: `${(100 * keyboard[1]) / canvas.height}%`,
    });
  });
  canvas.addEventListener('blur', () => {
    if (isDown) lift();
    cursor.hidden = true;
  });
}

// The pad of drawing_pad.html. `penWidth`: px; `changed` is called after each change.
function inkPad({penWidth = () => 20, changed}) {
  const canvas = $('.ink'),
    pen = canvas.getContext('2d', {willReadFrequently: true}),
    eraser = $('.eraser');
  let strokes = [],
    image = null,
    current = null; // image: what lies under the strokes, {canvas, url}
  let isExample = false; // the image is one that the first stroke replaces

  function line(stroke, from) {
    pen.strokeStyle = pen.fillStyle = stroke.erase ? '#fff' : '#111';
    pen.lineCap = pen.lineJoin = 'round';
    pen.lineWidth = stroke.width;
    const points = stroke.points,
      start = Math.max(0, from - 1);
    pen.beginPath();
    if (points.length === 1) {
      pen.arc(...points[0], stroke.width / 2, 0, 7);
      pen.fill();
      return;
    }
    pen.moveTo(...points[start]);
    for (const point of points.slice(start + 1)) pen.lineTo(...point);
    pen.stroke();
  }
  function redraw() {
    pen.fillStyle = '#fff';
    pen.fillRect(0, 0, canvas.width, canvas.height);
    if (image) pen.drawImage(image.canvas, 0, 0);
    strokes.forEach((stroke) => line(stroke, 0));
    mark();
  }
  const isErasing = () => eraser?.getAttribute('aria-pressed') === 'true';
  const mark = () => $('.frame').classList.toggle('drawn', !pad.isEmpty);
  const pad = {
    canvas,
    get isEmpty() {
      return !image && !strokes.length;
    },
    get url() {
      return image && !strokes.length ? image.url : canvas.toDataURL('image/png');
    }, // an upload goes as it came
    get isUpload() {
      return image !== null && !strokes.length;
    },
    begin(point) {
      // a stroke
      if (isExample) pad.reset();
      current = {width: penWidth() * (isErasing() ? 1.6 : 1), erase: isErasing(), points: [point]};
      strokes.push(current);
      line(current, 0);
      mark();
      changed();
    },
    extend(points) {
      const from = current.points.length;
      current.points.push(...points);
      line(current, from);
      changed();
    },
    undo() {
      if (!strokes.pop()) image = null;
      redraw();
      changed();
    },
    reset() {
      // clears without `changed`
      strokes = [];
      image = null;
      isExample = false;
      eraser?.setAttribute('aria-pressed', 'false');
      redraw();
    },
    clear() {
      pad.reset();
      changed();
    },
    async put(file) {
      // a picture as what is drawn; false where it is none
      const under = newCanvas(canvas.width, canvas.height),
        url = await drawFile(file, under);
      pad.reset();
      if (url) {
        image = {canvas: under, url};
        redraw();
        changed();
      }
      return Boolean(url);
    },
    async open(png) {
      // with an example, base64, whose answer is known; false where something is drawn already
      const under = newCanvas(canvas.width, canvas.height);
      const url = await drawFile(new Blob([decodeBase64(png)], {type: 'image/png'}), under);
      if (!url || !pad.isEmpty) return false;
      image = {canvas: under, url};
      isExample = true;
      redraw();
      return true;
    },
  };
  followPen(canvas, {
    down: pad.begin,
    move: pad.extend,
    undo: () => pad.undo(),
    clear: () => pad.clear(),
  });
  $('.undo')?.addEventListener('click', () => pad.undo());
  $('.clear').addEventListener('click', () => pad.clear());
  eraser?.addEventListener('click', () =>
    eraser.setAttribute('aria-pressed', String(!isErasing())),
  );
  pad.reset();
  return pad;
}

// -- images from files -------------------------------------------------------------------------------
const NO_IMAGE =
  'The browser cannot open this file as an image: PNG, JPEG, WebP or GIF would work.';
async function readImage(file, most) {
  // on white, at most `most` px wide and high, as a canvas; null where it is none
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return null;
  const scale = Math.min(1, most / Math.max(bitmap.width, bitmap.height));
  const canvas = newCanvas(
    Math.max(1, Math.round(bitmap.width * scale)),
    Math.max(1, Math.round(bitmap.height * scale)),
  );
  const context = canvas.getContext('2d');
  context.fillStyle = '#fff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}
async function drawFile(file, paper) {
  // fitted, dark ink on white; returns the image as a PNG data URL, '' where it is none
  const image = await readImage(file, paper.width);
  if (!image) return '';
  const {width, height} = image,
    scale = paper.width / Math.max(width, height),
    [w, h] = [width * scale, height * scale];
  const greens = image
    .getContext('2d')
    .getImageData(0, 0, width, height)
    .data.filter((_, i) => i % 4 === 1);
  const context = paper.getContext('2d');
  context.fillStyle = '#fff';
  context.fillRect(0, 0, paper.width, paper.height);
  if (greens.reduce((sum, v) => sum + v, 0) < 110 * greens.length) context.filter = 'invert(1)'; // bright ink, as in MNIST
  context.imageSmoothingEnabled = scale < 1;
  context.drawImage(image, (paper.width - w) / 2, (paper.height - h) / 2, w, h);
  return image.toDataURL('image/png');
}
