// Teach it: classes filled by a held button or by dropped images, and what was learned of them; put behind live_camera.js.
// The images stay here. A frame is {jpeg, number}: the server's number, null until it is taught.
const FRAME = 224,
  EVERY_MS = 100,
  MOST = 500,
  BATCH = 4,
  SHOWN = 30,
  EXAMPLE_MS = 2200,
  EXPLAIN_MS = 900;
const root = $('.live'),
  COLOURS = JSON.parse($('.classes').dataset.palette);
const NO_IMAGE = 'cannot be opened as an image: PNG, JPEG, WebP or GIF would work.';
let classes = [],
  isExample = true,
  isFitted = false,
  loaded = null,
  report = null,
  example = null,
  shown = null;
let held = null,
  lastCapture = 0,
  turn = 0;
const still = document.createElement('img');
still.className = 'still';
still.alt = 'The image that is classified';
still.hidden = true;
video.after(still);

const wait = (ms) => new Promise((then) => setTimeout(then, ms));
const colourOf = (name) =>
  COLOURS[
    Math.max(
      0,
      classes.findIndex((c) => c.name === name),
    ) % COLOURS.length
  ];
const have = () =>
  isExample ? 0 : classes.reduce((n, c) => n + c.frames.filter((f) => f.number !== null).length, 0);
const call = (name, more) =>
  server[name]({visitor: VISITOR, have: have(), ...more}).catch(() => null);
const frameOf = (number) => {
  for (const c of classes)
    for (const f of c.frames) if (f.number === number) return {frame: f, of: c};
  return null;
};
function tell(text, isError = false) {
  $('.lesson-said').textContent = text || '\u00a0';
  $('.lesson-said').classList.toggle('error', isError);
}

const widget = {
  quality: 0.85,
  prepare,
  on() {
    still.hidden = true;
  },
  off() {
    release_();
  },
  frame(now) {
    if (held && now - lastCapture >= EVERY_MS) {
      lastCapture = now;
      capture(held);
    }
  },
  async send(jpeg) {
    if (!isExample && !isFitted && !loaded) return {late: true}; // nothing to be asked about yet
    const answer = await call('predict_frame', {jpeg});
    if (answer?.forgotten) {
      again();
      return {busy: true};
    }
    return answer?.probabilities ? {...answer, jpeg} : answer;
  },
  take(answer) {
    shown = answer.jpeg;
    show(answer);
    say('Processing…');
  },
};

// -- the example: recorded, until the network is there -----------------------------------------------
async function showRecorded() {
  const recorded = await recording('teach').catch(() => null);
  if (!recorded || example || !isExample) return;
  example = recorded;
  openExample();
}
async function prepare() {
  say('Loading the network…');
  const answer = await untilLoaded(() => server.prepare_teaching(null));
  if (!answer || answer.error) {
    say(answer?.error || NO_ANSWER, true);
    return;
  }
  if (!example) {
    example = answer;
    if (isExample) openExample();
  }
  about = true;
  ready();
}
function openExample() {
  classes = example.report.classes.map((name) => ({
    name,
    frames: example.frames.filter((f) => f.label === name).map((f) => ({...f})),
  }));
  isFitted = true;
  root.dataset.state = 'example';
  drawCards();
  showReport(example.report);
  nextExample();
}
async function nextExample() {
  // images that were not taught, one after the other
  for (;;) {
    if (!isExample || !element.isConnected) return;
    if (!stream && !unseen() && !root.dataset.own) {
      const {jpeg, label, answer} = example.shown[turn++ % example.shown.length];
      still.src = jpeg;
      still.hidden = false;
      shown = jpeg;
      stage.classList.add('still-shown');
      show(answer, `A crop of the ${label.toLowerCase()} photo that was not taught.`);
    }
    await wait(EXAMPLE_MS);
  }
}
function begin(names = ['Class 1', 'Class 2']) {
  isExample = isFitted = false;
  loaded = null;
  report = null;
  classes = names.map((name) => ({name, frames: []}));
  root.dataset.state = 'own';
  if (!root.dataset.own) still.hidden = true;
  $('.own').hidden = true;
  $('.add-class').hidden = false;
  drawCards();
  clearReport();
  tell('Rename the classes, then hold a button or drop images on a card.');
}
$('.begin').addEventListener('click', () => {
  begin();
  if (!stream) start();
});

// -- the classes -------------------------------------------------------------------------------------
function drawCards() {
  $('.cards').replaceChildren(...classes.map(card));
  $('.add-class').disabled = classes.length >= 8;
  $('.cam-class').replaceChildren(...classes.map((c) => new Option(c.name, c.name)));
}
function card(of, at) {
  const box = document.createElement('article');
  box.className = 'card';
  box.style.setProperty('--c', COLOURS[at % COLOURS.length]);
  box.innerHTML =
    '<header><input type="text" maxlength="40" aria-label="Name of the class"><span class="count"></span>' +
    '<button type="button" class="drop-class" aria-label="Remove the class">×</button></header>' +
    '<div class="row"><button type="button" class="hold">Hold to record</button><button type="button" class="files">Add images</button>' +
    '<input type="file" accept="image/*" multiple hidden aria-label="Images of this class"></div><div class="strip"></div>';
  const [name, file] = box.querySelectorAll('input');
  name.value = of.name;
  name.readOnly = isExample;
  name.addEventListener('change', () => rename(of, name));
  box.querySelector('.row').hidden = isExample;
  box.querySelector('.drop-class').hidden = isExample;
  box.querySelector('.drop-class').addEventListener('click', () => removeClass(of));
  holdable(box.querySelector('.hold'), of);
  box.querySelector('.files').addEventListener('click', () => file.click());
  file.addEventListener('change', () => {
    addFiles(of, [...file.files]);
    file.value = '';
  });
  droppable(box, (files) => {
    if (!isExample) addFiles(of, files);
  });
  of.box = box;
  drawStrip(of);
  return box;
}
function drawStrip(of) {
  const n = of.frames.length,
    strip = of.box.querySelector('.strip');
  of.box.querySelector('.count').textContent = isExample ? `${n} frames` : `${n} of ${MOST}`;
  if (!n) {
    const empty = document.createElement('span');
    empty.className = 'empty';
    empty.textContent = 'no frames yet: hold the button, or drop images here';
    strip.replaceChildren(empty);
    return;
  }
  strip.replaceChildren(
    ...of.frames
      .slice(-SHOWN)
      .reverse()
      .map((frame) => thumbnail(frame, of)),
  );
}
function thumbnail(frame, of, text = '') {
  const image = document.createElement('img');
  image.src = frame.jpeg;
  image.alt = `A frame of ${of.name}`;
  if (isExample) return image;
  const button = document.createElement('button'),
    line = document.createElement('span');
  button.type = 'button';
  button.title = `Remove this frame of ${of.name}`;
  button.append(image);
  if (text) {
    line.textContent = text;
    button.append(line);
  }
  button.addEventListener('click', () => remove(of, [frame]));
  return button;
}
async function rename(of, input) {
  const name = input.value.trim(),
    old = of.name;
  if (!name || classes.some((c) => c !== of && c.name === name)) {
    tell(
      name
        ? `There is a class “${name}” already. Choose another name.`
        : 'A class needs a name of 1 to 40 characters.',
      true,
    );
    input.value = old;
    return;
  }
  await teaching;
  isTeaching = true; // nothing is taught under the old name from here on
  const answer = await call('rename_class', {old, new: name});
  isTeaching = false;
  if (answer?.name) {
    of.name = answer.name;
    drawCards();
    if (have()) teach();
  } else {
    input.value = old;
    tell(answer?.error || NO_ANSWER, true);
  }
}
$('.add-class').addEventListener('click', () => {
  let n = classes.length + 1;
  while (classes.some((c) => c.name === `Class ${n}`)) n++;
  classes.push({name: `Class ${n}`, frames: []});
  drawCards();
});
async function removeClass(of) {
  if (classes.length <= 2) {
    tell(
      'A classifier needs two classes; empty this one by removing its frames, or rename it.',
      true,
    );
    return;
  }
  classes = classes.filter((c) => c !== of);
  drawCards();
  await forget(of.frames);
}
async function remove(of, frames) {
  of.frames = of.frames.filter((f) => !frames.includes(f));
  drawStrip(of);
  await forget(frames);
}
async function forget(frames) {
  const numbers = frames.map((f) => f.number).filter((n) => n !== null);
  if (numbers.length) await call('remove_frames', {numbers});
  fit();
}

// -- frames ------------------------------------------------------------------------------------------
function holdable(button, of) {
  const down = () => {
    if (held) return;
    held = of;
    lastCapture = 0;
    button.classList.add('held');
    button.textContent = 'Recording…';
    if (!stream) {
      tell('Starting the camera. Hold the button when it shows you.');
      start();
    }
  };
  button.addEventListener('pointerdown', (event) => {
    if (event.button === 0) {
      try {
        button.setPointerCapture(event.pointerId);
      } catch (e) {
        /* gone */
      }
      down();
    }
  });
  for (const kind of ['pointerup', 'pointercancel', 'lostpointercapture', 'blur'])
    button.addEventListener(kind, release_);
  button.addEventListener('keydown', (event) => {
    if ([' ', 'Enter'].includes(event.key)) {
      event.preventDefault();
      down();
    }
  });
  button.addEventListener('keyup', release_);
  button.addEventListener('contextmenu', (event) => event.preventDefault()); // a long press on a phone
}
function release_() {
  held = null;
  for (const button of $$('.hold.held')) {
    button.classList.remove('held');
    button.textContent = 'Hold to record';
  }
}
const square = newCanvas(FRAME, FRAME),
  squareInk = square.getContext('2d');
function toJpeg(source, width, height) {
  // the central square
  const side = Math.min(width, height);
  squareInk.fillStyle = '#fff';
  squareInk.fillRect(0, 0, FRAME, FRAME);
  squareInk.drawImage(
    source,
    (width - side) / 2,
    (height - side) / 2,
    side,
    side,
    0,
    0,
    FRAME,
    FRAME,
  );
  return square.toDataURL('image/jpeg', 0.88);
}
function hasRoom(of) {
  if (of.frames.length < MOST) return true;
  tell(`“${of.name}” has ${MOST} frames, the most that are kept. Remove some first.`, true);
  release_();
  return false;
}
function capture(of) {
  if (!video.videoWidth || !hasRoom(of)) return;
  of.frames.push({jpeg: toJpeg(video, video.videoWidth, video.videoHeight), number: null});
  drawStrip(of);
  teach();
}
async function readSquare(file) {
  // a JPEG of its central square, null where it is no image
  const bitmap = await createImageBitmap(file).catch(() => null);
  return bitmap && toJpeg(bitmap, bitmap.width, bitmap.height);
}
async function addFiles(of, files) {
  const bad = [];
  for (const file of files) {
    if (!hasRoom(of)) break;
    const jpeg = await readSquare(file);
    if (jpeg) {
      of.frames.push({jpeg, number: null});
      drawStrip(of);
      teach();
    } else bad.push(file.name);
  }
  if (bad.length)
    tell(
      `${bad.slice(0, 3).join(', ')}${bad.length > 3 ? ` and ${bad.length - 3} more` : ''} ${NO_IMAGE} The others were added.`,
      true,
    );
}
function droppable(box, take) {
  box.addEventListener('dragover', (event) => {
    event.preventDefault();
    box.classList.add('dropping');
  });
  for (const kind of ['dragleave', 'drop'])
    box.addEventListener(kind, () => box.classList.remove('dropping'));
  box.addEventListener('drop', (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) take([...event.dataTransfer.files]);
  });
}
async function tryImage(file) {
  const jpeg = await readSquare(file);
  if (!jpeg) {
    say(`${file.name} ${NO_IMAGE}`, true);
    return;
  }
  root.dataset.own = 'true';
  stop();
  still.src = shown = jpeg;
  still.hidden = false;
  await askStill('Your image.');
}
async function askStill(text = '') {
  if (!shown || (!isExample && !isFitted && !loaded)) return;
  const jpeg = shown,
    answer = await call('predict_frame', {jpeg});
  if (!answer || answer.error) {
    say(answer?.error || NO_ANSWER, true);
    return;
  }
  if (answer.busy) {
    await wait(BACK_OFF_MS);
    return askStill(text);
  }
  if (answer.probabilities && shown === jpeg) show(answer, text);
}
droppable(stage, ([file]) => tryImage(file));
$('.try-image').addEventListener('click', () => $('.try-file').click());
$('.try-file').addEventListener('change', () => {
  const [file] = $('.try-file').files;
  if (file) tryImage(file);
  $('.try-file').value = '';
});

// -- teaching ----------------------------------------------------------------------------------------
let teaching = Promise.resolve(),
  isTeaching = false;
function teach() {
  if (isTeaching) return;
  isTeaching = true;
  teaching = teachAll().finally(() => {
    isTeaching = false;
  });
}
async function teachAll() {
  for (;;) {
    const of = classes.find((c) => c.frames.some((f) => f.number === null));
    if (!of) break;
    const frames = of.frames.filter((f) => f.number === null).slice(0, BATCH);
    const answer = await call('teach_frames', {label: of.name, jpegs: frames.map((f) => f.jpeg)});
    if (!answer) {
      tell(`${NO_ANSWER} Trying again; your frames are still in this page.`, true);
      await wait(1000);
      continue;
    }
    if (answer.busy) {
      await wait(BACK_OFF_MS);
      continue;
    }
    if (answer.forgotten) {
      forgotten();
      continue;
    }
    if (answer.error) {
      of.frames = of.frames.filter((f) => !frames.includes(f));
      drawStrip(of);
      tell(answer.error, true);
      continue;
    }
    frames.forEach((f, i) => {
      f.number = answer.numbers[i];
    });
    const left = classes.reduce((n, c) => n + c.frames.filter((f) => f.number === null).length, 0);
    if (left) tell(`Computing features: ${left} frames left…`);
    const gone = frames.filter((f) => !classes.some((c) => c.frames.includes(f))); // removed meanwhile
    if (gone.length) await call('remove_frames', {numbers: gone.map((f) => f.number)});
  }
  isTeaching = false;
  await fit();
}
function forgotten() {
  // the server was started anew, or forgot this page
  for (const c of classes) for (const f of c.frames) f.number = null;
}
function again() {
  if (!isExample) {
    forgotten();
    teach();
  }
}
const fit = latestOnly(async () => {
  if (isExample || isTeaching) return;
  const answer = await call('fit_lesson', {classes: classes.map((c) => c.name)});
  if (answer?.busy) {
    await wait(BACK_OFF_MS);
    setTimeout(fit);
    return;
  }
  if (answer?.forgotten) {
    again();
    return;
  }
  if (!answer || answer.error) {
    tell(answer?.error || NO_ANSWER, !answer || isFitted);
    return;
  }
  isFitted = true;
  loaded = null;
  showReport(answer);
  tell(
    `Learned ${answer.counts.reduce((a, b) => a + b)} frames in ${(answer.ms / 1000).toFixed(2)} s.`,
  );
  Object.assign(root.dataset, {
    fitMs: answer.ms,
    frames: answer.counts.reduce((a, b) => a + b),
    state: 'taught',
  });
  if (!stream) askStill();
});

// -- the answer --------------------------------------------------------------------------------------
function show(answer, text = null) {
  const probabilities = answer.probabilities,
    [best, p] = probabilities.reduce((a, b) => (b[1] > a[1] ? b : a));
  const names = probabilities.map(([name]) => name),
    bars = $('.bars');
  if (bars.dataset.names !== names.join('\n')) {
    bars.dataset.names = names.join('\n');
    bars.replaceChildren(
      ...names.map((name, i) => {
        const row = document.createElement('div');
        row.className = 'bar';
        row.innerHTML = '<span></span><i><b></b></i><em></em>';
        row.firstChild.textContent = name;
        row.style.setProperty('--c', loaded ? COLOURS[i % COLOURS.length] : colourOf(name));
        return row;
      }),
    );
  }
  probabilities.forEach(([, share], i) => {
    bars.children[i].querySelector('b').style.width = `${100 * share}%`;
    bars.children[i].lastChild.textContent = percent(share);
  });
  bars.setAttribute(
    'aria-label',
    `Probability of each class: ${probabilities.map(([name, share]) => `${name} ${percent(share)}`).join('; ')}`,
  );
  $('.best').textContent = p < 0.6 ? `${best}?` : best;
  $('.about-shown').textContent =
    text ?? (p < 0.6 ? 'Uncertain: more frames of both classes would help.' : '');
  root.dataset.answer = best;
  showNear(answer.nearest);
  place_ = answer.place;
  paintMap();
  explain();
}
function showNear(nearest) {
  $('.near-frames').replaceChildren(
    ...nearest.flatMap(([number, similarity]) => {
      const found = frameOf(number);
      if (!found || loaded) return [];
      const image = document.createElement('img');
      image.src = found.frame.jpeg;
      image.alt = `A frame of ${found.of.name}`;
      image.title = `${found.of.name}, cosine similarity ${similarity.toFixed(2)}`;
      image.style.setProperty('--c', colourOf(found.of.name));
      return [image];
    }),
  );
}
let nextExplain = 0,
  explained = null;
async function explain(isForced = false) {
  const now = performance.now();
  if (!shown || (!isForced && now < nextExplain)) return;
  const label = isForced ? $('.cam-class').value : root.dataset.answer,
    jpeg = shown;
  nextExplain = now + EXPLAIN_MS;
  if (!isForced && $('.cam-class').dataset.chosen !== 'true') $('.cam-class').value = label;
  const wanted = $('.cam-class').value || label;
  if (explained === jpeg + wanted) return;
  const answer = await call('explain_frame', {jpeg, label: wanted});
  if (!answer?.image) return;
  explained = jpeg + wanted;
  $('.cam').src = answer.image;
  $('.cam').hidden = false;
  $('.cam').alt = `Heat map: where the evidence for ${wanted} is`;
}
$('.cam-class').addEventListener('change', () => {
  $('.cam-class').dataset.chosen = 'true';
  explain(true);
});

// -- what was learned --------------------------------------------------------------------------------
function clearReport() {
  $('.accuracy').textContent = '–';
  $('.best').textContent = '–';
  $('.about-shown').textContent = '';
  for (const part of ['.confusion', '.bars', '.near-frames', '.doubt-frames'])
    $(part).replaceChildren();
  delete $('.bars').dataset.names;
  delete $('.cam-class').dataset.chosen;
  $('.notes').textContent = '';
  $('.cam').hidden = true;
  places = [];
  place_ = null;
  paintMap();
}
function showReport(found) {
  report = found;
  $('.accuracy').textContent =
    found.accuracy === null ? '–' : `${(100 * found.accuracy).toFixed(0)} %`;
  $('.notes').textContent = found.notes.join(' ');
  $('.confusion').replaceChildren(found.confusion ? table(found) : '');
  const doubtful = found.doubtful.map(frameOf).filter(Boolean).slice(0, 12);
  const pairs = found.same.flat().map(frameOf).filter(Boolean).slice(0, 8);
  $('.doubt-frames').replaceChildren(
    ...[...new Set([...pairs, ...doubtful].map((d) => d.frame))].map((frame) => {
      const {of} = frameOf(frame.number),
        button = thumbnail(frame, of, of.name);
      button.style.setProperty('--c', colourOf(of.name));
      return button;
    }),
  );
  $('.doubt-said').textContent =
    doubtful.length || pairs.length
      ? 'Frames that the others would call something else, or that are in two classes. Click one to remove it.'
      : 'None: held out, every frame is recognised by the others.';
  places = found.places
    .map(([number, x, y]) => ({x, y, ...frameOf(number)}))
    .filter((d) => d.frame);
  paintMap();
}
function table({classes: names, confusion}) {
  const box = document.createElement('table'),
    most = Math.max(1, ...confusion.flat());
  const cell = (kind, text) => {
    const c = document.createElement(kind);
    c.textContent = text;
    c.title = text;
    return c;
  };
  const head = box.createTHead().insertRow();
  head.append(
    cell('td', ''),
    ...names.map((name) => {
      const c = cell('th', name);
      c.scope = 'col';
      return c;
    }),
  );
  const body = box.createTBody();
  confusion.forEach((row, i) => {
    const line = body.insertRow(),
      first = cell('th', names[i]);
    first.scope = 'row';
    line.append(first);
    row.forEach((n, j) => {
      const c = cell('td', n || '');
      if (n)
        c.style.background = `color-mix(in srgb, var(${i === j ? '--lab-accent' : '--lab-second'}) ${Math.round(15 + (40 * n) / most)}%, transparent)`;
      line.append(c);
    });
  });
  return box;
}
let places = [],
  place_ = null,
  hovered = null;
const map = $('.map'),
  mapPen = map.getContext('2d');
function onMap() {
  // [x, y] of a place -> px
  const all = places.map((d) => [d.x, d.y]),
    xs = all.map((p) => p[0]),
    ys = all.map((p) => p[1]);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  return ([x, y]) => [
    clamp(30 + ((map.width - 60) * (x - x0)) / (x1 - x0 || 1), 8, map.width - 8),
    clamp(map.height - 30 - ((map.height - 60) * (y - y0)) / (y1 - y0 || 1), 8, map.height - 8),
  ];
}
function paintMap() {
  mapPen.clearRect(0, 0, map.width, map.height);
  if (!places.length) return;
  const to = onMap();
  for (const d of places) {
    const [x, y] = to([d.x, d.y]);
    mapPen.globalAlpha = 0.85;
    mapPen.fillStyle = colourOf(d.of.name);
    mapPen.beginPath();
    mapPen.arc(x, y, d === hovered ? 10 : 6, 0, 7);
    mapPen.fill();
  }
  mapPen.globalAlpha = 1;
  if (place_ && !loaded) {
    const [x, y] = to(place_);
    mapPen.strokeStyle = getComputedStyle(map).color;
    mapPen.lineWidth = 3;
    mapPen.beginPath();
    mapPen.arc(x, y, 11, 0, 7);
    mapPen.stroke();
  }
  if (hovered?.image?.complete) {
    const [x, y] = to([hovered.x, hovered.y]);
    mapPen.drawImage(
      hovered.image,
      clamp(x + 12, 0, map.width - 96),
      clamp(y - 108, 0, map.height - 96),
      96,
      96,
    );
  }
}
map.addEventListener('pointermove', (event) => {
  if (!places.length) return;
  const box = map.getBoundingClientRect(),
    to = onMap();
  const at = [
    ((event.clientX - box.left) * map.width) / box.width,
    ((event.clientY - box.top) * map.height) / box.height,
  ];
  const far = (d) => Math.hypot(...to([d.x, d.y]).map((v, k) => v - at[k]));
  const near = places.reduce((a, b) => (far(b) < far(a) ? b : a));
  hovered = far(near) < 24 ? near : null;
  if (hovered && !hovered.image) {
    hovered.image = new Image();
    hovered.image.onload = paintMap;
    hovered.image.src = hovered.frame.jpeg;
  }
  if (hovered) $('.map-said').textContent = `A frame of ${hovered.of.name}.`;
  paintMap();
});
map.addEventListener('pointerleave', () => {
  hovered = null;
  paintMap();
});

// -- files -------------------------------------------------------------------------------------------
$('.save').addEventListener('click', async () => {
  const answer = await call('save_lesson');
  if (!answer?.file) {
    tell(answer?.error || NO_ANSWER, true);
    return;
  }
  saveFile('taught.safetensors', `data:application/octet-stream;base64,${answer.file}`);
  tell(
    'Saved: the head and its classes, no images. Open it here again, or send it to /classify_taught.',
  );
});
$('.onnx').addEventListener('click', async () => {
  tell('Writing the network and its head as ONNX…');
  const answer = await untilLoaded(() => call('export_lesson'));
  if (!answer?.file) {
    tell(answer?.error || NO_ANSWER, true);
    return;
  }
  const url = URL.createObjectURL(new Blob([decodeBase64(answer.file)]));
  saveFile('taught.onnx', url);
  setTimeout(() => URL.revokeObjectURL(url), 60000);
  tell('Saved: image (1, 3, 224, 224) in [0, 1] to probabilities.');
});
$('.load').addEventListener('click', () => $('.load-file').click());
$('.load-file').addEventListener('change', async () => {
  const [file] = $('.load-file').files;
  $('.load-file').value = '';
  if (!file) return;
  if (file.size > 1e6) {
    tell(
      `${file.name} is too large: a file that this tab saved has some kilobytes. What is taught now stays.`,
      true,
    );
    return;
  }
  const answer = await call('load_lesson', {
    file: encodeBase64(new Uint8Array(await file.arrayBuffer())),
  });
  if (!answer?.classes) {
    tell(answer?.error || NO_ANSWER, true);
    return;
  }
  if (isExample) begin(answer.classes);
  loaded = answer;
  root.dataset.state = 'loaded';
  $('.cam-class').replaceChildren(...answer.classes.map((name) => new Option(name, name)));
  const score =
    answer.accuracy === null ? '' : `, held-out accuracy ${(100 * answer.accuracy).toFixed(0)} %`;
  tell(
    `${file.name} is in use: ${answer.classes.join(', ')}${score}. Your own frames are still here; the next one goes back to them.`,
  );
  if (!stream) askStill();
});

new IntersectionObserver(async ([seen]) => {
  if (!seen.isIntersecting || about) return;
  await showRecorded();
  if (!about) prepare();
}).observe(stage);
