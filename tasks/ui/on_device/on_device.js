// Computing in this browser, behind widget.js: a worker with ONNX Runtime, all from our own origin.
//   const device = await startDevice(given);   given: {worker, script, runtime, model, gpu}, addresses from the server
//   const answer = await device.run({...});    what the network's script answers, and ms
//   device.end();                              at once, also in the middle of a frame
const CAN_COMPUTE = (() => {
  // the smallest module that uses SIMD
  const simd = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0];
  simd.push(65, 0, 253, 15, 253, 98, 11);
  return typeof Worker === 'function' && WebAssembly?.validate(new Uint8Array(simd));
})();
const NO_SIMD = 'This browser cannot compute networks: it has no WebAssembly with SIMD.';

const hasGraphics = async () => Boolean(await navigator.gpu?.requestAdapter().catch(() => null)); // WebGPU

async function startDevice({worker, script, runtime, model, gpu}) {
  const at = (path) => new URL(path, document.baseURI).href;
  const thread = new Worker(at(worker)),
    asked = new Map();
  let number = 0,
    ended = null;
  const fail = (text) => {
    ended ??= text;
    for (const {reject} of asked.values()) reject(new Error(text));
    asked.clear();
  };
  thread.onerror = (event) => fail(event.message || 'its worker did not start');
  thread.onmessage = ({data: {id, error, ...answer}}) => {
    const waiting = asked.get(id);
    asked.delete(id);
    if (error) waiting?.reject(new Error(error));
    else waiting?.resolve(answer);
  };
  const ask = (message, moved = []) =>
    new Promise((resolve, reject) => {
      if (ended !== null) {
        reject(new Error(ended));
        return;
      }
      asked.set(++number, {resolve, reject});
      thread.postMessage({id: number, ...message}, moved);
    });
  const device = {
    run: (message) => ask({action: 'run', ...message}, [message.pixels.buffer]),
    end() {
      thread.terminate();
      fail('stopped');
    },
  };
  const addresses = Object.fromEntries(Object.entries(runtime).map(([k, v]) => [k, at(v)]));
  try {
    await ask({action: 'load', runtime: addresses, model: at(model), script: at(script), gpu});
  } catch (error) {
    device.end();
    throw error;
  }
  return device;
}
