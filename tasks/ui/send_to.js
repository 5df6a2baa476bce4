// "Send to": an image of the page becomes the input of another tab. <send-to kind="digit" of="#gan-grid canvas.a"> is the
// menu beside an image; `of` selects a canvas or an image, or a widget sets `source`, a function that returns
// {picture, kind}. tasks/ui/send_to.py puts a hidden component on the page whose events hand the image over; its script
// sets window.sendTo = {targets: [{title, kind, id, link, model, is_widget}], submit(file, target)}.
(() => {
  const PATIENCE = 15000; // ms for a tab that is opened for the first time

  async function waitFor(id) {
    for (
      const end = performance.now() + PATIENCE;
      performance.now() < end;
      await new Promise((done) => setTimeout(done, 30))
    ) {
      const block = document.getElementById(id);
      if (block?.offsetParent) return block;
    }
    throw new Error('its tab did not open');
  }
  async function toFile({picture, kind}) {
    if (picture instanceof HTMLCanvasElement) {
      const blob = await new Promise((done) => picture.toBlob(done, 'image/png'));
      return new File([blob], `${kind}.png`, {type: 'image/png'});
    }
    const answer = await fetch(picture.currentSrc || picture.src);
    if (!answer.ok) throw new Error('the image is no longer kept');
    const blob = await answer.blob(),
      name = new URL(answer.url).pathname.split('/').pop();
    return new File(
      [blob],
      /\.\w+$/.test(name) ? decodeURIComponent(name) : `${kind}.${blob.type.split('/')[1]}`,
      {type: blob.type},
    );
  }
  async function sendImage(source, target) {
    const file = await toFile(source); // before the tab changes, after which the image may be gone
    location.hash = target.link;
    const block = await waitFor(target.id);
    await window.sendTo.submit(file, target);
    block.tabIndex = -1; // the keyboard goes on from there
    block.focus({preventScroll: true});
    block.scrollIntoView({block: 'nearest'});
  }
  // What gradio's event gives to each target: nothing to all but one.
  window.routeImage = ({to, file, at}) =>
    window.sendTo.targets.map(({id, model, is_widget: isWidget}) => {
      if (id !== to) return {__type__: 'update'};
      return {__type__: 'update', value: isWidget ? {sent: {url: file.url, model, at}} : file};
    });

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
    .error:not(:empty) { margin-left: .5rem; color: var(--lab-second); }
    @media (max-width: 640px) { .opener, .targets button { min-height: 44px; } }
    </style><button type="button" class="opener" aria-haspopup="menu" aria-expanded="false"></button>
    <div class="targets" popover role="menu"></div><span class="error" role="status"></span>`;

  class SendTo extends HTMLElement {
    static observedAttributes = ['disabled'];
    constructor() {
      super();
      this.attachShadow({mode: 'open'}).innerHTML = SHADOW;
      [this.opener, this.menu, this.error] = ['.opener', '.targets', '.error'].map((c) =>
        this.shadowRoot.querySelector(c),
      );
      this.opener.addEventListener('click', () => this.offer());
      this.menu.addEventListener('toggle', (event) => {
        this.opener.setAttribute('aria-expanded', String(event.newState === 'open'));
      });
      this.menu.addEventListener('keydown', (event) => this.move(event));
      for (const kind of ['scroll', 'resize'])
        addEventListener(kind, () => this.place(), {passive: true});
    }
    connectedCallback() {
      this.opener.textContent = this.getAttribute('label') || 'Send to\u2026';
      this.menu.setAttribute('aria-label', 'Tabs that take this image');
    }
    attributeChangedCallback() {
      this.opener.disabled = this.disabled;
    }
    get disabled() {
      return this.hasAttribute('disabled');
    }
    set disabled(whether) {
      this.toggleAttribute('disabled', whether);
    }
    source() {
      // overwritten by widgets that know better
      const picture = document.querySelector(this.getAttribute('of'));
      return picture && {picture, kind: this.getAttribute('kind')};
    }
    offer() {
      const source = this.source();
      this.error.textContent = source ? '' : 'There is no image yet.';
      if (!source) return;
      const selector = this.getAttribute('of') || '',
        here = this.closest('[id]')?.id;
      const isHere = ({id}) => selector.startsWith(`#${id} `) || here === id;
      const others = window.sendTo.targets.filter(
        (target) => target.kind === source.kind && !isHere(target),
      );
      this.menu.replaceChildren(
        ...others.map((target) => {
          const item = document.createElement('button');
          item.type = 'button';
          item.role = 'menuitem';
          item.textContent = target.title;
          item.addEventListener('click', () => this.send(source, target));
          return item;
        }),
      );
      this.menu.showPopover();
      this.place();
      this.menu.firstElementChild.focus({preventScroll: true});
    }
    place() {
      // beside its button, also while the page moves
      if (!this.menu.matches(':popover-open')) return;
      const at = this.opener.getBoundingClientRect(),
        {offsetWidth: w, offsetHeight: h} = this.menu;
      const below = at.bottom + 4 + h < innerHeight || at.top < h;
      this.menu.style.left = `${Math.max(8, Math.min(at.left, innerWidth - w - 8))}px`;
      this.menu.style.top = `${below ? at.bottom + 4 : at.top - h - 4}px`;
    }
    move(event) {
      const items = [...this.menu.children],
        now = items.indexOf(this.shadowRoot.activeElement),
        last = items.length - 1;
      const to = {
        ArrowDown: now < last ? now + 1 : 0,
        ArrowUp: now > 0 ? now - 1 : last,
        Home: 0,
        End: last,
      }[event.key];
      if (event.key === 'Tab' || event.key === 'Escape') this.menu.hidePopover();
      if (event.key === 'Escape') this.opener.focus();
      if (to === undefined) return;
      event.preventDefault();
      items[to].focus();
    }
    async send(source, target) {
      this.menu.hidePopover();
      try {
        await sendImage(source, target);
      } catch (error) {
        this.error.textContent = `Not sent: ${error.message}.`;
      }
    }
  }
  customElements.define('send-to', SendTo);
})();
