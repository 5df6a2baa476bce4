// Shared by the GAN's widgets, behind widget.js: 28 x 28 digits on a canvas, and PNG files with their settings.
const decodeFloats = (text) => new Float32Array(decodeBase64(text).buffer);
function drawDigits(canvas, data, columns = 1) {
  // uint8, one digit after the other
  drawGrid(canvas, {shape: [data.length / 784, 28, 28, 1], data}, {columns});
}
const CRC = Uint32Array.from({length: 256}, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});
function savePng(name, canvas, settings) {
  // with the settings as JSON in its text chunk "settings", as saved steps have them
  const png = decodeBase64(canvas.toDataURL('image/png').split(',')[1]),
    head = 33; // signature and IHDR
  const text = new TextEncoder().encode(`tEXtsettings\0${JSON.stringify(settings)}`),
    chunk = new Uint8Array(text.length + 8);
  const view = new DataView(chunk.buffer);
  chunk.set(text, 4);
  view.setUint32(0, text.length - 4);
  view.setUint32(
    text.length + 4,
    ~text.reduce((crc, byte) => CRC[(crc ^ byte) & 255] ^ (crc >>> 8), ~0),
  );
  const href = URL.createObjectURL(
    new Blob([png.subarray(0, head), chunk, png.subarray(head)], {type: 'image/png'}),
  );
  saveFile(name, href);
  setTimeout(() => URL.revokeObjectURL(href), 60000);
}
