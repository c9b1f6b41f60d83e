//! Compiles the C++ against libtorch's headers, and lets this package's tests find libtorch.

include!("../toolchain/link_libtorch.rs");

fn main() {
    println!("cargo::rerun-if-changed=../toolchain/link_libtorch.rs");
    println!("cargo::rerun-if-changed=cpp");
    if let Err(sentence) = link_libtorch().and_then(|()| compile()) {
        println!("cargo::error={sentence}");
    }
}

/// The flags are those of torch-sys: both halves of one program must agree on the standard library's ABI.
fn compile() -> Result<(), String> {
    println!("cargo::rerun-if-env-changed=LIBTORCH_CXX11_ABI");
    println!("cargo::rerun-if-env-changed=LIBTORCH_INCLUDE");
    let folder = std::env::var("LIBTORCH_INCLUDE")
        .or_else(|_| std::env::var("LIBTORCH"))
        .map_err(|_| "LIBTORCH is not set: run `cargo xtask setup` once, which tells cargo".to_owned())?;
    let include = std::path::Path::new(&folder).join("include");
    if !include.join("ATen/ATen.h").exists() {
        return Err(format!(
            "there are no headers of libtorch in {}: run `cargo xtask setup`, which fetches a libtorch that has them",
            include.display()
        ));
    }
    let abi = std::env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".to_owned());
    cc::Build::new()
        .cpp(true)
        .pic(true)
        .std("c++17")
        .warnings(false)
        // A kernel that is not optimised is slower than what it replaces, in a debug build too.
        .opt_level(3)
        // Registers are passed between functions that are all inlined.
        .flag_if_supported("-Wno-psabi")
        // The headers are read as the system's own, so that their warnings are not ours.
        .flag("-isystem")
        .flag(include.as_os_str())
        .flag("-isystem")
        .flag(include.join("torch/csrc/api/include").as_os_str())
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .define("GLOG_USE_GLOG_EXPORT", None)
        .files(["cpp/shim.cpp", "cpp/few_rows.cpp", "cpp/one_token.cpp", "cpp/operators.cpp"])
        .try_compile("slhf_torch_shim")
        .map_err(|error| format!("the C++ of torch-shim does not compile: {}", error.to_string().replace('\n', " ")))
}
