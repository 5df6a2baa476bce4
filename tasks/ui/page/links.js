// A link for every tab and sub-tab: #detection/live. Back, reload and middle click work; gradio has no such links.
(() => {
  const TABS = "TABS"; // [{id, label, tabs: [{id, label}]}], by tasks/ui/page/links.py
  const TITLE = document.title || "Image Lab";
  const WAIT_MS = 5000; // for a tab strip that is still being drawn
  let following = false; // true while a link is being followed: its clicks add nothing to the history

  const strip = (root) => root && root.querySelector(":scope > .tab-wrapper");
  const panel = (root) =>
    root && [...root.querySelectorAll(":scope > .tabitem")].find((p) => p.offsetParent !== null);
  const inner = (root) => panel(root)?.querySelector(".tabs");
  const outer = () => document.querySelector("#tabs");

  const buttons = (root) =>
    root ? [...strip(root).querySelectorAll("[role=tablist] button, .overflow-dropdown button")] : [];
  const selected = (root) =>
    buttons(root).find((b) => b.getAttribute("aria-selected") === "true" || b.classList.contains("selected"));
  const isOf = (tab, button) => // a tab's name may be translated; gradio's buttons carry its id
    button.dataset.tabId ? button.dataset.tabId === tab.id : button.textContent.trim() === tab.label;
  const find = (tabs, button) => button && tabs.find((t) => isOf(t, button));

  function place() {
    const tab = find(TABS, selected(outer()));
    const sub = tab && tab.tabs.length ? find(tab.tabs, selected(inner(outer()))) : undefined;
    return { tab, sub };
  }

  function hashOf({ tab, sub }) {
    if (!tab || tab === TABS[0]) return "";
    return sub && sub !== tab.tabs[0] ? `#${tab.id}/${sub.id}` : `#${tab.id}`;
  }

  const shownName = (root) => selected(root)?.textContent.trim();
  function name({ tab, sub }) {
    const first = !tab || tab === TABS[0];
    const names = first ? [] : [sub && shownName(inner(outer())), shownName(outer())];
    document.title = [...names, TITLE].filter(Boolean).join(" · ");
  }

  function linked() {
    // the tab and sub-tab that the page's address names
    const [id, subId] = location.hash.slice(1).split("?")[0].split("/");
    const tab = TABS.find((t) => t.id === id) ?? (id ? undefined : TABS[0]);
    return { tab, sub: tab?.tabs.find((t) => t.id === subId) ?? tab?.tabs[0] };
  }

  function record() {
    const here = place();
    name(here);
    for (const root of [outer(), inner(outer())])
      selected(root)?.scrollIntoView({ inline: "center", block: "nearest" });
    const there = linked();
    const isThere = there.tab === here.tab && there.sub === (here.sub ?? here.tab?.tabs[0]);
    if (following || !here.tab || isThere) return;
    history.pushState(null, "", hashOf(here) || location.pathname + location.search);
  }

  async function press(root, tab) {
    const end = performance.now() + WAIT_MS;
    while (performance.now() < end) {
      const button = buttons(root()).find((b) => isOf(tab, b));
      if (button) {
        button.click();
        return;
      }
      await new Promise((r) => setTimeout(r, 50));
    }
  }

  async function follow() {
    const { tab, sub } = linked();
    if (!tab) return;
    following = true;
    await press(outer, tab);
    await new Promise((r) => setTimeout(r, 50));
    if (sub) await press(() => inner(outer()), sub);
    if (document.getElementById(location.hash.slice(1))) window.scrollTo(0, 0); // no anchor of it
    setTimeout(() => {
      following = false;
      record();
    }, 100);
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest?.(".tab-wrapper button")) setTimeout(record, 50);
  });
  document.addEventListener("auxclick", (event) => {
    const button = event.target.closest?.(".tab-wrapper [role=tab]");
    if (!button || event.button !== 1) return;
    const { tab } = place();
    const top = find(TABS, button);
    const sub = tab && find(tab.tabs, button);
    const isTop = button.closest(".tab-wrapper") === strip(outer());
    window.open(location.pathname + location.search + hashOf(isTop ? { tab: top } : { tab, sub }));
  });
  window.addEventListener("popstate", follow);
  window.LAB_LINKS = TABS.flatMap((tab) => // of all sub-tabs
    tab.tabs.length ? tab.tabs.map((sub) => `#${tab.id}/${sub.id}`) : [`#${tab.id}`]);
  const embedded = new URLSearchParams(location.search).get("embed"); // ?embed=gan/gan-steer: this sub-tab alone
  if (embedded) {
    document.documentElement.classList.add("lab-embedded");
    if (!location.hash) history.replaceState(null, "", `#${embedded}`);
  }
  const ready = setInterval(() => {
    if (!buttons(outer()).length) return;
    clearInterval(ready);
    location.hash ? follow() : name(place());
  }, 50);
})();
