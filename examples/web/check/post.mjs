// Starts an example that serves answers, and sends it the digits, one by one and all at once:
//
//     node post.mjs COMMAND...

import { argv } from "node:process";

import { digits, same, withServer } from "./common.mjs";

await withServer(argv.slice(2), async (base) => {
  const { images, expected } = await digits();
  const ask = async (body) => {
    const response = await fetch(base, { method: "POST", body });
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
    return (await response.json())[0].label;
  };
  const answers = await Promise.all(images.map(ask));
  same("at once", answers.join(" "), expected);
  const { status } = await fetch(base, { method: "POST", body: "too short" });
  same("what is no image", status, 400);
});
