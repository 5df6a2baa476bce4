// Whether the models are ready; said once.
const chip = $('.chip'), text = $('.chip b');
async function ask() {
  let answer;
  try { answer = await server.readiness(); } catch (e) { /* as no answer */ }
  answer = answer || {state: 'starting', text: 'the server does not answer'};
  chip.className = 'chip ' + answer.state;
  text.textContent = answer.state === 'ready' ? 'models ready · ' + answer.device
    : answer.state === 'broken' ? answer.text : answer.text || 'loading the models…';
  if (answer.state === 'starting' && element.isConnected) setTimeout(ask, 400);
}
ask();
