// @ts-check
// Starts workers of the engine: for the page, and for the worker of a job that wants others to help it.

/** How long a worker may take to load, in milliseconds. */
const LOAD = 30_000;

/** @typedef {{ createScriptURL(url: string): any }} Policy */

/** @typedef {"making" | "opening"} Engine What makes backups, or what opens archives: a module of its own each. */

const WORKERS = {
  making: new URL("./making.js", import.meta.url).href,
  opening: new URL("./opening.js", import.meta.url).href,
};

// A page under `require-trusted-types-for 'script'` starts no worker from a mere string. This policy vouches for these
// scripts, and for nothing that comes from elsewhere.
/** @type {Policy | undefined} */
const policy = /** @type {any} */ (globalThis).trustedTypes?.createPolicy("dikas-engine", {
  /** @param {string} url */
  createScriptURL(url) {
    if (Object.values(WORKERS).includes(url)) return url;
    throw new TypeError("not the worker of the engine");
  },
});

/**
 * Starts a worker with the compiled engine, and waits until it is ready.
 * @param {WebAssembly.Module} module
 * @param {Engine} engine What the module is.
 * @param {"job" | "encoder"} role
 * @returns {Promise<Worker>}
 */
export function spawn(module, engine, role) {
  return new Promise((resolve, reject) => {
    const url = WORKERS[engine];
    const worker = new Worker(policy ? policy.createScriptURL(url) : url, { type: "module", name: engine });
    /** @param {string} why */
    const fail = (why) => {
      clearTimeout(timer);
      worker.terminate();
      reject(new Error(why));
    };
    const timer = setTimeout(fail, LOAD, `its worker did not load within ${LOAD / 1000} seconds`);
    // Whoever has started it deals with its errors: they must not climb on to whoever has started that one.
    worker.addEventListener("error", (event) => event.preventDefault());
    worker.onerror = (event) => {
      fail(event.message || "its worker could not be loaded");
    };
    worker.onmessage = ({ data }) => {
      if (data.event?.type !== "ready") return fail(data.event?.error?.message ?? "its worker said something else");
      clearTimeout(timer);
      worker.onmessage = worker.onerror = null;
      resolve(worker);
    };
    worker.postMessage({ module, role });
  });
}
