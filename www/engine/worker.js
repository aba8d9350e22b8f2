// @ts-check
// A worker of the engine. Its first message brings the compiled module and its role; from then on Rust listens, see
// src/browser/worker.rs (a job) and src/browser/encoder.rs (an encoder).

import { encode, initSync, prepare, start } from "./pkg/dikas_archive.js";
import { spawn } from "./spawn.js";

/** @param {MessageEvent} message */
onmessage = ({ data: { module, role } }) => {
  try {
    initSync({ module });
    prepare();
    if (role === "encoder") onmessage = ({ data }) => encode(data);
    else start(() => spawn(module, "encoder"));
    postMessage({ event: { type: "ready" } });
  } catch (error) {
    postMessage({ event: { type: "failed", error: { kind: "internal", message: String(error) }, interrupted: null } });
  }
};
