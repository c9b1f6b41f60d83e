//! The 25 instructions of `IFEval` (Zhou et al., arXiv 2311.07911), as google-research's data has them.
//!
//! A row's metadata has their ids in `instruction_id_list` and their arguments in `kwargs`, in the same order. The checks
//! say what the reference checker says (`tests/agreement.rs` measures it), but for these: the language of a text is told
//! by its script and its commonest words, and sentences and capital words are cut by rules, where the reference has
//! statistics and models; keywords are texts and not regular expressions; JSON has no `NaN` and no `Infinity`.

mod arguments;
mod format;
mod look;
mod read;
mod sentences;
mod text;

pub(crate) use look::look;
pub(crate) use read::read_all;
pub(crate) use text::is_mark;

/// One of `IFEval`'s instructions, with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ifeval {
    /// `keywords:existence`: all occur, in whatever case, be it inside a word.
    Existence(Vec<String>),
    /// `keywords:frequency`: how often it occurs, in whatever case, be it inside a word.
    Frequency(String, Count),
    /// `keywords:forbidden_words`: none occurs as a word, in whatever case.
    ForbiddenWords(Vec<String>),
    /// `keywords:letter_frequency`: how often a character occurs, in whatever case.
    LetterFrequency(char, Count),
    /// `language:response_language`: a code of two letters.
    ResponseLanguage(String),
    /// `length_constraints:number_sentences`.
    NumberSentences(Count),
    /// `length_constraints:number_paragraphs`: exactly so many, divided by `***`.
    NumberParagraphs(u32),
    /// `length_constraints:number_words`: runs of letters, digits and underscores.
    NumberWords(Count),
    /// `length_constraints:nth_paragraph_first_word`: paragraphs are divided by an empty line.
    NthParagraphFirstWord {
        /// In small letters.
        word: String,
        /// Which paragraph begins with it, from 1.
        nth: u32,
        /// Exactly so many in all.
        paragraphs: u32,
    },
    /// `detectable_content:number_placeholders`: at least so many `[…]`.
    NumberPlaceholders(u32),
    /// `detectable_content:postscript`: what it begins with.
    Postscript(String),
    /// `detectable_format:number_bullet_lists`: exactly so many lines that begin with `*` or `-`.
    NumberBulletLists(u32),
    /// `detectable_format:constrained_response`: "My answer is yes.", or no, or maybe.
    ConstrainedResponse,
    /// `detectable_format:number_highlighted_sections`: at least so many `*…*` or `**…**`.
    NumberHighlightedSections(u32),
    /// `detectable_format:multiple_sections`: at least so many headings of this word and a number.
    MultipleSections(String, u32),
    /// `detectable_format:json_format`.
    JsonFormat,
    /// `detectable_format:title`: `<<…>>` on a line.
    Title,
    /// `combination:two_responses`: two that differ, divided by `******`.
    TwoResponses,
    /// `combination:repeat_prompt`: what the answer begins with, in whatever case.
    RepeatPrompt(String),
    /// `startend:end_checker`: what the answer ends with, in whatever case.
    EndChecker(String),
    /// `startend:quotation`: double quotation marks around the whole answer.
    Quotation,
    /// `change_case:capital_word_frequency`: words without a small letter.
    CapitalWordFrequency(Count),
    /// `change_case:english_capital`: English, and no small letter.
    EnglishCapital,
    /// `change_case:english_lowercase`: English, and no capital letter.
    EnglishLowercase,
    /// `punctuation:no_comma`.
    NoComma,
}

/// What a number that was counted must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Below it.
    LessThan(u32),
    /// It or more.
    AtLeast(u32),
}

impl Ifeval {
    /// As it stands in the data.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Existence(_) => "keywords:existence",
            Self::Frequency(..) => "keywords:frequency",
            Self::ForbiddenWords(_) => "keywords:forbidden_words",
            Self::LetterFrequency(..) => "keywords:letter_frequency",
            Self::ResponseLanguage(_) => "language:response_language",
            Self::NumberSentences(_) => "length_constraints:number_sentences",
            Self::NumberParagraphs(_) => "length_constraints:number_paragraphs",
            Self::NumberWords(_) => "length_constraints:number_words",
            Self::NthParagraphFirstWord { .. } => "length_constraints:nth_paragraph_first_word",
            Self::NumberPlaceholders(_) => "detectable_content:number_placeholders",
            Self::Postscript(_) => "detectable_content:postscript",
            Self::NumberBulletLists(_) => "detectable_format:number_bullet_lists",
            Self::ConstrainedResponse => "detectable_format:constrained_response",
            Self::NumberHighlightedSections(_) => "detectable_format:number_highlighted_sections",
            Self::MultipleSections(..) => "detectable_format:multiple_sections",
            Self::JsonFormat => "detectable_format:json_format",
            Self::Title => "detectable_format:title",
            Self::TwoResponses => "combination:two_responses",
            Self::RepeatPrompt(_) => "combination:repeat_prompt",
            Self::EndChecker(_) => "startend:end_checker",
            Self::Quotation => "startend:quotation",
            Self::CapitalWordFrequency(_) => "change_case:capital_word_frequency",
            Self::EnglishCapital => "change_case:english_capital",
            Self::EnglishLowercase => "change_case:english_lowercase",
            Self::NoComma => "punctuation:no_comma",
        }
    }

    /// The id and the arguments: `length_constraints:number_words at least 300`.
    pub fn label(&self) -> String {
        let id = self.id();
        match self {
            Self::Existence(words) | Self::ForbiddenWords(words) => format!("{id} {}", words.join(" ")),
            Self::Frequency(keyword, count) => format!("{id} {keyword} {}", count.label()),
            Self::LetterFrequency(letter, count) => format!("{id} {letter} {}", count.label()),
            Self::NumberSentences(count) | Self::NumberWords(count) | Self::CapitalWordFrequency(count) => {
                format!("{id} {}", count.label())
            }
            Self::NumberParagraphs(number)
            | Self::NumberPlaceholders(number)
            | Self::NumberBulletLists(number)
            | Self::NumberHighlightedSections(number) => format!("{id} {number}"),
            Self::NthParagraphFirstWord { word, nth, paragraphs } => format!("{id} {word} {nth} of {paragraphs}"),
            Self::MultipleSections(heading, number) => format!("{id} {heading} {number}"),
            Self::ResponseLanguage(text)
            | Self::Postscript(text)
            | Self::RepeatPrompt(text)
            | Self::EndChecker(text) => format!("{id} {}", slhf_sdk::short(text)),
            Self::ConstrainedResponse
            | Self::JsonFormat
            | Self::Title
            | Self::TwoResponses
            | Self::Quotation
            | Self::EnglishCapital
            | Self::EnglishLowercase
            | Self::NoComma => id.to_owned(),
        }
    }

    /// Whether only a whole answer can be said to have followed it: numbers that may not be exceeded, and what the end
    /// decides. Words and characters that may not occur at all are not among them, as with the lab's own kinds.
    pub fn needs_the_end(&self) -> bool {
        match self {
            Self::Frequency(_, count)
            | Self::LetterFrequency(_, count)
            | Self::NumberSentences(count)
            | Self::NumberWords(count)
            | Self::CapitalWordFrequency(count) => matches!(count, Count::LessThan(_)),
            Self::NumberParagraphs(_)
            | Self::NthParagraphFirstWord { .. }
            | Self::NumberBulletLists(_)
            | Self::TwoResponses
            | Self::EndChecker(_)
            | Self::Quotation => true,
            _ => false,
        }
    }
}

impl Count {
    fn label(self) -> String {
        match self {
            Self::LessThan(number) => format!("less than {number}"),
            Self::AtLeast(number) => format!("at least {number}"),
        }
    }
}

#[cfg(test)]
mod tests;
