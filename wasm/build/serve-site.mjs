// Serves the demo site on this machine: `cargo xtask site --serve`.

import { argv } from "node:process";

import { serve } from "../test/server.mjs";

const { base } = await serve({ site: argv[2] });
console.log(`${base}site/index.html (Ctrl-C ends it)`);
