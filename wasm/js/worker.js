import { serve } from "./serve.js";

const listener = serve((message, transfer) => postMessage(message, transfer));
addEventListener("message", ({ data }) => listener(data));
