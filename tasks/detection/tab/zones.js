// Lines and areas on the first frame of a video file. props.value: {frame: data URL or null, zones}.
const canvas = $('canvas'),
  pen = canvas.getContext('2d');
let image = null,
  shown = null; // the first frame, and the data URL that it came as

const editor = zoneEditor({
  surface: canvas,
  share(event) {
    if (!image) return null;
    const box = canvas.getBoundingClientRect();
    return [
      clamp((event.clientX - box.left) / box.width, 0, 1),
      clamp((event.clientY - box.top) / box.height, 0, 1),
    ];
  },
  changed(tell) {
    if (tell) props.value = {frame: shown, zones: editor.zones};
    draw();
  },
});

function draw() {
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (image) pen.drawImage(image, 0, 0);
  else {
    pen.fillStyle = 'rgba(128, 128, 128, .15)';
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.fillStyle = '#888';
    pen.font = '24px system-ui, sans-serif';
    pen.textAlign = 'center';
    pen.fillText('Choose a video first', canvas.width / 2, canvas.height / 2);
  }
  editor.paint(
    pen,
    (x) => x * canvas.width,
    (y) => y * canvas.height,
  );
}
function receive() {
  const frame = props.value?.frame ?? null;
  if (frame === shown) return;
  shown = frame;
  image = null;
  editor.reset();
  if (!frame) return;
  const next = new Image();
  next.onload = () => {
    if (shown !== frame) return;
    image = next;
    canvas.width = next.width;
    canvas.height = next.height;
    draw();
  };
  next.src = frame;
}
watch('value', receive);
receive();
draw();
