// Shows the frames of a job as they come, keeps them, then plays, steps and scrubs through them without the server.
const player = $('.step-player'),
  canvases = $$('canvas'),
  dots = $$('.dot');
const scrub = $('.scrub'),
  play = $('.play'),
  back = $('.back'),
  on = $('.on'),
  stop = $('.stop'),
  speed = $('.speed');
const GAP = 1,
  RETRIES = 5;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let jobId = null,
  frames = [],
  at = -1,
  timer = null,
  running = false;

// -- drawing -----------------------------------------------------------------------------------------
function draw(canvas, panel) {
  drawGrid(canvas, panel, {gap: GAP});
}
function show(i) {
  if (!frames.length) return;
  at = Math.max(0, Math.min(frames.length - 1, i));
  const frame = frames[at];
  frame.panels.forEach((panel, k) => canvases[k] && draw(canvases[k], panel));
  showChange();
  frame.dots.forEach(([x, y], k) => {
    dots[k]?.setAttribute('d', x < 0 ? '' : `M${x} ${y}h0`);
  }); // below 0: not yet
  $('.title').textContent = frame.title;
  $('.text').innerHTML = frame.text;
  scrub.value = at;
  scrub.setAttribute('aria-valuetext', frame.title);
  back.disabled = at === 0;
  on.disabled = at === frames.length - 1;
  player.classList.add('filled');
  pick(picked.panel, picked.k);
}

// -- what changed: the last panel shows how the first one differs from the step before ------------
const changed = $('.changed'),
  lastCaption = $$('.stage figcaption').at(-1),
  captionHtml = lastCaption.innerHTML;
function showChange() {
  const isOn = changed.getAttribute('aria-pressed') === 'true' && at > 0 && canvases.length > 1;
  lastCaption.innerHTML = isOn ? 'changed in this step' : captionHtml;
  if (!isOn) return;
  const k = Number(player.dataset.picked),
    {shape, data} = frames[at].panels[k],
    before = frames[at - 1].panels[k].data;
  const difference = data.map((value, i) => Math.abs(value - before[i]));
  const most = difference.reduce((a, b) => Math.max(a, b), 1);
  draw(canvases.at(-1), {shape, data: difference.map((value) => (value * 255) / most)});
  lastCaption.textContent = `changed in this step, at most ${most} of 255`;
}
changed.addEventListener('click', () => {
  changed.setAttribute('aria-pressed', String(changed.getAttribute('aria-pressed') !== 'true'));
  show(at);
});

// -- the image that is sent elsewhere: clicked, or chosen by the arrow keys --------------------------
const marks = canvases.map((canvas) => {
  const mark = document.createElement('i');
  mark.className = 'picked';
  mark.hidden = true;
  canvas.after(mark);
  return mark;
});
let picked = {panel: Number(player.dataset.picked), k: 0};
function pick(panel, k) {
  const {
    shape: [n],
  } = frames[at].panels[panel];
  picked = {panel, k: Math.max(0, Math.min(n - 1, k))};
  mark();
}
function mark() {
  const panels = frames[at].panels,
    {panel, k} = picked,
    {
      shape: [n, h, w],
    } = panels[panel],
    across = Math.ceil(Math.sqrt(n));
  const [width, height] = [canvases[panel].width, canvases[panel].height],
    side = Math.max(width, height) / 100;
  const x = (k % across) * (w + GAP) - width / 2,
    y = Math.floor(k / across) * (h + GAP) - height / 2;
  const place = {
    left: `${50 + x / side}%`,
    top: `${50 + y / side}%`,
    width: `${w / side}%`,
    height: `${h / side}%`,
  };
  Object.assign(marks[panel].style, place);
  marks.forEach((m, i) => {
    m.hidden = running || i !== panel || panels.length * n === 1;
  });
}
canvases.forEach((canvas, panel) => {
  canvas.addEventListener('click', ({offsetX, offsetY}) => {
    if (running || !frames.length) return;
    const {
        shape: [n, h, w],
      } = frames[at].panels[panel],
      scale = canvas.width / canvas.clientWidth;
    const row = Math.floor((offsetY * scale) / (h + GAP)),
      column = Math.floor((offsetX * scale) / (w + GAP));
    pick(panel, row * Math.ceil(Math.sqrt(n)) + column);
  });
  canvas.addEventListener('keydown', (event) => {
    if (running || !frames.length) return;
    const across = Math.ceil(Math.sqrt(frames[at].panels[panel].shape[0]));
    const step = event.key === 'Enter' ? [0, 0] : ARROWS[event.key];
    if (!step) return;
    event.preventDefault();
    pick(panel, (picked.panel === panel ? picked.k : 0) + step[0] + across * step[1]);
  });
});
$('send-to').source = () => {
  const {
      shape: [, h, w, c],
      data,
    } = frames[at].panels[picked.panel],
    picture = newCanvas(w, h);
  draw(picture, {shape: [1, h, w, c], data: data.subarray(picked.k * h * w * c)});
  return {picture, kind: c === 1 && h === 28 ? 'digit' : 'photo'};
};

// -- playing -----------------------------------------------------------------------------------------
function pause() {
  clearTimeout(timer);
  timer = null;
  play.textContent = 'Play';
  play.setAttribute('aria-label', 'Play');
}
function tick() {
  if (at >= frames.length - 1) return pause();
  show(at + 1);
  timer = setTimeout(tick, 1000 / Number(speed.value));
}
play.addEventListener('click', () => {
  if (timer) return pause();
  if (at >= frames.length - 1) show(0);
  play.textContent = 'Pause';
  play.setAttribute('aria-label', 'Pause');
  timer = setTimeout(tick, 1000 / Number(speed.value));
});
back.addEventListener('click', () => {
  pause();
  show(at - 1);
});
on.addEventListener('click', () => {
  pause();
  show(at + 1);
});
scrub.addEventListener('input', () => {
  pause();
  show(Number(scrub.value));
});
player.addEventListener('keydown', (event) => {
  // [ and ]: a step back and on; space on an image: play
  const button =
    event.key === '['
      ? back
      : event.key === ']'
        ? on
        : event.key === ' ' && canvases.includes(event.target)
          ? play
          : null;
  if (!button || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  if (!button.disabled) button.click();
});

// -- what it opens with: recorded frames, until the first job ----------------------------------------
async function showRecording() {
  const recorded = await recording(player.dataset.name).catch(() => null);
  const sheet =
    recorded && (await loadImage(recordingUrl(`${player.dataset.name}.webp`)).catch(() => null));
  if (!sheet || jobId || running) return;
  const canvas = newCanvas(sheet.naturalWidth, sheet.naturalHeight),
    ink = canvas.getContext('2d', {willReadFrequently: true});
  ink.drawImage(sheet, 0, 0);
  frames = recorded.frames.map((frame, row) => {
    // a row of the sheet has the images of all panels
    let column = 0;
    const panels = recorded.shapes.map(([n, h, w, c]) => {
      const data = new Uint8Array(n * h * w * c);
      for (let k = 0; k < n; k++, column++) {
        const rgba = ink.getImageData(column * w, row * h, w, h).data;
        for (let i = 0; i < h * w; i++)
          for (let j = 0; j < c; j++) data[(k * h * w + i) * c + j] = rgba[4 * i + j];
      }
      return {shape: [n, h, w, c], data};
    });
    return {...frame, panels};
  });
  scrub.max = frames.length - 1;
  setReady(true);
  show(frames.length - 1);
  player.classList.add('example');
  tell(`Example: ${recorded.about}`);
}
if (player.dataset.name) whenSeen(player, showRecording);

// -- a job -------------------------------------------------------------------------------------------
function tell(text, error = false) {
  $('.status').textContent = text || '\u00a0';
  $('.status').classList.toggle('error', error);
}
function setReady(isReady) {
  running = !isReady;
  stop.hidden = isReady;
  const some = isReady && frames.length > 1;
  play.disabled = scrub.disabled = changed.disabled = !some;
  if (!some) back.disabled = on.disabled = true;
  $('.save').hidden = !(isReady && frames.length && jobId); // of a recording no job is kept
  $('.save')
    .querySelectorAll('[data-kind=gif], [data-kind=mp4]')
    .forEach((b) => {
      b.hidden = frames.length < 2;
    });
}
async function follow(job) {
  if (!job?.run) return;
  const mine = (jobId = job.run),
    before = frames;
  $('.copy-link').hidden = !job.link;
  pause();
  frames = [];
  at = -1;
  player.classList.remove('example');
  setReady(false);
  if (!before.length) player.classList.remove('filled');
  const began = performance.now();
  for (let failed = 0; ;) {
    const answer = await server
      .step_player_next({run: mine, have: frames.length})
      .catch(() => null);
    if (jobId !== mine || !element.isConnected) {
      server.step_player_stop(mine).catch(() => {});
      return;
    }
    if (!answer) {
      if (++failed > RETRIES) {
        tell(NO_ANSWER, true);
        break;
      }
      await wait(300);
      continue;
    }
    failed = 0;
    if (answer.error && !answer.frames) {
      tell(answer.error, true);
      break;
    }
    scrub.max = Math.max(job.total, frames.length + answer.frames.length) - 1;
    for (const [k, frame] of answer.frames.entries()) {
      // each is drawn, also where several came at once
      if (k && !document.hidden) await new Promise(requestAnimationFrame);
      if (jobId !== mine) break;
      frame.panels.forEach((panel) => {
        panel.data = decodeBase64(panel.data);
      });
      frames.push(frame);
      show(frames.length - 1);
    }
    if (jobId !== mine) {
      server.step_player_stop(mine).catch(() => {});
      return;
    } // another began, with its own frames
    if (answer.error) {
      tell(answer.error, true);
      break;
    }
    const n = frames.length;
    if (answer.done) {
      const each = n ? ((1000 * answer.seconds) / n).toFixed(answer.seconds / n < 0.01 ? 1 : 0) : 0;
      const length = `${answer.seconds.toFixed(answer.seconds < 10 ? 2 : 0)} s`;
      tell(
        answer.stopped
          ? `Stopped after ${n} of ${job.total} steps.`
          : `${n} step${n === 1 ? '' : 's'} in ${length}, ${each} ms each, on ${answer.device}.`,
      );
      break;
    }
    if (answer.ahead)
      tell(`In the queue: ${answer.ahead} before you, about ${Math.ceil(answer.wait_s)} s.`);
    else if (n) {
      const left = ((performance.now() - began) / 1000 / n) * (job.total - n);
      tell(`Step ${n} of ${job.total}` + (left > 2 ? `, ${Math.ceil(left)} s left` : ''));
    } else tell('Starting\u2026');
    await wait(answer.frames.length ? 15 : 30);
  }
  scrub.max = Math.max(0, frames.length - 1);
  setReady(true);
  if (frames.length) show(frames.length - 1);
  element.dispatchEvent(
    new CustomEvent('steps-done', {bubbles: true, detail: {frames: frames.length}}),
  );
  if (!frames.length) return;
  const picture = newCanvas(1, 1),
    panel = frames.at(-1).panels[Number(player.dataset.picked)];
  draw(picture, panel);
  tellResult(picture, frames.at(-1).title, {link: job.link});
}
stop.addEventListener('click', () => {
  if (jobId) server.step_player_stop(jobId);
});
watch('value', () => {
  const job = props.value;
  if (job && job.asked) {
    if (!running) tell('Starting\u2026');
  } // the first time the network is loaded
  else if (job && job.failed) {
    if (!running) tell('');
  } // a message says why
  else follow(job);
});

// -- saving ------------------------------------------------------------------------------------------
$('.copy-link').addEventListener('click', async () => {
  $('.said').textContent = await copyLink(props.value.link);
});
$$('.save [data-kind]').forEach((button) =>
  button.addEventListener('click', async () => {
    const said = $('.said');
    said.textContent = 'Writing\u2026';
    let answer;
    try {
      answer = await server.step_player_save({run: jobId, kind: button.dataset.kind, at});
    } catch (e) {
      answer = null;
    }
    if (!answer || answer.error) {
      said.textContent = answer ? answer.error : NO_ANSWER;
      return;
    }
    saveFile(answer.name, answer.url);
    said.textContent = '';
  }),
);
