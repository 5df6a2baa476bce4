// A pad of the network's own few pixels: draw on it, have a picture made, upload one; hide a part (inpainting), make it
// small (super-resolution), or drown it in noise (forward process, all of it computed here). Its value, which gradio's
// events read, is {model, picture, mask, times, t, noisy}: base64 of bytes; `noisy` are int16, 4096 to the unit.
const $ = (selector) => element.querySelector(selector);
const pad = $('.pad'), mode = pad.dataset.mode, MODELS = JSON.parse(pad.dataset.models), T = 1000;
const ink = $('.ink'), veil = $('.mask');
const RADIUS = {pen: 1.15, rubber: 1.8, hide: 2.2};
let model = MODELS[0], picture, hidden, tool = mode === 'inpaint' ? 'hide' : 'pen', times = 4, last = null, drawn = false;

// -- pixels --------------------------------------------------------------------------------------------------------
const base64 = (array) => {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = '';
  for (let i = 0; i < bytes.length; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return btoa(text);
};
const unpack = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
function paint(canvas, values, side, channels) { // values: 0 ... 255, (side, side, channels)
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const image = new ImageData(side, side);
  for (let i = 0; i < side * side; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = values[i * channels + (channels === 3 ? c : 0)];
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext('2d').putImageData(image, 0, 0);
}
function draw() {
  const {side, channels} = model;
  paint(ink, picture, side, channels);
  if (veil.width !== side) veil.width = veil.height = side;
  const image = new ImageData(side, side);
  for (let i = 0; i < side * side; i++) if (hidden[i]) image.data.set([239, 154, 93, 255], 4 * i);
  veil.getContext('2d').putImageData(image, 0, 0);
  $('.frame').classList.toggle('drawn', drawn);
  if (mode === 'small') reduce();
  if (mode === 'forward') forget();
}
function blank() {
  const {side, channels} = model;
  picture = new Uint8ClampedArray(side * side * channels);
  hidden = new Uint8Array(side * side);
  drawn = false;
}
function tell(text, error = false) {
  $('.said').textContent = text || '\u00a0';
  $('.said').classList.toggle('error', error);
}

// -- drawing -------------------------------------------------------------------------------------------------------
function dab(x, y) { // a soft round spot
  const {side, channels} = model, radius = RADIUS[tool];
  const colour = [1, 3, 5].map((i) => parseInt($('.colour').value.slice(i, i + 2), 16));
  for (let j = Math.max(0, Math.floor(y - radius - 1)); j <= Math.min(side - 1, y + radius + 1); j++) {
    for (let i = Math.max(0, Math.floor(x - radius - 1)); i <= Math.min(side - 1, x + radius + 1); i++) {
      const much = Math.min(1, Math.max(0, radius + .5 - Math.hypot(i + .5 - x, j + .5 - y))), k = j * side + i;
      if (!much) continue;
      if (tool === 'hide') { if (much > .4) hidden[k] = 1; continue; }
      if (tool === 'rubber') hidden[k] = much > .5 ? 0 : hidden[k];
      for (let c = 0; c < channels; c++) {
        const at = k * channels + c, old = picture[at], to = tool === 'rubber' ? 0 : channels === 1 ? 255 : colour[c];
        picture[at] = tool === 'pen' && channels === 1 ? Math.max(old, 255 * much) : old + (to - old) * much;
      }
    }
  }
  if (tool !== 'hide') drawn = true;
}
function where(event) {
  const box = ink.getBoundingClientRect(), side = model.side;
  return [(event.clientX - box.left) * side / box.width, (event.clientY - box.top) * side / box.height];
}
function stroke(to) {
  const from = last || to, steps = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1]) * 3));
  for (let i = 1; i <= steps; i++) dab(from[0] + (to[0] - from[0]) * i / steps, from[1] + (to[1] - from[1]) * i / steps);
  last = to; draw();
}
ink.addEventListener('pointerdown', (event) => {
  if (event.button !== 0 || !event.isPrimary) return;
  try { ink.setPointerCapture(event.pointerId); } catch (e) { /* a pointer that is gone already */ }
  last = null; stroke(where(event)); tell('');
});
ink.addEventListener('pointermove', (event) => { if (last && event.isPrimary) stroke(where(event)); });
for (const kind of ['pointerup', 'pointercancel']) ink.addEventListener(kind, () => { if (last) { last = null; hand(); } });
element.querySelectorAll('[data-tool]').forEach((button) => button.addEventListener('click', () => {
  tool = button.dataset.tool; pressed('[data-tool]', button);
}));
function pressed(all, one) {
  element.querySelectorAll(all).forEach((b) => b.setAttribute('aria-pressed', String(b === one)));
}
$('.clear').addEventListener('click', () => { blank(); tell(''); draw(); hand(); });

// -- pictures that come from elsewhere -------------------------------------------------------------------------------
function take(answer) {
  if (!answer || answer.error) return tell(answer ? answer.error : 'The server does not answer.', true);
  picture = new Uint8ClampedArray(unpack(answer.picture));
  hidden.fill(0); drawn = true;
  if (mode === 'inpaint') hideHalf();
  tell(answer.said || ''); draw(); hand();
}
function hideHalf() { // something to begin with: the lower half
  const {side} = model;
  for (let j = Math.ceil(side * .52); j < side; j++) hidden.fill(1, j * side, (j + 1) * side);
}
async function make() {
  $('.make').disabled = true;
  tell('The network makes one\u2026'); // the first time it is loaded
  let answer = null;
  try { answer = await server.make_picture({model: model.name}); } catch (e) { /* as no answer */ }
  $('.make').disabled = false;
  take(answer);
}
$('.make').addEventListener('click', make);
$('.file').addEventListener('change', async (event) => {
  const file = event.target.files[0];
  event.target.value = '';
  if (!file) return;
  const copy = await canvasOfFile(file, 640);
  if (!copy) return tell(`${file.name.slice(0, 40)} is no picture that the browser can open: PNG, JPEG, WebP or GIF would do.`, true);
  const kind = copy.width * copy.height > 64 * 64 ? 'image/jpeg' : 'image/png'; // a digit of another tab comes unchanged
  take(await server.fit_picture({model: model.name, picture: copy.toDataURL(kind, .95)}).catch(() => null));
});
$('.file').dataset.listens = '';
const chooser = $('.model');
MODELS.forEach((m) => chooser.add(new Option(m.title, m.name)));
chooser.hidden = MODELS.length < 2;
function choose() {
  $('.colour').hidden = model.channels === 1;
  blank(); draw(); hand();
}
chooser.addEventListener('change', () => { model = MODELS[chooser.selectedIndex]; choose(); trigger('select'); });

// -- small: the mean of each square ------------------------------------------------------------------------------------
function reduced() {
  const {side, channels} = model, h = side / times, out = new Uint8ClampedArray(h * h * channels);
  for (let y = 0; y < h; y++) for (let x = 0; x < h; x++) for (let c = 0; c < channels; c++) {
    let sum = 0;
    for (let j = 0; j < times; j++) for (let i = 0; i < times; i++) {
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
element.querySelectorAll('[data-times]').forEach((button) => button.addEventListener('click', () => {
  times = Number(button.dataset.times); pressed('[data-times]', button); draw(); hand();
}));

// -- forward: q(x_t | x_0) -----------------------------------------------------------------------------------------------
const bars = [1];
for (let i = 0; i < T; i++) { // squared cosine, betas at most 0.999 (Nichol and Dhariwal 2021)
  const f = (t) => Math.cos((t + .008) / 1.008 * Math.PI / 2) ** 2;
  bars.push(bars[i] * (1 - Math.min(1 - f((i + 1) / T) / f(i / T), .999)));
}
function normal(seed) { // mulberry32, then Box and Muller
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6D2B79F5) >>> 0;
    let r = Math.imul(state ^ (state >>> 15), 1 | state);
    r = (r + Math.imul(r ^ (r >>> 7), 61 | r)) ^ r;
    return ((r ^ (r >>> 14)) >>> 0) / 4294967296;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
let x0, eps, chain, frameAsked = 0;
function forget() { // the picture has changed
  x0 = Float32Array.from(picture, (v) => v / 127.5 - 1);
  const next = normal(7);
  eps = Float32Array.from(x0, next);
  chain = [x0];
  if (!frameAsked) frameAsked = requestAnimationFrame(() => { frameAsked = 0; forward(); });
}
const time = () => Number($('.slide').value);
const closed = (t) => x0.map((v, i) => Math.sqrt(bars[t]) * v + Math.sqrt(1 - bars[t]) * eps[i]);
function stepwise(t) { // x_s = sqrt(1 - beta_s) x_(s-1) + sqrt(beta_s) eps_s; every tenth state is kept
  const from = Math.min(Math.floor(t / 10), chain.length - 1);
  let x = chain[from];
  for (let s = from * 10 + 1; s <= t; s++) {
    const beta = 1 - bars[s] / bars[s - 1], keep = Math.sqrt(1 - beta), add = Math.sqrt(beta), next = normal(1000 + s);
    x = x.map((v) => keep * v + add * next());
    if (s % 10 === 0 && chain.length === s / 10) chain.push(x);
  }
  return x;
}
function forward() {
  const t = time(), {side, channels} = model, one = closed(t), two = stepwise(t);
  const shown = (x) => Uint8ClampedArray.from(x, (v) => (v + 1) * 127.5);
  paint($('.closed'), shown(one), side, channels);
  paint($('.chain'), shown(two), side, channels);
  $('.t').textContent = t;
  $('.formula').innerHTML = `<span>x<sub>${t}</sub> = √ᾱ x<sub>0</sub> + √(1−ᾱ) ε</span> <span>= <span class="signal">${Math.sqrt(bars[t]).toFixed(3)}</span>`
    + ` x<sub>0</sub> + <span class="noise">${Math.sqrt(1 - bars[t]).toFixed(3)}</span> ε</span>`;
  histogram(one, two);
}
function histogram(one, two) {
  const canvas = $('.histogram'), g = canvas.getContext('2d'), shape = canvas.clientHeight / canvas.clientWidth;
  if (shape) canvas.height = Math.round(canvas.width * shape); // higher on a phone
  const {width, height} = canvas, LOW = -3.5, HIGH = 3.5, BINS = 56;
  const style = getComputedStyle(element), colour = (name) => style.getPropertyValue(name).trim() || '#888';
  const count = (x) => {
    const bins = new Float32Array(BINS);
    for (const v of x) bins[Math.max(0, Math.min(BINS - 1, Math.floor((v - LOW) / (HIGH - LOW) * BINS)))]++;
    return bins.map((n) => n / x.length / ((HIGH - LOW) / BINS)); // density
  };
  const px = width / (canvas.clientWidth || width), foot = 8 + 14 * px; // canvas pixels to one of the page
  const up = (d) => height - foot - Math.min(1, d / .9) * (height - foot - 8);
  g.clearRect(0, 0, width, height);
  [[one, '--lab-accent'], [two, '--lab-second']].forEach(([x, name], k) => {
    g.fillStyle = colour(name); g.globalAlpha = k ? .5 : .6;
    count(x).forEach((d, i) => { const y = up(d); g.fillRect(i * width / BINS, y, width / BINS - 1, height - foot - y); });
  });
  g.globalAlpha = 1; g.strokeStyle = colour('--body-text-color'); g.lineWidth = 2; g.beginPath();
  for (let x = 0; x <= width; x += 4) {
    const v = LOW + x / width * (HIGH - LOW);
    g[x ? 'lineTo' : 'moveTo'](x, up(Math.exp(-v * v / 2) / Math.sqrt(2 * Math.PI)));
  }
  g.stroke();
  g.fillStyle = colour('--body-text-color-subdued'); g.font = `${12 * px}px sans-serif`; g.textAlign = 'center';
  for (let v = -3; v <= 3; v++) g.fillText(v, (v - LOW) / (HIGH - LOW) * width, height - 6);
}
$('.slide').addEventListener('input', forward);
if (mode === 'forward') new ResizeObserver(() => { if (x0) forward(); }).observe($('.histogram'));
$('.slide').addEventListener('change', hand);

// -- what gradio's events read -------------------------------------------------------------------------------------------
function hand() {
  const value = {model: model.name, picture: base64(picture), drawn};
  if (mode === 'inpaint') value.mask = base64(hidden);
  if (mode === 'small') { value.small = base64(reduced()); value.times = times; }
  if (mode === 'forward') {
    x0 = Float32Array.from(picture, (v) => v / 127.5 - 1);
    value.t = time();
    value.noisy = base64(Int16Array.from(closed(value.t), (v) => Math.max(-32767, Math.min(32767, Math.round(v * 4096)))));
  }
  props.value = value;
}
pressed('[data-tool]', element.querySelector(`[data-tool=${tool}]`));
choose();
