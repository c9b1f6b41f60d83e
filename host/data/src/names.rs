//! Names of actions.

/// The first name that stands a second time, as (first index, second index). What has no name is not meant.
pub(crate) fn duplicate(names: &[String]) -> Option<(usize, usize)> {
    let mut seen = std::collections::HashMap::new();
    let named = |(_, name): &(usize, &String)| !name.is_empty();
    names
        .iter()
        .enumerate()
        .filter(named)
        .find_map(|(index, name)| seen.insert(name, index).map(|first| (first, index)))
}

#[cfg(test)]
mod tests {
    use super::duplicate;

    #[test]
    fn the_first_repetition_is_found() {
        let check = |names: &[&str], expected| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(duplicate(&names), expected);
        };
        check(&["a", "b", "c"], None);
        check(&["a", "b", "a", "b"], Some((0, 2)));
        check(&["", "b", "", "b"], Some((1, 3)));
    }
}
