//! Words of a text, for judges that look at texts: what counts as a word, which words carry content, which are forms of
//! one another, and whether a text merely repeats itself. English only; rules, no dictionaries.

use std::sync::LazyLock;

/// The words of a text: runs of letters and digits, with apostrophes and hyphens inside them.
///
/// ```
/// let words: Vec<&str> = slhf_sdk::text::words("Well-read, isn't it? 'Yes' – 2 times.").collect();
/// assert_eq!(words, ["Well-read", "isn't", "it", "Yes", "2", "times"]);
/// ```
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !(character.is_alphanumeric() || is_joiner(character)))
        .map(|word| word.trim_matches(is_joiner))
        .filter(|word| !word.is_empty())
}

fn is_joiner(character: char) -> bool {
    matches!(character, '\'' | '’' | '-')
}

/// What the forms of a word have in common: lower case, without the endings of plurals, verbs and adverbs.
///
/// ```
/// use slhf_sdk::text::stem;
/// assert_eq!(stem("Stories"), stem("story"));
/// assert_eq!(stem("baking"), stem("bakes"));
/// assert_ne!(stem("rain"), stem("rainbow"));
/// ```
pub fn stem(word: &str) -> String {
    const STEM_CHARACTERS_MIN: usize = 3;
    let lower = word.to_lowercase().replace('’', "'");
    let mut stem = lower.strip_suffix("'s").unwrap_or(&lower);
    for ending in ["ies", "ing", "edly", "ed", "es", "ly", "s"] {
        let Some(rest) = stem.strip_suffix(ending) else { continue };
        let is_double_s = ending == "s" && rest.ends_with('s');
        if is_double_s || rest.chars().count() < STEM_CHARACTERS_MIN {
            continue;
        }
        if ending == "ies" {
            return format!("{rest}i");
        }
        stem = rest;
        break;
    }
    let long_enough = |rest: &&str| rest.chars().count() >= STEM_CHARACTERS_MIN;
    let stem = without_doubled_consonant(stem.strip_suffix('e').filter(long_enough).unwrap_or(stem));
    match stem.strip_suffix('y') {
        // "sky" keeps its three letters: y and i are what "story" and "stories" differ in.
        Some(rest) if rest.chars().count() + 1 >= STEM_CHARACTERS_MIN => format!("{rest}i"),
        _ => stem.to_owned(),
    }
}

/// "runn" of "running" is "run".
fn without_doubled_consonant(stem: &str) -> &str {
    let mut ends = stem.char_indices().rev();
    match (ends.next(), ends.next()) {
        (Some((end, last)), Some((_, before)))
            if last == before && !matches!(last, 'a' | 'e' | 'i' | 'o' | 'u' | 's' | 'l') && end >= 3 =>
        {
            &stem[..end]
        }
        _ => stem,
    }
}

/// The stems of the words that carry content, each once, in the order of their first appearance: all but
/// [function words and words of asking](is_function_word), and single letters.
pub fn content_stems(text: &str) -> Vec<String> {
    let mut stems: Vec<String> = Vec::new();
    for word in words(text) {
        if is_function_word(word) || word.chars().nth(1).is_none() {
            continue;
        }
        let stem = stem(word);
        if !stems.contains(&stem) {
            stems.push(stem);
        }
    }
    stems
}

/// Whether a word only joins others or asks for something: articles, pronouns, prepositions, auxiliary verbs, "please",
/// "tell", "describe", "sentence" and the like.
pub fn is_function_word(word: &str) -> bool {
    let lower = word.to_lowercase().replace('’', "'");
    let bare = lower.split('\'').next().unwrap_or(&lower);
    FUNCTION_WORDS.binary_search(&bare).is_ok()
}

/// How far a text is from repeating itself, in [0, 1]: the share of its pairs of neighbouring words that are new, and
/// never more than the share of neighbours that differ. Ordinary prose has 0.9 or more; "no no no no" has 0. A text of
/// fewer than two words has 1.
pub fn variety(text: &str) -> f64 {
    let words: Vec<String> = words(text).map(str::to_lowercase).collect();
    let mut pairs: Vec<(&str, &str)> = words.windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
    let all = pairs.len();
    if all == 0 {
        return 1.0;
    }
    let changing = pairs.iter().filter(|(first, second)| first != second).count();
    pairs.sort_unstable();
    pairs.dedup();
    pairs.len().min(changing) as f64 / all as f64
}

/// Sorted when first asked for: a list that people can read and add to.
static FUNCTION_WORDS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let mut words: Vec<&str> = FUNCTION_WORDS_TEXT.split_whitespace().collect();
    words.sort_unstable();
    words
});

const FUNCTION_WORDS_TEXT: &str = "
    a about above across after again against all almost along also although always am among an and another any
    anyone anything are aren around as ask at away be because been before being below between both briefly but by
    can cannot could couldn d define describe did didn do does doesn doing don done down during each either else
    enough even ever every everyone everything explain few for from further get gets give given go goes going good
    got had has hasn have haven having he help her here hers him his how however i if in into is isn it its itself
    just kind know let like list ll lot m make makes many may me might mine more most much must my name need needs
    no nor not nothing now of off often on once one only or other others our out over own people person please put
    quite rather re really s say says sentence sentences she short shortly should simple so some someone something
    such suggest t take tell than that the their them then there these they thing things this those through to too
    under until up upon us use used usually ve very want was way we well were what when where which while who whom
    whose why will with without word words would write you your yours yourself
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_asking_are_no_content() {
        assert!(is_function_word("The") && is_function_word("don't") && !is_function_word("river"));
    }

    #[test]
    fn forms_of_a_word_share_a_stem() {
        let check = |first: &str, second: &str, expect: bool| {
            assert_eq!(stem(first) == stem(second), expect, "{first} {:?} {second} {:?}", stem(first), stem(second));
        };
        check("cat", "cats", true);
        check("cat's", "cats", true);
        check("run", "running", true);
        check("bake", "baked", true);
        check("city", "cities", true);
        check("happily", "happy", true);
        check("glass", "glasses", true);
        check("Été", "été", true);
        check("is", "i", false);
        check("sing", "s", false);
        check("bread", "breakfast", false);
    }

    #[test]
    fn content_words_are_found_once_and_in_order() {
        let check = |text: &str, expect: &[&str]| assert_eq!(content_stems(text), expect, "{text}");
        check("Why is the sky blue?", &["ski", "blu"]);
        check("Please tell me about bees and about Bees.", &["bee"]);
        check("What do you do?", &[]);
        check("", &[]);
    }

    #[test]
    fn variety_tells_prose_from_repetition() {
        let check = |text: &str, expect: f64| assert_eq!(variety(text), expect, "{text}");
        check("", 1.0);
        check("Yes.", 1.0);
        check("the river bends and the mill turns", 1.0);
        check("no no no no", 0.0);
        check("ha HA", 0.0);
        check("go on go on go on", 0.4);
    }

    #[test]
    fn hostile_texts_are_just_texts() {
        for text in ["\u{0}\u{fffd}", "''--''", "\u{1f600}\u{200d}\u{1f600}", &"a".repeat(1 << 20), &"é'".repeat(9999)]
        {
            let _words = content_stems(text);
            assert!((0.0..=1.0).contains(&variety(text)));
        }
    }
}
