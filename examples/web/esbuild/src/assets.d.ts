// Files whose addresses esbuild gives.
declare module "*.niwaki" {
  const url: string;
  export default url;
}
declare module "*.pgm" {
  const url: string;
  export default url;
}
