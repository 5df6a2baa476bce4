// Boxes over the live camera, tracks, counts, hidden people; put behind live_camera.js.
const TRAIL = 24,
  GONE_MS = 700,
  GAP_MS = 8000;
const PALETTE = JSON.parse($('.model').dataset.palette),
  colour = (id) => PALETTE[id % PALETTE.length];
const mosaic = newCanvas(1, 1),
  mosaicInk = mosaic.getContext('2d');

const widget = {
  quality: 0.7,
  clip: 'live-detection',
  replay(answer, {classes}) {
    known = {classes};
    keep(answer, performance.now());
    paint(performance.now());
  },
  prepare: () => choose($('.model').value),
  on() {
    foundAt = performance.now();
    work.choose();
    $('send-to').disabled = $('.csv').disabled = false;
    known = null;
    forget();
  },
  off() {
    stage.classList.remove('veiled');
    $('send-to').disabled = true;
    pen.clearRect(0, 0, over.width, over.height);
    element.dataset.running = '';
    if (found) found.frame = null;
  },
  frame: (now) => paint(now),
  send: (jpeg, number) =>
    server.detect_frame({
      jpeg,
      visitor: VISITOR,
      frame: number,
      model: about.name,
      size: Number($('.size').value),
      confidence: Number($('.confidence').value),
      iou: Number($('.iou').value),
      classes: wanted,
      track: $('.track').checked,
      zones: editor.zones.length ? editor.zones : null,
    }),
  compute: (pixels) => compute(pixels),
  keepFrame: () => (hiding() ? copy(video) : null),
  take: (answer, now, frame) => take(answer, now, frame),
};

let known = null; // {classes} of the network that found what is shown

// -- the model ---------------------------------------------------------------------------------------
let wanted = null; // class ids that are shown; null: all

async function choose(name) {
  about = null;
  work.toServer();
  say('Loading the network…');
  const answer = await untilLoaded(() => server.prepare_detector(name));
  if ($('.model').value !== name) return; // another one was chosen meanwhile
  if (!answer || answer.error) {
    const bundled = [...$('.model').options].find((o) => o.dataset.bundled && o.value !== name);
    say((answer?.error || NO_ANSWER) + (bundled ? ' Using the bundled network.' : ''), true);
    if (bundled) {
      $('.model').value = bundled.value;
      const problem = $('.said').textContent;
      await choose(bundled.value);
      say(problem, true);
    }
    return;
  }
  about = answer;
  wanted = null;
  forget();
  if (answer.name === 'digits') {
    $('.mirror').checked = false;
    mirror();
  } // mirrored digits are none
  $('.size').replaceChildren(
    ...answer.sizes.map((s) => new Option(`${s} px`, s, s === answer.size, s === answer.size)),
  );
  $('.iou-label').style.display = answer.needs_nms ? '' : 'none';
  $('.privacy-label').style.display = answer.classes.includes('person') ? '' : 'none';
  $('.classes').replaceChildren(
    ...answer.classes.map((label, id) => {
      const line = document.createElement('label'),
        box = document.createElement('input');
      box.type = 'checkbox';
      box.checked = true;
      box.value = id;
      line.append(box, label);
      return line;
    }),
  );
  filtered();
  ready();
  work.choose();
}
function filtered() {
  const boxes = $$('.classes input'),
    on = boxes.filter((b) => b.checked);
  wanted = on.length === boxes.length ? null : on.map((b) => Number(b.value));
  $('.filter-text').textContent = wanted ? `${on.length} of ${boxes.length}` : 'all';
}
$('.classes').addEventListener('change', filtered);
for (const [button, on] of [
  ['.all', true],
  ['.none', false],
])
  $(button).addEventListener('click', () => {
    $$('.classes input').forEach((b) => {
      b.checked = on;
    });
    filtered();
  });
for (const name of ['confidence', 'iou'])
  $('.' + name).addEventListener('input', () => {
    $(`.${name}-value`).textContent = Number($('.' + name).value).toFixed(2);
  });
$('.model').addEventListener('change', () => choose($('.model').value));
$('.track').addEventListener('change', forget);

// -- computed on the device --------------------------------------------------------------------------
const ownTracks = deviceTracks();
const work = placeOfWork({
  prepare: (network, gpu) => server.prepare_on_device({model: network.name, gpu}),
  question,
  atOnce: (network) => atOnce.includes(network.name),
  changed() {
    forget();
    $('.zones').hidden = device !== null; // lines and areas are counted by the server
  },
});
let atOnce = []; // networks that may be tried without being asked for
function question({final}) {
  const confidence = Number($('.confidence').value);
  return {
    confidence: $('.track').checked ? Math.min(TRACK_FLOOR, confidence) : confidence,
    iou: Number($('.iou').value),
    classes: wanted,
    final,
  };
}
async function compute(pixels) {
  const answer = await work.compute(pixels);
  if (answer.late || !$('.track').checked) return answer;
  return ownTracks.update(answer, Number($('.confidence').value), performance.now());
}

// -- what was found ----------------------------------------------------------------------------------
let found = null; // the newest answer, when it came, and, where people are hidden, the picture that it is about
const tracks = new Map(),
  seen = new Map(); // id -> {points, at, kind}; class id -> tracks that count, so far
function forget() {
  tracks.clear();
  ownTracks.clear();
  seen.clear();
  found = null;
  stale = true;
  tally();
}
function keep(answer, now, frame) {
  found = {...answer, at: now, frame};
  stale = true;
  answer.track?.forEach((id, i) => {
    const [x1, y1, x2, y2] = answer.boxes[i],
      kind = answer.kind[i];
    const track = tracks.get(id) || {points: []};
    track.points.push([(x1 + x2) / 2, (y1 + y2) / 2]);
    if (track.points.length > TRAIL) track.points.shift();
    Object.assign(track, {at: now, kind});
    tracks.set(id, track);
  });
  if (answer.tracks) {
    seen.clear();
    for (const [kind, n] of answer.tracks) seen.set(kind, n);
  }
  if ($('.heat').checked) warm(answer);
  noteZones(answer);
  for (const [id, track] of tracks) if (now - track.at > GONE_MS) tracks.delete(id);
  stage.classList.remove('veiled');
  tally();
}
function take(answer, now, frame) {
  known = about;
  keep(answer, now, frame);
  const n = answer.boxes.length;
  if (!$('.said').classList.contains('error') || n) say(n ? `${n} found.` : nothingFound(now));
  if (n) foundAt = now;
  element.dataset.running = 'yes';
  element.dataset.found = n;
}
// -- nothing for some seconds: the stage says what the network knows and points to the sample clip
const PATIENCE_MS = 3000,
  NAMED = 8;
let foundAt = 0; // when something was found last, or the camera came on
function nothingFound(now) {
  if (now - foundAt < PATIENCE_MS) return 'Nothing found in this frame.';
  const known = wanted ? wanted.map((k) => about.classes[k]) : about.classes,
    more = known.length - NAMED;
  const list = known.slice(0, NAMED).join(', ') + (more > 0 ? ` and ${more} more` : '');
  const clip = $('.camera .clip');
  if (clip) clip.hidden = false;
  return (
    `Nothing found. The network knows: ${list || 'no class that is ticked'}.` +
    (clip ? ' The sample clip shows how it looks.' : '')
  );
}
const nowCounts = () => {
  const c = new Map();
  found?.kind.forEach((k) => c.set(k, (c.get(k) || 0) + 1));
  return c;
};
let tallied = '';
function tally() {
  const current = nowCounts(),
    kinds = [...new Set([...seen.keys(), ...current.keys()])].sort((a, b) => a - b);
  const rows = kinds.map((k) => [k, current.get(k) || 0, seen.get(k) ?? '–']),
    text = JSON.stringify(rows);
  if (text === tallied) return;
  tallied = text;
  $('.counts tbody').replaceChildren(
    ...rows.map(([kind, now, counted]) => {
      const row = document.createElement('tr'),
        swatch = document.createElement('i');
      swatch.style.background = colour(kind);
      for (const value of [known?.classes[kind] ?? kind, now, counted]) {
        const cell = document.createElement('td');
        cell.append(value);
        row.append(cell);
      }
      row.firstChild.prepend(swatch);
      return row;
    }),
  );
}

// -- painting ----------------------------------------------------------------------------------------
let stale = true; // the boxes on the page are not those to be shown; what hides people follows every frame
for (const event of ['input', 'change'])
  element.addEventListener(event, () => {
    stale = true;
  });
new ResizeObserver(() => {
  stale = true;
}).observe(stage);
function paint(now) {
  const gone = found && now - found.at > GAP_MS;
  if (!stale && !gone && !hiding()) return;
  stale = false;
  const at = place(),
    ratio = Math.min(2, window.devicePixelRatio || 1);
  if (over.width !== Math.round(at.w * ratio) || over.height !== Math.round(at.h * ratio)) {
    over.width = Math.round(at.w * ratio);
    over.height = Math.round(at.h * ratio);
  }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, at.w, at.h);
  stage.classList.toggle('veiled', hiding() && (!found || now - found.at > GONE_MS));
  if (gone) found = null;
  draw(pen, at);
}
const hiding = () => $('.privacy').checked && (known ?? about)?.classes.includes('person');
function draw(on, at, shown = video, flip = isFlipped()) {
  const X = (x) => at.left + at.width * (flip ? 1 - x : x),
    Y = (y) => at.top + at.height * y;
  if ($('.heat').checked) {
    on.save();
    on.globalAlpha = 0.6;
    if (flip) {
      on.translate(2 * at.left + at.width, 0);
      on.scale(-1, 1);
    }
    on.drawImage(heat, at.left, at.top, at.width, at.height);
    on.restore();
  }
  editor.paint(on, X, Y);
  if (!found) return;
  if (hiding())
    found.boxes.forEach((box, i) => {
      if (known.classes[found.kind[i]] === 'person') hide(on, box, X, Y, flip, shown);
    });
  on.lineWidth = 2;
  on.lineJoin = 'round';
  if ($('.track').checked)
    for (const track of tracks.values()) {
      on.strokeStyle = colour(track.kind);
      on.globalAlpha = 0.7;
      on.beginPath();
      track.points.forEach(([x, y], i) => (i ? on.lineTo(X(x), Y(y)) : on.moveTo(X(x), Y(y))));
      on.stroke();
      on.globalAlpha = 1;
    }
  on.font = '600 13px system-ui, sans-serif';
  on.textBaseline = 'middle';
  found.boxes.forEach(([x1, y1, x2, y2], i) => {
    const left = Math.min(X(x1), X(x2)),
      top = Y(y1),
      width = Math.abs(X(x2) - X(x1)),
      height = Y(y2) - top;
    const kind = found.kind[i],
      id = found.track ? ` #${found.track[i]}` : '';
    const text = `${known.classes[kind]}${id} ${Math.round(100 * found.confidence[i])} %`;
    on.strokeStyle = on.fillStyle = colour(kind);
    on.strokeRect(left, top, width, height);
    const wide = on.measureText(text).width + 10,
      y = top > 20 ? top - 20 : top;
    const x = Math.max(0, Math.min(left - 1, at.left + at.width - wide));
    on.fillRect(x, y, wide, 20);
    on.fillStyle = '#111';
    on.fillText(text, x + 5, y + 10);
  });
}
function hide(on, [x1, y1, x2, y2], X, Y, flip, shown) {
  // a mosaic too coarse for a face, somewhat larger than the box
  const w = x2 - x1,
    h = y2 - y1,
    [W, H] = sizeOf(shown);
  [x1, y1, x2, y2] = [
    Math.max(0, x1 - 0.08 * w),
    Math.max(0, y1 - 0.08 * h),
    Math.min(1, x2 + 0.08 * w),
    Math.min(1, y2 + 0.08 * h),
  ];
  mosaic.width = 6;
  mosaic.height = Math.max(2, Math.round((6 * (y2 - y1) * H) / Math.max(1, (x2 - x1) * W)));
  mosaicInk.imageSmoothingQuality = 'high';
  mosaicInk.drawImage(
    shown,
    x1 * W,
    y1 * H,
    (x2 - x1) * W,
    (y2 - y1) * H,
    0,
    0,
    mosaic.width,
    mosaic.height,
  );
  on.save();
  on.imageSmoothingEnabled = false;
  const left = Math.min(X(x1), X(x2)),
    width = Math.abs(X(x2) - X(x1));
  if (flip) {
    on.translate(2 * left + width, 0);
    on.scale(-1, 1);
  }
  on.drawImage(mosaic, left, Y(y1), width, Y(y2) - Y(y1));
  on.restore();
}

// -- lines, areas, paths -----------------------------------------------------------------------------
let zoneEvents = [],
  zoneCounts = null;
const MAX_EVENTS = 20000,
  HEAT_W = 160;
const editor = zoneEditor({
  surface: stage,
  share(event) {
    if (!video.videoWidth || event.target.closest('button, a, input, select')) return null;
    const at = place(),
      box = stage.getBoundingClientRect();
    const x = (event.clientX - box.left - at.left) / at.width,
      y = (event.clientY - box.top - at.top) / at.height;
    return x < 0 || x > 1 || y < 0 || y > 1 ? null : [isFlipped() ? 1 - x : x, y];
  },
  changed(tell) {
    stale = true;
    if (!tell) return;
    zoneEvents = [];
    zoneCounts = null;
    $('.zones-counts').replaceChildren();
    $('.zones-csv').disabled = $('.zones-json').disabled = true;
    if (editor.zones.length && !$('.track').checked) $('.track').checked = true; // crossings are of tracks
  },
});
function noteZones(answer) {
  if (!answer.zones) return;
  zoneCounts = answer.zones;
  zoneEvents.push(...answer.events);
  zoneEvents.splice(0, zoneEvents.length - MAX_EVENTS);
  $('.zones-csv').disabled = $('.zones-json').disabled = false;
  $('.zones-counts').replaceChildren(
    ...answer.zones.map((z) => {
      const line = document.createElement('li');
      line.textContent =
        'in' in z
          ? `${z.zone}: in ${z.in}, out ${z.out}`
          : `${z.zone}: now ${z.now}, visits ${z.visits}, ${z.mean_s.toFixed(1)} s on average`;
      return line;
    }),
  );
}
const heat = newCanvas(HEAT_W, (HEAT_W * 3) / 4),
  heatPen = heat.getContext('2d');
function warm(answer) {
  // each object leaves a little warmth where it is
  for (const [x1, y1, x2, y2] of answer.boxes) {
    const x = ((x1 + x2) / 2) * heat.width,
      y = ((y1 + y2) / 2) * heat.height,
      glow = heatPen.createRadialGradient(x, y, 0, x, y, 7);
    glow.addColorStop(0, 'rgba(255, 90, 0, .12)');
    glow.addColorStop(1, 'rgba(255, 90, 0, 0)');
    heatPen.fillStyle = glow;
    heatPen.fillRect(x - 7, y - 7, 14, 14);
  }
}
$('.heat').addEventListener('change', () => heatPen.clearRect(0, 0, heat.width, heat.height));
$('.zones-csv').addEventListener('click', () => {
  const columns = ['seconds', 'zone', 'event', 'track', 'class'],
    quote = (v) => `"${String(v).replaceAll('"', '""')}"`;
  saveFile(
    'events.csv',
    textUrl(
      'text/csv',
      [columns.join(','), ...zoneEvents.map((e) => columns.map((c) => quote(e[c])).join(','))].join(
        '\r\n',
      ) + '\r\n',
    ),
  );
});
$('.zones-json').addEventListener('click', () => {
  const zones = (zoneCounts || []).map((counts, i) => ({...counts, ...editor.zones[i]}));
  saveFile(
    'zones.json',
    textUrl('application/json', JSON.stringify({zones, events: zoneEvents}, null, 1)),
  );
});

// -- downloads ---------------------------------------------------------------------------------------
const sizeOf = (shown) => [shown.videoWidth || shown.width, shown.videoHeight || shown.height];
function copy(shown) {
  const canvas = newCanvas(...sizeOf(shown));
  canvas.getContext('2d').drawImage(shown, 0, 0);
  return canvas;
}
function snapshot() {
  // a canvas; null where people are to be hidden and nobody was looked for yet
  // People are hidden in the very picture in which they were found: by now they may stand elsewhere.
  const shown = hiding() ? found?.frame : video;
  if (!shown) {
    say(
      'No frame has been processed yet, so people could not be hidden. Try again in a moment.',
      true,
    );
    return null;
  }
  const [w, h] = sizeOf(shown),
    canvas = newCanvas(w, h),
    on = canvas.getContext('2d');
  on.drawImage(shown, 0, 0); // not mirrored: text in it can be read
  draw(on, {left: 0, top: 0, width: w, height: h, w, h}, shown, false);
  return canvas;
}
$('.snapshot').addEventListener('click', () => {
  const picture = snapshot();
  if (!picture) return;
  saveFile('detections.png', picture.toDataURL('image/png'));
  tellResult(picture, found ? `Snapshot, ${found.boxes.length} found` : 'Snapshot');
});
$('send-to').source = () => {
  const picture = snapshot();
  return picture && {picture, kind: 'photo'};
};
$('.csv').addEventListener('click', () => {
  const current = nowCounts(),
    kinds = [...new Set([...seen.keys(), ...current.keys()])].sort((a, b) => a - b);
  const lines = kinds.map(
    (k) =>
      `"${String(known?.classes[k]).replaceAll('"', '""')}",${current.get(k) || 0},${seen.get(k) ?? ''}`,
  );
  saveFile('counts.csv', textUrl('text/csv', ['class,now,tracks', ...lines].join('\r\n') + '\r\n'));
});

// -- the list of models ------------------------------------------------------------------------------
const FETCH_POLL_MS = 4000;
let chosenByHand = false;
$('.model').addEventListener('change', () => {
  chosenByHand = true;
});
function offer(choices) {
  const before = $('.model').value;
  $('.model').replaceChildren(
    ...choices.map((m) => {
      const option = new Option(m.title, m.name);
      if (m.bundled) option.dataset.bundled = 'yes';
      if (m.download) option.dataset.download = 'yes';
      option.disabled = m.offline;
      return option;
    }),
  );
  if (choices.some((m) => m.name === before)) $('.model').value = before;
}
async function updateList() {
  // weights may be fetched while the page is open: they become the default of who has not chosen
  const answer = await server.offered_detectors().catch(() => null);
  if (!answer?.choices || !element.isConnected) return;
  atOnce = answer.at_once;
  work.forbid(answer.no_device);
  const before = JSON.stringify([...$('.model').options].map((o) => [o.value, o.text]));
  if (before !== JSON.stringify(answer.choices.map((m) => [m.name, m.title]))) {
    offer(answer.choices);
    const best = answer.choices[0];
    if (!chosenByHand && !stream && !best.download && $('.model').value !== best.name) {
      $('.model').value = best.name;
      choose(best.name);
    }
  }
  if (answer.fetching) setTimeout(updateList, FETCH_POLL_MS);
}
offer(JSON.parse($('.model').dataset.offered));
const first = $('.model').selectedOptions[0];
if (first && !first.dataset.download) {
  // loaded when the tab is first seen; a download waits for Start
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((e) => e.isIntersecting)) return;
    observer.disconnect();
    if (!about) choose(first.value);
    updateList();
  });
  observer.observe(stage);
}
