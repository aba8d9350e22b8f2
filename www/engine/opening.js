// @ts-check
// A worker of the engine that opens archives.

import { run } from "./worker.js";
import * as engine from "./pkg/opening.js";

run(engine);
