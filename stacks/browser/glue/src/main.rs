//! usage: `glue MODULE FOLDER`. Makes the JavaScript between a browser and a WebAssembly module.

use std::env;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> anyhow::Result<()> {
    let [_, module, folder] = &*env::args().collect::<Vec<_>>() else { anyhow::bail!("usage: glue MODULE FOLDER") };
    let mut bindgen = Bindgen::new();
    bindgen.input_path(module).web(true)?.omit_default_module_path(false).typescript(false);
    bindgen.generate(folder)
}
