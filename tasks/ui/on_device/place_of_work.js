// Where a camera's frames are computed: by the server, by this browser, or by the faster of the two. Put behind
// live_camera.js and on_device.js; sets `device`.
//   prepare(about, gpu)     asks the server for what `startDevice` needs, again and again (untilLoaded)
//   question(device)        what the network's script is told with each frame
//   atOnce(about)           whether "the faster" may be tried: it costs the server nothing
//   changed()               it is computed elsewhere from now on
function placeOfWork({prepare, question, atOnce, changed}) {
  const TRIAL_MS = 2500, // in which the server shows how fast it is
    TRIALS = 5,
    BETTER = 1.15; // so much faster this device must be
  const wanted = $('.where'),
    note = $('.privacy-note'),
    sent = note.textContent;
  let attempt = 0; // an older one ends when a newer begins

  const say = (text) => {
    $('.where-said').textContent = text;
  };
  function moveTo(started, text) {
    attempt++;
    device?.end();
    device = started;
    Object.assign(times, {trips: [], answers: []});
    note.textContent = device
      ? 'Your video does not leave this device: no frame of it is sent.'
      : sent;
    element.dataset.where = device ? 'device' : 'server';
    changed();
    say(text);
  }
  const ask = (started, {data, width, height}) =>
    started.run({pixels: data, width, height, ...question(started)});
  // frames a second, by the median of a few
  async function trial(started) {
    const took = [];
    for (let i = 0; i < TRIALS && stream; i++) {
      const scale = Number($('.size').value) / Math.max(video.videoWidth, video.videoHeight),
        canvas = newCanvas(
          Math.round(video.videoWidth * scale),
          Math.round(video.videoHeight * scale),
        ),
        on = canvas.getContext('2d', {willReadFrequently: true});
      on.drawImage(video, 0, 0, canvas.width, canvas.height);
      const image = on.getImageData(0, 0, canvas.width, canvas.height),
        began = performance.now();
      await ask(started, image);
      took.push(performance.now() - began);
    }
    return 1000 / quantile(took, 0.5);
  }
  // a device that computes the network, on its graphics where that goes; null: it cannot, and it was said why
  async function begin(network, isAsked, isOver) {
    let wrong = '';
    for (const gpu of (await hasGraphics()) ? [true, false] : [false]) {
      const given = await untilLoaded(() => prepare(network, gpu));
      if (isOver()) return null;
      wrong = given?.error || (given ? '' : NO_ANSWER);
      if (wrong) continue;
      const started = await startDevice(given).catch((error) => {
        wrong = `Your device cannot compute this: ${error.message}. The server does.`;
      });
      if (isOver()) {
        started?.end();
        return null;
      }
      if (started) return Object.assign(started, given);
    }
    say(isAsked ? wrong : '');
    return null;
  }
  async function choose() {
    const mine = ++attempt,
      network = about,
      isAsked = wanted.value === 'device',
      isOver = () => mine !== attempt || about !== network || !stream;
    if (!network || !stream || wanted.value === 'server' || device) return;
    if (!CAN_COMPUTE) {
      say(isAsked ? `${NO_SIMD} The server computes.` : '');
      return;
    }
    if (isAsked) say('Loading the network into your browser…');
    else {
      await new Promise((then) => setTimeout(then, TRIAL_MS));
      if (isOver() || navigator.connection?.saveData || !atOnce(network)) return;
    }
    const started = await begin(network, isAsked, isOver);
    if (!started) return;
    const rate = await trial(started).catch(() => 0),
      served = perSecond(times.answers, performance.now());
    if (isOver() || (!isAsked && rate < BETTER * served)) {
      started.end();
      if (!isOver()) say(`Your device would do ${rate.toFixed(0)} a second; the server is faster.`);
      return;
    }
    const part = started.gpu ? ', by its graphics' : '',
      than = served ? `; the server did ${served.toFixed(0)}` : '';
    moveTo(started, `Computed on your device${part}, about ${rate.toFixed(0)} a second${than}.`);
  }
  wanted.addEventListener('change', () => {
    moveTo(null, '');
    choose();
  });
  return {
    choose, // the camera was started, or another network is there
    toServer: () => moveTo(null, ''), // another network is on its way
    forbid(reason) {
      const option = wanted.querySelector('[value=device]');
      option.disabled = Boolean(reason) || !CAN_COMPUTE;
      option.title = reason || (CAN_COMPUTE ? '' : NO_SIMD);
      if (reason) say(`Your device cannot compute: ${reason}`);
    },
    async compute(image) {
      const used = device;
      return ask(used, image).catch((error) => {
        if (device === used)
          moveTo(null, `Your device stopped computing (${error.message}); the server goes on.`);
        return {late: true};
      });
    },
  };
}
