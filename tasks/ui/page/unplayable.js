// A video that the browser cannot play, as mp4v files, is processed all the same: gradio would report an error.
(() => {
  const INPUTS = '#detect-video, #segment-video';
  const SAID = 'Your browser does not play this format; it can be processed all the same.';
  document.addEventListener(
    'error',
    (event) => {
      const input = event.target instanceof HTMLVideoElement && event.target.closest(INPUTS);
      if (!input) return;
      event.stopImmediatePropagation(); // before gradio's own listener
      let note = input.querySelector('.lab-unplayable');
      if (note) return;
      note = document.createElement('p');
      note.className = 'lab-unplayable';
      note.setAttribute('role', 'status');
      note.textContent = SAID;
      input.append(note);
    },
    true,
  );
  document.addEventListener(
    'loadedmetadata',
    (event) => {
      event.target.closest?.(INPUTS)?.querySelector('.lab-unplayable')?.remove();
    },
    true,
  );
})();
