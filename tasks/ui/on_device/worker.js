// A worker of the page: ONNX Runtime, one network, and the script that knows what goes in and comes out.
// Each message {id, action, ...} is answered by {id, ...} or {id, error}. The network's script defines
//   before(message)          -> {name of an input: ort.Tensor}
//   after(outputs, message)  -> what is answered
let session = null;

const actions = {
  async load({runtime, model, script, gpu}) {
    importScripts(runtime.script, script);
    Object.assign(ort.env.wasm, {
      numThreads: 1, // a second one needs a page that is isolated from others
      wasmPaths: {mjs: runtime.glue, wasm: runtime.binary},
    });
    const answer = await fetch(model);
    if (!answer.ok) throw new Error('the network is not there any more; load the page again');
    session = await ort.InferenceSession.create(new Uint8Array(await answer.arrayBuffer()), {
      executionProviders: gpu ? ['webgpu', 'wasm'] : ['wasm'],
      graphOptimizationLevel: 'all',
    });
    return {loaded: true};
  },
  async run(message) {
    const began = performance.now();
    const outputs = await session.run(before(message));
    const ms = performance.now() - began; // as the server counts: without what follows
    return {...after(outputs, message), ms};
  },
};

onmessage = async ({data}) => {
  try {
    postMessage({id: data.id, ...(await actions[data.action](data))});
  } catch (error) {
    postMessage({id: data.id, error: String(error?.message || error)});
  }
};
