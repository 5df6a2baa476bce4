// Explanations on hover or focus: of a control's label, a table's heading, a term of a read-out.
// All from glossary.json; tasks/ui/page/theme.py puts it here.
(() => {
  const TERMS = "TERMS",
    DELAY_MS = 350,
    PLACES = 'label, fieldset, legend, th, dt, button, [role=group]';
  let timer = null,
    shown = null;

  const plain = (text) =>
    text
      .replace(/\(estimated.*|[\d.,]+\s*%?$/g, '')
      .trim()
      .toLowerCase();
  function nameOf(element) {
    // the first words of a control
    const label = element.querySelector?.('[data-testid=block-info]') || element;
    const own = [...label.childNodes].find((n) => n.nodeType === 3 && n.textContent.trim());
    return [own?.textContent, label.textContent, label.firstElementChild?.textContent];
  }
  function explain(target) {
    // [element, text]
    for (let e = target; e && e.id !== 'tabs'; e = e.parentElement) {
      const isControl = e.matches(PLACES) || e.classList.contains('block');
      if (!isControl) continue;
      for (const name of nameOf(e)) {
        const text = name && name.length < 90 && TERMS[plain(name)];
        if (text) return [e, text];
      }
      if (e.classList.contains('block')) return null;
    }
    return null;
  }
  function hide() {
    clearTimeout(timer);
    shown?.target.removeAttribute('aria-describedby');
    shown?.tip.remove();
    shown = null;
  }
  function show(target, [at, text]) {
    hide();
    const tip = document.createElement('div'),
      box = at.getBoundingClientRect();
    tip.id = 'lab-tip';
    tip.setAttribute('role', 'tooltip');
    tip.textContent = text;
    document.body.append(tip);
    const left = Math.min(box.left, innerWidth - tip.offsetWidth - 8);
    const below = box.bottom + 6 + tip.offsetHeight < innerHeight;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${below ? box.bottom + 6 : Math.max(8, box.top - tip.offsetHeight - 6)}px`;
    target.setAttribute('aria-describedby', 'lab-tip');
    shown = {tip, at, target};
  }
  function consider({target}, delay) {
    if (!target.closest?.('#tabs')) return hide();
    const found = explain(target);
    if (found && shown?.at === found[0]) return undefined;
    hide();
    if (found) timer = setTimeout(() => show(target, found), delay);
    return undefined;
  }
  document.addEventListener('pointerover', (event) => {
    if (event.pointerType === 'mouse') consider(event, DELAY_MS);
  });
  document.addEventListener('focusin', (event) => {
    if (event.target.matches?.(':focus-visible')) consider(event, 0);
  });
  document.addEventListener('focusout', hide);
  document.addEventListener('pointerdown', hide);
  document.addEventListener('scroll', hide, true);
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') hide();
  });
})();
