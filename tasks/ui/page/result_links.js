// Opens a result's link: hands the settings in the page's address to Python. Put on the page by result_links.py.
const LINK = "PLACE"; // {place: "#gan/gan-generate", names: [of the settings]}
let opened = null; // the address that was opened last
function open() {
  if (!element.isConnected) { window.removeEventListener('hashchange', open); return; }
  const [place, query] = location.hash.split('?');
  if (!query || place !== LINK.place || opened === location.hash) return;
  const settings = Object.fromEntries(new URLSearchParams(query));
  if (!LINK.names.some((name) => name in settings)) return;
  opened = location.hash;
  props.value = {...settings, at: Date.now()};
  trigger('submit');
}
window.addEventListener('hashchange', open);
open();
