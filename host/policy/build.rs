//! Lets every binary and test of this package find libtorch without environment variables.

include!("../toolchain/link_libtorch.rs");

fn main() {
    println!("cargo::rerun-if-changed=../toolchain/link_libtorch.rs");
    if let Err(sentence) = link_libtorch() {
        println!("cargo::error={sentence}");
    }
}
