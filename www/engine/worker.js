// @ts-check
// What every worker of the engine does. Its first message brings the compiled module and its role; from then on Rust listens,
// see src/browser/worker.rs (a job) and src/browser/encoder.rs (an encoder).

import { spawn } from "./spawn.js";

/** How often the worker of a job says that it lives, in milliseconds. */
const BEAT = 5_000;

/**
 * @typedef {object} Engine
 * @property {(options: { module: WebAssembly.Module }) => unknown} initSync
 * @property {() => void} prepare
 * @property {(spawnEncoder: () => Promise<Worker>) => void} start
 * @property {(lines: any) => void} [encode] Only where backups are made.
 */

/** @param {Engine} engine */
export function run({ encode, initSync, prepare, start }) {
  onmessage = ({ data: { module, role } }) => {
    try {
      initSync({ module });
      prepare();
      if (role === "encoder") onmessage = ({ data }) => encode?.(data);
      else work(start, () => spawn(module, "making", "encoder"));
      postMessage({ event: { type: "ready" } });
    } catch (error) {
      failed(error);
    }
  };
}

/**
 * @param {Engine["start"]} start
 * @param {() => Promise<Worker>} spawnEncoder
 */
function work(start, spawnEncoder) {
  // The engine handles every promise of its own: what nobody handles is a task that broke and will not go on.
  addEventListener("unhandledrejection", ({ reason }) => failed(reason));
  setInterval(() => postMessage({ event: { type: "alive" } }), BEAT);
  start(spawnEncoder);
}

/** @param {unknown} error */
function failed(error) {
  postMessage({ event: { type: "failed", error: { kind: "internal", message: String(error) }, interrupted: null } });
}
