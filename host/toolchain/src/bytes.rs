//! How sizes are printed.

use std::fmt;

/// A number of bytes, printed in decimal units as download pages and `df -H` do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KILO: u64 = 1_000;
        const MEGA: u64 = 1_000 * KILO;
        const GIGA: u64 = 1_000 * MEGA;
        match self.0 {
            bytes if bytes >= GIGA => {
                let tenths = bytes.saturating_add(GIGA / 20) / (GIGA / 10);
                write!(formatter, "{}.{} GB", tenths / 10, tenths % 10)
            }
            bytes if bytes >= MEGA => write!(formatter, "{} MB", (bytes + MEGA / 2) / MEGA),
            bytes if bytes >= KILO => write!(formatter, "{} kB", (bytes + KILO / 2) / KILO),
            bytes => write!(formatter, "{bytes} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_printed_as_people_read_them() {
        let check = |bytes, expect: &str| assert_eq!(Bytes(bytes).to_string(), expect);
        check(0, "0 bytes");
        check(999, "999 bytes");
        check(1_500, "2 kB");
        check(530_604_548, "531 MB");
        check(999_999_999, "1000 MB");
        check(1_960_000_000, "2.0 GB");
        check(83_000_000_000, "83.0 GB");
    }
}
