// A class for every pixel over the live camera: class ids come as a small grey PNG; put behind live_camera.js.
const mask = newCanvas(0, 0),
  maskInk = mask.getContext('2d', {willReadFrequently: true});
facing = 'environment';

const widget = {
  quality: 0.8,
  clip: 'live-segmentation',
  replay(answer, clip) {
    if (known?.of !== clip) describe(clip);
    show(answer);
  },
  prepare,
  on: () => work.choose(),
  off() {
    mask.width = 0;
    paint();
  },
  frame() {},
  send: (jpeg) => server.segment_frame({jpeg, visitor: VISITOR}),
  compute: (pixels) => work.compute(pixels),
  keepFrame: () => ($('.in-step').checked ? copyOf(small) : null), // what is sent
  take: (answer, now, frame) => take(answer, frame),
};

// -- the model ---------------------------------------------------------------------------------------
const hidden = new Set(); // class ids
const work = placeOfWork({
  prepare: (_, gpu) => server.segmenter_on_device({gpu}),
  question: () => ({}),
  atOnce: (network) => network.at_once,
  changed() {},
});
async function prepare() {
  say('Loading the network…');
  const answer = await untilLoaded(() => server.prepare_segmenter('segmentation'));
  if (!answer || answer.error) {
    say(answer?.error || NO_ANSWER, true);
    return;
  }
  about = answer;
  work.forbid(answer.no_device);
  describe(answer);
  ready();
  work.choose();
}
let known = null; // the classes of what is shown, and their colours
function describe(network) {
  known = {of: network, packed: network.colours.map((c) => packColour(parseHex(c)))};
  $('.kinds').replaceChildren(
    ...network.names.map((name, i) => {
      const item = document.createElement('li'),
        label = document.createElement('label'),
        box = document.createElement('input');
      const part = document.createElement('em'),
        text = document.createElement('span');
      item.style.setProperty('--c', network.colours[i]);
      box.type = 'checkbox';
      box.checked = true;
      text.textContent = name;
      box.addEventListener('change', () => {
        if (box.checked) hidden.delete(i);
        else hidden.add(i);
        paint();
      });
      label.append(box, text, part);
      item.append(label);
      return item;
    }),
  );
}
$('.opacity').addEventListener('input', () => {
  $('.opacity-value').textContent = `${$('.opacity').value} %`;
  paint();
});
$('.mirror').addEventListener('change', paint);

// -- what was found ----------------------------------------------------------------------------------
function take(answer, frame) {
  show(answer, frame);
  say('Processing…');
}
function copyOf(canvas) {
  const copy = newCanvas(canvas.width, canvas.height);
  copy.getContext('2d').drawImage(canvas, 0, 0);
  return copy;
}
function show(answer, frame = null) {
  if (answer.ids) {
    // computed here
    ids = new ImageData(answer.ids, answer.width, answer.height);
    [mask.width, mask.height] = [answer.width, answer.height];
    segmented = frame;
    paint();
    shares(answer.shares);
    return;
  }
  const image = new Image(),
    of = stream,
    number = newest;
  image.onload = () => {
    if (stream !== of || number < newest) return;
    mask.width = image.naturalWidth;
    mask.height = image.naturalHeight;
    maskInk.drawImage(image, 0, 0);
    ids = maskInk.getImageData(0, 0, mask.width, mask.height);
    segmented = frame;
    paint();
    shares(answer.shares);
  };
  image.src = answer.mask;
}
function shares(list) {
  [...$('.kinds').children].forEach((item, i) => {
    item.querySelector('em').textContent = list[i] >= 0.0005 ? percent(list[i], 1) : '';
  });
}

// -- painting ----------------------------------------------------------------------------------------
let ids = null,
  segmented = null; // the frame that the mask belongs to, where it is shown in step
const coloured = newCanvas(0, 0);
function paint() {
  const opacity = Number($('.opacity').value) / 100,
    isInStep = Boolean(segmented) && $('.in-step').checked;
  over.style.opacity = isInStep ? 1 : opacity;
  element.dataset.inStep = isInStep ? 'yes' : '';
  if (!mask.width || !ids || !known) {
    pen.clearRect(0, 0, over.width, over.height);
    return;
  }
  coloured.width = ids.width;
  coloured.height = ids.height;
  const on = coloured.getContext('2d'),
    image = on.createImageData(ids.width, ids.height),
    out = new Uint32Array(image.data.buffer);
  for (let i = 0; i < out.length; i++) {
    const id = ids.data[4 * i];
    out[i] = hidden.has(id) ? 0 : known.packed[id];
  }
  on.putImageData(image, 0, 0);
  const at = place();
  over.width = at.w;
  over.height = at.h;
  if (isFlipped()) {
    pen.translate(at.w, 0);
    pen.scale(-1, 1);
  }
  if (isInStep) {
    pen.drawImage(segmented, at.left, at.top, at.width, at.height);
    pen.globalAlpha = opacity;
  }
  pen.drawImage(coloured, at.left, at.top, at.width, at.height);
  pen.globalAlpha = 1;
  pen.setTransform(1, 0, 0, 1, 0, 0);
}
$('.snapshot').addEventListener('click', () => {
  const canvas = newCanvas(video.videoWidth, video.videoHeight),
    on = canvas.getContext('2d');
  on.drawImage(
    segmented && $('.in-step').checked ? segmented : video,
    0,
    0,
    canvas.width,
    canvas.height,
  );
  on.globalAlpha = Number($('.opacity').value) / 100;
  if (mask.width) on.drawImage(coloured, 0, 0, canvas.width, canvas.height);
  saveFile('segmented.png', canvas.toDataURL('image/png'));
  tellResult(canvas, 'Snapshot');
});
new ResizeObserver(paint).observe(stage);
