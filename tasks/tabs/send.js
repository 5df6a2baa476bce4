// "Send to": a picture of the page becomes the input of another tab, put there as a visitor's own upload would be: as a
// file in the tab's <input type=file>. <send-to kind="digit" of="#gan-grid canvas.a"> is the menu beside a picture; `of`
// selects a canvas or an image, or a widget sets `source`, a function that returns {picture, kind}.
(() => {
  const TARGETS = { // tabs to open, the block with the file input; fold: opened first; model: chosen there first
    digit: [
      {title: 'Digit classifier', tabs: ['Classification', 'Digits'], into: '#digit-picture', fold: '#digit-picture-fold', show: '#digit-pad'},
      {title: 'Denoising: noisy digits', tabs: ['Denoising', 'Noisy digits'], into: '#noisy-digit'},
      {title: 'Diffusion: inpaint', tabs: ['Diffusion', 'Inpaint'], into: '#inpaint-pad', model: 'mnist'},
      {title: 'Diffusion: forward and back', tabs: ['Diffusion', 'Forward and back'], into: '#forward-pad', model: 'mnist'},
      {title: 'Diffusion: super-resolve', tabs: ['Diffusion', 'Super-resolve'], into: '#small-pad', model: 'mnist'},
      {title: 'GAN: the discriminator', tabs: ['GAN', 'The discriminator'], into: '#gan-judge'},
    ],
    photo: [
      {title: 'Photo classifier', tabs: ['Classification', 'Photos'], into: '#photo-picture'},
      {title: 'Detection', tabs: ['Detection', 'Pictures'], into: '#detect-picture'},
      {title: 'Segmentation', tabs: ['Segmentation', 'Picture'], into: '#segment-picture'},
      {title: 'Denoising', tabs: ['Denoising', 'Your photo'], into: '#noisy-picture'},
      {title: 'Enlarging', tabs: ['Denoising', 'Enlarge'], into: '#enlarge-picture'},
      {title: 'Undoing JPEG', tabs: ['Denoising', 'Undo JPEG'], into: '#jpeg-picture'},
    ],
  };
  const PATIENCE = 15000; // ms for a tab that is opened for the first time

  async function until(find) {
    for (const end = performance.now() + PATIENCE; performance.now() < end; await new Promise((on) => setTimeout(on, 30))) {
      const found = find();
      if (found) return found;
    }
    throw new Error('its tab did not open');
  }
  const isSeen = (node) => node.offsetParent !== null;
  async function openTab(name) { // a tab that has no room is in the menu behind "..." of its row
    const called = (selector) => [...document.querySelectorAll(selector)].filter((b) => b.textContent.trim() === name);
    (await until(() => called('[role=tab]').find(isSeen)
      || called('.overflow-dropdown button').find((b) => isSeen(b.closest('.tab-wrapper'))))).click();
  }
  const fileInput = (into) => document.querySelector( // gradio's own, or a widget's once its script listens
    `${into} input[data-testid=file-upload], ${into} input[type=file][data-listens]`);

  async function toFile({picture, kind}) {
    if (picture instanceof HTMLCanvasElement) {
      const blob = await new Promise((done) => picture.toBlob(done, 'image/png'));
      return new File([blob], `${kind}.png`, {type: 'image/png'});
    }
    const answer = await fetch(picture.currentSrc || picture.src);
    if (!answer.ok) throw new Error('the picture is no longer kept');
    const blob = await answer.blob(), name = new URL(answer.url).pathname.split('/').pop();
    return new File([blob], /\.\w+$/.test(name) ? decodeURIComponent(name) : `${kind}.${blob.type.split('/')[1]}`, {type: blob.type});
  }
  async function sendPicture(source, target) {
    const file = await toFile(source); // before the tab changes, after which the picture may be gone
    for (const name of target.tabs) await openTab(name);
    if (target.fold && !fileInput(target.into)) (await until(() => document.querySelector(`${target.fold} button`))).click();
    const input = await until(() => fileInput(target.into)), block = document.querySelector(target.show || target.into);
    const chooser = target.model && document.querySelector(`${target.into} select.model`);
    if (chooser && chooser.value !== target.model) { chooser.value = target.model; chooser.dispatchEvent(new Event('change')); }
    const files = new DataTransfer();
    files.items.add(file);
    input.files = files.files;
    input.dispatchEvent(new Event('change', {bubbles: true}));
    block.tabIndex = -1; // whoever uses the keyboard goes on from there
    block.focus({preventScroll: true});
    block.scrollIntoView({block: 'nearest'});
  }

  const SHADOW = `<style>
    :host { display: inline-block; font-size: .875rem; } :host([hidden]) { display: none; }
    button { font: inherit; color: var(--body-text-color); cursor: pointer; border-radius: 7px; }
    .opener { padding: .35rem .7rem; border: 1px solid var(--border-color-primary); background: var(--background-fill-secondary); }
    .opener:hover:not(:disabled) { border-color: var(--lab-accent); } .opener:disabled { opacity: .45; cursor: default; }
    button:focus-visible { outline: 2px solid var(--lab-accent); outline-offset: 1px; }
    .targets { margin: 0; inset: auto; padding: .3rem; min-width: 13rem; border: 1px solid var(--border-color-primary); border-radius: 10px;
      background: var(--background-fill-primary); box-shadow: 0 6px 24px rgb(0 0 0 / .22); font-size: .9rem; }
    .targets button { display: block; width: 100%; padding: .45rem .7rem; border: 0; background: none; text-align: left; }
    .targets button:hover, .targets button:focus { background: var(--background-fill-secondary); color: var(--lab-accent); }
    .trouble:not(:empty) { margin-left: .5rem; color: var(--lab-second); }
    @media (max-width: 640px) { .opener, .targets button { min-height: 44px; } }
    </style><button type="button" class="opener" aria-haspopup="menu" aria-expanded="false"></button>
    <div class="targets" popover role="menu"></div><span class="trouble" role="status"></span>`;

  class SendTo extends HTMLElement {
    static observedAttributes = ['disabled'];
    constructor() {
      super();
      this.attachShadow({mode: 'open'}).innerHTML = SHADOW;
      [this.opener, this.menu, this.trouble] = ['.opener', '.targets', '.trouble'].map((c) => this.shadowRoot.querySelector(c));
      this.opener.addEventListener('click', () => this.offer());
      this.menu.addEventListener('toggle', (event) => {
        this.opener.setAttribute('aria-expanded', String(event.newState === 'open'));
      });
      this.menu.addEventListener('keydown', (event) => this.move(event));
      for (const kind of ['scroll', 'resize']) addEventListener(kind, () => this.place(), {passive: true});
    }
    connectedCallback() {
      this.opener.textContent = this.getAttribute('label') || 'Send to\u2026';
      this.menu.setAttribute('aria-label', 'Tabs that take this picture');
    }
    attributeChangedCallback() { this.opener.disabled = this.disabled; }
    get disabled() { return this.hasAttribute('disabled'); }
    set disabled(whether) { this.toggleAttribute('disabled', whether); }
    source() { // overwritten by widgets that know better
      const picture = document.querySelector(this.getAttribute('of'));
      return picture && {picture, kind: this.getAttribute('kind')};
    }
    offer() {
      const source = this.source();
      this.trouble.textContent = source ? '' : 'There is no picture yet.';
      if (!source) return;
      const own = this.getAttribute('of') || '', here = this.closest('[id]');
      const isHere = ({into, show}) => own.startsWith(into + ' ') || here?.matches([into, show || into].join());
      const others = TARGETS[source.kind].filter((target) => !isHere(target));
      this.menu.replaceChildren(...others.map((target) => {
        const item = document.createElement('button');
        item.type = 'button'; item.role = 'menuitem'; item.textContent = target.title;
        item.addEventListener('click', () => this.send(source, target));
        return item;
      }));
      this.menu.showPopover();
      this.place();
      this.menu.firstElementChild.focus({preventScroll: true});
    }
    place() { // beside its button, also while the page moves
      if (!this.menu.matches(':popover-open')) return;
      const at = this.opener.getBoundingClientRect(), {offsetWidth: w, offsetHeight: h} = this.menu;
      const below = at.bottom + 4 + h < innerHeight || at.top < h;
      this.menu.style.left = `${Math.max(8, Math.min(at.left, innerWidth - w - 8))}px`;
      this.menu.style.top = `${below ? at.bottom + 4 : at.top - h - 4}px`;
    }
    move(event) {
      const items = [...this.menu.children], now = items.indexOf(this.shadowRoot.activeElement), last = items.length - 1;
      const to = {ArrowDown: now < last ? now + 1 : 0, ArrowUp: now > 0 ? now - 1 : last, Home: 0, End: last}[event.key];
      if (event.key === 'Tab' || event.key === 'Escape') this.menu.hidePopover();
      if (event.key === 'Escape') this.opener.focus();
      if (to === undefined) return;
      event.preventDefault();
      items[to].focus();
    }
    async send(source, target) {
      this.menu.hidePopover();
      try { await sendPicture(source, target); } catch (error) { this.trouble.textContent = `Not sent: ${error.message}.`; }
    }
  }
  customElements.define('send-to', SendTo);

  // For pads that take a picture: a file -> its picture on white, at most `most` px, as a canvas; null where it is none.
  window.canvasOfFile = async (file, most) => {
    const bitmap = await createImageBitmap(file).catch(() => null);
    if (!bitmap) return null;
    const scale = Math.min(1, most / Math.max(bitmap.width, bitmap.height)), canvas = document.createElement('canvas');
    canvas.width = Math.max(1, Math.round(bitmap.width * scale)); canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = canvas.getContext('2d');
    context.fillStyle = '#fff'; context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return canvas;
  };
  // The same onto a pad of white paper, dark ink; returns the picture itself as a PNG data URL, '' where it is none.
  window.fileOnPad = async (file, pad) => {
    const picture = await canvasOfFile(file, pad.width);
    if (!picture) return '';
    const {width, height} = picture, times = pad.width / Math.max(width, height), [w, h] = [width * times, height * times];
    const pixels = picture.getContext('2d').getImageData(0, 0, width, height).data.filter((_, i) => i % 4 === 1);
    const paper = pad.getContext('2d');
    paper.save();
    if (pixels.reduce((sum, v) => sum + v, 0) < 110 * pixels.length) paper.filter = 'invert(1)'; // bright ink, as MNIST's
    paper.imageSmoothingEnabled = times < 1;
    paper.drawImage(picture, (pad.width - w) / 2, (pad.height - h) / 2, w, h);
    paper.restore();
    return picture.toDataURL('image/png');
  };
  window.NO_PICTURE = 'This is no picture that the browser can open: PNG, JPEG, WebP or GIF would do.';
})();
