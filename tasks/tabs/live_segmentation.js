// The camera, live, with a class for every pixel over it. The page shows the camera itself; small JPEG frames go to the
// server, at most IN_FLIGHT at a time and always the newest one, and class ids come back as a small grey PNG.
const $ = (selector) => element.querySelector(selector);
const stage = $('.stage'), video = $('video'), over = $('.over'), pen = over.getContext('2d');
const IN_FLIGHT = 2, BACK_OFF_MS = 60, MODEST_MS = 4000, KEPT = 120;
const VISITOR = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
const small = document.createElement('canvas'), ink = small.getContext('2d');
const mask = document.createElement('canvas'), maskInk = mask.getContext('2d', {willReadFrequently: true});

// -- the model -------------------------------------------------------------------------------------------------------
let about = null, hidden = new Set();
async function prepare() {
  say('Loading the network…');
  const answer = await server.prepare_segmenter('segmentation').catch(() => null);
  if (!answer || answer.error) { say(answer?.error || 'The server does not answer.', true); return; }
  about = {...answer, packed: answer.colours.map((c) => { const n = parseInt(c.slice(1), 16); return (255 << 24 | (n & 255) << 16 | (n >> 8 & 255) << 8 | n >> 16) >>> 0; })};
  $('.kinds').replaceChildren(...about.names.map((name, i) => {
    const item = document.createElement('li'), label = document.createElement('label'), box = document.createElement('input');
    const part = document.createElement('em'), text = document.createElement('span');
    item.style.setProperty('--c', about.colours[i]);
    box.type = 'checkbox'; box.checked = true; text.textContent = name;
    box.addEventListener('change', () => { if (box.checked) hidden.delete(i); else hidden.add(i); paint(); });
    label.append(box, text, part); item.append(label);
    return item;
  }));
  say(stream ? 'Looking…' : 'Ready. Start the camera.');
}
$('.opacity').addEventListener('input', () => { $('.opacity-value').textContent = `${$('.opacity').value} %`; paint(); });
$('.mirror').addEventListener('change', () => { stage.classList.toggle('mirrored', $('.mirror').checked); paint(); });

// -- the camera ------------------------------------------------------------------------------------------------------
let stream = null, facing = 'environment', starting = 0;
function say(text, trouble = false) {
  if ($('.said').textContent !== text) $('.said').textContent = text;
  $('.said').classList.toggle('trouble', trouble);
}
const CAMERA_TROUBLE = {
  NotAllowedError: () => window.self !== window.top
    ? `The camera was refused. This page lies inside another one, which may not allow it: open it at its own address, ${location.origin}${location.pathname}, or allow the camera in the address bar and start again.`
    : 'The camera was refused. Allow it in the address bar of your browser and start again.',
  NotFoundError: () => 'No camera was found. Connect one, or use a picture or a video file.',
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
  if (!about) await prepare();
  if (!about || mine !== starting) return;
  say('Waiting for the camera…');
  let got;
  try {
    got = await navigator.mediaDevices.getUserMedia({audio: false, video: {width: {ideal: 640}, height: {ideal: 480}, facingMode: facing}});
  } catch (error) {
    if (mine === starting) { off(); say((CAMERA_TROUBLE[error.name] || (() => `The camera did not start (${error.name}).`))(), true); }
    return;
  }
  if (mine !== starting || unseen()) { got.getTracks().forEach((t) => t.stop()); return; }
  stream = got;
  stream.getVideoTracks()[0].addEventListener('ended', () => { if (stream === got) stop('The camera was disconnected.', true); });
  video.srcObject = stream;
  await video.play().catch(() => {});
  if (stream !== got) return;
  stage.classList.add('on');
  $('.start').disabled = true; $('.stop').disabled = $('.snapshot').disabled = false;
  Object.assign(times, {trips: [], answers: [], frames: []}); newest = 0;
  say('Looking…');
  onFrame(); watchStage();
}
function release() {
  if (stream) stream.getTracks().forEach((track) => track.stop());
  stream = null; video.srcObject = null;
}
function off() {
  stage.classList.remove('on');
  $('.start').disabled = false; $('.stop').disabled = $('.snapshot').disabled = true;
  mask.width = 0; paint();
}
function stop(text = 'Camera off.', trouble = false) {
  starting++;
  release(); off(); say(text, trouble);
}
const unseen = () => !element.isConnected || document.hidden || !stage.getClientRects().length;
function watchStage() { // leaving the tab hides the stage without an event
  if (!stream) return;
  if (unseen()) stop('Camera off, because this was out of sight.'); else setTimeout(watchStage, 250);
}
document.addEventListener('visibilitychange', () => { if (document.hidden && stream) stop('Camera off, because the page was hidden.'); });
window.addEventListener('pagehide', () => { if (stream) stop(); });
$('.start').addEventListener('click', start);
$('.stop').addEventListener('click', () => stop());
$('.turn').addEventListener('click', () => {
  facing = facing === 'user' ? 'environment' : 'user';
  $('.mirror').checked = facing === 'user';
  stage.classList.toggle('mirrored', $('.mirror').checked);
  if (stream) start(); else say(facing === 'user' ? 'Front camera chosen.' : 'Back camera chosen.');
});

// -- asking ----------------------------------------------------------------------------------------------------------
const times = {trips: [], answers: [], frames: []};
let inFlight = 0, sent = 0, newest = 0, answers = 0, notBefore = 0, modest = 0, fresh = false, modelMs = 0, nextReadout = 0;
const keep = (list, value) => { list.push(value); if (list.length > KEPT) list.shift(); };
function onFrame() {
  if (!stream) return;
  const next = () => { const now = performance.now(); fresh = true; keep(times.frames, now); readout(now); ask(); onFrame(); };
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(next); else setTimeout(next, 33);
}
async function ask() {
  const before = performance.now(), most = before < modest ? 1 : IN_FLIGHT;
  if (!stream || !about || !fresh || inFlight >= most || before < notBefore || !video.videoWidth) return;
  fresh = false;
  const scale = Math.min(1, Number($('.size').value) / Math.max(video.videoWidth, video.videoHeight)), of = stream, number = ++sent;
  small.width = Math.round(video.videoWidth * scale); small.height = Math.round(video.videoHeight * scale);
  ink.drawImage(video, 0, 0, small.width, small.height);
  inFlight++;
  const answer = await server.segment_frame({jpeg: small.toDataURL('image/jpeg', .8), visitor: VISITOR}).catch(() => null);
  inFlight--;
  if (stream !== of) return;
  const now = performance.now();
  if (!answer) { notBefore = now + 1000; say('The server does not answer; trying again.', true); return; }
  if (answer.busy) { notBefore = now + BACK_OFF_MS; modest = now + MODEST_MS; return; }
  if (answer.error) { notBefore = now + 1000; say(answer.error, true); return; }
  keep(times.trips, now - before); keep(times.answers, now);
  modelMs = answer.ms; answers++;
  if (number > newest) {
    newest = number;
    const image = new Image();
    image.onload = () => {
      if (stream !== of || number < newest) return;
      mask.width = image.naturalWidth; mask.height = image.naturalHeight;
      maskInk.drawImage(image, 0, 0);
      ids = maskInk.getImageData(0, 0, mask.width, mask.height);
      paint(); shares(answer.shares);
    };
    image.src = answer.mask;
    say('Looking…');
  }
  ask();
}
function shares(list) {
  [...$('.kinds').children].forEach((item, i) => { item.querySelector('em').textContent = list[i] >= .0005 ? `${(100 * list[i]).toFixed(1)} %` : ''; });
}

// -- painting --------------------------------------------------------------------------------------------------------
let ids = null;
const coloured = document.createElement('canvas');
function paint() {
  over.style.opacity = Number($('.opacity').value) / 100;
  if (!mask.width || !ids || !about) { pen.clearRect(0, 0, over.width, over.height); return; }
  coloured.width = ids.width; coloured.height = ids.height;
  const on = coloured.getContext('2d'), image = on.createImageData(ids.width, ids.height), out = new Uint32Array(image.data.buffer);
  for (let i = 0; i < out.length; i++) { const id = ids.data[4 * i]; out[i] = hidden.has(id) ? 0 : about.packed[id]; }
  on.putImageData(image, 0, 0);
  const w = stage.clientWidth, h = stage.clientHeight, scale = Math.min(w / video.videoWidth, h / video.videoHeight) || 0;
  const vw = video.videoWidth * scale, vh = video.videoHeight * scale;
  over.width = w; over.height = h;
  if ($('.mirror').checked) { pen.translate(w, 0); pen.scale(-1, 1); }
  pen.drawImage(coloured, (w - vw) / 2, (h - vh) / 2, vw, vh);
  pen.setTransform(1, 0, 0, 1, 0, 0);
}
const quantile = (list, q) => { const s = [...list].sort((a, b) => a - b); return s[Math.min(s.length - 1, Math.floor(q * s.length))]; };
const perSecond = (list, now) => { const recent = list.filter((t) => now - t < 2000); return recent.length > 1 ? 1000 * (recent.length - 1) / (recent[recent.length - 1] - recent[0]) : 0; };
function readout(now) {
  if (now < nextReadout) return;
  nextReadout = now + 500;
  $('.video-fps').textContent = `${perSecond(times.frames, now).toFixed(0)} fps`;
  $('.rate').textContent = `${perSecond(times.answers, now).toFixed(1)} / s`;
  if (!times.trips.length) return;
  $('.trip').textContent = `${quantile(times.trips, .5).toFixed(0)} / ${quantile(times.trips, .95).toFixed(0)} ms`;
  $('.model-ms').textContent = `${modelMs.toFixed(0)} ms`;
  element.dataset.answers = answers;
}
$('.snapshot').addEventListener('click', () => {
  const canvas = document.createElement('canvas'), on = canvas.getContext('2d');
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  if ($('.mirror').checked) { on.translate(canvas.width, 0); on.scale(-1, 1); }
  on.drawImage(video, 0, 0, canvas.width, canvas.height);
  on.globalAlpha = Number($('.opacity').value) / 100;
  if (mask.width) on.drawImage(coloured, 0, 0, canvas.width, canvas.height);
  const a = document.createElement('a'); a.download = 'segmented.png'; a.href = canvas.toDataURL('image/png'); a.click();
});
new ResizeObserver(paint).observe(stage);
