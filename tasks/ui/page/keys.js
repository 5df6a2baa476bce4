// The page's keys: arrows along tabs, Ctrl+Z, Delete, space, [ ], z for the loupe; ? lists them.
(() => {
  const KEYS = [
    ['← → Home End', 'from tab to tab, in a row of tabs'],
    ['Ctrl + Z', 'undo the last stroke'],
    ['Delete', 'clear the drawing'],
    ['Space', 'play or pause the steps'],
    ['[ and ]', 'a step back, a step on'],
    ['z', 'loupe over all images of a comparison, on or off'],
    ['?', 'this list'],
  ];
  const isTyped = (e) =>
    e.closest?.('input:not([type=range], [type=checkbox], [type=radio]), textarea, select');
  const isUsed = (e) =>
    e.closest?.('button, a, summary, input, canvas, video, [role=tab], [tabindex]');
  const seen = (selector) =>
    [...document.querySelectorAll(`#tabs ${selector}`)].find((e) => e.offsetParent && !e.disabled);

  function showKeys() {
    let dialog = document.querySelector('#lab-keys');
    if (!dialog) {
      dialog = document.createElement('dialog');
      dialog.id = 'lab-keys';
      dialog.setAttribute('aria-labelledby', 'lab-keys-title');
      const rows = KEYS.map(
        ([key, what]) => `<tr><th scope="row">${key}</th><td>${what}</td></tr>`,
      );
      dialog.innerHTML = `<h2 id="lab-keys-title">Keys</h2><table>${rows.join('')}</table>
        <form method="dialog"><button>Close</button></form>`;
      document.body.append(dialog);
    }
    if (dialog.open) dialog.close();
    else dialog.showModal();
  }
  function alongTabs(event, tab) {
    const tabs = [...tab.parentElement.querySelectorAll('[role=tab]')].filter(
      (t) => t.offsetParent,
    );
    const at = tabs.indexOf(tab),
      last = tabs.length - 1;
    const to = {
      ArrowLeft: at > 0 ? at - 1 : last,
      ArrowRight: at < last ? at + 1 : 0,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined) return false;
    tabs[to].focus();
    tabs[to].click();
    return true;
  }
  function act(event) {
    const {key, target} = event,
      isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
    const press = (selector) => {
      const button = seen(selector);
      button?.click();
      return Boolean(button);
    };
    if (key === 'z' && !isPlain && !event.shiftKey) return press('.undo');
    if (!isPlain) return false;
    const tab = target.closest?.('[role=tab]');
    if (tab && alongTabs(event, tab)) return true;
    if (key === '?') {
      showKeys();
      return true;
    }
    if (key === 'Delete') return press('.clear');
    if (key === '[') return press('.step-player.filled .back');
    if (key === ']') return press('.step-player.filled .on');
    if (key === ' ' && !isUsed(target)) return press('.step-player.filled .play');
    return false;
  }
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || isTyped(event.target) || document.querySelector('dialog[open]'))
      return;
    if (act(event)) event.preventDefault();
  });
  document.addEventListener('click', (event) => {
    if (event.target.closest?.('.lab-keys')) showKeys();
  });
})();
