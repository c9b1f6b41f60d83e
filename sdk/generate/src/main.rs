//! Writes `sdk/src/guest/bindings/<world>.rs` from `sdk/wit/lab.wit`:
//! `cargo run --manifest-path sdk/generate/Cargo.toml`.

use std::error::Error;
use std::path::Path;
use std::{fs, process};

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_rust::{Opts, WithOption};

/// The first world's module owns the imports and types; the others use them.
const WORLDS: [&str; 3] = ["preference", "reward", "baseline"];
const SHARED: [&str; 5] = ["types", "log", "upstream-preference", "upstream-reward", "model"];

fn main() {
    if let Err(error) = generate() {
        eprintln!("error: {error}");
        process::exit(1);
    }
}

fn generate() -> Result<(), Box<dyn Error>> {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the generator lies in no folder")?;
    let wit = sdk.join("wit/lab.wit");
    // Hash the text as git stores it.
    let fingerprint = fingerprint(&fs::read_to_string(&wit)?.replace('\r', ""));
    let folder = sdk.join("src/guest/bindings");
    fs::create_dir_all(&folder)?;
    for world in WORLDS {
        let text = bindings(&wit, world)?;
        let text = format!("// From wit/lab.wit, fingerprint {fingerprint:016x}.\n{text}");
        fs::write(folder.join(format!("{world}.rs")), text)?;
    }
    Ok(())
}

/// The generated module of one world.
fn bindings(wit: &Path, world: &str) -> Result<String, Box<dyn Error>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_file(wit)?;
    let id = resolve.select_world(&[package], Some(&format!("{world}-plugin")))?;
    let with = if world == WORLDS[0] {
        Vec::new()
    } else {
        let shared = |name: &str| {
            let path = format!("crate::guest::bindings::{}::slhf::lab::{}", WORLDS[0], name.replace('-', "_"));
            (format!("slhf:lab/{name}@0.1.1"), WithOption::Path(path))
        };
        SHARED
            .iter()
            .filter(|name| world != "baseline" || matches!(**name, "types" | "log"))
            .map(|name| shared(name))
            .collect()
    };
    let options = Opts {
        format: true,
        with,
        pub_export_macro: true,
        export_macro_name: Some(format!("export_{world}_world")),
        default_bindings_module: Some(format!("slhf_sdk::guest::bindings::{world}")),
        ..Opts::default()
    };
    let mut files = Files::default();
    wit_bindgen_core::WorldGenerator::generate(&mut options.build(), &mut resolve, id, &mut files)?;
    let (_, contents) = files.iter().next().ok_or("nothing was generated")?;
    // Exported macros share one namespace in a crate, and every world exports `plugin`.
    Ok(String::from_utf8(contents.to_vec())?
        .replace("__export_slhf_lab_plugin_", &format!("__export_{world}_slhf_lab_plugin_")))
}

/// FNV-1a, 64 bits: whether the bindings are of this contract. The SDK's tests compute it again.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
