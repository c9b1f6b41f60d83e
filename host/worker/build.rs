//! Lets every binary and test of this package find libtorch without environment variables, and says which sources it
//! is built from.

include!("../toolchain/link_libtorch.rs");

mod build_id;

fn main() {
    println!("cargo::rerun-if-changed=../toolchain/link_libtorch.rs");
    build_id::emit();
    if let Err(sentence) = link_libtorch() {
        println!("cargo::error={sentence}");
    }
}
