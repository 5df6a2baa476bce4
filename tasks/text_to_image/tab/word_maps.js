// -- where a word acts: its maps over the images of the last panel -------------------------------
// In a frame's text each word is a button with data-maps: n maps of 8 x 8 bytes, its share of the
// attention in that step.
const MAP_SIDE = 8;
const onImages = canvases.at(-1);
const heat = newCanvas(1, 1);
heat.className = 'heat';
heat.hidden = true;
heat.setAttribute('aria-hidden', 'true');
onImages.after(heat);
let pointedAt = -1; // the word whose maps are shown

const wordButtons = () => [...$('.text').querySelectorAll('.word')];

function heatOf(maps, k) {
  const small = newCanvas(MAP_SIDE, MAP_SIDE);
  const ink = small.getContext('2d');
  const pixels = ink.createImageData(MAP_SIDE, MAP_SIDE);
  for (let i = 0; i < MAP_SIDE ** 2; i++) {
    const share = maps[k * MAP_SIDE ** 2 + i];
    pixels.data.set([8, 20, 24, 215 * (1 - share / 255)], 4 * i); // dark where it does not act
  }
  ink.putImageData(pixels, 0, 0);
  return small;
}

function showHeat() {
  const button = wordButtons()[pointedAt];
  heat.hidden = !button || !frames.length;
  wordButtons().forEach((b, i) => b.classList.toggle('shown', i === pointedAt));
  if (heat.hidden) return;
  const [n, h, w] = frames[at].panels.at(-1).shape;
  const maps = decodeBase64(button.dataset.maps);
  const across = Math.ceil(Math.sqrt(n));
  const SCALE = 4; // smooth, though the canvas below has few pixels
  const side = Math.max(onImages.width, onImages.height) / 100;
  heat.width = onImages.width * SCALE;
  heat.height = onImages.height * SCALE;
  const [width, height] = [onImages.width / side, onImages.height / side];
  Object.assign(heat.style, {
    left: `${50 - width / 2}%`,
    top: `${50 - height / 2}%`,
    width: `${width}%`,
    height: `${height}%`,
  });
  const ink = heat.getContext('2d');
  ink.imageSmoothingQuality = 'high';
  for (let k = 0; k < n; k++) {
    const x = (k % across) * (w + GAP);
    const y = Math.floor(k / across) * (h + GAP);
    ink.drawImage(heatOf(maps, k), x * SCALE, y * SCALE, w * SCALE, h * SCALE);
  }
}

function point(target) {
  const button = target?.closest?.('.word');
  pointedAt = button ? wordButtons().indexOf(button) : -1;
  showHeat();
}
$('.text').addEventListener('pointerover', (event) => point(event.target));
$('.text').addEventListener('pointerleave', () => point(null));
$('.text').addEventListener('focusin', (event) => point(event.target));
$('.text').addEventListener('focusout', () => point(null));
new MutationObserver(showHeat).observe($('.text'), {childList: true}); // of another step

// -- a word pressed is switched off, or on again: the same seed without it ------------------------
const stem = player.closest('[id$="-player"]').id.replace(/-player$/, ''); // of the sub-tab's fields
const promptBox = () => document.querySelector(`#${stem}-prompt :is(textarea, input)`);

function writePrompt(text) {
  const box = promptBox();
  box.value = text;
  box.dispatchEvent(new Event('input', {bubbles: true}));
}

$('.text').addEventListener('click', (event) => {
  const button = event.target.closest('.word');
  if (!button || running || !button.dataset.text) return;
  const word = button.dataset.text;
  const text = promptBox().value;
  const weighted = new RegExp(
    `\\(\\s*${word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\s*:[^)]*\\)`,
  );
  const off = button.dataset.off === '1' || weighted.test(text);
  const changedText = off ? text.replace(weighted, word) : text.replace(word, `(${word}:0)`);
  if (changedText === text) return;
  writePrompt(changedText);
  setTimeout(() => document.querySelector(`#${stem}-go`).click(), 50);
});

// -- words that the model knows, as one types -----------------------------------------------------
function suggestInto(box) {
  const list = document.createElement('p');
  list.className = 'word-suggestions';
  list.setAttribute('role', 'group');
  list.setAttribute('aria-label', 'Words it knows');
  box.closest('.block, label, div').after(list);
  let asked = 0;
  const lastWord = () => box.value.slice(0, box.selectionStart).match(/[^\s(),.:;]*$/u)[0];
  box.addEventListener('input', async () => {
    const text = lastWord();
    const mine = ++asked;
    const language = navigator.language.slice(0, 2);
    const answer = text.length < 2 ? {words: []} : await server.suggest_words({text, language});
    if (mine !== asked || answer?.error) return;
    list.replaceChildren(
      ...answer.words
        .filter((word) => word.toLowerCase() !== text.toLowerCase())
        .slice(0, 6)
        .map((word) => {
          const button = document.createElement('button');
          button.type = 'button';
          button.textContent = word;
          button.addEventListener('click', () => {
            const end = box.selectionStart;
            const start = end - lastWord().length;
            writePrompt(`${box.value.slice(0, start)}${word}${box.value.slice(end)}`);
            list.replaceChildren();
            box.focus();
          });
          return button;
        }),
    );
  });
}
whenSeen(player, () => promptBox() && suggestInto(promptBox()));
