/* Python, apart from the page: a Worker runs it, so that a loop without end can be stopped.

   The page makes this Worker from a Blob, because a page of file:// may load no Worker from a file.
   The first message has what Python is made of (`python` in `live.js`).  Every other asks for a run,
   and is answered by `_ext/live_session.py`, which sends what it has to show. */
"use strict";

let ready;

/* Nothing is loaded: what Pyodide asks for is at hand, and a program that asks gets nothing. */
function cutOff(stdlib, module) {
  const refused = () => Promise.reject(new TypeError("this Python has no network"));
  WebAssembly.instantiateStreaming = async (_, imports) => ({
    module, instance: await WebAssembly.instantiate(module, imports),
  });
  self.fetch = async (what) => {
    const name = String(what.url ?? what);
    if (name.endsWith("pyodide.asm.wasm")) return new Response();
    return name.endsWith("python_stdlib.zip") ? new Response(stdlib) : refused();
  };
  for (const name of ["XMLHttpRequest", "WebSocket", "WebTransport", "EventSource", "importScripts",
    "BroadcastChannel", "indexedDB", "caches", "Worker", "SharedWorker"]) {
    Object.defineProperty(self, name, { value: undefined });
  }
  return () => { self.fetch = refused; };
}

async function begin({ loader, glue, stdlib, module, lock, package: archive }) {
  const load = (source) => import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const closed = cutOff(stdlib, module);
  const { loadPyodide } = await load(loader);
  const { default: createPyodideModule } = await load(glue);
  const py = await loadPyodide({
    indexURL: "https://nowhere.invalid/", createPyodideModule, lockFileContents: lock,
  });
  closed();
  const home = "/lib/driverref";
  py.FS.mkdirTree(home);
  py.unpackArchive(archive, "zip", { extractDir: home });
  py.runPython(`import sys; sys.path.append(${JSON.stringify(home)})`);
  const session = py.pyimport("live_session").Session((kind, block, ...parts) => postMessage({ kind, block, parts }));
  return { py, run: session.run };
}

self.onmessage = async ({ data }) => {
  try {
    if (!ready) {
      ready = begin(data);
      await ready;
      postMessage({ kind: "ready" });
      return;
    }
    const { py, run } = await ready;
    const ended = await run.callPromising(py.toPy(data.texts), data.program);
    postMessage({ kind: ended, heap: py._module.HEAP8.length });
  } catch (error) {
    postMessage({ kind: "crashed", text: String(error) });
  }
};
