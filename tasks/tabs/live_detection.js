// The camera, live, with boxes over it. The page shows the camera itself at its own rate; small JPEG frames go to the
// server, at most IN_FLIGHT at a time and always the newest one, and boxes come back. A busy server says so and the page
// waits a moment: nothing queues up anywhere.
const $ = (selector) => element.querySelector(selector);
const stage = $('.stage'), video = $('video'), over = $('.over'), pen = over.getContext('2d');
const IN_FLIGHT = 2, BACK_OFF_MS = 60, MODEST_MS = 4000, KEPT = 120, TRAIL = 24, GONE_MS = 700, GAP_MS = 8000;
const VISITOR = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
const COLOURS = ['#2dd4bf', '#fb923c', '#a78bfa', '#facc15', '#60a5fa', '#f472b6', '#4ade80', '#f87171', '#22d3ee', '#c084fc'];
const colour = (id) => COLOURS[id % COLOURS.length];
const small = document.createElement('canvas'), ink = small.getContext('2d', {willReadFrequently: true});
const mosaic = document.createElement('canvas'), mosaicInk = mosaic.getContext('2d');

// -- the model -------------------------------------------------------------------------------------------------------
let about = null, wanted = null; // what the server said of the chosen network; class ids that are shown, null: all

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
  say(stream ? 'Looking…' : 'Ready. Start the camera.');
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
$('.mirror').addEventListener('change', () => stage.classList.toggle('mirrored', $('.mirror').checked));
$('.track').addEventListener('change', forget);

// -- the camera ------------------------------------------------------------------------------------------------------
let stream = null, facing = 'user', starting = 0;
function say(text, trouble = false) {
  if ($('.said').textContent !== text) $('.said').textContent = text; // the same again would be laid out again
  $('.said').classList.toggle('trouble', trouble);
}

const CAMERA_TROUBLE = {
  NotAllowedError: () => window.self !== window.top
    ? `The camera was refused. This page lies inside another one, which may not allow it: open it at its own address, ${location.origin}${location.pathname}, or allow the camera in the address bar and start again.`
    : 'The camera was refused. Allow it in the address bar of your browser and start again.',
  NotFoundError: () => 'No camera was found. Connect one, or use a picture or a video file below.',
  OverconstrainedError: () => 'This device has no other camera.',
  NotReadableError: () => 'Another program uses the camera. Close it there and start again.',
};
async function start() {
  if (!navigator.mediaDevices?.getUserMedia) {
    say('Browsers give the camera to pages over https or on localhost only; this one came over plain http.', true);
    return;
  }
  const mine = ++starting;
  release();
  if (!about) choose($('.model').value);
  say('Waiting for the camera…');
  let got;
  try {
    got = await navigator.mediaDevices.getUserMedia({audio: false, video: {width: {ideal: 640}, height: {ideal: 480}, facingMode: facing}});
  } catch (error) {
    if (mine === starting) { off(); say((CAMERA_TROUBLE[error.name] || (() => `The camera did not start (${error.name}).`))(), true); }
    return;
  }
  if (mine !== starting || hidden()) { got.getTracks().forEach((t) => t.stop()); return; }
  stream = got;
  stream.getVideoTracks()[0].addEventListener('ended', () => { if (stream === got) stop('The camera was disconnected.', true); });
  video.srcObject = stream;
  await video.play().catch(() => {});
  if (stream !== got) return;
  stage.classList.add('on'); stage.classList.toggle('mirrored', $('.mirror').checked);
  $('.start').disabled = true; $('.stop').disabled = $('.snapshot').disabled = $('send-to').disabled = $('.csv').disabled = false;
  forget(); Object.assign(times, {trips: [], answers: [], frames: []});
  say(about ? 'Looking…' : 'Loading the network…');
  stale = true; onFrame(); watch();
}
function release() {
  if (stream) stream.getTracks().forEach((track) => track.stop());
  stream = null; video.srcObject = null;
}
function off() {
  stage.classList.remove('on', 'veiled');
  $('.start').disabled = false; $('.stop').disabled = $('.snapshot').disabled = $('send-to').disabled = true;
  pen.clearRect(0, 0, over.width, over.height);
}
function stop(text = 'Camera off.', trouble = false) {
  starting++;
  if (!stream && $('.start').disabled === false) return;
  release(); off(); say(text, trouble);
  Object.assign(element.dataset, {running: ''});
}
const hidden = () => !element.isConnected || document.hidden || !stage.getClientRects().length;
function watch() { // leaving the tab hides the stage without an event
  if (!stream) return;
  if (hidden()) stop('Camera off, because this was out of sight.'); else setTimeout(watch, 250);
}
const onHide = () => { if (stream) stop('Camera off, because the page was hidden.'); };
document.addEventListener('visibilitychange', () => { if (document.hidden) onHide(); });
window.addEventListener('pagehide', onHide);
$('.start').addEventListener('click', start);
$('.stop').addEventListener('click', () => stop());
$('.turn').addEventListener('click', () => {
  facing = facing === 'user' ? 'environment' : 'user';
  $('.mirror').checked = facing === 'user';
  if (stream) start(); else say(facing === 'user' ? 'Front camera chosen.' : 'Back camera chosen.');
});

// -- asking ----------------------------------------------------------------------------------------------------------
const times = {trips: [], answers: [], frames: []};
let inFlight = 0, sent = 0, shown = 0, answers = 0, notBefore = 0, fresh = false, found = null, modelMs = 0;
let modest = 0; // until then one request at a time: others wait for the server, too

function onFrame() { // a new picture of the camera is there
  if (!stream) return;
  const next = () => {
    const now = performance.now();
    fresh = true; keep(times.frames, now); paint(now); readout(now); ask(); onFrame();
  };
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(next); else setTimeout(next, 33);
}
async function ask() {
  const before = performance.now(), most = before < modest ? 1 : IN_FLIGHT;
  if (!stream || !about || !fresh || inFlight >= most || before < notBefore || !video.videoWidth) return;
  fresh = false;
  const size = Number($('.size').value), scale = Math.min(1, size / Math.max(video.videoWidth, video.videoHeight));
  small.width = Math.round(video.videoWidth * scale); small.height = Math.round(video.videoHeight * scale);
  const now = performance.now(), number = ++sent, of = stream, network = about;
  ink.drawImage(video, 0, 0, small.width, small.height);
  inFlight++;
  const answer = await server.detect_frame({
    jpeg: small.toDataURL('image/jpeg', .7), visitor: VISITOR, frame: number, model: network.name, size,
    confidence: Number($('.confidence').value), iou: Number($('.iou').value), classes: wanted, track: $('.track').checked,
  }).catch(() => null);
  inFlight--;
  if (stream !== of || about !== network) return;
  const then = performance.now();
  if (!answer) { notBefore = then + 1000; say('The server does not answer; trying again.', true); setTimeout(ask, 1000); return; }
  if (answer.busy) { notBefore = then + BACK_OFF_MS; modest = then + MODEST_MS; setTimeout(ask, BACK_OFF_MS); return; }
  if (answer.error) { notBefore = then + 1000; say(answer.error, true); setTimeout(ask, 1000); return; }
  if (answer.late) { ask(); return; }
  keep(times.trips, then - now); keep(times.answers, then); answers++;
  modelMs = answer.ms;
  if (number > shown) { shown = number; take(answer, then); }
  ask();
}
function keep(list, value) { list.push(value); if (list.length > KEPT) list.shift(); }

// -- what was found --------------------------------------------------------------------------------------------------
const tracks = new Map(), seen = new Map(); // id -> {points, at, kind}; class id -> set of ids
function forget() { tracks.clear(); seen.clear(); found = null; stale = true; tally(); }
function take(answer, now) {
  found = {...answer, at: now}; stale = true;
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
const median = (list, q) => { const s = [...list].sort((a, b) => a - b); return s[Math.min(s.length - 1, Math.floor(q * s.length))]; };
const perSecond = (list, now) => { const recent = list.filter((t) => now - t < 2000); return recent.length > 1 ? 1000 * (recent.length - 1) / (recent[recent.length - 1] - recent[0]) : 0; };
let nextReadout = 0;
function readout(now) {
  if (now < nextReadout) return;
  nextReadout = now + 500;
  const fps = perSecond(times.frames, now), rate = perSecond(times.answers, now);
  $('.video-fps').textContent = `${fps.toFixed(0)} fps`;
  $('.rate').textContent = `${rate.toFixed(1)} / s`;
  if (!times.trips.length) return;
  const p50 = median(times.trips, .5), p95 = median(times.trips, .95);
  $('.trip').textContent = `${p50.toFixed(0)} / ${p95.toFixed(0)} ms`;
  $('.model-ms').textContent = `${modelMs.toFixed(1)} ms`;
  Object.assign(element.dataset, {fps: fps.toFixed(1), rate: rate.toFixed(1), p50: p50.toFixed(1), p95: p95.toFixed(1), modelMs: modelMs.toFixed(1), answers});
}
function place() { // the video's rectangle inside the stage, in CSS pixels
  const w = stage.clientWidth, h = stage.clientHeight, scale = Math.min(w / video.videoWidth, h / video.videoHeight) || 0;
  const vw = video.videoWidth * scale, vh = video.videoHeight * scale;
  return {left: (w - vw) / 2, top: (h - vh) / 2, width: vw, height: vh, w, h};
}
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
function draw(on, at) {
  const flip = $('.mirror').checked, X = (x) => at.left + at.width * (flip ? 1 - x : x), Y = (y) => at.top + at.height * y;
  if (!found) return;
  if (hiding()) found.boxes.forEach((box, i) => { if (about.classes[found.kind[i]] === 'person') hide(on, box, X, Y, flip); });
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
function hide(on, [x1, y1, x2, y2], X, Y, flip) { // a mosaic too coarse for a face, somewhat larger than the box
  const w = x2 - x1, h = y2 - y1, V = video;
  [x1, y1, x2, y2] = [Math.max(0, x1 - .08 * w), Math.max(0, y1 - .08 * h), Math.min(1, x2 + .08 * w), Math.min(1, y2 + .08 * h)];
  mosaic.width = 6; mosaic.height = Math.max(2, Math.round(6 * (y2 - y1) * V.videoHeight / Math.max(1, (x2 - x1) * V.videoWidth)));
  mosaicInk.imageSmoothingQuality = 'high';
  mosaicInk.drawImage(V, x1 * V.videoWidth, y1 * V.videoHeight, (x2 - x1) * V.videoWidth, (y2 - y1) * V.videoHeight, 0, 0, mosaic.width, mosaic.height);
  on.save(); on.imageSmoothingEnabled = false;
  const left = Math.min(X(x1), X(x2)), width = Math.abs(X(x2) - X(x1));
  if (flip) { on.translate(2 * left + width, 0); on.scale(-1, 1); }
  on.drawImage(mosaic, left, Y(y1), width, Y(y2) - Y(y1));
  on.restore();
}

// -- taking away -----------------------------------------------------------------------------------------------------
function save(name, href) { const a = document.createElement('a'); a.download = name; a.href = href; a.click(); }
function snapshot() { // a canvas; null where people are to be hidden and nobody was looked for yet
  const canvas = document.createElement('canvas'), on = canvas.getContext('2d');
  const [w, h] = [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  if (hiding() && !found) { say('Nothing has been looked at yet, so nobody could be hidden.', true); return null; }
  on.save(); if ($('.mirror').checked) { on.translate(w, 0); on.scale(-1, 1); } on.drawImage(video, 0, 0, w, h); on.restore();
  draw(on, {left: 0, top: 0, width: w, height: h, w, h});
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
$('.model').replaceChildren(...JSON.parse(element.querySelector('.live').dataset.models || '[]').map((m) => {
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
