// A drawn digit, noised and denoised while the pen moves; put behind widget.js and drawing_pad.js.
const stages = $('.stages'),
  file = $('input[type=file]');
const pad = inkPad({penWidth: () => 22, changed: ask});

function tell(text) {
  $('.hint-text').textContent = text;
}
function clear() {
  stages.replaceChildren();
  $('.time').textContent = '';
  $('send-to').hidden = true;
  tell('Draw a digit or choose a sample.');
}
function show(answer) {
  if (!answer || answer.error) return tell(answer?.error || NO_ANSWER);
  tell('');
  answer.figures.forEach(({title, png, text}, k) => {
    if (!stages.children[k]) {
      stages.insertAdjacentHTML(
        'beforeend',
        '<figure><img alt=""><figcaption><b></b><span></span></figcaption></figure>',
      );
    }
    const [image, caption] = stages.children[k].children;
    image.src = `data:image/png;base64,${png}`;
    image.alt = caption.children[0].textContent = title;
    caption.children[1].textContent = text;
  });
  $('.time').textContent = answer.time;
  $('send-to').hidden = false;
}
const request = latestOnly(async () => {
  if (pad.isEmpty) return clear();
  const drawing = {
    drawing: pad.url,
    sigma: Number($('.sigma').value),
    seed: Number($('.seed').value),
  };
  const answer = await server.denoise_drawing(drawing).catch(() => null);
  if (!pad.isEmpty) show(answer);
});
function ask() {
  request();
}
async function put(blob) {
  if (!(await pad.put(blob))) tell(NO_IMAGE);
}

$('.write').addEventListener('click', async () => {
  const sample = await server.sample_digit().catch(() => null);
  if (sample) put(new Blob([decodeBase64(sample.png)], {type: 'image/png'}));
  else tell(NO_ANSWER);
});
$('.load').addEventListener('click', () => file.click());
file.addEventListener('change', () => {
  if (file.files.length) put(file.files[0]);
  file.value = '';
});
receiveImages(put);
whenSeen(pad.canvas, async () => {
  const recorded = await recording('noisy-digit').catch(() => null);
  if (!recorded || !(await pad.open(recorded.drawing))) return;
  show(recorded);
  tell('Example. Draw your own digit, or move the noise.');
});
$('.sigma').addEventListener('input', () => {
  $('output').textContent = Number($('.sigma').value).toFixed(2);
  ask();
});
$('.seed').addEventListener('change', ask);
