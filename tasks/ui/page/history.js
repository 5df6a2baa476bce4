// The last eight results of each tab, above the page's foot: in this page only, gone with it.
// Widgets tell of a result by `tellResult` (ui/widget.js); images of gradio's components are noticed
// when they are loaded.
(() => {
  const MOST = 8,
    THUMB = 96; // px
  const kept = new Map(); // tab -> [{url, thumb, caption, link, part}], the newest first
  const tabHere = () => location.hash.slice(1).split(/[/?]/)[0] || 'start';

  function scaled(picture, side) {
    const [w, h] = [picture.naturalWidth || picture.width, picture.naturalHeight || picture.height];
    const scale = side ? Math.min(1, side / Math.max(w, h)) : 1,
      canvas = document.createElement('canvas');
    canvas.width = Math.max(1, Math.round(w * scale));
    canvas.height = Math.max(1, Math.round(h * scale));
    canvas.getContext('2d').drawImage(picture, 0, 0, canvas.width, canvas.height);
    return canvas;
  }
  function keep({picture, caption, link, part, tab = tabHere()}) {
    const list = kept.get(tab) || [];
    const [url, thumb] = [scaled(picture, 960).toDataURL(), scaled(picture, 2 * THUMB).toDataURL()];
    if (list[0]?.url === url) return;
    if (part !== undefined && list[0]?.part === part) list.shift();
    list.unshift({url, thumb, caption: caption || 'Result', link, part});
    kept.set(tab, list.slice(0, MOST));
    show();
  }
  function show() {
    const strip = document.querySelector('.lab-history');
    if (!strip) return;
    const list = kept.get(tabHere()) || [];
    strip.hidden = !list.length;
    strip.querySelector('ol').replaceChildren(
      ...list.map((entry) => {
        const item = document.createElement('li'),
          button = document.createElement('button');
        const image = document.createElement('img');
        image.src = entry.thumb;
        image.alt = '';
        button.type = 'button';
        button.title = entry.caption;
        button.setAttribute('aria-label', `Earlier result: ${entry.caption}`);
        button.append(image);
        button.addEventListener('click', () => open(entry));
        item.append(button);
        return item;
      }),
    );
  }
  function open(entry) {
    const dialog = document.createElement('dialog');
    dialog.className = 'lab-earlier';
    dialog.setAttribute('aria-label', 'Earlier result');
    dialog.innerHTML = '<img alt=""><p></p><form method="dialog"><button>Close</button></form>';
    const image = dialog.querySelector('img');
    image.src = entry.url;
    image.alt = entry.caption;
    dialog.querySelector('p').textContent = entry.caption;
    const links = [['Save as PNG', entry.url, 'result.png']];
    if (entry.link) links.push(['Open it again', entry.link, '']);
    for (const [text, href, file] of links) {
      const a = document.createElement('a');
      a.href = href;
      a.textContent = text;
      if (file) a.download = file;
      else a.addEventListener('click', () => dialog.close());
      dialog.querySelector('form').prepend(a);
    }
    dialog.addEventListener('close', () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }

  document.addEventListener('lab-result', (event) => keep(event.detail));
  const RESULTS = '.lab-result img, .lab-gallery img';
  document.addEventListener(
    'load',
    ({target}) => {
      // an image that a component shows
      if (!(target instanceof HTMLImageElement) || !target.closest('#tabs')) return;
      if (!target.matches(RESULTS) || target.closest('.lab-history')) return;
      if (/\/recordings\/|before\.png/.test(target.src) || target.naturalWidth < 8) return;
      const pane = target.closest('.block');
      const label = pane?.querySelector('[data-testid=block-label]')?.textContent.trim();
      try {
        keep({picture: target, caption: label});
      } catch {
        /* an image of another site */
      }
    },
    true,
  );
  window.addEventListener('hashchange', show);
  window.addEventListener('popstate', show);
  document.addEventListener('click', (event) => {
    if (event.target.closest?.('.tab-wrapper button')) setTimeout(show, 100);
  });
})();
