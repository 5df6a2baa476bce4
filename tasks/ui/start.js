// The Start page, put behind widget.js and drawing_pad.js: a real pad, a strip of diffusion steps, moving previews.
const STILL = matchMedia('(prefers-reduced-motion: reduce)').matches;
const FRAME_MS = 160,
  HOLD = 6; // HOLD: frames that the last one stays
const fileUrl = (name) =>
  new URL(`gradio_api/file=tasks/ui/previews/${name}.webp`, document.baseURI).href;

// -- the pad -----------------------------------------------------------------------------------------
const bars = Array.from({length: 10}, (_, digit) => {
  const row = document.createElement('div'),
    bar = document.createElement('i');
  row.append(String(digit), bar);
  $('.bars').append(row);
  return bar;
});
function show(probabilities, best) {
  $('.best').textContent = best;
  bars.forEach((bar, k) => {
    bar.style.width = `${100 * (probabilities?.[k] ?? 0)}%`;
  });
}
const ask = latestOnly(async () => {
  if (pad.isEmpty) return show(null, '–');
  const answer = await server.classify_drawing(pad.url).catch(() => ({}));
  if (pad.isEmpty) return;
  if (answer.probabilities) show(answer.probabilities, answer.prediction);
});
const pad = inkPad({penWidth: () => 20, changed: ask});

// An example draws itself, once; the first touch of the pad clears it.
const EXAMPLE = [
  [80, 70],
  [108, 46],
  [150, 42],
  [180, 66],
  [176, 104],
  [140, 130],
  [116, 134],
  [150, 138],
  [188, 164],
  [186, 214],
  [146, 240],
  [100, 234],
  [74, 206],
];
let example = setTimeout(
  function draw() {
    const next = EXAMPLE.shift();
    if (!next) {
      example = 'drawn';
      return;
    }
    if (pad.isEmpty) pad.begin(next);
    else pad.extend([next]);
    example = setTimeout(draw, STILL ? 0 : 60);
  },
  STILL ? 0 : 800,
);
$('.pad .frame').addEventListener(
  'pointerdown',
  () => {
    if (example === null) return;
    if (example !== 'drawn') clearTimeout(example);
    example = null;
    $('.example').hidden = true;
    pad.reset();
  },
  true,
);

// -- the strip of diffusion steps --------------------------------------------------------------------
const sampling = $('.steps').getContext('2d'),
  scrub = $('.scrub'),
  play = $('.play');
const strip = new Image();
let playing = !STILL;
function drawStep() {
  if (!strip.complete || !strip.naturalHeight) return;
  const side = strip.naturalHeight;
  sampling.drawImage(
    strip,
    Number(scrub.value) * side,
    0,
    side,
    side,
    0,
    0,
    sampling.canvas.width,
    sampling.canvas.height,
  );
}
function setPlaying(on) {
  playing = on;
  play.textContent = on ? 'Pause' : 'Play';
  play.setAttribute('aria-pressed', String(on));
}
strip.addEventListener('load', () => {
  scrub.max = strip.naturalWidth / strip.naturalHeight - 1;
  scrub.value = STILL ? scrub.max : 0;
  drawStep();
});
strip.src = fileUrl('steps');
scrub.addEventListener('input', () => {
  setPlaying(false);
  drawStep();
});
play.addEventListener('click', () => setPlaying(!playing));

// -- the previews ------------------------------------------------------------------------------------
const previews = $$('.strip'),
  button = $('.previews');
const seen = new Set();
let moving = !STILL,
  tick = 0,
  held = 0;
const observer = new IntersectionObserver((entries) =>
  entries.forEach(({target, isIntersecting}) => {
    if (!isIntersecting) return seen.delete(target);
    target.style.backgroundImage ||= `url(${fileUrl(target.dataset.preview)})`;
    seen.add(target);
  }),
);
previews.forEach((preview) => observer.observe(preview));
function turn(preview) {
  // the frame of this moment; the last one stays for a while
  const n = Number(preview.dataset.frames),
    at = Math.min(tick % (n + HOLD), n - 1);
  preview.style.backgroundPositionX = `${n > 1 ? (100 * at) / (n - 1) : 0}%`;
}
if (STILL) {
  tick = 1e6;
  previews.forEach((p) => {
    p.style.backgroundPositionX = '100%';
  });
}
button.textContent = moving ? 'Pause previews' : 'Play previews';
button.addEventListener('click', () => {
  moving = !moving;
  button.textContent = moving ? 'Pause previews' : 'Play previews';
});
const timer = setInterval(() => {
  if (!element.isConnected) return clearInterval(timer);
  if (document.hidden || element.offsetParent === null) return;
  if (moving) {
    tick++;
    seen.forEach(turn);
  }
  if (playing) {
    if (Number(scrub.value) < Number(scrub.max)) {
      scrub.value = Number(scrub.value) + 1;
      held = 0;
    } else if (++held > 2 * HOLD) {
      scrub.value = 0;
      held = 0;
    }
    drawStep();
  }
}, FRAME_MS);
setPlaying(playing);
