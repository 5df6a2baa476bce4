// The drawing goes to the server as a PNG, one request in flight; what comes back replaces the pictures in place.
const $ = (selector) => element.querySelector(selector);
const pad = $('.pad'), ink = pad.getContext('2d'), way = $('.way'), file = $('input[type=file]');
let pen = null, empty = true, given = null, asking = false, again = false; // given: a digit's picture, until it is drawn on

function clear() {
  ink.fillStyle = '#fff';
  ink.fillRect(0, 0, pad.width, pad.height);
  ink.lineWidth = 22; ink.lineCap = ink.lineJoin = 'round'; ink.strokeStyle = '#000';
  empty = true; given = null; $('send-to').hidden = true;
}
function at(event) {
  const box = pad.getBoundingClientRect();
  return [(event.clientX - box.left) * pad.width / box.width, (event.clientY - box.top) * pad.height / box.height];
}
function show(answer) {
  if (!answer || answer.error) {
    $('.hint').textContent = answer ? answer.error : 'The server does not answer; try again in a moment.';
    return;
  }
  $('.hint').textContent = '';
  answer.figures.forEach((given, k) => {
    let figure = way.children[k];
    if (!figure) {
      way.insertAdjacentHTML('beforeend', '<figure><img alt=""><figcaption><b></b><span></span></figcaption></figure>');
      figure = way.children[k];
    }
    const image = figure.querySelector('img');
    image.src = 'data:image/png;base64,' + given.png;
    image.alt = given.title;
    figure.querySelector('b').textContent = given.title;
    figure.querySelector('span').textContent = given.text;
  });
  $('.time').textContent = answer.time;
  $('send-to').hidden = false;
}
async function ask() {
  if (empty) return;
  if (asking) { again = true; return; }
  asking = true;
  do {
    again = false;
    let answer = null;
    const asked = {drawing: given || pad.toDataURL('image/png'), sigma: Number($('.sigma').value), seed: Number($('.seed').value)};
    try { answer = await server.bring_back(asked); }
    catch (error) { /* told by show */ }
    if (!empty) show(answer);
  } while (again);
  asking = false;
}
pad.addEventListener('pointerdown', (event) => {
  pen = at(event); pad.setPointerCapture(event.pointerId); event.preventDefault();
});
pad.addEventListener('pointermove', (event) => {
  if (!pen) return;
  const to = at(event);
  ink.beginPath(); ink.moveTo(...pen); ink.lineTo(...to); ink.stroke();
  pen = to; empty = false; given = null; ask();
});
for (const end of ['pointerup', 'pointercancel']) pad.addEventListener(end, () => { pen = null; ask(); });
$('.clear').addEventListener('click', () => {
  clear(); way.replaceChildren(); $('.time').textContent = ''; $('.hint').textContent = 'Draw a digit, or have one written.';
});
$('.write').addEventListener('click', async () => {
  const written = await server.write_one();
  const image = new Image();
  image.onload = () => { clear(); ink.drawImage(image, 0, 0); empty = false; ask(); };
  image.src = 'data:image/png;base64,' + written.png;
});
$('.load').addEventListener('click', () => file.click());
file.addEventListener('change', async () => {
  if (!file.files.length) return;
  clear();
  given = await fileOnPad(file.files[0], pad);
  file.value = '';
  if (given) { empty = false; ask(); } else $('.hint').textContent = NO_PICTURE;
});
file.dataset.listens = '';
$('.sigma').addEventListener('input', () => { $('output').textContent = Number($('.sigma').value).toFixed(2); ask(); });
$('.seed').addEventListener('change', ask);
clear();
