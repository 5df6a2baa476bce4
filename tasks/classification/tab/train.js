// Train one: a run that is polled, its checkpoints, and the drawing that every moment of it answers; put behind drawing_pad.js.
const POLL_MS = 400,
  PLAY_MS = 160,
  RETRIES = 8;
const FOR = themeColour('--lab-accent'),
  AGAINST = themeColour('--lab-second');
const wait = (ms) => new Promise((then) => setTimeout(then, ms));
const root = $('.trainer'),
  scrub = $('.scrub'),
  pad = inkPad({penWidth: () => 20, changed: drawn});
// a run: {token, title, settings, snapshots, state, note, answer, over: {seconds, answers}}
let runs = [],
  example = null,
  kept = null,
  digit = null,
  isFollowing = true,
  polling = false,
  playing = null;

function tell(text, isError = false) {
  $('.status').textContent = text || '\u00a0';
  $('.status').classList.toggle('error', isError);
}

// -- settings ----------------------------------------------------------------------------------------
$('.kind').addEventListener('change', () => {
  $('.own').hidden = Boolean($('.kind').value);
});
const number = (name) => ($(name).value.trim() === '' ? null : Number($(name).value));
const settings = () => ({
  layers: $('.kind').value || $('.layers').value,
  optimiser: $('.optimiser').value,
  lr: number('.lr'),
  batch: number('.batch'),
  examples: number('.examples'),
  label_noise: number('.noise') === null ? null : number('.noise') / 100,
  data: $('.data').value,
  seed: 0,
});
const PAIRS = {
  optimiser: [
    {optimiser: 'Adam', lr: 0.001},
    {optimiser: 'SGD', lr: 0.01},
  ],
  examples: [{examples: 100}, {examples: 10000}],
};

// -- starting, pausing -------------------------------------------------------------------------------
async function begin(asked, before = []) {
  // asked: settings of one or two new runs
  stopPlaying();
  tell('Starting…');
  const fresh = [];
  const all = [...before.map((r) => r.settings), ...asked];
  for (const one of asked) {
    const other = all.length > 1 ? all.find((s) => s !== one) : null;
    const answer = await server.start_training({...one, other}).catch(() => null);
    if (!answer || answer.error) {
      for (const run of fresh) server.pause_training(run.token);
      tell(answer?.error || NO_ANSWER, true);
      return;
    }
    fresh.push({
      token: answer.run,
      title: answer.title,
      settings: one,
      snapshots: [],
      state: 'running',
      note: '',
      answer: null,
      over: null,
    });
  }
  for (const run of runs)
    if (run.state === 'running' && !before.includes(run))
      server.pause_training(run.token).catch(() => null);
  runs = [...fresh, ...before].slice(0, 2);
  example = null;
  isFollowing = true;
  root.dataset.state = 'running';
  drawn();
  poll();
}
$('.start').addEventListener('click', () => {
  const last = runs.find((r) => r.state !== 'running' && r.snapshots.length && r.token);
  const before = last && JSON.stringify(last.settings) !== JSON.stringify(settings()) ? [last] : [];
  begin([settings()], before);
});
for (const button of $$('[data-pair]'))
  button.addEventListener('click', () => {
    begin(PAIRS[button.dataset.pair].map((change) => ({...settings(), ...change})));
  });
$('.pause').addEventListener('click', async () => {
  const isRunning = runs.some((r) => r.state === 'running');
  for (const run of runs) {
    if (isRunning && run.state === 'running')
      await server.pause_training(run.token).catch(() => null);
    if (!isRunning && run.state === 'paused') {
      const answer = await server.resume_training(run.token).catch(() => null);
      if (answer?.error) {
        tell(answer.error, true);
        return;
      }
      run.over = null;
    }
  }
  if (!isRunning) isFollowing = true;
  poll();
});
async function poll() {
  if (polling) return;
  polling = true;
  for (let failed = 0; element.isConnected;) {
    const asked = runs,
      request = {
        runs: asked.map((r) => ({run: r.token, title: r.title, have: r.snapshots.length})),
        digit,
      };
    const answer = await server.poll_training(request).catch(() => null);
    if (runs !== asked) continue;
    if (!answer) {
      if (++failed > RETRIES) {
        tell(NO_ANSWER, true);
        break;
      }
      await wait(1000);
      continue;
    }
    if (answer.error) {
      tell(answer.error, true);
      asked.forEach((r) => {
        r.state = 'over';
      });
      break;
    }
    failed = 0;
    answer.runs.forEach((update, k) => {
      asked[k].snapshots.push(...update.snapshots);
      Object.assign(asked[k], {
        state: update.state,
        note: update.note,
        answer: update.answer,
        diverged: update.diverged,
      });
    });
    showCharts(answer.charts);
    if (isFollowing) follow();
    report();
    if (asked.every((r) => r.state !== 'running')) break;
    await wait(POLL_MS);
  }
  polling = false;
  if (digit) overTime();
}
function report() {
  const isRunning = runs.some((r) => r.state === 'running'),
    isPaused = !isRunning && runs.some((r) => r.state === 'paused');
  $('.pause').disabled = !isRunning && !isPaused;
  $('.pause').textContent = isPaused ? 'Go on' : 'Pause';
  root.dataset.state = isRunning ? 'running' : isPaused ? 'paused' : 'over';
  const [first] = runs,
    last = first.snapshots[first.snapshots.length - 1];
  if (last) {
    Object.assign(root.dataset, {
      accuracy: last.accuracy,
      step: last.step,
      snapshots: first.snapshots.length,
    });
    tell(
      `Step ${last.step.toLocaleString('en')}, ${last.seen.toLocaleString('en')} digits seen, ${percent(last.accuracy, 1)} right${isPaused ? '; paused' : ''}.`,
    );
  } else tell(isRunning ? 'Generating digits…' : '');
  $('.title').textContent =
    runs.length > 1 ? runs.map((r) => r.title).join(' against ') : first.title;
  $('.note').textContent = runs
    .filter((r) => r.note)
    .map((r) => (runs.length > 1 ? `${r.title}: ${r.note}` : r.note))
    .join(' ');
}
function showCharts(charts) {
  $('.accuracy').innerHTML = charts.accuracy;
  $('.loss').innerHTML = charts.loss;
}

// -- a moment of it ----------------------------------------------------------------------------------
function follow() {
  const last = runs[0].snapshots.length - 1;
  scrub.max = Math.max(0, last);
  scrub.value = last;
  if (last >= 0) showMoment(last);
}
function showMoment(i) {
  const run = runs[0],
    moment = run.snapshots[i],
    isLast = i === run.snapshots.length - 1;
  if (!moment) return;
  const text = `${moment.seconds.toFixed(1)} s: step ${moment.step.toLocaleString('en')}, ${percent(moment.accuracy, 1)} right${moment.loss === null ? '' : `, loss ${moment.loss.toFixed(3)}`}`;
  $('.when').textContent = run.snapshots.length > 1 ? `${text}. Drag to go back.` : text;
  scrub.setAttribute('aria-valuetext', text);
  const {shape, data} = moment.filters;
  drawGrid(
    $('.filter-grid'),
    {shape, data: decodeBase64(data)},
    {columns: 8, gap: 1, colour: signed},
  );
  showWrong(moment);
  if (run.answers)
    showBars(
      [run.answers[i]],
      'A generated digit, as the recorded network read it. Draw your own, then press Train.',
    );
  else if (!digit)
    showBars([], 'Draw a digit: the network answers at every moment of its training.');
  else if (isLast && run.answer)
    showBars(
      runs.map((r) => r.answer).filter(Boolean),
      runs.length > 1
        ? `Now: ${runs[0].title} above, ${runs[1].title} below.`
        : 'What the network says now.',
    );
  else if (run.over)
    showBars(
      runs
        .filter((r) => r.over)
        .map((r) => r.over.answers[nearest(r.over.seconds, moment.seconds)]),
      `What the network said after ${moment.seconds.toFixed(1)} s.`,
    );
}
const nearest = (list, value) =>
  list.reduce((best, v, k) => (Math.abs(v - value) < Math.abs(list[best] - value) ? k : best), 0);
const signed = (v) => {
  // 128: 0
  const strength = Math.min(1, Math.abs(v - 128) / 127),
    colour = v >= 128 ? FOR : AGAINST;
  return [244, 242, 236].map((back, k) => Math.round(back + (colour[k] - back) * strength));
};
function showWrong(moment) {
  const n = Math.round((1 - moment.accuracy) * 1000);
  $('.wrong-count').textContent = `${n} of 1,000`;
  if (!kept) return;
  $('.wrong-digits').replaceChildren(
    ...moment.wrong.map(([k, predicted]) => {
      const box = document.createElement('figure'),
        canvas = newCanvas(28, 28),
        caption = document.createElement('figcaption');
      canvas
        .getContext('2d')
        .drawImage(
          kept.image,
          28 * (k % kept.columns),
          28 * Math.floor(k / kept.columns),
          28,
          28,
          0,
          0,
          28,
          28,
        );
      canvas.setAttribute('role', 'img');
      canvas.setAttribute('aria-label', `A ${k % 10} that is predicted as ${predicted}`);
      caption.textContent = predicted;
      box.append(canvas, caption);
      return box;
    }),
  );
}
const bars = [...Array(10).keys()].map((d) => {
  const row = document.createElement('div');
  row.className = 'bar';
  row.innerHTML = `<span>${d}</span><i><b></b><b hidden></b></i><em></em>`;
  $('.bars').append(row);
  return row;
});
function showBars(answers, text) {
  $('.drawn-said').textContent = text;
  bars.forEach((row, d) =>
    [...row.querySelectorAll('b')].forEach((bar, k) => {
      bar.hidden = k > 0 && !answers[k];
      bar.style.width = answers[k] ? `${100 * answers[k][d]}%` : '0';
      if (!k) row.lastChild.textContent = answers[0] ? percent(answers[0][d]) : '';
    }),
  );
  const best = answers[0] ? answers[0].indexOf(Math.max(...answers[0])) : '';
  root.dataset.answer = best;
  $('.bars').setAttribute(
    'aria-label',
    `Probability of each digit${answers[0] ? `: ${best} first, ${percent(answers[0][best])}` : ''}`,
  );
}
scrub.addEventListener('input', () => {
  stopPlaying();
  isFollowing = Number(scrub.value) === Number(scrub.max);
  showMoment(Number(scrub.value));
});

// -- the drawing -------------------------------------------------------------------------------------
function drawn() {
  read();
}
const read = latestOnly(async () => {
  if (pad.isEmpty) {
    digit = null;
    if (runs[0]) showMoment(Number(scrub.value));
    return;
  }
  const answer = await server.read_digit(pad.url).catch(() => null);
  if (!answer || answer.error) {
    $('.drawn-said').textContent = answer?.error || NO_ANSWER;
    return;
  }
  digit = answer.digit;
  if (!runs[0]?.token) {
    stopPlaying();
    showBars([], 'Press Train: the network that learns answers your drawing.');
    return;
  }
  await overTime();
});
async function overTime() {
  // what each checkpoint says of the drawing
  const asked = runs;
  if (!digit || !asked[0]?.token) return;
  const now = polling
    ? null
    : await server
        .poll_training({
          runs: asked.map((r) => ({run: r.token, title: r.title, have: r.snapshots.length})),
          digit,
        })
        .catch(() => null);
  if (runs !== asked) return;
  now?.runs?.forEach((update, k) => {
    asked[k].answer = update.answer;
  });
  for (const run of asked) {
    const answer = await server.scrub_training({run: run.token, digit}).catch(() => null);
    if (answer?.answers?.length) run.over = answer;
  }
  if (runs === asked) showMoment(Number(scrub.value));
}

// -- the example -------------------------------------------------------------------------------------
async function open() {
  const answer = await server.training_example(null).catch(() => null);
  if (!answer || answer.error) {
    tell(answer?.error || NO_ANSWER, true);
    return;
  }
  const image = new Image();
  image.src = answer.kept_aside;
  await image.decode().catch(() => {});
  kept = {image, columns: answer.columns};
  $('.data').querySelector('[value=mnist]').disabled = !answer.mnist;
  if (!answer.mnist)
    $('.data').querySelector('[value=mnist]').textContent = 'MNIST (not on this machine)';
  if (runs.length) {
    follow();
    return;
  }
  example = answer;
  runs = [
    {
      token: '',
      title: answer.title,
      snapshots: answer.snapshots,
      answers: answer.answers,
      state: 'over',
      note: '',
      settings: null,
    },
  ];
  $('.title').textContent = `Example: ${answer.title}, recorded on ${answer.device}`;
  root.dataset.state = 'example';
  showCharts(answer.charts);
  tell('An example, played from its record. Press Train for one of your own.');
  scrub.max = answer.snapshots.length - 1;
  let i = 0;
  playing = setInterval(() => {
    scrub.value = i;
    showMoment(i);
    if (++i >= answer.snapshots.length) stopPlaying();
  }, PLAY_MS);
}
function stopPlaying() {
  clearInterval(playing);
  playing = null;
}
let isOpen = false;
new IntersectionObserver(([seen]) => {
  if (seen.isIntersecting && !isOpen) {
    isOpen = true;
    open();
  }
}).observe($('.trainer'));
