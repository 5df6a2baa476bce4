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
  new MutationObserver(() => { due ??= setTimeout(name, 300); }).observe(document, {childList: true, subtree: true});
})();
