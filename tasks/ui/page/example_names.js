// Gradio's thumbnails of example pictures are buttons without a name; they get one from their file: "Example: bus".
(() => {
  let due = null;
  function name() {
    due = null;
    for (const button of document.querySelectorAll('button.gallery-item:not([aria-label])')) {
      const source = decodeURIComponent(button.querySelector('img')?.src || '').split('/').pop();
      const file = source.replace(/\.\w+$/, '').replace(/[-_]+/g, ' ').trim();
      if (file) button.setAttribute('aria-label', `Example: ${file}`);
    }
  }
  function unname() { // a gallery's image has its caption as a text, too: it is read once
    for (const button of document.querySelectorAll('#tabs [data-testid=gallery] button, #tabs .thumbnail-item')) {
      const image = button.querySelector('img[alt]:not([alt=""])');
      if (image && button.textContent.trim() === image.alt.trim()) image.alt = '';
    }
  }
  function look() {
    name();
    unname();
  }
  new MutationObserver(() => { due ??= setTimeout(look, 300); })
    .observe(document, {childList: true, subtree: true});
})();
