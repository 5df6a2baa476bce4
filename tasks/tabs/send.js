// "Send to": a 28 x 28 digit made anywhere goes to the tab that reads digits. Needs server.look_inside (send.py).
async function openTab(...names) {
  const called = (selector, name) => [...document.querySelectorAll(selector)].find((t) => t.textContent.trim() === name);
  for (const name of names) {
    for (let wait = 0; wait < 60; wait++) { // an inner tab is there a moment after the outer one was opened
      const found = called('button[role=tab]', name) || called('.overflow-dropdown button', name);
      if (found) { found.click(); break; }
      document.querySelector('#tabs button[aria-label="More tabs"], #tabs .overflow-menu > button')?.click();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
async function sendToClassifier(pixels) { // uint8, 784; returns what went wrong, or ''
  const answer = await server.look_inside(btoa(String.fromCharCode(...pixels))).catch(() => null);
  if (!answer || answer.error) return answer ? answer.error : 'The server does not answer.';
  await openTab('Classification', 'Digits');
  for (let wait = 0; wait < 60 && !document.querySelector('#digit-pad canvas'); wait++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  await new Promise((resolve) => setTimeout(resolve, 100)); // its listener is set up with it
  document.dispatchEvent(new CustomEvent('digit-read', {detail: answer}));
  return '';
}
