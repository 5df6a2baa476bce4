// An image with a class for every pixel. All that is shown comes in one value; opacity, classes, the seam and the class
// under the pointer are computed here, without the server.
const stage = $('.stage'),
  picture = $('.picture'),
  over = $('.over'),
  tip = $('.tip'),
  seam = $('.seam');
const HEAT = JSON.parse($('.view').dataset.heat).map(parseHex);
let scene = null,
  ids = null,
  sure = null,
  doubt = null,
  hidden = new Set(),
  at = null,
  mine = 0;

function values(image) {
  // a grey PNG's values
  const canvas = newCanvas(image.naturalWidth, image.naturalHeight);
  const ink = canvas.getContext('2d', {willReadFrequently: true});
  ink.drawImage(image, 0, 0);
  const rgba = ink.getImageData(0, 0, canvas.width, canvas.height).data,
    out = new Uint8Array(rgba.length / 4);
  for (let i = 0; i < out.length; i++) out[i] = rgba[4 * i];
  return {w: canvas.width, h: canvas.height, data: out};
}
const read = (map, x, y) =>
  map.data[
    Math.min(map.h - 1, Math.floor(y * map.h)) * map.w + Math.min(map.w - 1, Math.floor(x * map.w))
  ];

async function show(value) {
  const turn = ++mine;
  if (!value || !value.picture) return clear();
  const [photo, ...maps] = await Promise.all(
    ['picture', 'classes', 'confidence', 'entropy'].map((k) => loadImage(value[k])),
  );
  if (turn !== mine) return;
  const sameClasses = scene && scene.names.join() === value.names.join();
  scene = value;
  [ids, sure, doubt] = maps.map(values);
  at = null;
  if (!sameClasses) hidden = new Set();
  for (const canvas of [picture, over]) {
    canvas.width = ids.w;
    canvas.height = ids.h;
  }
  picture.getContext('2d').drawImage(photo, 0, 0, ids.w, ids.h);
  stage.classList.add('filled');
  $('.under').textContent = value.said;
  const much = value.unsure > 0.25;
  const uncertain = document.createElement('b');
  uncertain.textContent = `Uncertain: ${percent(value.unsure, 1)} of the pixels.`;
  $('.doubt').replaceChildren(
    uncertain,
    much
      ? ` This may not be a road scene like those in training: the network learned from drives through Cambridge and gives every pixel one of ${value.names.length} classes.`
      : '',
  );
  $('.doubt').classList.toggle('much', much);
  $$('.save button').forEach((b) => {
    b.disabled = false;
  });
  legend();
  paint();
  point();
  element.dataset.shown = turn;
}
function clear() {
  scene = null;
  stage.classList.remove('filled');
  $('.legend ul').replaceChildren();
  tip.hidden = seam.hidden = true;
  $('.under').textContent = '\u00a0';
  $('.doubt').textContent = '';
  $$('.save button').forEach((b) => {
    b.disabled = true;
  });
}

// -- painting ----------------------------------------------------------------------------------------
function heat(v) {
  const x = (v / 255) * (HEAT.length - 1),
    i = Math.min(HEAT.length - 2, Math.floor(x)),
    f = x - i;
  return HEAT[i].map((a, k) => Math.round(a + f * (HEAT[i + 1][k] - a)));
}
function paint() {
  if (!scene) return;
  const ink = over.getContext('2d'),
    image = ink.createImageData(ids.w, ids.h),
    out = new Uint32Array(image.data.buffer);
  if ($('.what').value === 'classes') {
    const colours = scene.colours.map((c, i) => (hidden.has(i) ? 0 : packColour(parseHex(c))));
    for (let i = 0; i < out.length; i++) out[i] = colours[ids.data[i]];
  } else {
    const ramp = Array.from({length: 256}, (_, v) => packColour(heat(v)));
    for (let y = 0, i = 0; y < ids.h; y++) {
      const row = Math.min(doubt.h - 1, Math.floor(((y + 0.5) / ids.h) * doubt.h)) * doubt.w;
      for (let x = 0; x < ids.w; x++, i++)
        out[i] =
          ramp[doubt.data[row + Math.min(doubt.w - 1, Math.floor(((x + 0.5) / ids.w) * doubt.w))]];
    }
  }
  ink.putImageData(image, 0, 0);
  $('.ramp').hidden = $('.what').value === 'classes';
  veil();
}
function veil() {
  // opacity and seam: no pixel is computed again
  const opacity = Number($('.opacity').value),
    split = Number($('.split').value);
  over.style.opacity = opacity / 100;
  over.style.clipPath = split ? `inset(0 0 0 ${split}%)` : '';
  $('.opacity-value').textContent = `${opacity} %`;
  $('.split-value').textContent = split ? `${split} %` : 'off';
  seam.hidden = !split || !scene;
  if (!seam.hidden)
    Object.assign(seam.style, {
      left: `${over.offsetLeft + (over.offsetWidth * split) / 100 - 1}px`,
      top: `${over.offsetTop}px`,
      height: `${over.offsetHeight}px`,
    });
}
function legend() {
  const order = scene.shares.map((share, i) => [share, i]).sort((a, b) => b[0] - a[0]);
  $('.legend ul').replaceChildren(
    ...order.map(([share, i]) => {
      const item = document.createElement('li'),
        label = document.createElement('label');
      const box = document.createElement('input'),
        name = document.createElement('span'),
        part = document.createElement('em');
      const bar = document.createElement('s'),
        filled = document.createElement('b');
      item.dataset.id = i;
      item.style.setProperty('--c', scene.colours[i]);
      box.type = 'checkbox';
      box.checked = !hidden.has(i);
      name.textContent = scene.names[i];
      part.textContent = percent(share, 1);
      filled.style.width = `${100 * share}%`;
      box.addEventListener('change', () => {
        if (box.checked) hidden.delete(i);
        else hidden.add(i);
        paint();
      });
      bar.append(filled);
      label.append(box, name, part, bar);
      item.append(label);
      return item;
    }),
  );
}
for (const [button, on] of [
  ['.all', true],
  ['.none', false],
])
  $(button).addEventListener('click', () => {
    if (!scene) return;
    hidden = new Set(on ? [] : scene.names.keys());
    legend();
    paint();
  });
for (const name of ['.opacity', '.split']) $(name).addEventListener('input', veil);
$('.what').addEventListener('change', paint);
new ResizeObserver(() => {
  veil();
  point();
}).observe(stage);

// -- under the pointer -------------------------------------------------------------------------------
function point() {
  $$('li.under-pointer').forEach((item) => item.classList.remove('under-pointer'));
  tip.hidden = !scene || !at;
  if (tip.hidden) return;
  const [x, y] = at,
    id = read(ids, x, y),
    swatch = document.createElement('i');
  swatch.style.background = scene.colours[id];
  tip.replaceChildren(swatch, `${scene.names[id]} ${read(sure, x, y)} %`);
  const left = over.offsetLeft + x * over.offsetWidth,
    top = over.offsetTop + y * over.offsetHeight;
  tip.style.left = `${Math.max(tip.offsetWidth / 2, Math.min(stage.clientWidth - tip.offsetWidth / 2, left))}px`;
  tip.style.top = `${Math.max(1.5 * tip.offsetHeight, top)}px`;
  $(`li[data-id="${id}"]`)?.classList.add('under-pointer');
}
function moved(event) {
  if (!scene) return;
  const box = over.getBoundingClientRect(),
    x = (event.clientX - box.left) / box.width,
    y = (event.clientY - box.top) / box.height;
  at = x >= 0 && x < 1 && y >= 0 && y < 1 ? [x, y] : null;
  point();
}
stage.addEventListener('pointermove', moved);
stage.addEventListener('pointerdown', moved);
stage.addEventListener('pointerleave', (event) => {
  if (event.pointerType === 'mouse') {
    at = null;
    point();
  }
});
stage.addEventListener('keydown', (event) => {
  const step = ARROWS[event.key];
  if (!scene || !step) return;
  event.preventDefault();
  const [x, y] = at || [0.5, 0.5],
    far = event.shiftKey ? 0.1 : 0.02;
  at = [clamp(x + far * step[0], 0, 0.999), clamp(y + far * step[1], 0, 0.999)];
  point();
});

// -- downloads ---------------------------------------------------------------------------------------
$('.save-mask').addEventListener('click', () => saveFile('classes.png', scene.mask));
$('.save-about').addEventListener('click', () =>
  saveFile('classes.json', textUrl('application/json', scene.about)),
);
function composed() {
  // as it is shown
  const canvas = newCanvas(ids.w, ids.h),
    ink = canvas.getContext('2d'),
    from = (Number($('.split').value) / 100) * ids.w;
  ink.drawImage(picture, 0, 0);
  ink.globalAlpha = Number($('.opacity').value) / 100;
  if (from < ids.w) ink.drawImage(over, from, 0, ids.w - from, ids.h, from, 0, ids.w - from, ids.h);
  return canvas;
}
$('.save-over').addEventListener('click', () =>
  saveFile('segmented.png', composed().toDataURL('image/png')),
);
async function showResult(value) {
  await show(value);
  if (!scene || scene !== value) return; // a newer one came
  const order = [...scene.shares.keys()]
    .sort((a, b) => scene.shares[b] - scene.shares[a])
    .slice(0, 3);
  tellResult(
    composed(),
    order.map((i) => `${scene.names[i]} ${percent(scene.shares[i])}`).join(', '),
  );
}
watch('value', () => {
  showResult(props.value);
});
if (props.value) show(props.value);
else
  whenSeen(stage, async () => {
    const recorded = await recording('segment-view').catch(() => null);
    if (recorded && !props.value) show(recorded);
  });
