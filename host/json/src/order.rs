//! The keys of an object in the order in which they stand.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The keys at the end of `path`; none where something else than an object stands on the way.
pub(crate) fn keys<'de, D: Deserializer<'de>>(deserializer: D, path: &[&str]) -> Result<Vec<String>, D::Error> {
    Keys(path).deserialize(deserializer)
}

struct Keys<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<String>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = Vec<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }

    fn visit_str<E>(self, _: &str) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<String>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Vec::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Vec<String>, A::Error> {
        let mut keys = Vec::new();
        while let Some(key) = entries.next_key::<String>()? {
            match self.0.split_first() {
                Some((first, rest)) if *first == key => keys = entries.next_value_seed(Keys(rest))?,
                Some(_) => drop(entries.next_value::<IgnoredAny>()?),
                None => {
                    entries.next_value::<IgnoredAny>()?;
                    keys.push(key);
                }
            }
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use crate::keys_in_order;

    #[test]
    fn keys_are_told_as_they_stand_and_of_nothing_else_than_an_object() {
        let text = b"\xef\xbb\xbf{\"z\": NaN, \"a\": {\"y\": [{\"q\": 1}], \"b\": {}}, \"l\": [1, {\"k\": 2}], \"m\": \"\\ud83d\"}";
        let keys = |path: &[&str]| keys_in_order(text, path).expect("keys");
        assert_eq!(keys(&[]), ["z", "a", "l", "m"]);
        assert_eq!(keys(&["a"]), ["y", "b"]);
        for path in [&["a", "b"][..], &["z"], &["l"], &["m"], &["none"], &["a", "y"]] {
            // A number that is not finite is an object of one key to the standard's parser.
            assert!(keys(path).len() <= usize::from(path == ["z"]), "{path:?}");
        }
        assert!(keys_in_order(b"{", &[]).is_err());
    }
}
