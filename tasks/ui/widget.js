// What all widgets share; tasks/ui/widget.py puts it before each widget's script, so `element`, `server`, ... are gradio's.
const $ = (selector) => element.querySelector(selector);
const $$ = (selector) => [...element.querySelectorAll(selector)];
const NO_ANSWER = 'The server does not answer.';
const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

// -- bytes and files ---------------------------------------------------------------------------------
const decodeBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
function encodeBase64(array) {
  // any typed array
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = '';
  for (let i = 0; i < bytes.length; i += 4096)
    text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return btoa(text);
}
const textUrl = (type, text) => `data:${type};charset=utf-8,${encodeURIComponent(text)}`;
function saveFile(name, href) {
  const link = document.createElement('a');
  link.download = name;
  link.href = href;
  link.click();
}

async function copyLink(hash) {
  // says what became of it; the page's own address becomes the link, too
  history.replaceState(null, '', hash);
  const copied = await navigator.clipboard?.writeText(location.href).then(
    () => true,
    () => false,
  );
  return copied ? 'Link copied.' : 'The link is in the address bar.';
}

// -- numbers -----------------------------------------------------------------------------------------
function percent(share, digits = 0) {
  // never rounded to 0 or to 100 %
  const step = 10 ** -digits,
    value = 100 * share;
  if (value === 0) return '0 %';
  if (value < step / 2) return `< ${step} %`;
  return value > 100 - step / 2
    ? `> ${(100 - step).toFixed(digits)} %`
    : `${value.toFixed(digits)} %`;
}
function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}
function remember(list, value, most) {
  list.push(value);
  if (list.length > most) list.shift();
}

// -- requests ----------------------------------------------------------------------------------------
// Where the answer is that a model is being loaded, the question is asked again, for a minute at most.
const AGAIN_MS = 300,
  AGAIN = 200;
server = new Proxy(server, {
  get:
    (functions, name) =>
    async (...values) => {
      for (let n = 0; ; n++) {
        const answer = await functions[name](...values);
        if (!answer?.again || n >= AGAIN || !element.isConnected) return answer;
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    },
});

// One request in flight; what changes meanwhile is asked about when it returns, so that nothing queues up.
function latestOnly(request) {
  let busy = false,
    changed = false;
  return async () => {
    changed = true;
    if (busy) return;
    busy = true;
    try {
      while (changed) {
        changed = false;
        await request();
      }
    } finally {
      busy = false;
    }
  };
}

// A finished result, for the strip of earlier ones (page/history.js). `more`: the link that computes it again; `part`:
// replaces the newest one of the same part, as a drawing does that goes on.
function tellResult(picture, caption, more = {}) {
  const detail = {picture, caption, ...more};
  element.dispatchEvent(new CustomEvent('lab-result', {bubbles: true, detail}));
}

// -- recordings: what a sub-tab opens with (tasks/ui/recordings) -------------------------------------
const recordingUrl = (file) =>
  new URL(`gradio_api/file=tasks/ui/recordings/${file}`, document.baseURI).href;
async function recording(name) {
  // null where there is none
  const answer = await fetch(recordingUrl(`${name}.json`)).catch(() => null);
  return answer?.ok ? answer.json() : null;
}
function loadImage(url) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = reject;
    image.src = url;
  });
}
function whenSeen(target, act) {
  // once
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    act();
  });
  observer.observe(target);
}

// An image that "Send to" hands over, props.value = {sent: {url, at, model}}, goes to put(blob, model).
function receiveImages(put) {
  let newest = 0;
  async function receive() {
    const sent = props.value?.sent;
    if (!sent || sent.at === newest) return;
    newest = sent.at;
    const answer = await fetch(sent.url).catch(() => null);
    if (answer?.ok) put(await answer.blob(), sent.model);
  }
  watch('value', receive);
  receive(); // where the widget is built after it was sent
}

// -- pixels ------------------------------------------------------------------------------------------
// n images of h x w x c bytes, one after the other, as a grid; gaps are transparent. `colour`: grey value -> [r, g, b].
function drawGrid(
  canvas,
  {shape: [n, h, w, c], data},
  {columns = Math.ceil(Math.sqrt(n)), gap = 0, colour} = {},
) {
  const width = columns * (w + gap) - gap,
    height = Math.ceil(n / columns) * (h + gap) - gap;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const image = new ImageData(width, height),
    out = image.data,
    [green, blue] = c > 1 ? [1, 2] : [0, 0];
  for (let k = 0, from = 0; k < n; k++) {
    const left = (k % columns) * (w + gap),
      top = Math.floor(k / columns) * (h + gap);
    for (let y = 0; y < h; y++) {
      let to = 4 * ((top + y) * width + left);
      for (let x = 0; x < w; x++, from += c, to += 4) {
        const [r, g, b] = colour
          ? colour(data[from])
          : [data[from], data[from + green], data[from + blue]];
        out[to] = r;
        out[to + 1] = g;
        out[to + 2] = b;
        out[to + 3] = 255;
      }
    }
  }
  canvas.getContext('2d').putImageData(image, 0, 0);
}
const parseHex = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)); // "#rrggbb" -> [r, g, b]
const packColour = ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0; // for a Uint32Array over ImageData
// A colour of theme.css, of the light theme in both.
const themeColour = (name) =>
  parseHex(getComputedStyle(document.documentElement).getPropertyValue(name).trim());
function newCanvas(width, height) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  return canvas;
}
