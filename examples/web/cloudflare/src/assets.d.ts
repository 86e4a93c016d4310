// Files that the worker is deployed with, as their bytes.
declare module "*.niwaki" {
  const bytes: ArrayBuffer;
  export default bytes;
}
