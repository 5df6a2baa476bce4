// A grid of made digits. A click pins one as A, the next as B; then the walk is asked for: props.value = {kind, a, b},
// and the event "submit" lets gradio hand it to Python. A digit is {z: 100 numbers, label}.
const box = $('.digits'), file = $('input[type=file]');
let made = null, pins = {a: null, b: null}, next = 'a';

function digitAt(k) {
  const side = made.z.length / made.labels.length;
  return {z: [...made.z.subarray(k * side, (k + 1) * side)].map((v) => +v.toFixed(5)), label: made.labels[k],
    pixels: made.pixels.subarray(784 * k, 784 * (k + 1)), score: made.scores[k], k};
}
function order() {
  const all = made.labels.map((_, k) => k);
  return $('.sort').checked ? all.sort((p, q) => made.scores[q] - made.scores[p]) : all;
}
function show() {
  if (!made) return;
  box.replaceChildren(...order().map((k) => {
    const button = document.createElement('button'), canvas = document.createElement('canvas'), bar = document.createElement('i');
    button.type = 'button'; button.className = 'digit'; button.dataset.k = k;
    button.setAttribute('aria-label', `Digit ${k + 1}, a ${made.labels[k]}, taken for ${percent(made.scores[k])} real: pin it`);
    button.title = `a ${made.labels[k]}; the discriminator: ${percent(made.scores[k])} real`;
    bar.style.width = `${100 * made.scores[k]}%`;
    draw(canvas, made.pixels.subarray(784 * k, 784 * (k + 1)));
    button.append(canvas, bar);
    button.addEventListener('click', () => pin(k));
    return button;
  }));
  marks();
  $('.png').disabled = false;
}
function marks() {
  for (const button of box.children) {
    const k = Number(button.dataset.k);
    button.dataset.pin = [pins.a?.k === k ? 'A' : '', pins.b?.k === k ? 'B' : ''].join('');
  }
}
function pin(k) { put(next, digitAt(k)); if (pins.a && pins.b && next === 'a') walk(); }
function put(which, digit) {
  pins[which] = digit;
  next = which === 'a' ? 'b' : 'a';
  showPins();
}
function showPins() {
  for (const which of ['a', 'b']) {
    const digit = pins[which], canvas = $(`canvas.${which}`);
    if (digit?.pixels) draw(canvas, digit.pixels); else canvas.getContext('2d').clearRect(0, 0, 28, 28);
    $(`.about-${which}`).textContent = digit ? `a ${digit.label}` + (digit.score == null ? ', from a file' : `, ${percent(digit.score)} real`) : 'not chosen';
  }
  $('.walk').disabled = $('.swap').disabled = !(pins.a && pins.b);
  $('.morph').disabled = $('.json').disabled = $('send-to').disabled = !pins.a;
  if (made) marks();
}
function ask(what) { props.value = what; trigger('submit'); }
const sent = (digit) => ({z: digit.z, label: digit.label});
function walk() { ask({kind: 'walk', a: sent(pins.a), b: sent(pins.b)}); }

$('.walk').addEventListener('click', walk);
$('.swap').addEventListener('click', () => { pins = {a: pins.b, b: pins.a}; showPins(); walk(); });
$('.morph').addEventListener('click', () => ask({kind: 'morph', a: sent(pins.a), to: $('.to').value}));
$('.sort').addEventListener('change', show);
$('.png').addEventListener('click', () => {
  const canvas = document.createElement('canvas'), pixels = new Uint8Array(made.pixels.length);
  order().forEach((k, i) => pixels.set(made.pixels.subarray(784 * k, 784 * (k + 1)), 784 * i));
  draw(canvas, pixels, Math.ceil(Math.sqrt(made.labels.length)));
  savePng(`gan-seed${made.settings.seed}.png`, canvas, made.settings);
});
$('.json').addEventListener('click', () => save(`gan-latent-a-${pins.a.label}.json`, 'data:application/json,'
  + encodeURIComponent(JSON.stringify({model: 'gan', ...sent(pins.a)}))));
$('.load').addEventListener('click', () => file.click());
file.addEventListener('change', async () => {
  let told;
  try { told = JSON.parse(await file.files[0].text()); } catch (e) { told = null; }
  file.value = '';
  const drawn = told ? await server.redraw_digit({z: told.z, label: told.label}).catch(() => null)
    : {error: 'This file is no JSON: {"z": 100 numbers, "label": 0 to 9} is needed, as “A as JSON” writes it.'};
  if (!drawn || drawn.error) { $('.said').textContent = drawn ? drawn.error : 'The server does not answer.'; return; }
  put('a', {z: told.z, label: Number(told.label), pixels: bytes(drawn.digit), score: drawn.score, k: -1});
  $('.said').textContent = 'A was loaded from the file.';
  if (pins.b) walk();
});
watch('value', () => {
  const told = props.value;
  if (!told?.digits) return;
  made = {...told, pixels: bytes(told.digits), z: floats(told.latents)};
  for (const which of ['a', 'b']) if (pins[which]) pins[which].k = -1; // pinned digits stay, their places are gone
  $('.said').textContent = told.said + ' Click one to pin it as A, another as B.';
  show();
});
