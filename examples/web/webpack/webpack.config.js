export default {
  mode: "production",
  entry: "./src/main.js",
  // The build is small enough to be looked at.
  performance: { hints: false },
  output: { clean: true },
  module: {
    rules: [{ test: /index\.html$/, type: "asset/resource", generator: { filename: "[name][ext]" } }],
  },
};
