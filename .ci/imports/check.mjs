// usage: node check.mjs FILE. Fails if the WebAssembly module imports anything. Then logs in with the module.
import { readFileSync } from "node:fs";

const module = new WebAssembly.Module(readFileSync(process.argv[2]));
const imports = WebAssembly.Module.imports(module).map(({ kind, module, name }) => `${kind} ${module}.${name}`);
if (imports.length > 0) {
    console.error(`the module imports ${imports.join(", ")}`);
    process.exit(1);
}
const { exports } = new WebAssembly.Instance(module);
const seconds = exports.log_in(Date.now() / 1000);
if (seconds !== 60) {
    console.error(`the access token lives for ${seconds} s, and not for 60 s`);
    process.exit(1);
}
console.log("the module imports nothing, and logs in");
