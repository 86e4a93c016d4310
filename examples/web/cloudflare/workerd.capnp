using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "digits", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:8787", http = (), service = "digits")],
);

const worker :Workerd.Worker = (
  compatibilityDate = "2026-07-01",
  modules = [
    (name = "worker.js", esModule = embed "dist/worker.js"),
    (name = "simd128.wasm", wasm = embed "dist/simd128.wasm"),
    (name = "scalar.wasm", wasm = embed "dist/scalar.wasm"),
    (name = "digits.niwaki", data = embed "dist/digits.niwaki"),
  ],
);
