// Shared by the generators' widgets, which stand behind it in one script: 28 x 28 digits from base64 to canvas.
const $ = (selector) => element.querySelector(selector);
function bytes(base64) {
  const text = atob(base64), out = new Uint8Array(text.length);
  for (let i = 0; i < out.length; i++) out[i] = text.charCodeAt(i);
  return out;
}
function floats(base64) { return new Float32Array(bytes(base64).buffer); }
function draw(canvas, pixels, columns = 1) { // uint8, digits one after the other, `columns` of them in a row
  const n = pixels.length / 784, rows = Math.ceil(n / columns);
  if (canvas.width !== 28 * columns || canvas.height !== 28 * rows) { canvas.width = 28 * columns; canvas.height = 28 * rows; }
  const image = new ImageData(canvas.width, canvas.height);
  for (let k = 0, from = 0; k < n; k++) {
    const left = 28 * (k % columns), top = 28 * Math.floor(k / columns);
    for (let y = 0; y < 28; y++) {
      for (let x = 0, to = 4 * ((top + y) * canvas.width + left); x < 28; x++, from++, to += 4) {
        image.data[to] = image.data[to + 1] = image.data[to + 2] = pixels[from]; image.data[to + 3] = 255;
      }
    }
  }
  canvas.getContext('2d').putImageData(image, 0, 0);
}
const CRC = Uint32Array.from({length: 256}, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xEDB88320 ^ (n >>> 1) : n >>> 1;
  return n;
});
function savePng(name, canvas, settings) { // with the settings as JSON in its text chunk "settings", as films have them
  const png = bytes(canvas.toDataURL('image/png').split(',')[1]), head = 33; // signature and IHDR
  const text = new TextEncoder().encode(`tEXtsettings\0${JSON.stringify(settings)}`), chunk = new Uint8Array(text.length + 8);
  const view = new DataView(chunk.buffer);
  chunk.set(text, 4);
  view.setUint32(0, text.length - 4);
  view.setUint32(text.length + 4, ~text.reduce((crc, byte) => CRC[(crc ^ byte) & 255] ^ (crc >>> 8), ~0));
  const href = URL.createObjectURL(new Blob([png.subarray(0, head), chunk, png.subarray(head)], {type: 'image/png'}));
  save(name, href);
  setTimeout(() => URL.revokeObjectURL(href), 60000);
}
function save(name, href) { const link = document.createElement('a'); link.download = name; link.href = href; link.click(); }
const percent = (p) => p > .995 ? '> 99 %' : p < .005 ? '< 1 %' : `${Math.round(100 * p)} %`;
