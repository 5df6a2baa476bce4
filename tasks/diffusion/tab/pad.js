// A pad of the network's own few pixels, behind widget.js and drawing_pad.js: draw on it, have an image generated, upload one;
// hide a part (inpainting), reduce it (super-resolution), or noise it (forward process, computed here). Its value, which
// gradio's events read, is {model, picture, mask, times, t, noisy}: base64 of bytes; `noisy` are int16, 4096 to the unit.
const root = $('.pad'),
  mode = root.dataset.mode,
  MODELS = JSON.parse(root.dataset.models),
  T = 1000,
  MOST_UNDO = 40;
const canvas = $('.ink'),
  maskCanvas = $('.mask');
const HATCH = [
    [...themeColour('--lab-mark'), 255],
    [122, 74, 40, 255],
  ],
  RADIUS = {pen: 1.15, eraser: 1.8, hide: 2.2};
let model = MODELS[0],
  picture,
  hidden,
  tool = mode === 'inpaint' ? 'hide' : 'pen',
  times = 4,
  last = null,
  isDrawn = false;
let states = []; // what undo goes back to

// -- pixels ------------------------------------------------------------------------------------------
function paint(target, data, side, channels) {
  // data: 0 ... 255, (side, side, channels)
  drawGrid(target, {shape: [1, side, side, channels], data});
}
function draw() {
  const {side, channels} = model;
  paint(canvas, picture, side, channels);
  if (maskCanvas.width !== side) maskCanvas.width = maskCanvas.height = side;
  const image = new ImageData(side, side);
  for (let i = 0; i < side * side; i++)
    if (hidden[i]) image.data.set(HATCH[(((i % side) + Math.floor(i / side)) % 4) >> 1], 4 * i); // opaque: nothing shows through
  maskCanvas.getContext('2d').putImageData(image, 0, 0);
  $('.frame').classList.toggle('drawn', isDrawn);
  if (mode === 'small') reduce();
  if (mode === 'forward') pictureChanged();
}
function blank() {
  const {side, channels} = model;
  picture = new Uint8ClampedArray(side * side * channels);
  hidden = new Uint8Array(side * side);
  isDrawn = false;
}
function tell(text, isError = false) {
  $('.said').textContent = text || '\u00a0';
  $('.said').classList.toggle('error', isError);
}

// -- drawing -----------------------------------------------------------------------------------------
function saveState() {
  remember(states, {picture: picture.slice(), hidden: hidden.slice(), isDrawn}, MOST_UNDO);
}
function undo() {
  if (!states.length) return;
  ({picture, hidden, isDrawn} = states.pop());
  tell('');
  draw();
  publish();
}
function clear() {
  saveState();
  blank();
  tell('');
  draw();
  publish();
}
function dab(x, y) {
  // a soft round spot
  const {side, channels} = model,
    radius = RADIUS[tool];
  const colour = parseHex($('.colour').value);
  for (
    let j = Math.max(0, Math.floor(y - radius - 1));
    j <= Math.min(side - 1, y + radius + 1);
    j++
  ) {
    for (
      let i = Math.max(0, Math.floor(x - radius - 1));
      i <= Math.min(side - 1, x + radius + 1);
      i++
    ) {
      const much = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(i + 0.5 - x, j + 0.5 - y))),
        k = j * side + i;
      if (!much) continue;
      if (tool === 'hide') {
        if (much > 0.4) hidden[k] = 1;
        continue;
      }
      if (tool === 'eraser') hidden[k] = much > 0.5 ? 0 : hidden[k];
      for (let c = 0; c < channels; c++) {
        const at = k * channels + c,
          old = picture[at],
          to = tool === 'eraser' ? 0 : channels === 1 ? 255 : colour[c];
        picture[at] =
          tool === 'pen' && channels === 1 ? Math.max(old, 255 * much) : old + (to - old) * much;
      }
    }
  }
  if (tool !== 'hide') isDrawn = true;
}
function stroke(to) {
  const from = last || to,
    steps = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1]) * 3));
  for (let i = 1; i <= steps; i++)
    dab(from[0] + ((to[0] - from[0]) * i) / steps, from[1] + ((to[1] - from[1]) * i) / steps);
  last = to;
  draw();
}
followPen(canvas, {
  down(point) {
    saveState();
    if (isExample && tool === 'pen') blank();
    isExample = false;
    last = null;
    stroke(point);
    tell('');
  },
  move(points) {
    points.forEach(stroke);
  },
  up: publish,
  undo,
  clear,
});
$$('[data-tool]').forEach((button) =>
  button.addEventListener('click', () => {
    tool = button.dataset.tool;
    pressed('[data-tool]', button);
  }),
);
function pressed(all, one) {
  $$(all).forEach((b) => b.setAttribute('aria-pressed', String(b === one)));
}
$('.undo').addEventListener('click', undo);
$('.clear').addEventListener('click', clear);

// -- what the pad opens with: a generated image of each model ----------------------------------------
let examples = null,
  isExample = false; // isExample: the first stroke of the pen replaces it
function showExample() {
  const example = examples?.[model.name];
  if (!example || isDrawn || states.length) return;
  picture = new Uint8ClampedArray(decodeBase64(example.picture));
  isDrawn = isExample = true;
  if (mode === 'inpaint') hideHalf();
  tell(example.said);
  draw();
  publish();
}
whenSeen(root, async () => {
  examples = await recording('pads').catch(() => null);
  showExample();
});

// -- images that come from elsewhere -----------------------------------------------------------------
function take(answer) {
  if (!answer || answer.error) return tell(answer?.error || NO_ANSWER, true);
  saveState();
  isExample = false;
  picture = new Uint8ClampedArray(decodeBase64(answer.picture));
  hidden.fill(0);
  isDrawn = true;
  if (mode === 'inpaint') hideHalf();
  tell(answer.said);
  draw();
  publish();
}
function hideHalf() {
  // a first mask: the lower half
  const {side} = model;
  for (let j = Math.ceil(side * 0.52); j < side; j++) hidden.fill(1, j * side, (j + 1) * side);
}
$('.make').addEventListener('click', async () => {
  $('.make').disabled = true;
  tell('Generating\u2026'); // the first time, the network is loaded
  const answer = await server.make_picture({model: model.name}).catch(() => null);
  $('.make').disabled = false;
  take(answer);
});
async function put(file) {
  const copy = await readImage(file, 640);
  if (!copy) return tell(NO_IMAGE, true);
  const kind = copy.width * copy.height > 64 * 64 ? 'image/jpeg' : 'image/png'; // a digit of another tab comes unchanged
  take(
    await server
      .fit_picture({model: model.name, picture: copy.toDataURL(kind, 0.95)})
      .catch(() => null),
  );
}
$('.file').addEventListener('change', () => {
  if ($('.file').files.length) put($('.file').files[0]);
  $('.file').value = '';
});
const chooser = $('.model');
MODELS.forEach((m) => chooser.add(new Option(m.title, m.name)));
chooser.hidden = MODELS.length < 2;
function choose() {
  model = MODELS[chooser.selectedIndex];
  $('.colour').hidden = model.channels === 1;
  states = [];
  blank();
  draw();
  publish();
  showExample();
}
chooser.addEventListener('change', () => {
  choose();
  trigger('select');
});

// -- small: the mean of each square ------------------------------------------------------------------
function reduced() {
  const {side, channels} = model,
    h = side / times,
    out = new Uint8ClampedArray(h * h * channels);
  for (let y = 0; y < h; y++)
    for (let x = 0; x < h; x++)
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let j = 0; j < times; j++)
          for (let i = 0; i < times; i++) {
            sum += picture[((y * times + j) * side + x * times + i) * channels + c];
          }
        out[(y * h + x) * channels + c] = Math.round(sum / times ** 2);
      }
  return out;
}
function reduce() {
  paint($('.reduced'), reduced(), model.side / times, model.channels);
  $('.size').textContent = `${model.side / times} × ${model.side / times} px`;
}
$$('[data-times]').forEach((button) =>
  button.addEventListener('click', () => {
    times = Number(button.dataset.times);
    pressed('[data-times]', button);
    draw();
    publish();
  }),
);

// -- forward: q(x_t | x_0) ---------------------------------------------------------------------------
const bars = [1];
for (let i = 0; i < T; i++) {
  // squared cosine, betas at most 0.999 (Nichol and Dhariwal 2021)
  const f = (t) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  bars.push(bars[i] * (1 - Math.min(1 - f((i + 1) / T) / f(i / T), 0.999)));
}
function normal(seed) {
  // mulberry32, then Box and Muller
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let r = Math.imul(state ^ (state >>> 15), 1 | state);
    r = (r + Math.imul(r ^ (r >>> 7), 61 | r)) ^ r;
    return ((r ^ (r >>> 14)) >>> 0) / 4294967296;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
let x0,
  eps,
  chain,
  frameAsked = 0;
function pictureChanged() {
  x0 = Float32Array.from(picture, (v) => v / 127.5 - 1);
  const next = normal(7);
  eps = Float32Array.from(x0, next);
  chain = [x0];
  if (!frameAsked)
    frameAsked = requestAnimationFrame(() => {
      frameAsked = 0;
      forward();
    });
}
const time = () => Number($('.slide').value);
const closed = (t) => x0.map((v, i) => Math.sqrt(bars[t]) * v + Math.sqrt(1 - bars[t]) * eps[i]);
function stepwise(t) {
  // x_s = sqrt(1 - beta_s) x_(s-1) + sqrt(beta_s) eps_s; every tenth state is kept
  const from = Math.min(Math.floor(t / 10), chain.length - 1);
  let x = chain[from];
  for (let s = from * 10 + 1; s <= t; s++) {
    const beta = 1 - bars[s] / bars[s - 1],
      keep = Math.sqrt(1 - beta),
      add = Math.sqrt(beta),
      next = normal(1000 + s);
    x = x.map((v) => keep * v + add * next());
    if (s % 10 === 0 && chain.length === s / 10) chain.push(x);
  }
  return x;
}
function forward() {
  const t = time(),
    {side, channels} = model,
    one = closed(t),
    two = stepwise(t);
  const shown = (x) => Uint8ClampedArray.from(x, (v) => (v + 1) * 127.5);
  paint($('.closed'), shown(one), side, channels);
  paint($('.chain'), shown(two), side, channels);
  $('.t').textContent = t;
  $('.formula').innerHTML =
    `<span>x<sub>${t}</sub> = √ᾱ x<sub>0</sub> + √(1−ᾱ) ε</span> <span>= <span class="signal">${Math.sqrt(bars[t]).toFixed(3)}</span>` +
    ` x<sub>0</sub> + <span class="noise">${Math.sqrt(1 - bars[t]).toFixed(3)}</span> ε</span>`;
  histogram(one, two);
}
function histogram(one, two) {
  const plot = $('.histogram'),
    g = plot.getContext('2d'),
    shape = plot.clientHeight / plot.clientWidth;
  if (shape) plot.height = Math.round(plot.width * shape); // higher on a phone
  const {width, height} = plot,
    LOW = -3.5,
    HIGH = 3.5,
    BINS = 56;
  const style = getComputedStyle(element),
    colour = (name) => style.getPropertyValue(name).trim() || '#888';
  const count = (x) => {
    const bins = new Float32Array(BINS);
    for (const v of x)
      bins[Math.max(0, Math.min(BINS - 1, Math.floor(((v - LOW) / (HIGH - LOW)) * BINS)))]++;
    return bins.map((n) => n / x.length / ((HIGH - LOW) / BINS)); // density
  };
  const px = width / (plot.clientWidth || width),
    foot = 8 + 14 * px; // plot pixels to one of the page
  const up = (d) => height - foot - Math.min(1, d / 0.9) * (height - foot - 8);
  g.clearRect(0, 0, width, height);
  [
    [one, '--lab-accent'],
    [two, '--lab-second'],
  ].forEach(([x, name], k) => {
    g.fillStyle = colour(name);
    g.globalAlpha = k ? 0.5 : 0.6;
    count(x).forEach((d, i) => {
      const y = up(d);
      g.fillRect((i * width) / BINS, y, width / BINS - 1, height - foot - y);
    });
  });
  g.globalAlpha = 1;
  g.strokeStyle = colour('--body-text-color');
  g.lineWidth = 2;
  g.beginPath();
  for (let x = 0; x <= width; x += 4) {
    const v = LOW + (x / width) * (HIGH - LOW);
    g[x ? 'lineTo' : 'moveTo'](x, up(Math.exp((-v * v) / 2) / Math.sqrt(2 * Math.PI)));
  }
  g.stroke();
  g.fillStyle = colour('--body-text-color-subdued');
  g.font = `${12 * px}px sans-serif`;
  g.textAlign = 'center';
  for (let v = -3; v <= 3; v++) g.fillText(v, ((v - LOW) / (HIGH - LOW)) * width, height - 6);
}
$('.slide').addEventListener('input', forward);
if (mode === 'forward')
  new ResizeObserver(() => {
    if (x0) forward();
  }).observe($('.histogram'));
$('.slide').addEventListener('change', publish);

// -- what gradio's events read -----------------------------------------------------------------------
function publish() {
  const value = {model: model.name, picture: encodeBase64(picture), drawn: isDrawn};
  if (mode === 'inpaint') value.mask = encodeBase64(hidden);
  if (mode === 'small') {
    value.small = encodeBase64(reduced());
    value.times = times;
  }
  if (mode === 'forward') {
    x0 = Float32Array.from(picture, (v) => v / 127.5 - 1);
    value.t = time();
    value.noisy = encodeBase64(
      Int16Array.from(closed(value.t), (v) => clamp(Math.round(v * 4096), -32767, 32767)),
    );
  }
  props.value = value;
}
pressed('[data-tool]', $(`[data-tool=${tool}]`));
receiveImages((blob, name) => {
  // before `choose` publishes this pad's own value
  if (name && name !== model.name) {
    chooser.value = name;
    choose();
    trigger('select');
  }
  put(blob);
});
choose();
