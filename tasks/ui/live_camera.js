// The visitor's camera, live: the part of each tab's script, which is put behind this. The
// page shows the camera itself at its own rate; small JPEG frames go to the server, at most IN_FLIGHT at a time and always
// the newest one. A busy server says so and the page waits a moment: nothing queues up anywhere.
//
// What follows sets `about` to what the server said of the network, and defines `widget`:
//   quality                of the JPEG frames, in [0, 1]
//   prepare()              asks for the network; sets `about` and calls `ready`, or says what is wrong
//   send(jpeg, number)     asks about a frame; -> a promise of {busy}, {error}, {late} or {ms, ...}
//   compute(pixels, number)  the same of RGBA pixels, where `device` is set
//   take(answer, now, kept)  an answer newer than those before it, and what `keepFrame` returned for its frame
//   keepFrame()            what is to be kept of a frame that is sent; left out: nothing
//   frame(now)             the camera shows a new picture
//   clip                   name of the recording that is shown while no camera is on; left out: none
//   replay(answer, clip)   shows what the network found in a frame of it
//   on(), off()            the camera was started, stopped
const STILL = matchMedia('(prefers-reduced-motion: reduce)').matches;
const stage = $('.stage'),
  video = $('video'),
  over = $('.over'),
  pen = over.getContext('2d');
const IN_FLIGHT = 2,
  BACK_OFF_MS = 60,
  MODEST_MS = 4000,
  KEPT = 120,
  LOADING_MS = 400;
const VISITOR = [...crypto.getRandomValues(new Uint8Array(16))]
  .map((b) => b.toString(16).padStart(2, '0'))
  .join('');
const small = newCanvas(1, 1),
  ink = small.getContext('2d', {willReadFrequently: true});
let about = null,
  device = null; // what computes in this browser (on_device.js); null: the server does

function say(text, isError = false) {
  if ($('.said').textContent !== text) $('.said').textContent = text; // the same again would be laid out again
  $('.said').classList.toggle('error', isError);
}
async function untilLoaded(ask) {
  // a network that is loaded or downloaded is asked for again and again
  for (;;) {
    const answer = await ask().catch(() => null);
    if (!answer?.loading) return answer;
    await new Promise((then) => setTimeout(then, LOADING_MS));
  }
}
function ready() {
  say(stream ? 'Processing…' : waiting ? 'Waiting for the camera…' : 'Ready. Start the camera.');
}

// -- the camera --------------------------------------------------------------------------------------
let stream = null,
  facing = 'user',
  starting = 0,
  waiting = false;
const CAMERA_ERRORS = {
  NotAllowedError: () =>
    window.self !== window.top
      ? `The camera was refused. This page is inside another one, which may not allow it: open it at its own address, ${location.origin}${location.pathname}, or allow the camera in the address bar and start again.`
      : 'The camera was refused. Allow it in the address bar of your browser and start again.',
  NotFoundError: () => 'No camera was found. Connect one, or use an image or a video file.',
  OverconstrainedError: () => 'This device has no other camera.',
  NotReadableError: () => 'Another program uses the camera. Close it there and start again.',
};
const enable = (on) =>
  $$('.stop, .snapshot').forEach((button) => {
    button.disabled = !on;
  });
const isFlipped = () => $('.mirror').checked && !isClip;
const mirror = () => stage.classList.toggle('mirrored', isFlipped());
async function start() {
  if (!navigator.mediaDevices?.getUserMedia) {
    say(
      'Browsers give the camera to pages over https or on localhost only; this one came over plain http.',
      true,
    );
    return;
  }
  const mine = ++starting;
  release();
  waiting = true;
  if (!about) widget.prepare(); // while the visitor is asked for the camera
  say('Waiting for the camera…');
  const got = await navigator.mediaDevices
    .getUserMedia({
      audio: false,
      video: {width: {ideal: 640}, height: {ideal: 480}, facingMode: facing},
    })
    .catch((error) => {
      if (mine === starting) {
        off();
        say(
          (CAMERA_ERRORS[error.name] || (() => `The camera did not start (${error.name}).`))(),
          true,
        );
      }
    });
  if (mine === starting) waiting = false;
  if (!got) return;
  if (mine !== starting || unseen()) {
    got.getTracks().forEach((track) => track.stop());
    return;
  }
  stream = got;
  isClip = false;
  video.removeAttribute('src');
  stream.getVideoTracks()[0].addEventListener('ended', () => {
    if (stream === got) stop('The camera was disconnected.', true);
  });
  video.srcObject = stream;
  await video.play().catch(() => {});
  if (stream === got) beginFrames();
}
function beginFrames() {
  // frames of `stream` are processed from now on
  stage.classList.add('on');
  mirror();
  $('.start').disabled = true;
  enable(true);
  Object.assign(times, {trips: [], answers: [], frames: []});
  if (about) say('Processing…');
  else if (!$('.said').classList.contains('error')) say('Loading the network…');
  lastFrame = performance.now();
  widget.on();
  onFrame();
  watch();
}
function release() {
  if (stream) stream.getTracks().forEach((track) => track.stop());
  stream = null;
  if (video.srcObject) video.srcObject = null;
}

// -- a clip, while there is no camera: with what was found in it, recorded; or through the network, as
let clip = null,
  isClip = false,
  showing = 0;
async function showClip() {
  if (!widget.clip) return;
  const mine = ++showing;
  clip ??= await recording(widget.clip).catch(() => null);
  if (!clip || stream || waiting || unseen() || mine !== showing) return;
  isClip = true;
  if (!video.src) {
    video.loop = true;
    video.src = recordingUrl(clip.file);
  }
  mirror();
  stage.classList.add('has-clip');
  $('.mark').hidden = $('.camera .clip').hidden = false;
  if (!STILL) await video.play().catch(() => {});
  let shown = -1;
  (function replay() {
    // the answer that was recorded for the picture that the clip shows
    if (stream || mine !== showing) return;
    if (unseen()) {
      video.pause();
      return;
    }
    const k = Math.min(
      clip.answers.length - 1,
      Math.floor((video.currentTime * clip.fps) / clip.every),
    );
    if (k !== shown && video.videoWidth) {
      shown = k;
      widget.replay(clip.answers[k], clip);
    }
    setTimeout(replay, 30);
  })();
}
async function playClip() {
  // it stands in for a camera: the same frames, requests and answers
  const mine = ++starting;
  release();
  isClip = true;
  if (!about) widget.prepare();
  await video.play().catch(() => {});
  if (mine !== starting) return;
  stream = {getTracks: () => [], isClip: true};
  beginFrames();
}

function off() {
  waiting = false;
  stage.classList.remove('on');
  $('.start').disabled = false;
  enable(false);
  widget.off();
  showClip();
}
function stop(text = stream?.isClip ? 'Clip stopped.' : 'Camera off.', isError = false) {
  starting++;
  if (!stream && !$('.start').disabled) return;
  release();
  off();
  say(text, isError);
}
const unseen = () => !element.isConnected || document.hidden || !stage.getClientRects().length;
const FROZEN_MS = 2500;
let lastFrame = 0; // when the camera gave a picture
function watch() {
  // leaving the tab hides the stage without an event
  if (!stream) return;
  if (performance.now() - lastFrame > FROZEN_MS)
    say(
      'The camera gives no new picture: it is covered, asleep, or another program has taken it. Waiting for it.',
      true,
    );
  if (unseen()) stop('Camera off, because this was out of sight.');
  else setTimeout(watch, 250);
}
const onHide = () => {
  if (stream) stop('Camera off, because the page was hidden.');
};
document.addEventListener('visibilitychange', () => {
  if (document.hidden) onHide();
});
window.addEventListener('pagehide', onHide);
$('.start').addEventListener('click', start);
$('.camera .clip').addEventListener('click', playClip);
$('.stop').addEventListener('click', () => stop());
$('.mirror').addEventListener('change', mirror);
const full = $('.full');
full.hidden = !document.fullscreenEnabled;
full.addEventListener('click', () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else stage.requestFullscreen().catch(() => say('This browser shows no full screen here.', true));
});
document.addEventListener('fullscreenchange', () => {
  full.textContent = document.fullscreenElement === stage ? 'Leave full screen' : 'Full screen';
});
$('.turn').addEventListener('click', () => {
  facing = facing === 'user' ? 'environment' : 'user';
  $('.mirror').checked = facing === 'user';
  if (stream) start();
  else say(facing === 'user' ? 'Front camera chosen.' : 'Back camera chosen.');
});

// -- asking ------------------------------------------------------------------------------------------
const times = {trips: [], answers: [], frames: []}; // ms, and when
let inFlight = 0,
  sent = 0,
  newest = 0,
  answers = 0,
  notBefore = 0,
  fresh = false,
  modelMs = 0;
let modest = 0; // until then one request at a time: others wait for the server, too

function onFrame() {
  // a new picture of the camera is there
  if (!stream) return;
  const next = () => {
    const now = performance.now();
    if (now - lastFrame > FROZEN_MS && $('.said').classList.contains('error')) say('Processing…'); // it is back
    lastFrame = now;
    fresh = true;
    remember(times.frames, now, KEPT);
    widget.frame(now);
    readout(now);
    ask();
    onFrame();
  };
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(next);
  else setTimeout(next, 33);
}
async function ask() {
  const asked = performance.now(),
    most = asked < modest ? 1 : IN_FLIGHT;
  if (!stream || !about || !fresh || inFlight >= most || asked < notBefore || !video.videoWidth)
    return;
  fresh = false;
  const fits = Number($('.size').value) / Math.max(video.videoWidth, video.videoHeight),
    here = device !== null,
    scale = here ? fits : Math.min(1, fits); // the server enlarges what is too small
  small.width = Math.round(video.videoWidth * scale);
  small.height = Math.round(video.videoHeight * scale);
  const number = ++sent,
    of = stream,
    network = about;
  ink.drawImage(video, 0, 0, small.width, small.height);
  const kept = widget.keepFrame?.();
  inFlight++;
  const answer = await (
    here
      ? widget.compute(ink.getImageData(0, 0, small.width, small.height), number)
      : widget.send(small.toDataURL('image/jpeg', widget.quality), number)
  ).catch(() => null);
  inFlight--;
  if (stream !== of || about !== network) return;
  const now = performance.now();
  const later = (ms) => {
    notBefore = now + ms;
    setTimeout(ask, ms);
  };
  if (!answer) {
    later(1000);
    say('The server does not answer. Trying again.', true);
    return;
  }
  if (answer.busy) {
    later(BACK_OFF_MS);
    modest = now + MODEST_MS;
    return;
  }
  if (answer.error) {
    later(1000);
    say(answer.error, true);
    return;
  }
  if (answer.late) {
    ask();
    return;
  }
  remember(times.trips, now - asked, KEPT);
  remember(times.answers, now, KEPT);
  answers++;
  modelMs = answer.ms;
  if (number > newest) {
    newest = number;
    widget.take(answer, now, kept);
  }
  ask();
}

// -- how fast ----------------------------------------------------------------------------------------
const perSecond = (list, now) => {
  const recent = list.filter((t) => now - t < 2000);
  return recent.length > 1
    ? (1000 * (recent.length - 1)) / (recent[recent.length - 1] - recent[0])
    : 0;
};
let nextReadout = 0;
function readout(now) {
  if (now < nextReadout) return;
  nextReadout = now + 500;
  const fps = perSecond(times.frames, now),
    rate = perSecond(times.answers, now);
  $('.video-fps').textContent = `${fps.toFixed(0)} fps`;
  $('.rate').textContent = `${rate.toFixed(1)} / s`;
  if (!times.trips.length) return;
  const p50 = quantile(times.trips, 0.5),
    p95 = quantile(times.trips, 0.95);
  $('.trip').textContent = `${p50.toFixed(0)} / ${p95.toFixed(0)} ms`;
  $('.model-ms').textContent = `${modelMs.toFixed(1)} ms`;
  Object.assign(element.dataset, {
    fps: fps.toFixed(1),
    rate: rate.toFixed(1),
    p50: p50.toFixed(1),
    p95: p95.toFixed(1),
    modelMs: modelMs.toFixed(1),
    answers,
  });
}
function place() {
  // the video's rectangle inside the stage, in CSS pixels
  const w = stage.clientWidth,
    h = stage.clientHeight,
    scale = Math.min(w / video.videoWidth, h / video.videoHeight) || 0;
  const vw = video.videoWidth * scale,
    vh = video.videoHeight * scale;
  return {left: (w - vw) / 2, top: (h - vh) / 2, width: vw, height: vh, w, h};
}
new IntersectionObserver(([seen]) => {
  if (seen.isIntersecting) showClip();
}).observe(stage); // also when the tab is opened again
