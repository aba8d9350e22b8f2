// @ts-check
// A worker of the engine that makes backups, or one that encodes for it.

import { run } from "./worker.js";
import * as engine from "./pkg/making.js";

run(engine);
