// Lines and areas that the visitor draws over an image: the part of live.js and zones.js, which are put behind this.
// Points are shares of the image's sides, as tasks/detection/zones.py has them.
//   surface           the element that is clicked on
//   share(event)      where: [x, y] in [0, 1], or null beside the image
//   changed(tell)     something is to be painted; tell: the zones are others
const MAX_ZONES = 8,
  MAX_AREA_POINTS = 24,
  CLOSE_PX = 14;
const ZONE_COLOURS = {line: '#ffffff', area: '#14b8a6'};

function zoneEditor({surface, share, changed}) {
  let zones = [],
    shape = null,
    points = [],
    pointer = null;
  const buttons = [
    ['.draw-line', 'line'],
    ['.draw-area', 'area'],
  ];
  function refresh(tell) {
    for (const [name, of] of buttons) {
      $(name).setAttribute('aria-pressed', String(shape === of));
      $(name).disabled = zones.length >= MAX_ZONES && shape !== of;
    }
    $('.zones-clear').disabled = !zones.length && !points.length;
    $('.zones-hint').textContent =
      shape === 'line'
        ? 'Click where the line begins and ends.'
        : shape === 'area'
          ? 'Click the corners; click the first one again to close the area.'
          : zones.length >= MAX_ZONES
            ? `At most ${MAX_ZONES} lines and areas.`
            : '';
    surface.style.cursor = shape ? 'crosshair' : '';
    changed(tell);
  }
  function begin(of) {
    shape = shape === of ? null : of;
    points = [];
    pointer = null;
    refresh(false);
  }
  function finish() {
    zones.push({shape, points});
    shape = null;
    points = [];
    refresh(true);
  }
  function closes(at) {
    const box = surface.getBoundingClientRect(),
      [x, y] = points[0];
    return (
      points.length >= 3 && Math.hypot((x - at[0]) * box.width, (y - at[1]) * box.height) < CLOSE_PX
    );
  }
  for (const [name, of] of buttons) $(name).addEventListener('click', () => begin(of));
  $('.zones-clear').addEventListener('click', () => {
    zones = [];
    points = [];
    shape = null;
    refresh(true);
  });
  surface.addEventListener('click', (event) => {
    const at = shape && share(event);
    if (!at) return;
    if (shape === 'area' && points.length && closes(at)) {
      finish();
      return;
    }
    points.push(at);
    if (shape === 'line' ? points.length === 2 : points.length === MAX_AREA_POINTS) finish();
    else refresh(false);
  });
  surface.addEventListener('pointermove', (event) => {
    if (shape && points.length) {
      pointer = share(event);
      changed(false);
    }
  });
  element.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && shape) {
      shape = null;
      points = [];
      refresh(false);
    }
  });

  function path(on, list, X, Y, closed) {
    on.beginPath();
    list.forEach(([x, y], i) => (i ? on.lineTo(X(x), Y(y)) : on.moveTo(X(x), Y(y))));
    if (closed) on.closePath();
    on.stroke();
  }
  function arrow(on, [[x1, y1], [x2, y2]], X, Y) {
    // towards "in": to the right of a line drawn downwards
    const ax = X(x1),
      ay = Y(y1),
      bx = X(x2),
      by = Y(y2),
      mirrored = X(1) < X(0) ? -1 : 1;
    const length = Math.hypot(bx - ax, by - ay) || 1,
      nx = (mirrored * (by - ay)) / length,
      ny = (-mirrored * (bx - ax)) / length;
    const mx = (ax + bx) / 2,
      my = (ay + by) / 2,
      tx = mx + 24 * nx,
      ty = my + 24 * ny;
    on.beginPath();
    on.moveTo(mx, my);
    on.lineTo(tx, ty);
    for (const turn of [2.5, -2.5]) {
      on.moveTo(tx, ty);
      on.lineTo(
        tx + 9 * (nx * Math.cos(turn) - ny * Math.sin(turn)),
        ty + 9 * (nx * Math.sin(turn) + ny * Math.cos(turn)),
      );
    }
    on.stroke();
    on.fillText('in', tx + 8 * nx - 5, ty + 10 * ny);
  }
  return {
    get zones() {
      return zones;
    },
    reset() {
      zones = [];
      points = [];
      shape = null;
      refresh(true);
    },
    paint(on, X, Y) {
      // X, Y: a share -> px
      on.save();
      on.lineWidth = 2.5;
      on.lineJoin = on.lineCap = 'round';
      on.font = '600 12px system-ui, sans-serif';
      on.textBaseline = 'middle';
      on.shadowColor = '#000';
      on.shadowBlur = 3;
      for (const zone of zones) {
        on.strokeStyle = on.fillStyle = ZONE_COLOURS[zone.shape];
        path(on, zone.points, X, Y, zone.shape === 'area');
        if (zone.shape === 'line') arrow(on, zone.points, X, Y);
      }
      if (shape && points.length) {
        on.strokeStyle = on.fillStyle = ZONE_COLOURS[shape];
        path(on, pointer ? [...points, pointer] : points, X, Y, false);
        for (const [x, y] of points) {
          on.beginPath();
          on.arc(X(x), Y(y), 4, 0, 7);
          on.fill();
        }
      }
      on.restore();
    },
  };
}
