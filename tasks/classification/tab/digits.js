// The drawing pad and everything that answers it, put behind widget.js and drawing_pad.js: the prediction follows the pen.
const frame = $('.frame'),
  PAUSE_MS = 120;
const pad = inkPad({penWidth: () => Number($('.width').value), changed});
const SIDE = pad.canvas.width;
let demo = null;

// -- a sample digit drawn by the page, a little different each time ----------------------------------
const DIGITS = [
  [
    [
      [0.5, 0.12],
      [0.3, 0.2],
      [0.22, 0.45],
      [0.25, 0.72],
      [0.42, 0.88],
      [0.62, 0.84],
      [0.76, 0.62],
      [0.76, 0.35],
      [0.66, 0.17],
      [0.48, 0.12],
    ],
  ],
  [
    [
      [0.38, 0.28],
      [0.47, 0.21],
      [0.55, 0.12],
    ],
    [
      [0.55, 0.12],
      [0.55, 0.5],
      [0.54, 0.88],
    ],
  ],
  [
    [
      [0.26, 0.3],
      [0.34, 0.16],
      [0.52, 0.11],
      [0.7, 0.2],
      [0.7, 0.38],
      [0.55, 0.58],
      [0.36, 0.75],
      [0.24, 0.87],
    ],
    [
      [0.24, 0.87],
      [0.5, 0.86],
      [0.76, 0.86],
    ],
  ],
  [
    [
      [0.27, 0.2],
      [0.45, 0.11],
      [0.66, 0.17],
      [0.68, 0.34],
      [0.54, 0.46],
      [0.44, 0.48],
    ],
    [
      [0.44, 0.48],
      [0.62, 0.51],
      [0.74, 0.65],
      [0.66, 0.83],
      [0.45, 0.9],
      [0.26, 0.81],
    ],
  ],
  [
    [
      [0.5, 0.12],
      [0.38, 0.35],
      [0.24, 0.6],
    ],
    [
      [0.24, 0.6],
      [0.5, 0.6],
      [0.8, 0.58],
    ],
    [
      [0.62, 0.36],
      [0.61, 0.6],
      [0.59, 0.9],
    ],
  ],
  [
    [
      [0.7, 0.13],
      [0.5, 0.13],
      [0.34, 0.14],
    ],
    [
      [0.34, 0.14],
      [0.32, 0.3],
      [0.3, 0.45],
    ],
    [
      [0.3, 0.45],
      [0.48, 0.39],
      [0.68, 0.48],
      [0.72, 0.68],
      [0.58, 0.86],
      [0.4, 0.89],
      [0.25, 0.8],
    ],
  ],
  [
    [
      [0.64, 0.12],
      [0.44, 0.25],
      [0.3, 0.48],
      [0.27, 0.7],
      [0.4, 0.88],
      [0.6, 0.87],
      [0.7, 0.72],
      [0.62, 0.57],
      [0.45, 0.56],
      [0.3, 0.68],
    ],
  ],
  [
    [
      [0.24, 0.16],
      [0.5, 0.15],
      [0.76, 0.14],
    ],
    [
      [0.76, 0.14],
      [0.62, 0.4],
      [0.5, 0.65],
      [0.42, 0.9],
    ],
  ],
  [
    [
      [0.66, 0.22],
      [0.5, 0.11],
      [0.33, 0.2],
      [0.38, 0.38],
      [0.55, 0.5],
      [0.69, 0.67],
      [0.62, 0.85],
      [0.45, 0.9],
      [0.3, 0.8],
      [0.33, 0.63],
      [0.5, 0.49],
      [0.64, 0.37],
      [0.68, 0.25],
      [0.64, 0.2],
    ],
  ],
  [
    [
      [0.7, 0.3],
      [0.58, 0.14],
      [0.4, 0.16],
      [0.3, 0.32],
      [0.38, 0.48],
      [0.55, 0.49],
      [0.68, 0.36],
      [0.71, 0.25],
    ],
    [
      [0.71, 0.25],
      [0.7, 0.5],
      [0.64, 0.72],
      [0.54, 0.9],
    ],
  ],
];
function smooth(points) {
  // Catmull-Rom through the points
  const out = [];
  for (let i = 0; i + 1 < points.length; i++) {
    const [a, b, c, d] = [
      points[Math.max(0, i - 1)],
      points[i],
      points[i + 1],
      points[Math.min(points.length - 1, i + 2)],
    ];
    for (let t = 0; t < 1; t += 0.1)
      out.push(
        [0, 1].map(
          (k) =>
            0.5 *
            (2 * b[k] +
              (c[k] - a[k]) * t +
              (2 * a[k] - 5 * b[k] + 4 * c[k] - d[k]) * t * t +
              (3 * b[k] - a[k] - 3 * c[k] + d[k]) * t * t * t),
        ),
      );
  }
  return out.concat([points[points.length - 1]]);
}
function stopDemo() {
  if (demo) {
    clearInterval(demo);
    demo = null;
  }
}
function drawSample(digit) {
  stopDemo();
  pad.reset();
  drawings++;
  const slant = (Math.random() - 0.5) * 0.25,
    size = 0.82 + Math.random() * 0.15,
    tremble = () => (Math.random() - 0.5) * 0.022;
  const place = ([x, y]) => [
    SIDE * (0.5 + size * (x - 0.5 - slant * (y - 0.5))),
    SIDE * (0.5 + size * (y - 0.5)),
  ];
  const queue = DIGITS[digit].map((stroke) =>
    smooth(stroke.map(([x, y]) => [x + tremble(), y + tremble()])).map(place),
  );
  let isNew = true;
  demo = setInterval(() => {
    if (!queue.length) return stopDemo();
    if (isNew) pad.begin(queue[0].shift());
    const next = queue[0].splice(0, 2);
    isNew = !queue[0].length;
    if (next.length) pad.extend(next);
    if (isNew) queue.shift();
  }, 16);
}
for (const kind of ['pointerdown', 'keydown', 'click'])
  $('.pad').addEventListener(kind, stopDemo, true); // the visitor takes over
for (let d = 0; d < 10; d++) {
  const key = document.createElement('button');
  key.type = 'button';
  key.textContent = d;
  key.setAttribute('aria-label', `Draw ${d}`);
  key.addEventListener('click', () => drawSample(d));
  $('.keys').append(key);
}

// -- requests ----------------------------------------------------------------------------------------
let since = 0,
  pause = null,
  last = null; // since: when the pen moved first after what was sent
let drawings = 0; // begun anew so far
const latencies = [];

function changed() {
  since ||= performance.now();
  ask();
}
const ask = latestOnly(async () => {
  const begun = since;
  since = 0;
  clearTimeout(pause);
  if (pad.isEmpty) {
    if (begun) show(null);
    return;
  }
  const answer = await server.read_drawing(pad.url).catch(() => null); // null: gradio only warns
  if (!answer) say(`${NO_ANSWER} Trying again with the next stroke.`);
  else if (!pad.isEmpty) {
    show(answer);
    requestAnimationFrame(() => showTiming(performance.now() - begun, answer));
  }
  lookLater();
});
function lookLater() {
  // once the pen rests, look inside what is shown
  clearTimeout(pause);
  if (last?.digit && !frame.dataset.inside) pause = setTimeout(look, PAUSE_MS);
}
async function look() {
  const answer = last;
  if (since || !answer?.digit) return;
  const inside = await server.look_inside(answer.digit).catch(() => null);
  if (!inside || inside.error || last !== answer) return;
  show(inside);
  showInside(inside);
  tellResult(pad.isEmpty ? $('.seen') : pad.canvas, $('.said').textContent, {
    part: `digit ${drawings}`,
  });
  $('.timing').textContent = `read at five angles in ${inside.ms.toFixed(1)} ms${strokeTimes()}`;
}
function showTiming(ms, answer) {
  if (!answer.ms) return;
  remember(latencies, ms, 200);
  $('.timing').textContent = `network ${answer.ms.toFixed(1)} ms${strokeTimes()}`;
  const [p50, p95] = [0.5, 0.95].map((q) => quantile(latencies, q).toFixed(1));
  Object.assign(frame.dataset, {p50, p95, n: latencies.length});
}
function strokeTimes() {
  const [p50, p95] = [0.5, 0.95].map((q) => latencies.length && quantile(latencies, q).toFixed(0));
  return `${latencies.length ? ` · stroke to bars p50 ${p50}, p95 ${p95} ms` : ''} · ${last?.device || ''}`;
}

// -- showing -----------------------------------------------------------------------------------------
const bars = [...Array(10).keys()].map((d) => {
  const row = document.createElement('div');
  row.className = 'bar';
  row.innerHTML = `<span>${d}</span><div class="track"><div class="fill"></div></div><span>–</span>`;
  $('.bars').append(row);
  return row;
});
function say(text) {
  $('.said').textContent = text;
}

function show(answer) {
  last = answer;
  delete frame.dataset.inside;
  const probabilities = answer?.probabilities;
  $('send-to').disabled = !probabilities;
  const order = probabilities
    ? [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a])
    : [];
  bars.forEach((row, d) => {
    row.classList.toggle('top', d === order[0]);
    row.children[1].firstChild.style.width = probabilities ? 100 * probabilities[d] + '%' : '0';
    row.lastChild.textContent = probabilities ? percent(probabilities[d], 1) : '–';
  });
  $('.bars').setAttribute(
    'aria-label',
    'Probability of each digit' +
      (probabilities
        ? ': ' + order.map((d) => `${d}, ${percent(probabilities[d], 1)}`).join('; ')
        : ''),
  );
  $('.best').textContent = probabilities ? order[0] : '–';
  frame.dataset.answer = probabilities ? order[0] : '';
  if (!probabilities) {
    drawings++;
    say(answer?.error ? answer.error : 'Nothing drawn yet.');
    $('.timing').textContent = '\u00a0';
    caption('the prediction', 'the second class');
    for (const c of element.querySelectorAll('.views canvas'))
      c.getContext('2d').clearRect(0, 0, 28, 28);
    emptyStages();
    return;
  }
  const sure = probabilities[order[0]];
  say(
    `${sure > 0.95 ? 'Prediction:' : sure > 0.6 ? 'Probably' : 'Uncertain; perhaps'} ${order[0]}, ${percent(sure, 1)}. ` +
      `Second: ${order[1]}, ${percent(probabilities[order[1]], 1)}.`,
  );
  drawGrid($('.seen'), {shape: [1, 28, 28, 1], data: decodeBase64(answer.digit)});
}
function caption(first, second) {
  $('.first').textContent = first;
  $('.second').textContent = second;
}
const FOR = themeColour('--lab-accent'),
  AGAINST = themeColour('--lab-second');
const signed = (v) => {
  // 128: no evidence, above: for, below: against
  const strength = Math.min(1, Math.abs(v - 128) / 127),
    colour = v >= 128 ? FOR : AGAINST;
  return [244, 242, 236].map((back, k) => Math.round(back + (colour[k] - back) * strength));
};
const warm = (v) =>
  [Math.min(255, v * 1.5), (v * v) / 255, ((v * v * v) / 65025) * 0.6].map(Math.round);

const STAGE_TEXT = ['edges and strokes', 'corners, ends, bows', 'parts of digits, far apart'];
const stages = STAGE_TEXT.map((text) => {
  const box = document.createElement('div');
  box.className = 'stage';
  box.innerHTML = `<canvas role="img" aria-label="Feature maps: ${text}"></canvas><p>${text}</p>`;
  $('.stages').append(box);
  return box;
});
const LAYOUT = [
  [16, 28],
  [40, 14],
  [80, 7],
];
// -- a map under the pointer, or chosen by the arrow keys: enlarged, with its kernel and the patch
// of the input that excites it most -------------------------------------------------------------
const COLUMNS = [4, 7, 9],
  FIELD = [5, 15, 35],
  JUMP = [1, 2, 4]; // receptive field and stride in the input, px
const shownMaps = [null, null, null]; // {data, count, side} of each stage
let kernels = null,
  chosen = [0, 0, 0],
  active = null; // maps of each stage; the stage
const zoom = document.createElement('div');
zoom.className = 'zoom empty';
zoom.setAttribute('aria-live', 'polite');
zoom.innerHTML =
  '<p>Move over a map, or reach it by the keyboard: it is enlarged here.</p>' +
  [
    ['z-map', ''],
    ['z-kernel', 'its kernel, on the input that weighs most'],
    ['z-patch', 'the patch of the input that excites it most'],
  ]
    .map(
      ([name, caption]) =>
        `<figure><canvas class="${name}" role="img"></canvas><figcaption>${caption}</figcaption></figure>`,
    )
    .join('');
$('.stages').before(zoom);
async function enlargeMap(i, k) {
  const maps = shownMaps[i];
  if (!maps || k < 0 || k >= maps.count) return;
  chosen[i] = k;
  active = i;
  const n = maps.side * maps.side,
    data = maps.data.subarray(k * n, (k + 1) * n);
  kernels ??= server.stage_kernels().catch(() => null);
  drawGrid($('.z-map'), {shape: [1, maps.side, maps.side, 1], data}, {colour: warm});
  const top = data.indexOf(data.reduce((a, b) => Math.max(a, b), 0)),
    half = FIELD[i] >> 1;
  const [cx, cy] = [(top % maps.side) * JUMP[i], Math.floor(top / maps.side) * JUMP[i]];
  const patch = $('.z-patch'),
    pen = patch.getContext('2d');
  patch.width = patch.height = FIELD[i]; // black where it lies outside of the image
  pen.fillRect(0, 0, FIELD[i], FIELD[i]);
  pen.drawImage($('.seen'), half - cx, half - cy);
  zoom.querySelector('figcaption').textContent = `stage ${i + 1}, map ${k + 1} of ${maps.count}`;
  for (const canvas of zoom.querySelectorAll('canvas')) {
    canvas.setAttribute('aria-label', canvas.nextElementSibling.textContent);
  }
  zoom.classList.remove('empty');
  const all = await kernels;
  if (!all?.[i] || active !== i || chosen[i] !== k) return;
  const kernel = decodeBase64(all[i]).subarray(9 * k, 9 * k + 9);
  drawGrid($('.z-kernel'), {shape: [1, 3, 3, 1], data: kernel}, {colour: signed});
}
stages.forEach((box, i) => {
  const canvas = box.querySelector('canvas');
  canvas.tabIndex = 0;
  canvas.addEventListener('pointermove', ({offsetX, offsetY}) => {
    const cell = (shownMaps[i]?.side ?? 1) + 1,
      scale = canvas.width / canvas.clientWidth;
    const k =
      Math.floor((offsetY * scale) / cell) * COLUMNS[i] + Math.floor((offsetX * scale) / cell);
    if (k !== chosen[i] || i !== active) enlargeMap(i, k);
  });
  canvas.addEventListener('focus', () => enlargeMap(i, chosen[i]));
  canvas.addEventListener('keydown', (event) => {
    const step = ARROWS[event.key];
    if (!step) return;
    event.preventDefault();
    enlargeMap(i, chosen[i] + step[0] + COLUMNS[i] * step[1]);
  });
});

function emptyStages() {
  LAYOUT.forEach(([count, side], i) =>
    showStage(i, new Uint8Array(count * side * side), count, side),
  );
}
function showStage(i, data, count, side) {
  const columns = COLUMNS[i];
  shownMaps[i] = data.some(Boolean) ? {data, count, side} : null;
  drawGrid(
    stages[i].querySelector('canvas'),
    {shape: [count, side, side, 1], data},
    {columns, gap: 1, colour: warm},
  );
  stages[i].querySelector('p').textContent = `${count} maps of ${side}×${side}: ${STAGE_TEXT[i]}`;
}
function showInside(inside) {
  caption(...inside.labels);
  inside.why.forEach((text, k) => {
    drawGrid($$('.why')[k], {shape: [1, 28, 28, 1], data: decodeBase64(text)}, {colour: signed});
  });
  inside.stages.forEach((stage, i) =>
    showStage(i, decodeBase64(stage.data), stage.count, stage.side),
  );
  frame.dataset.inside = inside.stages.length;
  if (active !== null) enlargeMap(active, chosen[active]); // of the new digit
}
// an image that was read elsewhere in the tab is shown in the same place
document.addEventListener('digit-read', function read(event) {
  if (!element.isConnected) {
    document.removeEventListener('digit-read', read);
    return;
  } // the page was rebuilt
  if (!event.detail?.probabilities && !pad.isEmpty) return; // no image any more, or a bad one: the drawing stays
  stopDemo();
  pad.reset();
  since = 0;
  drawings++;
  show(event.detail);
  lookLater();
});

// -- downloads ---------------------------------------------------------------------------------------
$('.png').addEventListener('click', () => {
  if (last?.digit) saveFile('digit-28x28.png', $('.seen').toDataURL('image/png'));
});
$('.json').addEventListener('click', () => {
  if (!last?.probabilities) return;
  const {probabilities, ms, device, digit} = last;
  const about = {probabilities, network_ms: ms, device, pixels_28x28: [...decodeBase64(digit)]};
  saveFile('digit.json', textUrl('application/json', JSON.stringify(about, null, 1)));
});

emptyStages();
whenSeen(pad.canvas, async () => {
  const recorded = await recording('digit-pad').catch(() => null);
  if (!recorded || demo || last || !(await pad.open(recorded.drawing))) return;
  show(recorded.answer);
  showInside(recorded.inside);
  say(`Example. ${$('.said').textContent}`);
});
receiveImages((blob) => {
  stopDemo();
  drawings++;
  pad.put(blob);
});
