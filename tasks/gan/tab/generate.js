// A grid of generated digits. A click pins one as A, the next as B; then the walk is requested: props.value = {kind, a, b},
// and the event "submit" lets gradio hand it to Python. A digit is {z: 100 numbers, label}.
const box = $('.digits'),
  file = $('input[type=file]');
let isRecorded = false,
  isExample = false,
  grid = null,
  pins = {a: null, b: null},
  next = 'a';

function digitAt(k) {
  const side = grid.z.length / grid.labels.length;
  return {
    z: [...grid.z.subarray(k * side, (k + 1) * side)].map((v) => +v.toFixed(5)),
    label: grid.labels[k],
    pixels: grid.pixels.subarray(784 * k, 784 * (k + 1)),
    score: grid.scores[k],
    k,
  };
}
function order() {
  const all = grid.labels.map((_, k) => k);
  return $('.sort').checked ? all.sort((p, q) => grid.scores[q] - grid.scores[p]) : all;
}
function show() {
  if (!grid) return;
  box.replaceChildren(
    ...order().map((k) => {
      const button = document.createElement('button'),
        canvas = document.createElement('canvas'),
        bar = document.createElement('i');
      button.type = 'button';
      button.className = 'digit';
      button.dataset.k = k;
      button.setAttribute(
        'aria-label',
        `Digit ${k + 1}, class ${grid.labels[k]}, discriminator score ${percent(grid.scores[k])}: pin it`,
      );
      button.title = `Class ${grid.labels[k]}, discriminator score ${percent(grid.scores[k])}`;
      bar.style.width = `${100 * grid.scores[k]}%`;
      drawDigits(canvas, grid.pixels.subarray(784 * k, 784 * (k + 1)));
      button.append(canvas, bar);
      button.addEventListener('click', () => pin(k));
      return button;
    }),
  );
  marks();
  $('.png').disabled = $('.copy-link').disabled = false;
}
function marks() {
  for (const button of box.children) {
    const k = Number(button.dataset.k);
    button.dataset.pin = [pins.a?.k === k ? 'A' : '', pins.b?.k === k ? 'B' : ''].join('');
  }
}
function pin(k) {
  put(next, digitAt(k));
  if (pins.a && pins.b && next === 'a') walk();
}
function put(which, digit) {
  pins[which] = digit;
  next = which === 'a' ? 'b' : 'a';
  showPins();
}
function showPins() {
  for (const which of ['a', 'b']) {
    const digit = pins[which],
      canvas = $(`canvas.${which}`);
    if (digit?.pixels) drawDigits(canvas, digit.pixels);
    else canvas.getContext('2d').clearRect(0, 0, 28, 28);
    $(`.about-${which}`).textContent = digit
      ? `class ${digit.label}` +
        (digit.score == null ? ', from a file' : `, ${percent(digit.score)} real`)
      : 'not chosen';
  }
  $('.walk').disabled = $('.swap').disabled = !(pins.a && pins.b);
  $('.morph').disabled = $('.json').disabled = $('send-to').disabled = !pins.a;
  if (grid) marks();
}
function ask(what) {
  props.value = what;
  trigger('submit');
}
const toLatent = (digit) => ({z: digit.z, label: digit.label});
function walk() {
  ask({kind: 'walk', a: toLatent(pins.a), b: toLatent(pins.b)});
}

$('.walk').addEventListener('click', walk);
$('.swap').addEventListener('click', () => {
  pins = {a: pins.b, b: pins.a};
  showPins();
  walk();
});
$('.morph').addEventListener('click', () =>
  ask({kind: 'morph', a: toLatent(pins.a), to: $('.to').value}),
);
$('.sort').addEventListener('change', show);
$('.png').addEventListener('click', () => {
  const canvas = newCanvas(28, 28),
    pixels = new Uint8Array(grid.pixels.length);
  order().forEach((k, i) => pixels.set(grid.pixels.subarray(784 * k, 784 * (k + 1)), 784 * i));
  drawDigits(canvas, pixels, Math.ceil(Math.sqrt(grid.labels.length)));
  savePng(`gan-seed${grid.settings.seed}.png`, canvas, grid.settings);
});
$('.copy-link').addEventListener('click', async () => {
  // to the grid, and to the walk where both ends are in it
  const {class: label, n, seed, truncation} = grid.settings,
    settings = {class: label, n, seed, truncation};
  if (pins.a?.k >= 0 && pins.b?.k >= 0) Object.assign(settings, {a: pins.a.k, b: pins.b.k});
  $('.said').textContent = await copyLink(`#gan/gan-generate?${new URLSearchParams(settings)}`);
});
$('.json').addEventListener('click', () => {
  saveFile(
    `gan-latent-a-${pins.a.label}.json`,
    textUrl('application/json', JSON.stringify({model: 'gan', ...toLatent(pins.a)})),
  );
});
$('.load').addEventListener('click', () => file.click());
file.addEventListener('change', async () => {
  let latent;
  try {
    latent = JSON.parse(await file.files[0].text());
  } catch (e) {
    latent = null;
  }
  file.value = '';
  const drawn = latent
    ? await server.redraw_digit({z: latent.z, label: latent.label}).catch(() => null)
    : {
        error:
          'This file is not JSON. {"z": 100 numbers, "label": 0 to 9} is needed, as “A as JSON” saves it.',
      };
  if (!drawn || drawn.error) {
    $('.said').textContent = drawn?.error || NO_ANSWER;
    return;
  }
  put('a', {
    z: latent.z,
    label: Number(latent.label),
    pixels: decodeBase64(drawn.digit),
    score: drawn.score,
    k: -1,
  });
  $('.said').textContent = 'A was loaded from the file.';
  if (pins.b) walk();
});
function tellHistory() {
  const picture = newCanvas(28, 28),
    {class: label, n, seed, truncation} = grid.settings;
  drawDigits(picture, grid.pixels, Math.ceil(Math.sqrt(grid.labels.length)));
  const link = `#gan/gan-generate?${new URLSearchParams({class: label, n, seed, truncation})}`;
  tellResult(picture, `${n} digits, seed ${seed}`, {link});
}
function take(value) {
  if (isExample) {
    pins = {a: null, b: null};
    next = 'a';
    showPins();
  } // those of the example, too, are replaced
  isExample = isRecorded;
  grid = {...value, pixels: decodeBase64(value.digits), z: decodeFloats(value.latents)};
  for (const which of ['a', 'b']) if (pins[which]) pins[which].k = -1; // pinned digits stay; they are not in the new grid
  $('.said').textContent = `${value.said} Click one to pin it as A, another as B.`;
  show();
  if (!isRecorded) tellHistory();
  if (!value.pin) return;
  pins = {a: digitAt(value.pin[0]), b: digitAt(value.pin[1])};
  showPins();
  if (!isRecorded) setTimeout(walk); // once gradio has set the value that brought this grid
}
watch('value', () => {
  if (props.value?.digits) take(props.value);
});
whenSeen(box, async () => {
  const recorded = await recording('gan-grid').catch(() => null);
  if (!recorded || grid) return;
  isRecorded = true; // and so is the walk
  take(recorded);
  isRecorded = false;
});
