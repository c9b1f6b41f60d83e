//! Compiles the C++ against libtorch's headers, and lets this package's tests find libtorch.

include!("../toolchain/link_libtorch.rs");

/// What reads libtorch's headers.
const CPP: [&str; 12] = [
    "attention",
    "shim",
    "few_rows",
    "group",
    "one_token",
    "operators",
    "sampler",
    "softmax",
    "training",
    "packed/layer",
    "packed/packed",
    "packed/product",
];

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
    let flags = |build: &mut cc::Build| {
        build
            .cpp(true)
            .pic(true)
            .std("c++17")
            .warnings(false)
            // A kernel that is not optimised is slower than what it replaces, in a debug build too.
            .opt_level(3)
            // Registers are passed between functions that are all inlined.
            .flag_if_supported("-Wno-psabi");
    };
    let compiled = |name: &str, build: &cc::Build| {
        let failed = |error: cc::Error| error.to_string().replace('\n', " ");
        build.try_compile(name).map_err(|error| format!("the C++ of torch-shim does not compile: {}", failed(error)))
    };
    let mut build = cc::Build::new();
    flags(&mut build);
    build
        // The headers are read as the system's own, so that their warnings are not ours.
        .flag("-isystem")
        .flag(include.as_os_str())
        .flag("-isystem")
        .flag(include.join("torch/csrc/api/include").as_os_str())
        .include("cpp/group")
        .define("USE_C10D_GLOO", None)
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .define("GLOG_USE_GLOG_EXPORT", None)
        .files(CPP.map(|name| format!("cpp/{name}.cpp")));
    compiled("slhf_torch_shim", &build)?;
    let is_x86 = std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|architecture| architecture == "x86_64");
    for (name, file, instructions) in [
        ("slhf_packed_512", "cpp/packed/avx512.cpp", &["-mavx512f", "-mfma"][..]),
        ("slhf_packed_256", "cpp/packed/avx2.cpp", &["-mavx2", "-mfma", "-mf16c"]),
    ] {
        let mut build = cc::Build::new();
        flags(&mut build);
        // A product and a sum stay two operations unless the kernel says otherwise: weights are then the file's to the bit.
        build.flag_if_supported("-ffp-contract=off").file(file);
        for flag in instructions.iter().filter(|_| is_x86) {
            build.flag_if_supported(flag);
        }
        compiled(name, &build)?;
    }
    Ok(())
}
