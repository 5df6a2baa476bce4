// Boxes over the live camera, tracks, counts, hidden people; behind live_camera.js.
const TRAIL = 24, GONE_MS = 700, GAP_MS = 8000;
const COLOURS = ['#2dd4bf', '#fb923c', '#a78bfa', '#facc15', '#60a5fa', '#f472b6', '#4ade80', '#f87171', '#22d3ee', '#c084fc'];
const colour = (id) => COLOURS[id % COLOURS.length];
const mosaic = document.createElement('canvas'), mosaicInk = mosaic.getContext('2d');

const widget = {
  quality: .7,
  prepare: () => choose($('.model').value),
  on() { $('send-to').disabled = $('.csv').disabled = false; forget(); },
  off() { stage.classList.remove('veiled'); $('send-to').disabled = true; pen.clearRect(0, 0, over.width, over.height); element.dataset.running = ''; if (found) found.frame = null; },
  frame: (now) => paint(now),
  send: (jpeg, number) => server.detect_frame({
    jpeg, visitor: VISITOR, frame: number, model: about.name, size: Number($('.size').value),
    confidence: Number($('.confidence').value), iou: Number($('.iou').value), classes: wanted, track: $('.track').checked,
  }),
  remember: () => (hiding() ? copy(video) : null),
  take: (answer, now, frame) => take(answer, now, frame),
};

// -- the model -------------------------------------------------------------------------------------------------------
let wanted = null; // class ids that are shown; null: all

async function choose(name) {
  about = null;
  say('Loading the network…');
  const answer = await server.prepare_detector(name).catch(() => null);
  if ($('.model').value !== name) return; // another one was chosen meanwhile
  if (!answer || answer.error) {
    const bundled = [...$('.model').options].find((o) => o.dataset.bundled && o.value !== name);
    say((answer?.error || 'The server does not answer.') + (bundled ? ' Going on with the bundled network.' : ''), true);
    if (bundled) { $('.model').value = bundled.value; const told = $('.said').textContent; await choose(bundled.value); say(told, true); }
    return;
  }
  about = answer; wanted = null; forget();
  $('.size').replaceChildren(...answer.sizes.map((s) => new Option(`${s} px`, s, s === answer.size, s === answer.size)));
  $('.iou-label').style.display = answer.needs_nms ? '' : 'none';
  $('.privacy-label').style.display = answer.classes.includes('person') ? '' : 'none';
  $('.classes').replaceChildren(...answer.classes.map((label, id) => {
    const line = document.createElement('label'), box = document.createElement('input');
    box.type = 'checkbox'; box.checked = true; box.value = id;
    line.append(box, label);
    return line;
  }));
  filtered();
  ready();
}
function filtered() {
  const boxes = [...element.querySelectorAll('.classes input')], on = boxes.filter((b) => b.checked);
  wanted = on.length === boxes.length ? null : on.map((b) => Number(b.value));
  $('.filter-text').textContent = wanted ? `${on.length} of ${boxes.length}` : 'all';
}
$('.classes').addEventListener('change', filtered);
for (const [button, on] of [['.all', true], ['.none', false]]) $(button).addEventListener('click', () => {
  element.querySelectorAll('.classes input').forEach((b) => { b.checked = on; }); filtered();
});
for (const name of ['confidence', 'iou']) $('.' + name).addEventListener('input', () => {
  $(`.${name}-value`).textContent = Number($('.' + name).value).toFixed(2);
});
$('.model').addEventListener('change', () => choose($('.model').value));
$('.track').addEventListener('change', forget);

// -- what was found --------------------------------------------------------------------------------------------------
let found = null; // the newest answer, when it came, and, where people are hidden, the picture that it is about
const tracks = new Map(), seen = new Map(); // id -> {points, at, kind}; class id -> set of ids
function forget() { tracks.clear(); seen.clear(); found = null; stale = true; tally(); }
function take(answer, now, frame) {
  found = {...answer, at: now, frame}; stale = true;
  answer.track?.forEach((id, i) => {
    const [x1, y1, x2, y2] = answer.boxes[i], kind = answer.kind[i];
    const track = tracks.get(id) || {points: []};
    track.points.push([(x1 + x2) / 2, (y1 + y2) / 2]); if (track.points.length > TRAIL) track.points.shift();
    Object.assign(track, {at: now, kind}); tracks.set(id, track);
    if (!seen.has(kind)) seen.set(kind, new Set());
    if (seen.get(kind).size < 100000) seen.get(kind).add(id);
  });
  for (const [id, track] of tracks) if (now - track.at > GONE_MS) tracks.delete(id);
  stage.classList.remove('veiled');
  tally();
  const n = answer.boxes.length;
  if (!$('.said').classList.contains('trouble') || n) say(n ? `${n} found.` : 'Nothing found in this frame.');
  element.dataset.running = 'yes'; element.dataset.found = n;
}
const nowCounts = () => { const c = new Map(); found?.kind.forEach((k) => c.set(k, (c.get(k) || 0) + 1)); return c; };
let tallied = '';
function tally() {
  const current = nowCounts(), kinds = [...new Set([...seen.keys(), ...current.keys()])].sort((a, b) => a - b);
  const rows = kinds.map((k) => [k, current.get(k) || 0, seen.get(k)?.size ?? '–']), text = JSON.stringify(rows);
  if (text === tallied) return;
  tallied = text;
  $('.counts tbody').replaceChildren(...rows.map(([kind, now, unique]) => {
    const row = document.createElement('tr'), swatch = document.createElement('i');
    swatch.style.background = colour(kind);
    for (const value of [about?.classes[kind] ?? kind, now, unique]) { const cell = document.createElement('td'); cell.append(value); row.append(cell); }
    row.firstChild.prepend(swatch);
    return row;
  }));
}

// -- painting --------------------------------------------------------------------------------------------------------
let stale = true; // the boxes on the page are not those to be shown; what hides people follows every frame
for (const event of ['input', 'change']) element.addEventListener(event, () => { stale = true; });
new ResizeObserver(() => { stale = true; }).observe(stage);
function paint(now) {
  const gone = found && now - found.at > GAP_MS;
  if (!stale && !gone && !hiding()) return;
  stale = false;
  const at = place(), ratio = Math.min(2, window.devicePixelRatio || 1);
  if (over.width !== Math.round(at.w * ratio) || over.height !== Math.round(at.h * ratio)) { over.width = Math.round(at.w * ratio); over.height = Math.round(at.h * ratio); }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, at.w, at.h);
  stage.classList.toggle('veiled', hiding() && (!found || now - found.at > GONE_MS));
  if (gone) found = null;
  draw(pen, at);
}
const hiding = () => $('.privacy').checked && about?.classes.includes('person');
function draw(on, at, shown = video) {
  const flip = $('.mirror').checked, X = (x) => at.left + at.width * (flip ? 1 - x : x), Y = (y) => at.top + at.height * y;
  if (!found) return;
  if (hiding()) found.boxes.forEach((box, i) => { if (about.classes[found.kind[i]] === 'person') hide(on, box, X, Y, flip, shown); });
  on.lineWidth = 2; on.lineJoin = 'round';
  if ($('.track').checked) for (const track of tracks.values()) {
    on.strokeStyle = colour(track.kind); on.globalAlpha = .7; on.beginPath();
    track.points.forEach(([x, y], i) => (i ? on.lineTo(X(x), Y(y)) : on.moveTo(X(x), Y(y)))); on.stroke(); on.globalAlpha = 1;
  }
  on.font = '600 13px system-ui, sans-serif'; on.textBaseline = 'middle';
  found.boxes.forEach(([x1, y1, x2, y2], i) => {
    const left = Math.min(X(x1), X(x2)), top = Y(y1), width = Math.abs(X(x2) - X(x1)), height = Y(y2) - top;
    const kind = found.kind[i], id = found.track ? ` #${found.track[i]}` : '';
    const text = `${about.classes[kind]}${id} ${Math.round(100 * found.confidence[i])} %`;
    on.strokeStyle = on.fillStyle = colour(kind);
    on.strokeRect(left, top, width, height);
    const wide = on.measureText(text).width + 10, y = top > 20 ? top - 20 : top;
    const x = Math.max(0, Math.min(left - 1, at.left + at.width - wide));
    on.fillRect(x, y, wide, 20);
    on.fillStyle = '#111'; on.fillText(text, x + 5, y + 10);
  });
}
function hide(on, [x1, y1, x2, y2], X, Y, flip, shown) { // a mosaic too coarse for a face, somewhat larger than the box
  const w = x2 - x1, h = y2 - y1, [W, H] = sizeOf(shown);
  [x1, y1, x2, y2] = [Math.max(0, x1 - .08 * w), Math.max(0, y1 - .08 * h), Math.min(1, x2 + .08 * w), Math.min(1, y2 + .08 * h)];
  mosaic.width = 6; mosaic.height = Math.max(2, Math.round(6 * (y2 - y1) * H / Math.max(1, (x2 - x1) * W)));
  mosaicInk.imageSmoothingQuality = 'high';
  mosaicInk.drawImage(shown, x1 * W, y1 * H, (x2 - x1) * W, (y2 - y1) * H, 0, 0, mosaic.width, mosaic.height);
  on.save(); on.imageSmoothingEnabled = false;
  const left = Math.min(X(x1), X(x2)), width = Math.abs(X(x2) - X(x1));
  if (flip) { on.translate(2 * left + width, 0); on.scale(-1, 1); }
  on.drawImage(mosaic, left, Y(y1), width, Y(y2) - Y(y1));
  on.restore();
}

// -- taking away -----------------------------------------------------------------------------------------------------
const sizeOf = (shown) => [shown.videoWidth || shown.width, shown.videoHeight || shown.height];
function copy(shown) {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = sizeOf(shown);
  canvas.getContext('2d').drawImage(shown, 0, 0);
  return canvas;
}
function snapshot() { // a canvas; null where people are to be hidden and nobody was looked for yet
  // People are hidden in the very picture in which they were found: by now they may stand elsewhere.
  const shown = hiding() ? found?.frame : video;
  if (!shown) { say('Nothing has been looked at yet, so nobody could be hidden. Try again in a moment.', true); return null; }
  const canvas = document.createElement('canvas'), on = canvas.getContext('2d');
  const [w, h] = [canvas.width, canvas.height] = sizeOf(shown);
  on.save(); if ($('.mirror').checked) { on.translate(w, 0); on.scale(-1, 1); } on.drawImage(shown, 0, 0); on.restore();
  draw(on, {left: 0, top: 0, width: w, height: h, w, h}, shown);
  return canvas;
}
$('.snapshot').addEventListener('click', () => {
  const picture = snapshot();
  if (picture) save('detections.png', picture.toDataURL('image/png'));
});
$('send-to').source = () => {
  const picture = snapshot();
  return picture && {picture, kind: 'photo'};
};
$('.csv').addEventListener('click', () => {
  const current = nowCounts(), kinds = [...new Set([...seen.keys(), ...current.keys()])].sort((a, b) => a - b);
  const lines = kinds.map((k) => `"${String(about?.classes[k]).replaceAll('"', '""')}",${current.get(k) || 0},${seen.get(k)?.size ?? ''}`);
  save('counts.csv', 'data:text/csv;charset=utf-8,' + encodeURIComponent(['class,now,unique', ...lines].join('\r\n') + '\r\n'));
});

// -- the list of models ----------------------------------------------------------------------------------------------
$('.model').replaceChildren(...JSON.parse($('.model').dataset.offered).map((m) => {
  const option = new Option(m.title, m.name);
  if (m.bundled) option.dataset.bundled = 'yes'; if (m.download) option.dataset.download = 'yes';
  return option;
}));
const first = $('.model').selectedOptions[0];
if (first && !first.dataset.download) { // loaded when the tab is first seen; a download waits for Start
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((e) => e.isIntersecting)) return;
    observer.disconnect();
    if (!about) choose(first.value);
  });
  observer.observe(stage);
}
