// Shows the frames of a run as they come, keeps them, and then plays, steps and scrubs through them without the server.
const $ = (selector) => element.querySelector(selector);
const film = $('.film'), canvases = [...element.querySelectorAll('canvas')], dots = [...element.querySelectorAll('.dot')];
const scrub = $('.scrub'), play = $('.play'), back = $('.back'), on = $('.on'), stop = $('.stop'), speed = $('.speed');
const GAP = 1, RETRIES = 5;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let run = null, frames = [], at = -1, timer = null, running = false;

// -- drawing -------------------------------------------------------------------------------------------------------
function bytes(base64) {
  const text = atob(base64), out = new Uint8Array(text.length);
  for (let i = 0; i < out.length; i++) out[i] = text.charCodeAt(i);
  return out;
}
function draw(canvas, {shape: [n, h, w, c], data}) { // a grid of pictures, transparent in the gaps
  const across = Math.ceil(Math.sqrt(n)), down = Math.ceil(n / across);
  const width = across * (w + GAP) - GAP, height = down * (h + GAP) - GAP;
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  const image = new ImageData(width, height), out = image.data;
  for (let k = 0, from = 0; k < n; k++) {
    const left = (k % across) * (w + GAP), top = Math.floor(k / across) * (h + GAP);
    for (let y = 0; y < h; y++) {
      let to = 4 * ((top + y) * width + left);
      for (let x = 0; x < w; x++, from += c, to += 4) {
        out[to] = data[from]; out[to + 1] = data[from + (c > 1)]; out[to + 2] = data[from + 2 * (c > 1)]; out[to + 3] = 255;
      }
    }
  }
  canvas.getContext('2d').putImageData(image, 0, 0);
}
function show(i) {
  if (!frames.length) return;
  at = Math.max(0, Math.min(frames.length - 1, i));
  const frame = frames[at];
  frame.panels.forEach((panel, k) => canvases[k] && draw(canvases[k], panel));
  frame.dots.forEach(([x, y], k) => { if (dots[k]) { dots[k].setAttribute('cx', x); dots[k].setAttribute('cy', y); } });
  $('.title').textContent = frame.title;
  $('.text').innerHTML = frame.text;
  scrub.value = at;
  scrub.setAttribute('aria-valuetext', frame.title);
  back.disabled = at === 0; on.disabled = at === frames.length - 1;
  film.classList.add('filled');
  pick(picked.panel, picked.k);
}

// -- the picture that is sent elsewhere: clicked, or chosen by the arrow keys ------------------------------------------------
const marks = canvases.map((canvas) => {
  const mark = document.createElement('i');
  mark.className = 'picked'; mark.hidden = true;
  canvas.after(mark);
  return mark;
});
let picked = {panel: Number(film.dataset.picked), k: 0};
function pick(panel, k) {
  const {shape: [n]} = frames[at].panels[panel];
  picked = {panel, k: Math.max(0, Math.min(n - 1, k))};
  mark();
}
function mark() {
  const panels = frames[at].panels, {panel, k} = picked, {shape: [n, h, w]} = panels[panel], across = Math.ceil(Math.sqrt(n));
  const [width, height] = [canvases[panel].width, canvases[panel].height], side = Math.max(width, height) / 100;
  const x = (k % across) * (w + GAP) - width / 2, y = Math.floor(k / across) * (h + GAP) - height / 2;
  const place = {left: `${50 + x / side}%`, top: `${50 + y / side}%`, width: `${w / side}%`, height: `${h / side}%`};
  Object.assign(marks[panel].style, place);
  marks.forEach((m, i) => { m.hidden = running || i !== panel || panels.length * n === 1; });
}
canvases.forEach((canvas, panel) => {
  canvas.addEventListener('click', ({offsetX, offsetY}) => {
    if (running || !frames.length) return;
    const {shape: [n, h, w]} = frames[at].panels[panel], scale = canvas.width / canvas.clientWidth;
    const row = Math.floor(offsetY * scale / (h + GAP)), column = Math.floor(offsetX * scale / (w + GAP));
    pick(panel, row * Math.ceil(Math.sqrt(n)) + column);
  });
  canvas.addEventListener('keydown', (event) => {
    if (running || !frames.length) return;
    const across = Math.ceil(Math.sqrt(frames[at].panels[panel].shape[0]));
    const by = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across, Enter: 0}[event.key];
    if (by === undefined) return;
    event.preventDefault();
    pick(panel, (picked.panel === panel ? picked.k : 0) + by);
  });
});
$('send-to').source = () => {
  const {shape: [, h, w, c], data} = frames[at].panels[picked.panel], picture = document.createElement('canvas');
  draw(picture, {shape: [1, h, w, c], data: data.subarray(picked.k * h * w * c)});
  return {picture, kind: c === 1 && h === 28 ? 'digit' : 'photo'};
};

// -- playing -------------------------------------------------------------------------------------------------------
function pause() {
  clearTimeout(timer); timer = null;
  play.textContent = 'Play'; play.setAttribute('aria-label', 'Play');
}
function tick() {
  if (at >= frames.length - 1) return pause();
  show(at + 1);
  timer = setTimeout(tick, 1000 / Number(speed.value));
}
play.addEventListener('click', () => {
  if (timer) return pause();
  if (at >= frames.length - 1) show(0);
  play.textContent = 'Pause'; play.setAttribute('aria-label', 'Pause');
  timer = setTimeout(tick, 1000 / Number(speed.value));
});
back.addEventListener('click', () => { pause(); show(at - 1); });
on.addEventListener('click', () => { pause(); show(at + 1); });
scrub.addEventListener('input', () => { pause(); show(Number(scrub.value)); });

// -- a run ---------------------------------------------------------------------------------------------------------
function tell(text, error = false) {
  $('.status').textContent = text || '\u00a0';
  $('.status').classList.toggle('error', error);
}
function ready(whether) {
  running = !whether;
  stop.hidden = whether;
  const some = whether && frames.length > 1;
  play.disabled = scrub.disabled = !some;
  if (!some) back.disabled = on.disabled = true;
  $('.save').hidden = !(whether && frames.length);
  $('.save').querySelectorAll('[data-kind=gif], [data-kind=mp4]').forEach((b) => { b.hidden = frames.length < 2; });
}
async function follow(told) {
  if (!told || !told.run) return;
  const mine = run = told.run, before = frames;
  pause(); frames = []; at = -1;
  ready(false);
  if (!before.length) film.classList.remove('filled');
  const began = performance.now();
  for (let failed = 0; ;) {
    let answer;
    try { answer = await server.film_next({run: mine, have: frames.length}); } catch (e) { answer = null; }
    if (run !== mine || !element.isConnected) { server.film_stop(mine).catch(() => {}); return; }
    if (!answer) {
      if (++failed > RETRIES) { tell('The server does not answer.', true); break; }
      await wait(300); continue;
    }
    failed = 0;
    if (answer.error && !answer.frames) { tell(answer.error, true); break; }
    scrub.max = Math.max(told.total, frames.length + answer.frames.length) - 1;
    for (const [k, frame] of answer.frames.entries()) { // each is drawn, also where several came at once
      if (k && !document.hidden) await new Promise(requestAnimationFrame);
      if (run !== mine) break;
      frame.panels.forEach((panel) => { panel.data = bytes(panel.data); });
      frames.push(frame);
      show(frames.length - 1);
    }
    if (run !== mine) { server.film_stop(mine).catch(() => {}); return; } // another began, with its own frames
    if (answer.error) { tell(answer.error, true); break; }
    const n = frames.length;
    if (answer.done) {
      const each = n ? (1000 * answer.seconds / n).toFixed(answer.seconds / n < .01 ? 1 : 0) : 0;
      const length = `${answer.seconds.toFixed(answer.seconds < 10 ? 2 : 0)} s`;
      tell(answer.stopped ? `Stopped after ${n} of ${told.total} steps.`
        : `${n} step${n === 1 ? '' : 's'} in ${length}, ${each} ms each, on ${answer.device}.`);
      break;
    }
    if (answer.ahead) tell(`In the queue: ${answer.ahead} before you.`);
    else if (n) {
      const left = (performance.now() - began) / 1000 / n * (told.total - n);
      tell(`Step ${n} of ${told.total}` + (left > 2 ? `, ${Math.ceil(left)} s left` : ''));
    } else tell('Starting\u2026');
    await wait(answer.frames.length ? 15 : 30);
  }
  scrub.max = Math.max(0, frames.length - 1);
  ready(true);
  if (frames.length) show(frames.length - 1);
  element.dispatchEvent(new CustomEvent('film-done', {bubbles: true, detail: {frames: frames.length}}));
}
stop.addEventListener('click', () => { if (run) server.film_stop(run); });
watch('value', () => {
  const told = props.value;
  if (told && told.asked) { if (!running) tell('Starting\u2026'); } // the first time the network is loaded
  else if (told && told.failed) { if (!running) tell(''); } // a message says why
  else follow(told);
});

// -- saving --------------------------------------------------------------------------------------------------------
element.querySelectorAll('.save button').forEach((button) => button.addEventListener('click', async () => {
  const said = $('.said');
  said.textContent = 'Writing\u2026';
  let answer;
  try { answer = await server.film_save({run, kind: button.dataset.kind, at}); } catch (e) { answer = null; }
  if (!answer || answer.error) { said.textContent = answer ? answer.error : 'The server does not answer.'; return; }
  const link = document.createElement('a');
  link.href = answer.url; link.download = answer.name; link.click();
  said.textContent = '';
}));
