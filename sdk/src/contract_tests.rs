//! The generated bindings are of the contract as it stands.

/// FNV-1a, 64 bits, as `sdk/generate` computes it.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn bindings_are_of_this_contract() {
    let contract = include_str!("../wit/lab.wit").replace('\r', "");
    let expected = format!("// From wit/lab.wit, fingerprint {:016x}.", fingerprint(&contract));
    for (world, bindings) in [
        ("preference", include_str!("guest/bindings/preference.rs")),
        ("reward", include_str!("guest/bindings/reward.rs")),
        ("baseline", include_str!("guest/bindings/baseline.rs")),
    ] {
        let found = bindings.lines().next().unwrap_or_default();
        assert_eq!(found, expected, "{world}: run `cargo run --manifest-path sdk/generate/Cargo.toml`");
    }
}
