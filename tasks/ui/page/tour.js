// A tour of five steps: each opens a tab, marks what to try and says what to look for. Begun by #start .tour.
(() => {
  const STEPS = [
    {
      link: '#start',
      at: '#start .pad .frame',
      title: 'Draw a digit',
      text: 'Draw any digit with mouse, finger or arrow keys. The bars follow your pen: a small network reads each stroke.',
    },
    {
      link: '#classification',
      at: '#digit-pad .views',
      title: 'See why',
      text: 'Teal pixels speak for the prediction, orange ones against it. Draw a 4 that could be a 9, and watch the second class.',
    },
    {
      link: '#segmentation/inside',
      at: '#inside-cut',
      title: 'Cut a skip connection',
      text: 'A U-Net labels every pixel. Tick a scale: its skip is cut, and the page says which pixels change their class.',
    },
    {
      link: '#gan/gan-steer',
      at: '#gan-steer .plane',
      title: 'Walk through latent space',
      text: 'Move over the plane, or use the arrow keys. Each position is a digit that nobody has written.',
    },
    {
      link: '#diffusion/generate',
      at: '#diffusion-player',
      title: 'Watch diffusion',
      text: 'Sixteen digits out of pure noise. Play the steps or scrub them; then press Generate with a seed of your own.',
    },
  ];
  const PATIENCE_MS = 8000;
  let panel = null,
    at = 0,
    opener = null,
    turn = 0;

  function build() {
    panel = document.createElement('section');
    panel.id = 'tour';
    panel.setAttribute('role', 'dialog');
    panel.setAttribute('aria-label', 'Tour of Image Lab');
    panel.innerHTML = `<p class="where"></p><h2 tabindex="-1"></h2><p class="text"></p>
      <div><button type="button" class="back">Back</button><button type="button" class="next"></button>
      <button type="button" class="end">End the tour</button></div>`;
    document.body.append(panel);
    panel.querySelector('.back').addEventListener('click', () => go(at - 1));
    panel
      .querySelector('.next')
      .addEventListener('click', () => (at + 1 < STEPS.length ? go(at + 1) : end()));
    panel.querySelector('.end').addEventListener('click', end);
    panel.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') end();
    });
  }
  function unmark() {
    document.querySelectorAll('.tour-target').forEach((e) => e.classList.remove('tour-target'));
  }
  async function go(k) {
    const mine = ++turn,
      step = STEPS[(at = k)];
    unmark();
    location.hash = step.link;
    panel.querySelector('.where').textContent = `Step ${k + 1} of ${STEPS.length}`;
    panel.querySelector('h2').textContent = step.title;
    panel.querySelector('.text').textContent = step.text;
    panel.querySelector('.back').disabled = k === 0;
    panel.querySelector('.next').textContent = k + 1 < STEPS.length ? 'Next' : 'Done';
    panel.querySelector('h2').focus({preventScroll: true});
    for (const last = performance.now() + PATIENCE_MS; performance.now() < last && mine === turn;) {
      const target = document.querySelector(step.at);
      if (target?.offsetParent) {
        target.classList.add('tour-target');
        target.scrollIntoView({block: 'center'});
        return;
      }
      await new Promise((r) => setTimeout(r, 100));
    }
  }
  function end() {
    turn++;
    unmark();
    panel?.remove();
    panel = null;
    opener?.focus?.();
  }
  document.addEventListener('click', (event) => {
    if (!event.target.closest?.('#start .tour') || panel) return;
    opener = event.target;
    build();
    go(0);
  });
})();
