// A class for every pixel over the live camera: class ids come as a small grey PNG; behind live_camera.js.
const mask = document.createElement('canvas'), maskInk = mask.getContext('2d', {willReadFrequently: true});
facing = 'environment';

const widget = {
  quality: .8,
  prepare,
  on() {},
  off() { mask.width = 0; paint(); },
  frame() {},
  send: (jpeg) => server.segment_frame({jpeg, visitor: VISITOR}),
  take,
};

// -- the model -------------------------------------------------------------------------------------------------------
const hidden = new Set(); // class ids
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
  ready();
}
$('.opacity').addEventListener('input', () => { $('.opacity-value').textContent = `${$('.opacity').value} %`; paint(); });
$('.mirror').addEventListener('change', paint);

// -- what was found --------------------------------------------------------------------------------------------------
function take(answer) {
  const image = new Image(), of = stream, number = newest;
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
  const at = place();
  over.width = at.w; over.height = at.h;
  if ($('.mirror').checked) { pen.translate(at.w, 0); pen.scale(-1, 1); }
  pen.drawImage(coloured, at.left, at.top, at.width, at.height);
  pen.setTransform(1, 0, 0, 1, 0, 0);
}
$('.snapshot').addEventListener('click', () => {
  const canvas = document.createElement('canvas'), on = canvas.getContext('2d');
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  if ($('.mirror').checked) { on.translate(canvas.width, 0); on.scale(-1, 1); }
  on.drawImage(video, 0, 0, canvas.width, canvas.height);
  on.globalAlpha = Number($('.opacity').value) / 100;
  if (mask.width) on.drawImage(coloured, 0, 0, canvas.width, canvas.height);
  save('segmented.png', canvas.toDataURL('image/png'));
});
new ResizeObserver(paint).observe(stage);
