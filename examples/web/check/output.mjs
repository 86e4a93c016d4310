// Runs an example that prints the digits:
//
//     node output.mjs COMMAND...

import { execFileSync } from "node:child_process";
import { argv } from "node:process";

import { digits, same } from "./common.mjs";

const [program, ...options] = argv.slice(2);
const found = execFileSync(program, options, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
same(program, found.trim(), (await digits()).expected);
