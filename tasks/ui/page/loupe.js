// A linked loupe: over one image of a comparison, the same place of all of them is enlarged.
// Switched by a .lab-loupe button or the key z; images of a gallery, panels of a step player.
(() => {
  const ZOOM = 4,
    SIDE = 128; // px of a lens
  const GROUPS =
    '.lab-gallery .grid-container, .lab-gallery .thumbnails, .step-player .stage, .lab-loupes';
  let isOn = false,
    lenses = [];

  function clear() {
    lenses.forEach((lens) => lens.remove());
    lenses = [];
  }
  function switchTo(on) {
    isOn = on;
    document
      .querySelectorAll('.lab-loupe')
      .forEach((b) => b.setAttribute('aria-pressed', String(on)));
    document.documentElement.classList.toggle('lab-loupe-on', on);
    if (!on) clear();
  }
  function rect(image) {
    // of the pixels, where an image is fitted into its box
    const box = image.getBoundingClientRect();
    const [w, h] = [image.naturalWidth || image.width, image.naturalHeight || image.height];
    const fit = image instanceof HTMLCanvasElement ? 'contain' : getComputedStyle(image).objectFit;
    if (fit !== 'contain' && fit !== 'scale-down') return {...box.toJSON(), w, h};
    const scale = Math.min(box.width / w, box.height / h);
    const [width, height] = [w * scale, h * scale];
    const [left, top] = [box.left + (box.width - width) / 2, box.top + (box.height - height) / 2];
    return {left, top, width, height, w, h};
  }
  function lensOver(image, x, y) {
    const at = rect(image),
      lens = document.createElement('canvas');
    lens.width = lens.height = SIDE;
    lens.className = 'lab-lens';
    lens.setAttribute('aria-hidden', 'true');
    const cut = ((SIDE / ZOOM) * at.w) / at.width,
      pen = lens.getContext('2d');
    pen.imageSmoothingEnabled = false;
    pen.drawImage(image, x * at.w - cut / 2, y * at.h - cut / 2, cut, cut, 0, 0, SIDE, SIDE);
    lens.style.left = `${at.left + x * at.width - SIDE / 2}px`;
    lens.style.top = `${at.top + y * at.height - SIDE / 2}px`;
    document.body.append(lens);
    return lens;
  }
  document.addEventListener('pointermove', (event) => {
    if (!isOn) return;
    const group = event.target.closest?.(GROUPS);
    const images = group ? [...group.querySelectorAll('img, .screen canvas')] : [];
    const image = images.find((i) => i === event.target || i.parentElement.contains(event.target));
    clear();
    if (!image) return;
    const at = rect(image);
    const [x, y] = [(event.clientX - at.left) / at.width, (event.clientY - at.top) / at.height];
    if (x < 0 || x > 1 || y < 0 || y > 1) return;
    lenses = images.filter((i) => i.offsetParent).map((i) => lensOver(i, x, y));
  });
  document.addEventListener('scroll', clear, true);
  document.addEventListener('click', (event) => {
    if (event.target.closest?.('.lab-loupe')) switchTo(!isOn);
  });
  document.addEventListener('keydown', (event) => {
    const isTyped = event.target.closest?.('input, textarea, select');
    if (event.key !== 'z' || event.ctrlKey || event.metaKey || isTyped) return;
    switchTo(!isOn);
  });
})();
