// The drawing pad and everything that answers it. One request is in flight at a time; when it returns, the newest
// drawing is sent, so that the answer follows the pen and nothing queues up.
const $ = (selector) => element.querySelector(selector);
const canvas = $('.ink'), pen = canvas.getContext('2d', {willReadFrequently: true}), frame = $('.frame');
const SIDE = canvas.width, PAUSE_MS = 120;
const FOR = [12, 122, 111], AGAINST = [194, 65, 12];

// -- drawing -------------------------------------------------------------------------------------------------------
let strokes = [], current = null, demo = null;

function paper() { pen.fillStyle = '#fff'; pen.fillRect(0, 0, SIDE, SIDE); }
function line(stroke, from) {
  pen.strokeStyle = pen.fillStyle = '#111'; pen.lineCap = pen.lineJoin = 'round'; pen.lineWidth = stroke.width;
  const points = stroke.points;
  pen.beginPath();
  if (points.length === 1) { pen.arc(points[0][0], points[0][1], stroke.width / 2, 0, 7); pen.fill(); return; }
  const start = Math.max(0, from - 1);
  pen.moveTo(...points[start]);
  for (const p of points.slice(start + 1)) pen.lineTo(...p);
  pen.stroke();
}
function redraw() { current = null; paper(); strokes.forEach((s) => line(s, 0)); changed(); }
function clear() { stopDemo(); strokes = []; redraw(); }
function at(event) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * SIDE / box.width, (event.clientY - box.top) * SIDE / box.height];
}
canvas.addEventListener('pointerdown', (event) => {
  if (event.button !== 0 || !event.isPrimary) return; // a second finger or the palm does not draw
  stopDemo();
  try { canvas.setPointerCapture(event.pointerId); } catch (e) { /* a pointer that is gone already */ }
  current = {width: Number($('.width').value), points: [at(event)], id: event.pointerId};
  strokes.push(current); line(current, 0); changed();
});
canvas.addEventListener('pointermove', (event) => {
  if (!current || event.pointerId !== current.id) return;
  const before = current.points.length;
  for (const e of (event.getCoalescedEvents?.() || []).concat([event])) current.points.push(at(e));
  line(current, before); changed();
});
const lift = (event) => { if (current?.id === event.pointerId) current = null; };
canvas.addEventListener('pointerup', lift);
canvas.addEventListener('pointercancel', lift);
$('.undo').addEventListener('click', () => { stopDemo(); strokes.pop(); redraw(); });
$('.clear').addEventListener('click', clear);

// -- a digit drawn by the page, a little different each time ---------------------------------------------------------
const DIGITS = [
  [[[.5, .12], [.3, .2], [.22, .45], [.25, .72], [.42, .88], [.62, .84], [.76, .62], [.76, .35], [.66, .17], [.48, .12]]],
  [[[.38, .28], [.47, .21], [.55, .12]], [[.55, .12], [.55, .5], [.54, .88]]],
  [[[.26, .3], [.34, .16], [.52, .11], [.7, .2], [.7, .38], [.55, .58], [.36, .75], [.24, .87]], [[.24, .87], [.5, .86], [.76, .86]]],
  [[[.27, .2], [.45, .11], [.66, .17], [.68, .34], [.54, .46], [.44, .48]], [[.44, .48], [.62, .51], [.74, .65], [.66, .83], [.45, .9], [.26, .81]]],
  [[[.5, .12], [.38, .35], [.24, .6]], [[.24, .6], [.5, .6], [.8, .58]], [[.62, .36], [.61, .6], [.59, .9]]],
  [[[.7, .13], [.5, .13], [.34, .14]], [[.34, .14], [.32, .3], [.3, .45]], [[.3, .45], [.48, .39], [.68, .48], [.72, .68], [.58, .86], [.4, .89], [.25, .8]]],
  [[[.64, .12], [.44, .25], [.3, .48], [.27, .7], [.4, .88], [.6, .87], [.7, .72], [.62, .57], [.45, .56], [.3, .68]]],
  [[[.24, .16], [.5, .15], [.76, .14]], [[.76, .14], [.62, .4], [.5, .65], [.42, .9]]],
  [[[.66, .22], [.5, .11], [.33, .2], [.38, .38], [.55, .5], [.69, .67], [.62, .85], [.45, .9], [.3, .8], [.33, .63], [.5, .49], [.64, .37], [.68, .25], [.64, .2]]],
  [[[.7, .3], [.58, .14], [.4, .16], [.3, .32], [.38, .48], [.55, .49], [.68, .36], [.71, .25]], [[.71, .25], [.7, .5], [.64, .72], [.54, .9]]],
];
function smooth(points) { // Catmull-Rom through the points
  const out = [];
  for (let i = 0; i + 1 < points.length; i++) {
    const [a, b, c, d] = [points[Math.max(0, i - 1)], points[i], points[i + 1], points[Math.min(points.length - 1, i + 2)]];
    for (let t = 0; t < 1; t += .1) out.push([0, 1].map((k) => .5 * (2 * b[k] + (c[k] - a[k]) * t
      + (2 * a[k] - 5 * b[k] + 4 * c[k] - d[k]) * t * t + (3 * b[k] - a[k] - 3 * c[k] + d[k]) * t * t * t)));
  }
  return out.concat([points[points.length - 1]]);
}
function stopDemo() { if (demo) { clearInterval(demo); demo = null; } }
function drawFor(digit) {
  clear();
  const slant = (Math.random() - .5) * .25, size = .82 + Math.random() * .15, tremble = () => (Math.random() - .5) * .022;
  const place = ([x, y]) => [SIDE * (.5 + size * (x - .5 - slant * (y - .5))), SIDE * (.5 + size * (y - .5))];
  const queue = DIGITS[digit].map((stroke) => smooth(stroke.map(([x, y]) => [x + tremble(), y + tremble()])).map(place));
  let stroke = null;
  demo = setInterval(() => {
    if (!queue.length) return stopDemo();
    if (!stroke) { stroke = {width: Number($('.width').value), points: []}; strokes.push(stroke); }
    const from = stroke.points.length;
    stroke.points.push(...queue[0].splice(0, 2));
    line(stroke, from); changed();
    if (!queue[0].length) { queue.shift(); stroke = null; }
  }, 16);
}
for (let d = 0; d < 10; d++) {
  const key = document.createElement('button');
  key.type = 'button'; key.textContent = d; key.setAttribute('aria-label', `Draw a ${d}`);
  key.addEventListener('click', () => drawFor(d));
  $('.keys').append(key);
}

// -- asking --------------------------------------------------------------------------------------------------------
let dirty = 0, busy = false, pause = null, last = null;
const latencies = [];

function changed() {
  frame.classList.toggle('drawn', strokes.length > 0);
  if (!dirty) dirty = performance.now();
  ask();
}
async function ask() {
  if (busy || !dirty) return;
  const since = dirty; dirty = 0;
  if (!strokes.length) { clearTimeout(pause); show(null); return; }
  busy = true; clearTimeout(pause);
  const answer = await server.read_drawing(canvas.toDataURL('image/png')).catch(() => null); // none: gradio only warns
  busy = false;
  if (!answer) say('The server does not answer; trying again with the next stroke.');
  else if (strokes.length) { show(answer); requestAnimationFrame(() => timed(performance.now() - since, answer)); }
  rest();
  ask();
}
function rest() { // once the pen has rested, look inside what is shown
  clearTimeout(pause);
  if (last?.digit && !frame.dataset.inside) pause = setTimeout(look, PAUSE_MS);
}
async function look() {
  const answer = last;
  if (dirty || busy || !answer?.digit) return;
  const inside = await server.look_inside(answer.digit).catch(() => null);
  if (!inside || inside.error || last !== answer) return;
  show(inside); showInside(inside);
  $('.timing').textContent = `read at five angles in ${inside.ms.toFixed(1)} ms` + strokeTimes();
}
function timed(ms, answer) {
  if (!answer.ms) return;
  latencies.push(ms); if (latencies.length > 200) latencies.shift();
  $('.timing').textContent = `network ${answer.ms.toFixed(1)} ms` + strokeTimes();
  Object.assign(frame.dataset, {p50: percentile(.5).toFixed(1), p95: percentile(.95).toFixed(1), n: latencies.length});
}
function percentile(q) {
  const sorted = [...latencies].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}
function strokeTimes() {
  const times = latencies.length
    ? ` · stroke to bars p50 ${percentile(.5).toFixed(0)}, p95 ${percentile(.95).toFixed(0)} ms` : '';
  return times + ` · ${last?.device || ''}`;
}

// -- showing -------------------------------------------------------------------------------------------------------
const bars = [...Array(10).keys()].map((d) => {
  const row = document.createElement('div');
  row.className = 'bar';
  row.innerHTML = `<span>${d}</span><div class="track"><div class="fill"></div></div><span>–</span>`;
  $('.bars').append(row);
  return row;
});
function say(text) { $('.said').textContent = text; }
const percent = (p) => p > .9995 ? '> 99.9 %' : p > .0005 ? (100 * p).toFixed(1) + ' %' : '< 0.1 %';

function show(answer) {
  last = answer;
  delete frame.dataset.inside;
  const probabilities = answer?.probabilities;
  $('send-to').disabled = !probabilities;
  const order = probabilities ? [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]) : [];
  bars.forEach((row, d) => {
    row.classList.toggle('top', d === order[0]);
    row.children[1].firstChild.style.width = probabilities ? 100 * probabilities[d] + '%' : '0';
    row.lastChild.textContent = probabilities ? percent(probabilities[d]) : '–';
  });
  $('.bars').setAttribute('aria-label', 'Probability of each digit'
    + (probabilities ? ': ' + order.map((d) => `${d}, ${percent(probabilities[d])}`).join('; ') : ''));
  $('.best').textContent = probabilities ? order[0] : '–';
  frame.dataset.answer = probabilities ? order[0] : '';
  if (!probabilities) {
    say(answer?.error ? answer.error : 'Nothing drawn yet.');
    $('.timing').textContent = '\u00a0';
    caption('it is that', 'the runner-up');
    for (const c of element.querySelectorAll('.views canvas')) c.getContext('2d').clearRect(0, 0, 28, 28);
    emptyStages();
    return;
  }
  const sure = probabilities[order[0]];
  say(`${sure > .95 ? 'It reads a' : sure > .6 ? 'Probably a' : 'Unsure; perhaps a'} ${order[0]}, ${percent(sure)}. `
    + `Next would be ${order[1]}, ${percent(probabilities[order[1]])}.`);
  paint($('.seen'), bytes(answer.digit), 28, 28, (v) => [v, v, v]);
}
function caption(first, second) { $('.first').textContent = first; $('.second').textContent = second; }
function bytes(base64) { return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)); }
function paint(target, values, width, height, colour) {
  target.width = width; target.height = height;
  const context = target.getContext('2d'), image = context.createImageData(width, height);
  values.forEach((v, i) => { const [r, g, b] = colour(v); image.data.set([r, g, b, 255], 4 * i); });
  context.putImageData(image, 0, 0);
}
const signed = (v) => { // 128 is nothing, up is for, down is against
  const strength = Math.min(1, Math.abs(v - 128) / 127), colour = v >= 128 ? FOR : AGAINST;
  return [244, 242, 236].map((back, k) => Math.round(back + (colour[k] - back) * strength));
};
const warm = (v) => [Math.min(255, v * 1.5), v * v / 255, v * v * v / 65025 * .6].map(Math.round);

const STAGE_TEXT = ['edges and strokes', 'corners, ends, bows', 'parts of digits, far apart'];
const stages = STAGE_TEXT.map((text) => {
  const box = document.createElement('div');
  box.className = 'stage'; box.innerHTML = `<canvas role="img" aria-label="Feature maps: ${text}"></canvas><p>${text}</p>`;
  $('.stages').append(box);
  return box;
});
const LAYOUT = [[16, 28], [40, 14], [80, 7]];
function emptyStages() { LAYOUT.forEach(([count, side], i) => tile(i, new Uint8Array(count * side * side), count, side)); }
function tile(i, values, count, side) {
  const columns = side > 20 ? 4 : side > 10 ? 7 : 9, rows = Math.ceil(count / columns), step = side + 1;
  const grid = new Uint8Array(columns * step * rows * step);
  for (let c = 0; c < count; c++) {
    const x0 = (c % columns) * step, y0 = Math.floor(c / columns) * step;
    for (let y = 0; y < side; y++) for (let x = 0; x < side; x++)
      grid[(y0 + y) * columns * step + x0 + x] = values[(c * side + y) * side + x];
  }
  const box = stages[i];
  paint(box.querySelector('canvas'), grid, columns * step, rows * step, warm);
  box.querySelector('p').textContent = `${count} maps of ${side}×${side}: ${STAGE_TEXT[i]}`;
}
function showInside(inside) {
  caption(...inside.labels.map((label) => `a ${label}`));
  inside.why.forEach((b64, k) => paint(element.querySelectorAll('.why')[k], bytes(b64), 28, 28, signed));
  inside.stages.forEach((s, i) => tile(i, bytes(s.data), s.count, s.side));
  frame.dataset.inside = inside.stages.length;
}
// a picture that was read elsewhere in the tab is shown in the same place
document.addEventListener('digit-read', function read(event) {
  if (!element.isConnected) { document.removeEventListener('digit-read', read); return; } // the page was built anew
  if (!event.detail?.probabilities && strokes.length) return; // no picture any more, or a bad one: the drawing stays
  stopDemo(); strokes = []; current = null; dirty = 0; paper(); frame.classList.remove('drawn');
  show(event.detail);
  rest();
});

// -- taking away ---------------------------------------------------------------------------------------------------
function save(name, href) { const a = document.createElement('a'); a.download = name; a.href = href; a.click(); }
$('.png').addEventListener('click', () => { if (last?.digit) save('digit-28x28.png', $('.seen').toDataURL('image/png')); });
$('.json').addEventListener('click', () => {
  if (last?.probabilities) save('digit.json', 'data:application/json,' + encodeURIComponent(JSON.stringify(
    {probabilities: last.probabilities, network_ms: last.ms, device: last.device, pixels_28x28: [...bytes(last.digit)]}, null, 1)));
});

paper(); emptyStages();
