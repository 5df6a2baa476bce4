// A drawing pad whose strokes the discriminator scores; put behind widget.js, digits.js and drawing_pad.js.
const file = $('input[type=file]');
const pad = inkPad({penWidth: () => Number($('.width').value), changed: ask});
let samples = 0; // digits of the GAN that were asked for

const request = latestOnly(async () => {
  if (pad.isEmpty) return clear();
  const whose = pad.isUpload ? 'The given' : 'Your';
  const answer = await server
    .score_drawing({png: pad.url, label: $('.label').value})
    .catch(() => null);
  if (!pad.isEmpty) show(answer, whose);
});
function ask() {
  request();
}
function clear() {
  drawDigits($('.seen'), new Uint8Array(784));
  $('.score').textContent = '–';
  $('.score').classList.remove('fake');
  $('.said').textContent = 'Nothing drawn yet.';
  $('.rank').textContent = '\u00a0';
  $('.mark').hidden = true;
  $('send-to').disabled = true;
  scored = null;
  showGame();
}

// -- the game: five drawings, points for each that is classified as real ---------------------
const ROUNDS = 5;
let scored = null,
  rounds = [];
function points(score) {
  return score < 0.5 ? 0 : Math.round(100 * score);
}
function showGame() {
  const list = Array.from({length: ROUNDS}, (_, k) => {
    const item = document.createElement('li'),
      score = rounds[k];
    item.textContent = score === undefined ? '–' : percent(score);
    item.className = score === undefined ? '' : score < 0.5 ? 'caught' : 'fooled';
    return item;
  });
  $('.rounds').replaceChildren(...list);
  $('.count').disabled = scored === null || rounds.length >= ROUNDS;
}
$('.count').addEventListener('click', () => {
  rounds.push(scored);
  const total = rounds.reduce((sum, score) => sum + points(score), 0),
    fooled = rounds.filter((s) => s >= 0.5).length;
  const best = percent(Math.max(...rounds));
  $('.game-said').textContent =
    rounds.length < ROUNDS
      ? `${fooled} of ${rounds.length} fooled it: ${total} points. ${ROUNDS - rounds.length} to go.`
      : `Over: ${fooled} of ${ROUNDS} fooled it, ${total} points of ${100 * ROUNDS}. Your best drawing: ${best} real.`;
  pad.reset();
  clear();
});
$('.new-game').addEventListener('click', () => {
  rounds = [];
  $('.game-said').textContent =
    'Draw a digit, then press “This counts”. A drawing fools it at 50 % real or more.';
  pad.reset();
  clear();
});
function show(answer, whose) {
  if (!answer || answer.error) {
    $('.said').textContent = answer?.error || NO_ANSWER;
    return;
  }
  const {digit, label, score, ms} = answer,
    isFake = score < 0.5;
  drawDigits($('.seen'), decodeBase64(digit));
  $('send-to').disabled = false;
  $('.score').textContent = `${percent(score)} real`;
  $('.score').classList.toggle('fake', isFake);
  $('.said').textContent =
    `${whose} digit, class ${label}: classified as ${isFake ? 'generated' : 'real'}; ${ms.toFixed(1)} ms.`;
  scored = whose === 'Your' ? score : null;
  showGame(); // only what is drawn by hand counts
  $('.mark').hidden = false;
  $('.mark').style.left = `${100 * score}%`;
  $('.rank').textContent =
    answer.above_real == null
      ? '\u00a0'
      : `Scores above ${percent(answer.above_real)} of the test digits and ${percent(answer.above_made)} of the generated digits.`;
}
$('.label').addEventListener('change', () => {
  if (!pad.isEmpty) ask();
});
$('.made').addEventListener('click', async () => {
  pad.reset();
  show(
    await server.score_generated({seed: samples++, label: $('.label').value}).catch(() => null),
    'The GAN’s',
  );
});
async function put(blob) {
  if (!(await pad.put(blob))) $('.said').textContent = NO_IMAGE;
}
$('.load').addEventListener('click', () => file.click());
file.addEventListener('change', () => {
  if (file.files.length) put(file.files[0]);
  file.value = '';
});
receiveImages(put);
showGame();
whenSeen(pad.canvas, async () => {
  const recorded = await recording('gan-discriminator').catch(() => null);
  if (recorded && pad.isEmpty && !samples) show(recorded, 'Example: a generated');
});
