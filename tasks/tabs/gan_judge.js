// A drawing pad whose strokes the discriminator judges: one request in flight, the newest drawing is asked for next.
const file = $('input[type=file]'), canvas = $('.ink'), pen = canvas.getContext('2d'), frame = $('.frame');
let drawing = null, drawn = false, given = null, busy = false, dirty = false, last = null, made = 0;

function paper() { pen.fillStyle = '#fff'; pen.fillRect(0, 0, 280, 280); drawn = false; given = null; frame.classList.remove('drawn'); }
function at(event) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * 280 / box.width, (event.clientY - box.top) * 280 / box.height];
}
function stroke(to) {
  pen.strokeStyle = '#111'; pen.lineCap = pen.lineJoin = 'round'; pen.lineWidth = Number($('.width').value);
  pen.beginPath(); pen.moveTo(...last); pen.lineTo(...to); pen.stroke();
  last = to; drawn = true; given = null; frame.classList.add('drawn'); ask();
}
canvas.addEventListener('pointerdown', (event) => {
  if (event.button !== 0 || !event.isPrimary) return;
  try { canvas.setPointerCapture(event.pointerId); } catch (e) { /* a pointer that is gone already */ }
  drawing = event.pointerId; last = at(event); stroke(last);
});
canvas.addEventListener('pointermove', (event) => {
  if (event.pointerId !== drawing) return;
  for (const e of (event.getCoalescedEvents?.() || []).concat([event])) stroke(at(e));
});
for (const name of ['pointerup', 'pointercancel']) canvas.addEventListener(name, () => { drawing = null; });

async function ask() {
  dirty = true;
  if (busy || !drawn) return;
  dirty = false; busy = true;
  const answer = await server.judge_drawing({png: given || canvas.toDataURL('image/png'), label: $('.label').value}).catch(() => null);
  busy = false;
  if (drawn) show(answer, given ? 'The given' : 'Your');
  if (dirty) ask();
}
function show(answer, whose) {
  if (!answer || answer.error) { $('.said').textContent = answer ? answer.error : 'The server does not answer.'; return; }
  draw($('.seen'), bytes(answer.digit));
  $('send-to').disabled = false;
  $('.score').textContent = `${percent(answer.score)} real`;
  $('.score').classList.toggle('fake', answer.score < .5);
  $('.said').textContent = `${whose} digit, as a ${answer.label}: ${answer.score < .5 ? 'taken for a fake' : 'called real'}; ${answer.ms.toFixed(1)} ms.`;
  $('.mark').hidden = false; $('.mark').style.left = `${100 * answer.score}%`;
  $('.rank').textContent = answer.above_real == null ? '\u00a0'
    : `More real than ${percent(answer.above_real)} of the test digits that people wrote, and than ${percent(answer.above_made)} of the GAN’s own.`;
}
$('.clear').addEventListener('click', () => {
  paper(); draw($('.seen'), new Uint8Array(784)); $('.score').textContent = '–'; $('.score').classList.remove('fake');
  $('.said').textContent = 'Nothing drawn yet.'; $('.mark').hidden = true; $('.rank').textContent = '\u00a0'; $('send-to').disabled = true;
});
$('.label').addEventListener('change', () => ask());
$('.made').addEventListener('click', async () => {
  paper();
  show(await server.judge_made({seed: made++, label: $('.label').value}).catch(() => null), 'The GAN’s');
});
$('.load').addEventListener('click', () => file.click());
file.addEventListener('change', async () => {
  if (!file.files.length) return;
  paper();
  given = await fileOnPad(file.files[0], canvas);
  file.value = '';
  if (given) { drawn = true; frame.classList.add('drawn'); ask(); } else show({error: NO_PICTURE});
});
file.dataset.listens = '';
paper();
