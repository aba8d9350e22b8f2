// @ts-check
// A worker of the engine. Its first message brings the compiled module and its role; from then on Rust listens, see
// src/browser/worker.rs (a job) and src/browser/encoder.rs (an encoder).

import { encode, initSync, prepare, start } from "./pkg/dikas_archive.js";
import { spawn } from "./spawn.js";

/** How often the worker of a job says that it lives, in milliseconds. */
const BEAT = 5_000;

/** @param {MessageEvent} message */
onmessage = ({ data: { module, role } }) => {
  try {
    initSync({ module });
    prepare();
    if (role === "encoder") onmessage = ({ data }) => encode(data);
    else work(() => spawn(module, "encoder"));
    postMessage({ event: { type: "ready" } });
  } catch (error) {
    failed(error);
  }
};

/** @param {() => Promise<Worker>} spawnEncoder */
function work(spawnEncoder) {
  // The engine handles every promise of its own: what nobody handles is a task that broke and will not go on.
  addEventListener("unhandledrejection", ({ reason }) => failed(reason));
  setInterval(() => postMessage({ event: { type: "alive" } }), BEAT);
  start(spawnEncoder);
}

/** @param {unknown} error */
function failed(error) {
  postMessage({ event: { type: "failed", error: { kind: "internal", message: String(error) }, interrupted: null } });
}
