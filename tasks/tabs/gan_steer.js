// The digit follows the pointer: one request in flight, the newest place is asked for next.
const plane = $('.plane'), spot = $('.spot'), from = $('.from'), other = $('.other'), mix = $('.mix');
let x = 0, y = 0, seed = 0, busy = false, wanted = 0, mapWanted = false, started = false;
const latencies = [];
let telling = null;
from.value = '3'; other.value = '8';

const place = () => ({x, y, seed, mix: Number(mix.value), from: from.value, to: other.value});
function move(nx, ny) {
  x = Math.max(-1, Math.min(1, nx)); y = Math.max(-1, Math.min(1, ny));
  spot.style.setProperty('--x', x); spot.style.setProperty('--y', y);
  want();
}
function want(map = false) {
  if (!wanted) wanted = performance.now();
  mapWanted = mapWanted || map;
  ask();
}
async function ask() {
  if (busy || !wanted) return;
  const since = wanted; wanted = 0;
  busy = true;
  const answer = await server.steer_digit(place()).catch(() => null);
  if (answer && !answer.error) requestAnimationFrame(() => timed(performance.now() - since, answer));
  else $('.status').textContent = answer ? answer.error : 'The server does not answer.';
  if (answer?.digit) {
    draw($('.digit-now'), bytes(answer.digit));
    $('send-to').disabled = false;
    $('.status').textContent = `The discriminator: ${percent(answer.score)} real`;
  }
  if (mapWanted && !wanted && answer && !answer.error) {
    mapWanted = false;
    const map = await server.map_plane(place()).catch(() => null);
    if (map?.digits) { draw($('.map'), bytes(map.digits), map.tiles); plane.dataset.device = map.device; }
  }
  busy = false;
  ask();
}
function timed(ms, answer) {
  latencies.push(ms); if (latencies.length > 1000) latencies.shift();
  telling ??= setTimeout(() => { telling = null; tell(answer); }, 250); // not at every digit: the words are laid out anew
}
function tell(answer) {
  const sorted = [...latencies].sort((a, b) => a - b), at = (q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
  $('.timing').textContent = `network ${answer.ms.toFixed(1)} ms · pointer to digit p50 ${at(.5).toFixed(0)}, p95 ${at(.95).toFixed(0)} ms · ${plane.dataset.device || ''}`;
  Object.assign(plane.dataset, {p50: at(.5).toFixed(1), p95: at(.95).toFixed(1), network: answer.ms.toFixed(2), n: latencies.length});
}
function follow(event) {
  const box = plane.getBoundingClientRect();
  move(2 * (event.clientX - box.left) / box.width - 1, 2 * (event.clientY - box.top) / box.height - 1);
}
plane.addEventListener('pointermove', follow);
plane.addEventListener('pointerdown', (event) => { try { plane.setPointerCapture(event.pointerId); } catch (e) { /* gone */ } follow(event); });
plane.addEventListener('keydown', (event) => {
  const step = {ArrowLeft: [-.1, 0], ArrowRight: [.1, 0], ArrowUp: [0, -.1], ArrowDown: [0, .1]}[event.key];
  if (step) { event.preventDefault(); move(x + step[0], y + step[1]); }
});
from.addEventListener('change', () => want(true));
other.addEventListener('change', () => want(true));
mix.addEventListener('input', () => want());
mix.addEventListener('change', () => want(true));
$('.seed').addEventListener('click', () => {
  seed = Math.floor(Math.random() * 1e6);
  $('.seed-said').textContent = `seed ${seed}`;
  want(true);
});
$('.png').addEventListener('click', () => savePng(`gan-${from.value}-seed${seed}.png`, $('.digit-now'), {model: 'gan', ...place()}));
new IntersectionObserver(([seen]) => { // the first digit is made when the tab is looked at, not when the page opens
  if (seen.isIntersecting && !started) { started = true; want(true); }
}).observe(plane);
