import { parentPort } from "node:worker_threads";

import { serve } from "./serve.js";

parentPort.on("message", serve((message, transfer) => parentPort.postMessage(message, transfer)));
