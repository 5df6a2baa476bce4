// The digit follows the pointer; put behind widget.js and digits.js.
const plane = $('.plane'),
  spot = $('.spot'),
  from = $('.from'),
  other = $('.other'),
  mix = $('.mix');
let x = 0,
  y = 0,
  seed = 0,
  since = 0,
  asked = 0,
  mapWanted = false;
const latencies = [];
let timingTimer = null;
from.value = '3';
other.value = '8';

const place = () => ({x, y, seed, mix: Number(mix.value), from: from.value, to: other.value});
function move(nx, ny) {
  x = clamp(nx, -1, 1);
  y = clamp(ny, -1, 1);
  spot.style.setProperty('--x', x);
  spot.style.setProperty('--y', y);
  update();
}
function update(withMap = false) {
  since ||= performance.now();
  asked++;
  mapWanted ||= withMap;
  request();
}
const request = latestOnly(async () => {
  const begun = since;
  since = 0;
  const answer = await server.steer_digit(place()).catch(() => null);
  if (!answer || answer.error) {
    $('.status').textContent = answer?.error || NO_ANSWER;
    return;
  }
  requestAnimationFrame(() => showTiming(performance.now() - begun, answer));
  showDigit(answer);
  if (!mapWanted || since) return;
  mapWanted = false;
  const map = await server.map_plane(place()).catch(() => null);
  if (map?.digits) showMap(map);
});
function showDigit(answer) {
  drawDigits($('.digit-now'), decodeBase64(answer.digit));
  $('send-to').disabled = false;
  $('.status').textContent = `The discriminator: ${percent(answer.score)} real`;
}
function showMap(map) {
  drawDigits($('.map'), decodeBase64(map.digits), map.tiles);
  plane.dataset.device = map.device;
}
function showTiming(ms, answer) {
  remember(latencies, ms, 1000);
  timingTimer ??= setTimeout(() => {
    // not at every digit: each change of the text is laid out
    timingTimer = null;
    const [p50, p95] = [0.5, 0.95].map((q) => quantile(latencies, q));
    $('.timing').textContent =
      `network ${answer.ms.toFixed(1)} ms · pointer to digit p50 ${p50.toFixed(0)}, ` +
      `p95 ${p95.toFixed(0)} ms · ${plane.dataset.device || ''}`;
    Object.assign(plane.dataset, {
      p50: p50.toFixed(1),
      p95: p95.toFixed(1),
      network: answer.ms.toFixed(2),
      n: latencies.length,
    });
  }, 250);
}
function follow(event) {
  const box = plane.getBoundingClientRect();
  move(
    (2 * (event.clientX - box.left)) / box.width - 1,
    (2 * (event.clientY - box.top)) / box.height - 1,
  );
}
plane.addEventListener('pointermove', follow);
plane.addEventListener('pointerdown', (event) => {
  try {
    plane.setPointerCapture(event.pointerId);
  } catch (e) {
    /* gone */
  }
  follow(event);
});
plane.addEventListener('keydown', (event) => {
  const step = ARROWS[event.key];
  if (step) {
    event.preventDefault();
    move(x + 0.1 * step[0], y + 0.1 * step[1]);
  }
});
from.addEventListener('change', () => update(true));
other.addEventListener('change', () => update(true));
mix.addEventListener('input', () => update());
mix.addEventListener('change', () => update(true));
$('.seed').addEventListener('click', () => {
  seed = Math.floor(Math.random() * 1e6);
  $('.seed-said').textContent = `seed ${seed}`;
  update(true);
});
$('.png').addEventListener('click', () =>
  savePng(`gan-${from.value}-seed${seed}.png`, $('.digit-now'), {model: 'gan', ...place()}),
);
whenSeen(plane, async () => {
  const recorded = await recording('gan-steer').catch(() => null);
  if (asked) return; // the visitor was faster
  if (!recorded) {
    update(true);
    return;
  }
  showMap(recorded.map);
  showDigit(recorded.digit);
  $('.status').textContent = `Example. ${$('.status').textContent}`;
});
