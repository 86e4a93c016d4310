"use client";

import { useEffect, useState } from "react";

import { loadImages, normalise } from "./images";
import { useNiwaki } from "./use-niwaki";

/** What the model calls the images, here and on the server. */
export function Digits({ model: url, images }: { model: string; images: string }) {
  const { model, error } = useNiwaki(url);
  const [here, setHere] = useState("…");
  const [there, setThere] = useState("…");

  useEffect(() => {
    if (!model) return;
    loadImages(images).then(async (all) => {
      setHere(all.map((image) => model.run(normalise(image)).top(1)[0].label).join(" "));
      const answers = all.map(async (body) => (await fetch("/api/classify", { method: "POST", body })).text());
      setThere((await Promise.all(answers)).join(" "));
    });
  }, [model, images]);

  if (error) return <p role="alert">{error.message}</p>;
  return (
    <p>
      The model reads <output id="answer">{here}</output>, and on the server <output id="server">{there}</output>.
    </p>
  );
}
