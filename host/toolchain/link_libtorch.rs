// Shared by the build scripts of every package that makes a binary or a test with `tch`, by `include!`.
//
// Why it is needed: torch-sys emits no run path, and rustc lets the linker drop `libtorch.so` as unneeded,
// which on a CUDA machine makes the devices invisible (that library brings libtorch_cuda).

/// Prints the linker arguments, or a sentence that names the missing piece.
fn link_libtorch() -> Result<(), String> {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-changed=build.rs");
    let folder = std::env::var("LIBTORCH").map_err(|_| {
        "LIBTORCH is not set: run `cargo xtask setup` once, which finds or fetches libtorch and tells cargo"
            .to_owned()
    })?;
    let library = std::path::Path::new(&folder).join("lib");
    if !library.join("libtorch.so").exists() {
        return Err(format!(
            "LIBTORCH is {folder}, but there is no lib/libtorch.so in it: run `cargo xtask setup`, which finds or fetches libtorch and tells cargo"
        ));
    }
    let library = library.display();
    for argument in [
        "-Wl,--no-as-needed".to_owned(),
        format!("-L{library}"),
        "-ltorch".to_owned(),
        "-Wl,--as-needed".to_owned(),
        format!("-Wl,-rpath,{library}"),
    ] {
        println!("cargo::rustc-link-arg={argument}");
    }
    Ok(())
}
